"""A release on its way to Zenodo: packed, sent as a draft, taken up again, and nothing half sent that looks whole."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from modes import obeying
from small_invenio import Invenio
from small_results import RESULTS, make_run, results

from nuanalysis import publish
from nuanalysis.cli import release as verbs
from nuanalysis.errors import DataError, EnvironmentFault, InputError
from nuanalysis.ingest import Patience
from nuanalysis.publish import _export, _published
from nuanalysis.publish._manifest import SUMS, release_files

TOKEN = "not-a-real-token"
QUICK = Patience(attempts=6, pause_s=0.01, timeout_s=5.0, wait_s=0.5)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_run(tmp_path_factory.mktemp("runs") / "default", results(RESULTS[:1]))
    return publish.build(run, "DR0.1")


@pytest.fixture
def invenio() -> Iterator[Invenio]:
    with Invenio(TOKEN) as server:
        yield server


def server_of(invenio: Invenio, told: list[str] | None = None, token: str = TOKEN) -> publish.Server:
    return publish.Server(invenio.url, token, (told if told is not None else []).append, QUICK)


@pytest.fixture(scope="module")
def packed(release: Path, tmp_path_factory: pytest.TempPathFactory) -> publish.Export:
    return publish.pack(release, tmp_path_factory.mktemp("packed") / "export")


def sent(packed: publish.Export, into: Path, invenio: Invenio, **how: bool) -> publish.Export:
    return publish.send(packed, into, server_of(invenio), **how)


# --- packing ----------------------------------------------------------------------------------------------------------


def test_what_is_packed_is_the_release_and_unpacks_to_it(release: Path, tmp_path: Path) -> None:
    found = publish.pack(release, tmp_path / "export")
    whole = tmp_path / "whole"
    whole.mkdir()
    for one in found.parcels:
        assert one.md5 == hashlib.md5(one.path.read_bytes(), usedforsecurity=False).hexdigest()
        if one.name.endswith(".zip") and one.name.startswith(release.name):
            zipfile.ZipFile(one.path).extractall(whole)
        else:
            shutil.copy(one.path, whole / one.name)
    assert publish.verify(whole).ok
    assert release_files(whole) == release_files(release)
    again = publish.pack(release, tmp_path / "again")
    assert [(one.name, one.md5) for one in again.parcels] == [(one.name, one.md5) for one in found.parcels]


def test_a_dry_run_sends_nothing_and_says_what_it_would(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUANALYSIS_EXPORT_TOKEN", TOKEN)
    with Invenio(TOKEN) as server:
        verbs.app(
            ["export", str(release), str(tmp_path / "export"), "--server", server.url, "--json"], standalone_mode=False
        )
        assert server.asked == []
    shown = json.loads(capsys.readouterr().out)
    assert (shown["sent"], shown["published"], shown["address"]) == (False, False, "")
    assert shown["record"]["metadata"]["rights"] == [{"id": "cc-by-4.0"}]
    assert TOKEN not in json.dumps(shown)
    assert f"{release.name}-events.zip" in [one["name"] for one in shown["files"]]


def test_a_release_that_changed_or_was_withdrawn_is_not_packed(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(release, tmp_path / release.name))
    (copy / "LICENSE").write_text("anything goes")
    with pytest.raises(DataError, match="first bad file LICENSE"):
        publish.pack(copy, tmp_path / "export")
    with pytest.raises(InputError, match="inside the release"):
        publish.pack(release, release / "export")
    gone = publish.PublishedRelease(
        name=release.name, created="", digest="", withdrawn="a wrong unit", successor="nuanalysis-default-DR0.2"
    )
    monkeypatch.setattr(_export, "published", lambda: {release.name: gone})
    with pytest.raises(DataError, match=r"WITHDRAWN: a wrong unit\. Use nuanalysis-default-DR0\.2"):
        publish.pack(release, tmp_path / "export")


def test_a_folder_below_a_file_is_named(release: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot write"):
        publish.pack(release, tmp_path / "file" / "export")


def test_a_read_only_target_is_named_and_stays_empty(release: Path, tmp_path: Path) -> None:
    """Of archives, and of the release itself."""
    run = Path(shutil.copytree(release.parents[1], tmp_path / "default", ignore=shutil.ignore_patterns("release")))
    calls = {
        run / "release": "publish.build(Path(sys.argv[1]).parent, 'DR0.1')",
        tmp_path / "closed": "publish.pack(Path(sys.argv[2]), Path(sys.argv[1]))",
    }
    for closed, call in calls.items():
        closed.mkdir(mode=0o500)
        done = obeying(f"from nuanalysis import publish; {call}", closed, release)
        assert done.returncode != 0
        assert f"EnvironmentFault: cannot write {closed}" in done.stderr
        assert not list(closed.iterdir())


def test_a_full_disk_leaves_no_half_file(release: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the largest archive does not fit."""
    into = tmp_path / "export"
    largest = max(path.stat().st_size for path in release.rglob("*") if path.is_file())
    code = (
        "import resource, signal, sys; from pathlib import Path; from nuanalysis import publish\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({largest // 2}, {largest // 2}))\n"
        "publish.pack(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(release), str(into)], capture_output=True, text=True)
    assert done.returncode != 0
    assert "EnvironmentFault: cannot write" in done.stderr
    whole = {one.name: one.md5 for one in publish.pack(release, tmp_path / "whole").parcels}
    for path in into.iterdir():  # what is there is whole
        assert hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == whole[path.name]


# --- sending ----------------------------------------------------------------------------------------------------------


def test_a_draft_holds_every_byte_and_is_not_published(
    packed: publish.Export, tmp_path: Path, invenio: Invenio
) -> None:
    found = sent(packed, tmp_path, invenio)
    held = invenio.files["r1"]
    assert {name: one["data"] for name, one in held.items()} == {
        one.name: one.path.read_bytes() for one in found.parcels
    }
    draft = invenio.drafts["r1"]
    assert (draft["is_published"], found.published, found.address) == (False, False, f"{invenio.url}/uploads/r1")
    assert packed.release in draft["metadata"]["title"]
    assert "INCOMPLETE" not in draft["metadata"]["title"]
    assert ("publish", "") not in invenio.asked


def test_it_is_published_when_asked_and_whole(packed: publish.Export, tmp_path: Path, invenio: Invenio) -> None:
    found = sent(packed, tmp_path, invenio, publish=True)
    assert found.published
    assert invenio.asked[-1] == ("publish", "")
    with pytest.raises(DataError, match="it is published, or was removed"):
        sent(packed, tmp_path, invenio)


@pytest.mark.parametrize("fault", ["429", "500", "503", "drop", "half", "flip"])
def test_faults_of_line_and_server_are_overcome(
    packed: publish.Export, tmp_path: Path, invenio: Invenio, fault: str
) -> None:
    """Each once at every step: too many requests, a server's fault, a broken line, half a file, a wrong byte."""
    steps = ("content",) if fault in ("half", "flip") else ("listing", "file", "begin", "content", "commit", "update")
    invenio.script = {step: [fault] for step in steps}
    found = sent(packed, tmp_path, invenio, publish=True)
    assert not any(invenio.script.values())
    held = invenio.files["r1"]
    assert all(held[one.name]["data"] == one.path.read_bytes() for one in found.parcels)


def test_the_pause_is_the_one_that_the_server_asks_for(
    packed: publish.Export, tmp_path: Path, invenio: Invenio, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("nuanalysis.publish._invenio.time.sleep", pauses.append)
    invenio.after, invenio.script = "0.4", {"create": ["429"], "content": ["429", "503"]}
    invenio.after = "7"
    patient = Patience(attempts=4, pause_s=0.01, timeout_s=2.0, wait_s=60.0)
    told: list[str] = []
    publish.send(packed, tmp_path, publish.Server(invenio.url, TOKEN, told.append, patient))
    assert pauses == [7.0, 7.0, 7.0]
    assert sum("429" in line for line in told) == 2
    assert len(invenio.drafts) == 1  # a refusal of the first request made nothing


def test_a_server_that_asks_for_too_long_is_left_alone(
    packed: publish.Export, tmp_path: Path, invenio: Invenio
) -> None:
    invenio.after, invenio.script = "3600", {"content": ["429"]}
    with pytest.raises(DataError, match=r"asks for 3600 s; call again after that"):
        sent(packed, tmp_path, invenio)


def test_what_stopped_goes_on_and_looks_unfinished_until_then(
    packed: publish.Export, tmp_path: Path, invenio: Invenio
) -> None:
    invenio.script = {"commit": ["", "", *["500"] * 6]}
    with pytest.raises(DataError, match=r"failed 6 times.*what has arrived is not sent again"):
        sent(packed, tmp_path, invenio, publish=True)
    draft = invenio.drafts["r1"]
    assert draft["metadata"]["title"].startswith("INCOMPLETE, still being uploaded: ")
    assert not draft["is_published"]
    complete = [name for name, one in invenio.files["r1"].items() if one["status"] == "completed"]
    assert len(complete) == 2
    invenio.asked.clear()
    found = sent(packed, tmp_path, invenio, publish=True)
    assert found.published
    assert not {("content", name) for name in complete} & set(invenio.asked)
    assert list(invenio.drafts) == ["r1"]


def test_a_first_request_without_an_answer_is_not_repeated(
    packed: publish.Export, tmp_path: Path, invenio: Invenio
) -> None:
    """It may have made a draft; the second would make another."""
    for fault in ("500", "drop"):
        invenio.script = {"create": [fault]}
        with pytest.raises(DataError, match="it may have made an empty draft"):
            sent(packed, tmp_path, invenio)
    assert [what for what, _ in invenio.asked] == ["create", "create"]


def test_a_changed_release_gets_a_draft_of_its_own(packed: publish.Export, tmp_path: Path, invenio: Invenio) -> None:
    sent(packed, tmp_path / "one", invenio)
    state = json.loads((tmp_path / "one" / "export.json").read_text())
    (tmp_path / "one" / "export.json").write_text(json.dumps({**state, "digest": "0" * 64}))
    sent(packed, tmp_path / "one", invenio)
    assert list(invenio.drafts) == ["r1", "r2"]


def test_files_of_something_else_and_faults_of_metadata_are_refused(
    packed: publish.Export, tmp_path: Path, invenio: Invenio
) -> None:
    export = packed
    publish.send(export, tmp_path, server_of(invenio))
    invenio.files["r1"]["holiday.jpg"] = {"data": b"x", "status": "completed"}
    with pytest.raises(DataError, match=r"files of something else: holiday\.jpg"):
        publish.send(export, tmp_path, server_of(invenio))
    del invenio.files["r1"]["holiday.jpg"]
    untitled = {**export.metadata, "metadata": {**export.metadata["metadata"], "title": ""}}
    with pytest.raises(DataError, match=r"does not take the metadata: metadata\.title: Missing data"):
        publish.send(
            publish.Export(export.release, export.digest, untitled, export.parcels), tmp_path, server_of(invenio)
        )


def test_a_wrong_token_is_said_so_and_shown_nowhere(packed: publish.Export, tmp_path: Path, invenio: Invenio) -> None:
    told: list[str] = []
    server = server_of(invenio, told, token="secret-of-somebody")
    with pytest.raises(DataError, match=r"403.*token missing, expired or without the scopes") as refused:
        publish.send(packed, tmp_path, server)
    everything = [str(refused.value), repr(server), *told, *(p.name for p in tmp_path.iterdir())]
    assert not any("secret-of-somebody" in text for text in everything)


@pytest.mark.parametrize(
    ("address", "token", "words"),
    [
        ("http://zenodo.org", TOKEN, "unencrypted"),
        ("zenodo.org", TOKEN, "no address of a server"),
        ("https://zenodo.org/?a=b", TOKEN, "no address of a server"),
        ("https://zenodo.org", "", "token of the server is empty"),
        ("https://zenodo.org", "two words\n", "spaces or control characters"),
    ],
)
def test_addresses_and_tokens_that_cannot_be(address: str, token: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        publish.Server(address, token, print, QUICK)


def test_an_address_that_is_no_invenio(packed: publish.Export, tmp_path: Path, invenio: Invenio) -> None:
    """A page in place of a document, a redirect to elsewhere: the token does not follow."""
    invenio.script = {"create": ["302"]}
    with pytest.raises(DataError, match="the server answers 302"):
        sent(packed, tmp_path, invenio)
    assert [what for what, _ in invenio.asked] == ["create"]


# --- published releases -----------------------------------------------------------------------------------------------


def test_a_published_release_is_kept_by_its_manifest(release: Path, tmp_path: Path) -> None:
    one = publish.record(release, tmp_path, "10.5281/zenodo.1")
    assert one.code == json.loads((release / "results.json").read_text())["versions"]["nuanalysis"]
    assert publish.published(tmp_path) == {release.name: one}
    assert (tmp_path / f"{release.name}.sha256").read_bytes() == (release / SUMS).read_bytes()
    assert publish.record(release, tmp_path) == one  # again: neither DOI nor anything else is lost
    found = publish.rebuilt(release, tmp_path)
    assert (found.same_bytes, found.ok, found.differ, found.circumstances) == (True, True, (), ())


def test_a_release_that_is_built_again_is_held_to_the_published_one(release: Path, tmp_path: Path) -> None:
    """Another day, other costs: circumstances differ, and with the date of the first nothing else does."""
    publish.record(release, tmp_path)
    found = results(RESULTS[:1])
    later = found.model_copy(update={"created": "2026-03-04T05:06:07Z"})
    run = make_run(tmp_path / "default", later)
    costs = {"section": "measure", "name": "template:pi0", "sample": "cascades-2023", "measured": "by hand"}
    document = json.loads((run / "results.json").read_text())
    document["costs"] = [{**costs, "core_seconds": 7.0, "seconds": 4.0}]
    (run / "results.json").write_text(json.dumps(document))
    other = publish.rebuilt(publish.build(run, "DR0.1"), tmp_path)
    assert not other.ok
    assert "events/events-tracks.fits" in other.differ  # dated otherwise
    same = publish.rebuilt(publish.build(run, "DR0.1", dated=found.created), tmp_path)
    assert (same.ok, same.same_bytes) == (True, False)
    assert "costs.json" in same.circumstances
    assert set(same.circumstances) <= {
        "costs.json", "datapackage.json", "ro-crate-metadata.json", "manifest.json", "report/index.html",
        "fits/campaign.ecsv", "fits/campaign.vot", "fits/campaign.parquet",
        "fits/campaign-synthetic.ecsv", "fits/campaign-synthetic.vot", "fits/campaign-synthetic.parquet",
    }  # fmt: skip
    with pytest.raises(InputError, match="not of the form 2026-01-31T12:00:00Z"):
        publish.build(run, "DR0.1", dated="yesterday")


def test_a_list_that_its_manifests_do_not_bear_out_is_refused(release: Path, tmp_path: Path) -> None:
    publish.record(release, tmp_path)
    path = tmp_path / f"{release.name}.sha256"
    text = path.read_text()
    path.write_text(text.replace("a", "b", 1))
    with pytest.raises(DataError, match=r"the manifest of .* has sha256"):
        publish.published(tmp_path)
    path.rename(tmp_path / "nuanalysis-other-DR0.1.sha256")
    with pytest.raises(DataError, match=r"listed without its manifest(?s:.*)is not listed"):
        publish.published(tmp_path)
    path.write_text(text)
    (tmp_path / "nuanalysis-other-DR0.1.sha256").unlink()
    codes = (tmp_path / "code.toml").read_text()
    (tmp_path / "code.toml").write_text("")
    with pytest.raises(DataError, match=r"has no version of the code in code\.toml"):
        publish.published(tmp_path)
    (tmp_path / "code.toml").write_text(codes.replace('= "', '= 7 # "'))
    with pytest.raises(DataError, match="the versions of published releases"):
        publish.published(tmp_path)
    (tmp_path / "code.toml").write_text(codes)
    listed = (tmp_path / "published.toml").read_text()
    (tmp_path / "published.toml").write_text(listed.replace('withdrawn = ""', 'withdrawn = "a wrong unit"'))
    with pytest.raises(DataError, match="without reason or successor"):
        publish.published(tmp_path)


def test_a_withdrawn_release_stays_and_says_so(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish.record(release, tmp_path)
    path = tmp_path / "published.toml"
    text = path.read_text().replace('withdrawn = ""', 'withdrawn = "a wrong unit"')
    path.write_text(text.replace('successor = ""', 'successor = "nuanalysis-default-DR0.2"'))
    monkeypatch.setattr(_published, "manifests", lambda: tmp_path)
    verbs.app(["verify", str(release)], standalone_mode=False)
    assert "is WITHDRAWN: a wrong unit. Use nuanalysis-default-DR0.2 instead." in capsys.readouterr().out


def test_the_manifests_of_the_package_are_whole_and_those_of_data_release() -> None:
    listed = publish.published()
    folder = Path(__file__).parents[1] / "data_release" / "manifests"
    assert {path.stem for path in folder.glob("*.sha256")} == set(listed)
    # The code of each release reads this list when it builds its release again: a further field would stop it.
    rows = tomllib.loads((folder / "published.toml").read_text())["release"]
    assert {key for row in rows for key in row} == {"name", "created", "digest", "doi", "withdrawn", "successor"}
    with pytest.raises(InputError, match="was published"):
        publish.of_name("nuanalysis-nothing-DR9.9")
