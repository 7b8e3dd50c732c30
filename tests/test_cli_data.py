"""``nuanalysis data``: one document on stdout, progress on stderr, exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nuanalysis import cli
from nuanalysis.ingest import RELEASES


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def call(capsys):
    """Run ``nuanalysis data ...`` and return (exit code, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main(["data", *arguments])
        streams = capsys.readouterr()
        return int(caught.value.code or 0), streams.out, streams.err

    return run


def test_ls_lists_every_release_and_marks_doubtful_dois(call):
    code, out, _ = call("ls")
    assert code == 0
    assert "tracks-ic86-2011" in out
    assert "10.21234/B4159R (unconfirmed)" in out
    document = json.loads(call("ls", "--json")[1])
    status = {entry["name"]: entry["status"] for entry in document["releases"]}
    assert list(status) == [one.name for one in RELEASES]
    assert set(status.values()) == {"absent"}


def test_verify_counts_absent_releases_as_no_failure(call):
    code, out, err = call("verify", "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["ok"] is True
    assert {entry["status"] for entry in document["releases"]} == {"absent"}


@pytest.mark.real_data
def test_verify_prints_row_counts_and_checksums_of_the_real_files(call, mirror, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    code, out, _ = call("verify", "tracks-ic40", "tracks-ic79", "tracks-ic86-2011", "--json")
    document = json.loads(out)
    assert (code, document["ok"]) == (0, True)
    events = {
        entry["name"]: sum(file["rows"] or 0 for file in entry["files"] if file["kind"] == "events")
        for entry in document["releases"]
    }
    assert events == {"tracks-ic40": 36_900, "tracks-ic79": 93_133, "tracks-ic86-2011": 138_322}
    there = [file for entry in document["releases"] for file in entry["files"] if file["status"] != "absent"]
    assert all(file["sha256"] == file["sha256_expected"] != "" for file in there)
    assert "36,900 rows" in call("verify", "tracks-ic40")[1]


@pytest.mark.real_data
def test_a_damaged_file_gives_the_answer_and_exit_code_3(call, mirror, cache):
    shutil.copytree(mirror / "icecube_hese75", cache / "icecube_hese75")
    path = cache / "icecube_hese75/HESE_data.json"
    path.chmod(0o644)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"40094.5703125", b"40094.5703126"))
    code, out, err = call("verify", "hese75")
    assert code == 3
    assert "damaged" in out
    assert "HESE_data.json" in err
    code, out, _ = call("verify", "hese75", "--json")
    document, _ = json.JSONDecoder().raw_decode(out)
    assert (code, document["ok"], document["releases"][0]["status"]) == (3, False, "damaged")


@pytest.mark.real_data
def test_import_then_use(call, mirror, cache):
    code, out, err = call("import", "hese75", str(mirror / "icecube_hese75"), "--json")
    assert code == 0
    assert json.loads(out)["status"] == "complete"
    assert "imported from" in err
    assert (cache / "icecube_hese75/HESE_data.json").exists()
    code, out, err = call("fetch", "hese75", "--json")
    assert (code, json.loads(out)["status"]) == (0, "complete")
    assert "is complete in" in err


def test_unknown_release_and_missing_folder(call, tmp_path):
    code, _, err = call("fetch", "tracks-ic97")
    assert code == 2
    assert "Did you mean 'tracks-ic79'" in err
    code, _, err = call("import", "hese75", str(tmp_path / "nowhere"))
    assert code == 3
    assert "does not exist" in err


def test_a_release_without_an_address_says_what_to_do(call):
    code, out, err = call("fetch", "irf-plenum")
    assert (code, out) == (3, "")
    assert "nuanalysis data import irf-plenum" in err


def test_help_does_not_import_the_heavy_libraries():
    program = (
        "import sys\nfrom nuanalysis.cli import data\n"
        "heavy = {'numpy', 'xarray', 'requests', 'pooch', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
