"""``nuanalysis``: one document on stdout, progress on stderr, and an exit code a script can act on.

What bad input gets, of every kind named in section 7 of the architecture, and where it is tested:

    kind                                   test
    wrong checksum                         test_ingest_find: a_flipped_byte_is_quarantined and its neighbours
                                           test_cli_data: a_damaged_file_gives_the_answer_and_exit_code_3
                                           here: a_release_with_a_flipped_byte_is_named
    truncated download                     test_ingest_find: an_interrupted_download_goes_on_where_it_stopped, ...
    missing column                         test_ingest_tracks: bad_event_tables_are_refused_by_name
                                           here: a_damaged_release_of_events_ends_in_an_error_of_ours
    NaN or out-of-range coordinates        test_ingest_tracks, test_store_events: events_against_the_schema_...
                                           test_workflow_hypotheses, here: point:..., damaged releases
    map of unknown ordering, negative      test_sky_user_maps; here: a_bad_map_ends_in_exit_code_2_with_all_its_faults
    spec: unknown key, impossible range    test_workflow_spec; here: a_bad_spec_is_refused_before_anything_is_made
    full disk                              test_store_events: a_full_disk_is_named_..., test_ingest_find: a_full_disk...
                                           here: a_disk_that_cannot_be_written_is_an_error_of_the_machine
    store of another version               test_store_events: a_store_of_another_icechunk_format_..., another_schema_...
                                           here: a_run_folder_of_another_version_is_refused
    worker killed mid-write                test_executors, test_store_trials, test_ensembles (kills)
    runner killed, two runs at once        test_workflow_steps: killed_and_called_again_..., two_runs_at_once_...
"""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import healpy as hp
import numpy as np
import pytest

from nuanalysis import cli

Call = Callable[..., tuple[int, str, str]]
ON_CASCADES = ("--sample", "cascades-2023", "--signal", "none")
NUANALYSIS = (sys.executable, "-m", "nuanalysis")


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mirror, an empty cache, a folder of our own."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the command line in this process; what libraries write below Python counts too."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main(list(arguments))
        out, err = capfd.readouterr()
        return int(caught.value.code or 0), out, err

    return run


def elsewhere(*arguments: str) -> tuple[int, str, str]:
    """Run the command line in a process of its own."""
    done = subprocess.run([*NUANALYSIS, *arguments], capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout, done.stderr


def the_error(answer: tuple[int, str, str]) -> tuple[int, str, str]:
    """(exit code, kind, message) of a refusal: one document, no traceback, the same words on stderr."""
    code, out, err = answer
    said = json.loads(out)["error"]
    assert said["exit_code"] == code
    assert "Traceback" not in err
    assert err.rstrip().endswith(f"{said['kind']}: {said['message']}".rstrip())
    return code, said["kind"], said["message"]


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_fit_answers_with_one_document_and_progress_elsewhere() -> None:
    code, out, err = elsewhere("fit", "--sample", "cascades-2023", "--signal", "stack:snr", "--n-signal", "400",
                               "--hypothesis", "stack:snr", "--no-index-free", "--seed", "2", "--injections", "0",
                               "--json")  # fmt: skip
    assert code == 0, err
    answer = json.loads(out)
    whose, tested, fitted = answer["provenance"], answer["tested"], answer["fitted"]
    assert (whose["sample"], whose["origin"], tested["hypothesis"]) == ("cascades-2023", "synthetic", "stack:snr")
    assert fitted["n_signal"] == pytest.approx(400, abs=200)
    assert fitted["index"] == 2.7
    assert fitted["ts"] > 4
    assert (tested["index_free"], fitted["converged"]) == (False, True)
    assert any("SYNTHETIC" in note for note in whose["notes"])
    assert "SYNTHETIC events, signal stack:snr (supernova remnants), E^-2.7, seed 2" in err


@pytest.mark.slow
def test_a_map_of_ones_own_gets_ts_p_value_flux_and_limit(call: Call, tmp_path: Path) -> None:
    nside = 32
    theta, phi = hp.pix2ang(nside, np.arange(12 * nside**2))
    belt = np.exp(-(((np.pi / 2 - theta) / 0.2) ** 2)) * (1 + 0.5 * np.cos(phi))
    path = tmp_path / "mymap.fits"
    header = [("UNITS", "relative", "")]
    hp.write_map(path, belt, coord="G", extra_header=header, dtype=np.float64)
    code, out, err = call("fit", "--sample", "cascades-2023", "--signal", "template:pi0-like", "--n-signal", "700",
                          "--hypothesis", f"template:{path}", "--injections", "300", "--json")  # fmt: skip
    assert code == 0, err
    answer = json.loads(out)
    assert (answer["tested"]["model_origin"], answer["provenance"]["origin"]) == ("user file", "synthetic")
    assert answer["fitted"]["index"] == 2.7
    assert answer["fitted"]["ts"] > 4
    p, flux = answer["chance"], answer["flux"]
    assert 0 < p["p"] < 0.05
    assert 0 < p["error"] < 0.2 * p["p"]
    assert p["scope"] == "local"
    best, limit = flux["best"], flux["upper_limit_90"]
    assert 0 < best["value"] < limit["value"] < 10 * best["value"]
    assert limit["error"] > 0
    assert flux["in_models"] is None
    assert (flux["n_trials"], best["unit"], limit["unit"]) == (300, "TeV cm-2 s-1", "TeV cm-2 s-1")


@pytest.mark.slow
def test_pvalue_of_a_given_test_statistic(call: Call) -> None:
    arguments = ("significance", *ON_CASCADES, "--hypothesis", "point:83.63,22.01", "--no-index-free", "--ts", "1.0",
                 "--trials", "1000", "--executor", "serial", "--json")  # fmt: skip
    code, out, err = call(*arguments)
    assert code == 0, err
    answer = json.loads(out)
    chance = answer["chance"]
    assert {"p", "error", "sigma", "n_trials"} <= chance.keys()
    assert (answer["ts"], chance["n_trials"], chance["scope"]) == (1.0, 1000, "local")
    # Half a chi-square with one degree of freedom: P(TS > 1) = 0.159.
    assert chance["p"] == pytest.approx(0.159, abs=0.05)
    assert 0 < chance["error"] < 0.05
    assert answer["seconds"] > 0
    again = json.loads(call(*arguments)[1])
    assert {**again, "seconds": 0} == {**answer, "seconds": 0}


@pytest.mark.slow
def test_a_test_statistic_of_zero_has_p_one(call: Call) -> None:
    code, out, err = call("significance", *ON_CASCADES, "--hypothesis", "point:83.63,22.01", "--no-index-free",
                          "--ts", "0", "--trials", "200", "--executor", "serial", "--json")  # fmt: skip
    assert code == 0, err
    chance = json.loads(out)["chance"]
    assert (chance["p"], chance["sigma"]) == (1.0, None)


@pytest.mark.slow
def test_too_few_trials_for_a_p_value_are_refused_not_guessed(call: Call) -> None:
    arguments = ("significance", *ON_CASCADES, "--hypothesis", "point:83.63,22.01", "--no-index-free", "--ts", "60",
                 "--trials", "200", "--executor", "serial", "--json")  # fmt: skip
    code, kind, message = the_error(call(*arguments))
    assert (code, kind) == (7, "PrecisionError")
    assert "trials of this mixture would do" in message


@pytest.mark.slow
def test_the_trials_named_in_a_refusal_do(call: Call) -> None:
    question = ("significance", *ON_CASCADES, "--hypothesis", "point:83.63,22.01", "--no-index-free", "--ts", "16",
                "--precision", "0.1", "--executor", "serial", "--json")  # fmt: skip
    _, kind, message = the_error(call(*question, "--trials", "300"))
    assert kind == "PrecisionError"
    [needed] = re.findall(r"About ([\d,]+) trials", message)
    code, out, err = call(*question, "--trials", needed.replace(",", ""))
    assert code == 0, err
    chance = json.loads(out)["chance"]
    assert chance["error"] <= 0.11 * chance["p"]


@pytest.mark.slow
def test_the_trials_of_a_p_value_are_as_many_as_its_precision_takes(call: Call) -> None:
    question = ("significance", *ON_CASCADES, "--hypothesis", "point:83.63,22.01", "--no-index-free", "--ts", "12",
                "--executor", "threads", "--json")  # fmt: skip
    found = [json.loads(call(*question, "--precision", wanted)[1])["chance"] for wanted in ("0.2", "0.08")]
    for chance, precision in zip(found, (0.2, 0.08), strict=True):
        assert {"p", "error", "sigma", "n_trials", "ess"} <= chance.keys()
        assert chance["error"] <= 1.1 * precision * chance["p"]
        assert chance["scope"] == "local"
    assert found[1]["n_trials"] > found[0]["n_trials"]


@pytest.mark.slow
def test_the_global_p_value_is_at_least_the_best_local_one(call: Call) -> None:
    places = "point:83.63,22.01,point:266.4,-29.0,point:83.63,22.02"
    question = ("together", *ON_CASCADES, "--hypotheses", places, "--no-index-free", "--ts", "6,7,5",
                "--precision", "0.2", "--json")  # fmt: skip
    code, out, err = call(*question)
    assert code == 0, err
    answer = json.loads(out)
    assert answer["best"] == "point:266.4,-29.0"
    assert answer["local"]["p"] <= answer["chance"]["p"] <= 3.3 * answer["local"]["p"]
    assert 1.0 <= answer["trials_factor"] < 2.6  # two of the three are the same place
    assert [row["chance"]["scope"] for row in answer["hypotheses"]] == ["local"] * 3
    assert answer["chance"]["scope"] == "global"


@pytest.mark.parametrize(
    ("hypotheses", "ts", "expected"),
    [
        ("template:pi0-like", "", "expected two or more"),
        ("point:83.63,22.01,point:83.63,22.01", "", "named twice; expected different hypotheses"),
        ("point:83.63,22.01,stack:snr", "1,2,3", "3 numbers for 2 hypotheses"),
        ("point:83.63,22.01,stack:snr", "1,two", "expected numbers"),
        ("point:83.63,22.01,stack:snr", "1,1e9", "expected 0 to 64"),
        ("each:list-19", "", "there is no catalogue 'list-19'. Did you mean 'list-109'?"),
    ],
)
@pytest.mark.slow
def test_a_set_of_hypotheses_that_makes_no_sense_is_refused(
    call: Call, hypotheses: str, ts: str, expected: str
) -> None:
    arguments = ("together", *ON_CASCADES, "--hypotheses", hypotheses, "--json")
    code, kind, message = the_error(call(*arguments, *(("--ts", ts) if ts else ())))
    assert (code, kind) == (2, "UsageError" if "two" in ts else "InputError")
    assert expected in message


@pytest.mark.slow
def test_the_bias_curve_turns_a_fit_back(call: Call) -> None:
    code, out, err = call("bias", *ON_CASCADES, "--hypothesis", "point:266.4,-29.0", "--no-index-free",
                          "--trials", "400", "--n-signal-fitted", "40", "--executor", "serial", "--json")  # fmt: skip
    assert code == 0, err
    answer = json.loads(out)
    [row] = answer["corrected"]
    assert 0 < row["n_signal"]["value"] < 60
    assert row["n_signal"]["error"] > 0
    assert all(node["n_injected"] >= 0 and node["curve"]["error"] >= 0 for node in answer["curve"])


@pytest.mark.slow
def test_sensitivity_gives_events_and_flux_for_both_definitions(call: Call) -> None:
    code, out, err = call("sensitivity", *ON_CASCADES, "--hypothesis", "point:266.4,-29.0", "--no-index-free",
                          "--trials", "400", "--executor", "serial", "--json")  # fmt: skip
    assert code == 0, err
    answer = json.loads(out)
    found, [deep] = answer["sensitivity"], answer["potentials"]
    assert found["n_signal"]["value"] > 0
    assert found["flux"]["value"] > 0
    assert deep["sigma"] == 5.0
    reached = deep["strength"]
    assert reached["reason"] if "reason" in reached else reached["flux"]["value"] > found["flux"]["value"]


@pytest.mark.slow
def test_expected_events_are_those_of_the_paper(call: Call) -> None:
    arguments = ("expect", "--sample", "cascades-2023", "--json", "--hypothesis", "isotropic")
    code, out, _ = call(*arguments, "--flux", "1.66e-18", "--index", "2.53")
    assert code == 0
    assert json.loads(out)["n_expected"] == pytest.approx(4000, rel=0.01)
    doubled = json.loads(call(*arguments, "--flux", "3.32e-18", "--index", "2.53")[1])
    assert doubled["n_expected"] == pytest.approx(2 * json.loads(out)["n_expected"])


@pytest.mark.real_data
def test_expected_events_of_the_published_map(call: Call, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    arguments = ("expect", "--sample", "cascades-2023", "--hypothesis", "template:pi0", "--json", "--flux")
    assert json.loads(call(*arguments, "1e-11")[1])["n_expected"] == pytest.approx(309.6, rel=0.005)
    assert json.loads(call(*arguments, "2.17e-11")[1])["n_expected"] == pytest.approx(671.1, rel=0.01)


# Published counts of KRA-gamma at one model (physics notes A4: 441.6 and 499.5), with the published spectra on our map.
@pytest.mark.parametrize("shape", ["like-{}?spectrum=published&nside=64", "compact-proxy-{}?nside=64"])
@pytest.mark.parametrize(("cutoff", "published"), [(5, 441.6), (50, 499.5)])
@pytest.mark.slow
def test_a_model_has_an_expectation_of_its_own(call: Call, cutoff: int, published: float, shape: str) -> None:
    name = "template:kra-gamma-" + shape.format(cutoff)
    code, out, err = call("expect", "--sample", "cascades-2023", "--hypothesis", name, "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["n_expected"] == pytest.approx(published, rel=0.05)
    assert answer["model_flux"] == answer["flux"]
    assert answer["index"] is None
    code, kind, message = the_error(call("expect", "--sample", "tracks", "--hypothesis", "stack:snr", "--json"))
    assert (code, kind) == (2, "InputError")
    assert "say one with flux" in message


@pytest.mark.slow
def test_without_json_the_answer_is_for_people(call: Call) -> None:
    code, out, _ = call("expect", "--sample", "cascades-2023", "--hypothesis", "isotropic", "--flux", "1.66e-18")
    assert code == 0
    assert "expected events" in out
    assert not out.lstrip().startswith("{")


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (("data", "verify"), {"ok", "releases"}),
        (("notebooks", "ls"), {"folder", "notebooks"}),
        (("doctor",), {"python", "versions", "cores", "memory_gb", "disk_free_gb", "data", "remedies"}),
    ],
)
@pytest.mark.slow
def test_the_small_verbs_answer_with_one_document_and_nothing_else(arguments: tuple[str, ...], keys: set[str]) -> None:
    code, out, err = elsewhere(*arguments, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out).keys() >= keys


def test_status_of_a_run_and_of_none(call: Call, tmp_path: Path) -> None:
    code, kind, message = the_error(call("status", "nowhere", "--json"))
    assert (code, kind) == (6, "StepMissing")
    assert "nuanalysis run SPEC" in message
    (tmp_path / "run.json").write_text('{"schema": 1, "notebooks": {"01_event')
    code, kind, message = the_error(call("status", str(tmp_path), "--json"))
    assert (code, kind) == (2, "InputError")
    assert "run.json is damaged" in message


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("data", "--help"), ("run", "--help")])
@pytest.mark.slow
def test_help_and_version_cost_next_to_nothing(arguments: tuple[str, ...]) -> None:
    assert elsewhere(*arguments)[0] == 0  # compiled by now, whatever ran before

    def cpu() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        code, out, err = elsewhere(*arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert (code, err) == (0, "")
        assert out.strip()
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(cpu() for _ in range(3)) < 1.0  # the target is 0.5 on a quiet machine


# --- refusals ---------------------------------------------------------------------------------------------------------

FIT = ("fit", *ON_CASCADES, "--hypothesis")
SIGNIFICANCE = ("significance", *ON_CASCADES, "--hypothesis", "stack:snr")
EXPECT = ("expect", "--sample", "cascades-2023", "--hypothesis", "isotropic")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fit", "--sample", "cascade-2023", "--hypothesis", "stack:snr"), "Did you mean 'cascades-2023'?"),
        (("fit", "--sample", "track", "--hypothesis", "stack:snr"), "Did you mean 'tracks'?"),
        ((*FIT, "stack:snrs"), "Did you mean 'snr'?"),
        ((*FIT, "template:pi00"), "Did you mean 'pi0'?"),
        ((*FIT, "stak:snr"), "Did you mean 'stack'?"),
        ((*FIT, "point:nan,0"), "expected 0 <= RA < 360"),
        ((*FIT, "template:nowhere.npy"), "no such file"),
        ((*FIT, "stack:snr", "--index", "9"), "'index': Input should be less than or equal to 4"),
        ((*FIT, "stack:snr", "--index", "nan"), "'index': Input should be less than or equal to 4"),
        ((*FIT, "stack:snr", "--n-signal", "-5"), "'n_signal': Input should be greater than or equal to 0"),
        ((*FIT, "stack:snr", "--n-signal", "nan"), "'n_signal'"),
        ((*FIT, "stack:snr", "--signal", "stack:snrs"), "Did you mean 'snr'?"),
        ((*FIT, "stack:snr", "--seed", "-1"), "'--seed'"),
        ((*FIT, "stack:snr", "--seed", str(2**63)), "'--seed'"),
        ((*FIT, "stack:snr", "--sead", "3"), "No such option: --sead"),
        (("fit", *ON_CASCADES), "'--hypothesis'"),
        (("fitt",), "No such command 'fitt'"),
        ((*SIGNIFICANCE, "--ts", "-1"), "'ts': Input should be greater than or equal to 0"),
        ((*SIGNIFICANCE, "--ts", "nan"), "'ts': Input should be less than or equal to 64 (found nan)"),
        ((*SIGNIFICANCE, "--ts", "high"), "'--ts'"),
        ((*SIGNIFICANCE, "--trials", "3"), "trials is 3; expected 200 or more"),
        ((*SIGNIFICANCE, "--executor", "proceses"), "Did you mean 'processes'?"),
        ((*SIGNIFICANCE, "--workers", "0"), "workers"),
        ((*SIGNIFICANCE, "--scheduler", "tcp://127.0.0.1:1"), "goes with the executor 'dask'"),
        ((*EXPECT, "--flux", "-1e-18"), "'flux': Input should be greater than 0"),
        ((*EXPECT, "--flux", "nan"), "'flux': Input should be less than or equal to 1 (found nan)"),
        (
            (*EXPECT, "--flux", "1e-18", "--index", "nan"),
            "'index': Input should be less than or equal to 4",
        ),
        (("run", "nowhere.toml"), "there is no spec at nowhere.toml"),
        (("run", "."), "the spec . is a folder, expected a file"),
        (("run", "nowhere.toml", "--workers", "0"), "'--workers'"),
        (("notebooks", "params", "03_template_fit"), "Did you mean '03_template_fits'?"),
        (("data", "fetch", "tracks-ic97"), "Did you mean 'tracks-ic79'?"),
    ],
)
@pytest.mark.slow
def test_what_was_typed_wrong_is_exit_code_2_with_a_hint(call: Call, arguments: tuple[str, ...], said: str) -> None:
    code, _, message = the_error(call(*arguments, "--json"))
    assert (code, said in message) == (2, True), message


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("fit", "--sample", "tracks", "--hypothesis", "stack:snr"), 3, "nuanalysis data fetch tracks-ic40"),
        (("release", "verify", "nowhere"), 3, "no MANIFEST.sha256"),
        (("release", "build", "nowhere"), 6, "nuanalysis run SPEC"),
        (("release", "report", "nowhere"), 6, "nuanalysis run SPEC"),
    ],
)
def test_what_is_missing_has_a_code_of_its_own(call: Call, arguments: tuple[str, ...], code: int, said: str) -> None:
    found, _, message = the_error(call(*arguments, "--json"))
    assert (found, said in message) == (code, True), message


@pytest.mark.slow
def test_a_refusal_without_json_leaves_stdout_empty() -> None:
    code, out, err = elsewhere("fit", "--sample", "cascade-2023", "--hypothesis", "stack:snr")
    assert (code, out) == (2, "")
    assert err.startswith("InputError: ")
    assert "there is no sample 'cascade-2023'. Did you mean 'cascades-2023'?" in err


BAD_SPEC = """
name = "x"
sead = 1
[[sample]]
name = "tracks"
min_log10_energy = {energy}
[[hypothesis]]
name = "stack:snr"
"""


@pytest.mark.parametrize("energy", ["nan", "11", '"3"', "5\nmax_log10_energy = 4"])
def test_a_bad_spec_is_refused_before_anything_is_made(call: Call, tmp_path: Path, energy: str) -> None:
    (tmp_path / "bad.toml").write_text(BAD_SPEC.format(energy=energy))
    code, kind, message = the_error(call("run", "bad.toml", "--json"))
    assert (code, kind) == (2, "InputError")
    assert "unknown key 'sead'. Did you mean 'seed'?" in message
    assert "sample.0" in message
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda m: np.where(np.arange(m.size) < 3, np.nan, m), "NaN"),
        (lambda m: np.where(np.arange(m.size) < 3, -1.0, m), "negative"),
        (lambda m: m[:-1], "pixels"),
        (lambda m: m * 0, "zero"),
        (lambda m: np.stack([m, m], axis=1), "axes"),
    ],
)
def test_a_bad_map_ends_in_exit_code_2_with_all_its_faults(
    call: Call, tmp_path: Path, spoil: Callable[[Any], Any], said: str
) -> None:
    np.save(tmp_path / "map.npy", spoil(np.ones(12 * 8**2)))
    code, kind, message = the_error(call(*FIT, "template:map.npy?frame=galactic", "--json"))
    assert (code, kind) == (2, "InputError")
    assert said in message
    assert "its ordering is not stated" in message


def test_a_hypothesis_alike_at_all_right_ascensions_is_refused(call: Call) -> None:
    for verb in ("fit", "limit"):
        code, kind, message = the_error(call(verb, *FIT[1:], "template:isotropic", "--json"))
        assert (code, kind) == (2, "InputError")
        assert "'template:isotropic' has the same density at all right ascensions" in message


def test_a_map_cut_short_and_one_that_is_none(call: Call, tmp_path: Path) -> None:
    np.save(tmp_path / "map.npy", np.ones(12 * 8**2))
    whole = (tmp_path / "map.npy").read_bytes()
    for name, content in (
        ("cut.npy", whole[:500]),
        ("text.npy", b"ra dec"),
        ("text.fits", b"SIMPLE"),
        ("map.txt", b""),
    ):
        (tmp_path / name).write_bytes(content)
        code, kind, _ = the_error(call(*FIT, f"template:{name}?frame=galactic&ordering=ring", "--json"))
        assert (name, code, kind) == (name, 2, "InputError")


def test_a_release_with_a_flipped_byte_is_named(call: Call, tmp_path: Path) -> None:
    from nuanalysis.publish._manifest import INDEX, json_text, write_sums
    from nuanalysis.store import sha256_file

    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "fits.ecsv").write_bytes(b"# ecsv 1 2 3")
    listed = [{"path": "fits.ecsv", "sha256": sha256_file(folder / "fits.ecsv")}]
    (folder / INDEX).write_text(json_text({"files": listed}))
    write_sums(folder)
    code, out, _ = call("release", "verify", "release", "--json")
    assert (code, json.loads(out)["ok"], json.loads(out)["files"]) == (0, True, 2)
    (folder / "fits.ecsv").write_bytes(b"# ecsv 1 2 4")
    code, kind, message = the_error(call("release", "verify", "release", "--json"))
    assert (code, kind) == (3, "DataError")
    assert f"first bad file fits.ecsv: expected sha256 {listed[0]['sha256']}" in message


def test_a_run_folder_of_another_version_is_refused(call: Call, tmp_path: Path) -> None:
    spec = 'name = "x"\n[[sample]]\nname = "cascades-2023"\n[[hypothesis]]\nname = "stack:snr"\n'
    (tmp_path / "x.toml").write_text(spec)
    folder = tmp_path / "runs" / "x"
    folder.mkdir(parents=True)
    (folder / "samples.json").write_text(json.dumps({"key": "0" * 64, "seasons": {}, "left_out": {}, "complete": True}))
    (folder / "spec.toml").write_text("# the spec it was begun with")
    code, kind, message = the_error(call("run", "x.toml", "--json"))
    assert (code, kind) == (3, "DataError")
    assert "was begun with other samples, signal, seed, files or code" in message
    assert (folder / "spec.toml").read_text() == "# the spec it was begun with"
    assert not (folder / "notebooks").exists()


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/version").exists(), reason="needs /proc")
def test_a_disk_that_cannot_be_written_is_an_error_of_the_machine(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUANALYSIS_CACHE", "/proc/nuanalysis")  # nobody, root included, can make a folder there
    code, _, message = the_error(
        call(*SIGNIFICANCE, "--no-index-free", "--ts", "4", "--executor", "serial", "--trials", "200", "--json")
    )
    assert code == 4
    assert "/proc/nuanalysis" in message


@pytest.mark.real_data
@pytest.mark.parametrize("damage", ["cut", "column", "coordinate"])
@pytest.mark.slow
def test_a_damaged_release_of_events_ends_in_an_error_of_ours(
    call: Call, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """IC40, the first season that is read, from a mirror in which its events are damaged."""
    from nuanalysis.ingest import tracks_ic40

    shutil.copytree(mirror / tracks_ic40.RELEASE.folder, tmp_path / "mirror" / tracks_ic40.RELEASE.folder)
    for other in mirror.iterdir():  # releases that are not here are refused before any is read
        if not (tmp_path / "mirror" / other.name).exists():
            (tmp_path / "mirror" / other.name).symlink_to(other)
    [events] = (tmp_path / "mirror" / tracks_ic40.RELEASE.folder).rglob("events/IC40_exp.csv.gz")
    events.chmod(0o644)
    spoil(events, damage)
    monkeypatch.setenv("NUANALYSIS_DATA", str(tmp_path / "mirror"))
    code, kind, message = the_error(call("fit", "--sample", "tracks", "--hypothesis", "stack:snr", "--json"))
    assert (code, kind) == (3, "DataError")
    assert events.name in message


def spoil(path: Path, damage: str) -> None:
    """Cut the file, rename its declination column, or put its first event beyond the pole."""
    if damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return
    with gzip.open(path, "rt") as stream:
        head, first, *rest = stream.readlines()
    names, words = head.replace("#", " ").split(), first.split()
    column = next(i for i, name in enumerate(names) if name.lower().startswith("dec"))
    if damage == "column":
        names[column] = "Depth[m]"
    else:
        words[column] = "95.0"
    with gzip.open(path, "wt") as stream:
        stream.writelines(["# " + " ".join(names) + "\n", " ".join(words) + "\n", *rest])


# --- interrupted ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ctrl_c_ends_at_once_with_130_and_the_finished_trials_are_kept(tmp_path: Path) -> None:
    command = [*NUANALYSIS, *SIGNIFICANCE, "--ts", "4", "--trials", "20000", "--workers", "2", "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        until = time.monotonic() + 90
        while not list(tmp_path.glob("cache/ensembles/trials/*.zarr/trials/c/[0-9]*/[0-9]*")):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        started = time.monotonic()
        out, err = process.communicate(timeout=30)
    assert time.monotonic() - started < 10  # the target is 5 on a quiet machine
    assert process.returncode == 130
    assert json.loads(out)["error"]["exit_code"] == 130
    assert "finished work is kept" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert list(tmp_path.glob("cache/ensembles/trials/*.zarr/trials/c/[0-9]*/[0-9]*"))
