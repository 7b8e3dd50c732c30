"""What a release is made from and checked by: no links, no damage, no numbers that cannot be or that nothing bears out,
one form of the manifest, nothing left of a build that was killed."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import xarray as xr
from small_results import RESULTS, entry, make_run, results, scanned

from nuanalysis import publish
from nuanalysis.cli import release as verbs
from nuanalysis.errors import DataError, StoreLocked
from nuanalysis.publish import _release
from nuanalysis.publish._manifest import INDEX, SUMS, json_text, release_files, write_sums
from nuanalysis.store import locked, read_zip, write_zip

Spoil = Callable[[Path], object]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one hypothesis and a scan, with its figures, report and release."""
    run = make_run(tmp_path_factory.mktemp("runs") / "default", results(RESULTS[:1], [entry("scan", "sky", scanned())]))
    publish.draw(publish.load_results(run), run)
    publish.report(run)
    publish.build(run, "DR0.1")
    return run


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Path:
    """A copy, to be spoilt."""
    return Path(shutil.copytree(built, tmp_path / "default"))


def release_of(run: Path) -> Path:
    return run / "release" / "nuanalysis-default-DR0.1"


def tree(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (*release_files(folder), SUMS)}


def change_json(path: Path, *keys: Any, value: Any) -> None:
    document = json.loads(path.read_text())
    inner = document
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json_text(document))


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "spec.toml",
        "run.json",
        "results.json",
        "products",
        "products/events-tracks.zip",
        "products/response-cascades-2023.zip",
        "products/trials-cascades-2023-template-pi0.zip",
        "figures/fluxes-synthetic.json",
        "figures/fluxes-synthetic.png",
        "figures/fluxes-synthetic.ecsv",
        "notebooks/01.ipynb",
        "release",
    ],
)
def test_nothing_that_a_link_leads_to_is_packed_or_believed(run: Path, name: str) -> None:
    """The content behind the link is the right one: what is wrong is that nothing vouches for it."""
    (run / "notebooks").mkdir()
    (run / "notebooks" / "01.ipynb").write_text("{}")
    elsewhere = run.parent / "elsewhere"
    (run / name).rename(elsewhere)
    (run / name).symlink_to(elsewhere)
    with pytest.raises(DataError, match=rf"(?s)  - {name} is a link to .*Put copies"):
        publish.build(run, "DR0.2")
    assert not list(run.glob("release/*DR0.2*"))


def test_a_released_notebook_names_no_place_of_this_machine(run: Path) -> None:
    (run / "notebooks").mkdir()
    said = {"run_folder": str(run), "store": f"{run}/events.zarr", "cache": f"{Path.home()}/.cache/nuanalysis"}
    (run / "notebooks" / "01.ipynb").write_text(json.dumps(said))
    released = json.loads((publish.build(run, "DR0.2") / "notebooks" / "01.ipynb").read_text())
    here = f"runs/{run.name}"
    assert released == {"run_folder": here, "store": f"{here}/events.zarr", "cache": "~/.cache/nuanalysis"}


@pytest.mark.parametrize("name", ["spec.toml", "results.json", SUMS, INDEX, "events/events-tracks.fits", "events"])
def test_a_release_with_a_link_does_not_verify(run: Path, name: str) -> None:
    release = release_of(run)
    elsewhere = run.parent / "elsewhere"
    (release / name).rename(elsewhere)
    (release / name).symlink_to(elsewhere)
    if name == SUMS:
        with pytest.raises(DataError, match="is a link"):
            publish.verify(release)
        return
    checked = publish.verify(release)
    assert not checked.ok
    assert checked.found == "a link"
    assert checked.first_bad.startswith(name)


# --- the spec ---------------------------------------------------------------------------------------------------------


def test_another_spec_than_that_of_the_notebooks_is_not_packed(run: Path) -> None:
    (run / "spec.toml").write_text('name = "default"\nseed = 8\n')
    with pytest.raises(DataError, match=r"spec\.toml has sha256 .*notebooks of this run were made from"):
        publish.build(run)


def test_a_spec_of_which_nothing_is_recorded_is_not_packed(run: Path) -> None:
    (run / "run.json").unlink()
    with pytest.raises(DataError, match=r"no run\.json beside"):
        publish.build(run)
    assert publish.verify(publish.build(run, fingerprint=lambda path: "ab" * 32)).ok
    with pytest.raises(DataError, match=r"has the fingerprint cdcd.*results\.json was made from abab"):
        publish.build(run, fingerprint=lambda path: "cd" * 32)


def test_the_verb_compares_the_fingerprint_of_the_spec(run: Path) -> None:
    """The bytes are those of the notebooks; results.json was made from another spec since."""
    text = (Path(__file__).parents[1] / "specs" / "default.toml").read_bytes()
    (run / "spec.toml").write_bytes(text)
    (run / "run.json").unlink()
    with pytest.raises(DataError, match=r"results\.json was made from abab"):
        verbs.app(["build", str(run)], standalone_mode=False)


@pytest.mark.parametrize("text", ["{", "[]", '{"notebooks": 3}', "[" * 5000, '{"notebooks": {"01": {}}}'])
def test_a_damaged_record_of_notebooks_is_named(run: Path, text: str) -> None:
    (run / "run.json").write_text(text)
    with pytest.raises(DataError, match=r"run\.json cannot be read.*remove it and run 'nuanalysis run SPEC' again"):
        publish.build(run)


# --- results ----------------------------------------------------------------------------------------------------------

FIT = ("answers", 0, "answer", "fitted")


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        ((*FIT, "ts"), 1e308, r"answers\.0\.answer\.fitted\.ts is 1e\+308, expected -1e-06 to 20000"),
        ((*FIT, "ts"), -3.0, r"fitted\.ts is -3"),
        ((*FIT, "n_signal"), 1e9, r"fitted\.n_signal is 1e\+09, expected -1e-06 to 20000"),
        ((*FIT, "index"), 400.0, r"fitted\.index is 400"),
        (("answers", 0, "answer", "chance", "p"), 1.5, r"p is 1\.5; expected 0 to 1"),
        (("answers", 0, "answer", "chance", "error"), -0.1, r"chance\..*error"),
        (("answers", 0, "answer", "chance", "ess"), 1e6, r"chance\.ess is 1e\+06, expected 0 to the 500 trials"),
        (("answers", 0, "answer", "chance", "sigma"), 8.0, r"chance\.sigma is 8\.0, expected 4\.4"),
        (("answers", 0, "answer", "flux", "interval", "low"), 1.0, r"flux\.interval goes from 1 to .*lower end first"),
        (("answers", 0, "answer", "flux", "best", "value"), 1e200, r"flux\.best\.value is 1e\+200"),
        (("answers", 1, "answer", "hottest", 0, "at", "dec_deg"), 91.0, r"hottest\.0\.at\.dec_deg is 91"),
    ],
)
def test_numbers_that_cannot_be_are_refused_wherever_results_are_read(
    run: Path, keys: tuple[Any, ...], value: float, words: str
) -> None:
    change_json(run / "results.json", *keys, value=value)
    for read in (publish.load_results, publish.report, publish.build):
        with pytest.raises(DataError, match=words):
            read(run)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused(run: Path, word: str) -> None:
    text = (run / "results.json").read_text()
    assert '"ts": 22.9' in text
    (run / "results.json").write_text(text.replace('"ts": 22.9', f'"ts": {word}', 1))
    with pytest.raises(DataError, match=rf"results\.json cannot be read: it holds {word}, which is no number"):
        publish.build(run)


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        ((*FIT, "ts"), 12.0, r"measure template:pi0 on cascades-2023: p, of the packed trials,"),
        ((*FIT, "ts"), 12.0, r"fitted\.ts, the integral of the packed map, is 12, expected 22\.9"),
        (("answers", 0, "answer", "chance", "n_trials"), 501, r"the number of trials is 501, expected 500"),
        (("answers", 0, "answer", "provenance", "n_events"), 201, r"events is 201, expected 200"),
        (
            ("answers", 1, "answer", "hottest", 1, "fitted", "ts"),
            30.0,
            r"the north: its ts is 30, expected 15\.1",
        ),
        (
            ("answers", 1, "answer", "hottest", 0, "at", "dec_deg"),
            -5.0,
            r"the south: its ts is 15\.1, expected",
        ),
        (("answers", 1, "answer", "n_pixels"), 190, r"190 directions at nside 4, the map 192 pixels"),
        (("answers", 0, "answer", "provenance", "origin"), "real", r"origin is real, expected synthetic"),
        (("answers", 0, "answer", "provenance", "seed"), 8, r"seed is 8, expected 7"),
        (("answers", 0, "answer", "provenance", "sample"), "other", r"the run holds no sample other"),
        (
            ("answers", 0, "answer", "tested", "model_origin"),
            "own",
            r"model_origin of the packed map is '.*', expected 'own'",
        ),
        (("answers", 0, "answer", "profile_ts"), [1.0], r"its profile has 1 values at \d+ numbers of events"),
        (("samples",), [], r"the run holds no sample cascades-2023"),
        (("samples", 1, "seasons"), [], r"events of tracks, all seasons, is 200, expected 0"),
        (("samples", 1, "livetime_s"), 86400.0, r"livetime of tracks in days is 1, expected 1025\.37"),
        (("cut_flow", 3, "events"), 199, r"events of cascades-2023 after the last cut is 199, expected 200"),
    ],
)
def test_a_result_that_what_is_packed_does_not_bear_out_stops_the_build(
    run: Path, keys: tuple[Any, ...], value: Any, words: str
) -> None:
    change_json(run / "results.json", *keys, value=value)
    with pytest.raises(DataError, match=words):
        publish.build(run, "DR0.2")
    assert not list(run.glob("release/*DR0.2*"))


def test_a_result_whose_trials_are_gone_stops_the_build(run: Path) -> None:
    (run / "products" / "trials-cascades-2023-template-pi0.zip").unlink()
    with pytest.raises(DataError, match="its trials or its map are not among the products"):
        publish.build(run)


def test_a_p_value_and_trials_that_disagree_stop_the_build(run: Path) -> None:
    path = run / "products" / "trials-cascades-2023-template-pi0.zip"
    trials = read_zip(path)
    write_zip(path, trials.assign(ts=trials["ts"] * 0.9))
    with pytest.raises(DataError, match=r"p, of the packed trials, is .*expected"):
        publish.build(run)


def test_a_season_and_its_events_that_disagree_stop_the_build(run: Path) -> None:
    path = run / "products" / "events-tracks.zip"
    write_zip(path, read_zip(path).isel(event=slice(1, None)))
    with pytest.raises(DataError, match=r"events of tracks is 200, expected 199"):
        publish.build(run)


def test_a_question_that_is_answered_twice_stops_the_build(run: Path) -> None:
    answers = json.loads((run / "results.json").read_text())["answers"]
    change_json(run / "results.json", "answers", value=[*answers, answers[0]])
    with pytest.raises(DataError, match="measure template:pi0 on cascades-2023: it is answered twice"):
        publish.build(run)


def test_the_seasons_of_the_results_are_packed_all_of_them_and_no_other(run: Path) -> None:
    for kind in ("events", "response"):
        shutil.copyfile(run / "products" / f"{kind}-tracks.zip", run / "products" / f"{kind}-planted.zip")
    assert not [name for name in release_files(publish.build(run, "DR0.2")) if "planted" in name]
    for kind in ("response", "events"):
        (run / "products" / f"{kind}-tracks.zip").unlink()
        with pytest.raises(DataError, match=rf"{kind}-tracks\.zip"):
            publish.build(run)


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("versions",), {}, "does not name the version of nuanalysis"),
        (("versions", "numpy"), "\x1b[2J", r"results\.versions\.numpy holds control characters: \\x1b\[2J"),
        (("left_out",), {"\x9b2J": "x"}, r"a name in results\.left_out holds control characters"),
        (("inputs", 0, "citation"), "\u202eevil", r"results\.inputs\.0\.citation holds control characters"),
        (("created",), "2026-13-45T99:00:00Z", "created: time data"),
        (("samples", 0, "seasons", 0, "name"), "../../x", "should match pattern"),
        (("samples", 0, "livetime_s"), 1e308, "less than or equal to"),
    ],
)
def test_words_that_cannot_be_shown_or_believed_are_refused(
    run: Path, keys: tuple[Any, ...], value: Any, words: str
) -> None:
    change_json(run / "results.json", *keys, value=value)
    with pytest.raises(DataError, match=words):
        publish.load_results(run)


def test_words_of_others_stay_words_in_every_text_of_a_release(run: Path) -> None:
    """Markdown passes HTML on, a brace ends an entry of BibTeX, and an address is left out however it is written."""
    planted = "<script>alert(1)</script> |\n# Evil https:////evil.example } \\write18{id}\n@misc{evil,"
    for keys in (("samples", 0, "note"), ("samples", 0, "label"), ("answers", 0, "answer", "tested", "label")):
        change_json(run / "results.json", *keys, value=planted)
    for key in ("title", "citation", "licence"):
        change_json(run / "results.json", "inputs", 0, key, value=planted)
    release = publish.build(run, "DR0.2")
    assert "<script" not in (release / "README.md").read_text()
    page = (release / "report" / "index.html").read_text()
    assert page.count("<script") == page.count("// Tables sort by the column") == 1  # our own
    assert "\n# Evil" not in (release / "README.md").read_text()
    assert "//evil" not in (release / "report" / "index.html").read_text()
    entries = (release / "citations.bib").read_text()
    assert "\n@misc{evil" not in entries
    assert "\\write" not in entries


def test_a_figure_is_called_as_its_description_says(run: Path) -> None:
    change_json(run / "figures" / "fluxes-synthetic.json", "slug", value="fluxes")
    with pytest.raises(DataError, match="describes the figure 'fluxes', expected 'fluxes-synthetic'"):
        publish.report(run)


def test_a_matplotlibrc_changes_no_byte_of_a_figure(run: Path) -> None:
    """One may lie in the working directory, which somebody else sent."""
    path = run / "figures" / "fluxes-synthetic.png"
    before = path.read_bytes()
    with matplotlib.rc_context({"axes.facecolor": "red", "text.usetex": True, "lines.linewidth": 9.0}):
        publish.draw(publish.load_results(run), run)
    assert path.read_bytes() == before


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe{}", b"[" * 100_000, b"[]", b'{"slug": 3}', b"{" + b" " * 17_000_000]
)
@pytest.mark.parametrize("name", ["results.json", "figures/fluxes-synthetic.json"])
def test_a_damaged_document_of_a_run_is_named_with_what_to_do(run: Path, name: str, data: bytes) -> None:
    (run / name).write_bytes(data)
    with pytest.raises(DataError, match=rf"(?s){Path(name).name}.*([Aa]gain|set NUANALYSIS_LARGEST_MB)"):
        publish.report(run)


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_a_picture_that_is_none_is_named(run: Path, data: bytes) -> None:
    (run / "figures" / "fluxes-synthetic.png").write_bytes(data)
    with pytest.raises(DataError, match=r"fluxes-synthetic\.png is no PNG; remove it and draw the figures again"):
        publish.report(run)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
@pytest.mark.parametrize(
    "name",
    ["results.json", "spec.toml", "figures/fluxes-synthetic.png", "products/trials-cascades-2023-template-pi0.zip",
     "products/events-tracks.zip"],
)  # fmt: skip
def test_a_pipe_is_not_waited_for(run: Path, name: str) -> None:
    (run / name).unlink()
    os.mkfifo(run / name)
    with pytest.raises(DataError, match=Path(name).stem):
        publish.build(run)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 5000, b"[]", b'{"files": 3}', b'{"files": [{"path": 3}]}'])
def test_a_damaged_json_manifest_is_named(run: Path, data: bytes) -> None:
    release = release_of(run)
    (release / INDEX).write_bytes(data)
    write_sums(release)
    with pytest.raises(DataError, match=r"(?s)manifest\.json.*Fetch the release again") as refused:
        publish.verify(release)
    assert "\n  - " in str(refused.value) or "cannot be read" in str(refused.value)


# --- the manifest -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text.replace("\n", "\r\n"), "line 1 ends with a carriage return"),
        (lambda text: text[:-1], "its last line has no line feed"),
        (lambda text: text.replace("  README", "  \vREADME"), "control characters"),
        (lambda text: text.replace("\n", "\v\n", 1), "control characters"),
        (lambda text: text.replace("\n", "\u2028\n", 1), "control characters"),
        (lambda text: text + text.splitlines(keepends=True)[-1], "2 times"),
        (lambda text: "".join(reversed(text.splitlines(keepends=True))), "not sorted"),
        (lambda text: text + "\n", r"line \d+ is ''"),
        (lambda text: "\n" + text, "line 1 is ''"),
        (lambda text: text.replace("  README", "  ./README"), "shortest form"),
        (lambda text: text.replace("  README", " *README"), r"\*README"),
        (lambda text: text.replace("  README", "  ../README"), "leads out"),
        (lambda text: text.upper(), "line 1 is"),
        (lambda text: "\ufeff" + text, "line 1 is"),
        (lambda text: "# by hand\n" + text, "# by hand"),
        (lambda text: text + f"{'0' * 64}  {SUMS}\n", "the manifest itself"),
    ],
)  # fmt: skip
def test_there_is_one_way_to_write_the_list_of_sums(run: Path, spoil: Callable[[str], str], words: str) -> None:
    path = release_of(run) / SUMS
    path.write_bytes(spoil(path.read_text()).encode())
    with pytest.raises(DataError, match=words):
        publish.verify(release_of(run))


def test_every_deviation_of_the_list_is_told(run: Path) -> None:
    path = release_of(run) / SUMS
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[0]])[:-1] + "\r\nrubbish", newline="")
    with pytest.raises(DataError) as refused:
        publish.verify(release_of(run))
    for words in ("carriage return", "no line feed", "'rubbish'", "2 times", "not sorted"):
        assert words in str(refused.value), words


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda index: {**index, "licence": "CC0-1.0"}, "licence 'CC0-1.0', which LICENSE does not name"),
        (lambda index: {**index, "files": [{**index["files"][0], "bytes": 1}, *index["files"][1:]]}, "has 1 bytes"),
        (lambda index: {**index, "files": [*index["files"], index["files"][-1]]}, "twice, or not sorted"),
        (lambda index: {**index, "files": index["files"][::-1]}, "twice, or not sorted"),
        (lambda index: {**index, "files": index["files"][1:]}, "disagree about"),
    ],
)  # fmt: skip
def test_the_json_manifest_says_what_is_so(run: Path, spoil: Callable[[Any], Any], words: str) -> None:
    release = release_of(run)
    (release / INDEX).write_text(json_text(spoil(json.loads((release / INDEX).read_text()))))
    write_sums(release)
    with pytest.raises(DataError, match=words):
        publish.verify(release)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text[:-1],
        lambda text: json.dumps(json.loads(text)),
        lambda text: text.replace('"licence"', '"licence": "CC0-1.0",\n  "licence"', 1),  # the first is not read
    ],
)
def test_there_is_one_way_to_write_the_json_manifest(run: Path, spoil: Callable[[str], str]) -> None:
    release = release_of(run)
    (release / INDEX).write_bytes(spoil((release / INDEX).read_text()).encode())
    write_sums(release)
    with pytest.raises(DataError, match="not written in its one form"):
        publish.verify(release)


def test_an_empty_folder_is_unexpected(run: Path) -> None:
    (release_of(run) / "events" / "extra" / "deep").mkdir(parents=True)
    checked = publish.verify(release_of(run))
    assert checked.unexpected == ("events/extra/", "events/extra/deep/")
    assert not checked.ok


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_in_a_release_is_told_and_not_waited_for(run: Path) -> None:
    release = release_of(run)
    os.mkfifo(release / "extra")
    (release / "LICENSE").unlink()
    os.mkfifo(release / "LICENSE")
    checked = publish.verify(release)
    assert (checked.unexpected, checked.first_bad, checked.found) == (("extra",), "LICENSE", "not a file")


# --- killed builds ----------------------------------------------------------------------------------------------------


def test_whatever_killed_builds_left_is_cleared_away(run: Path) -> None:
    """Of other versions too; a release that was moved aside and never replaced comes back."""
    before, releases = tree(release_of(run)), run / "release"
    release_of(run).rename(releases / ".nuanalysis-default-DR0.1.old")
    for name in (".nuanalysis-default-DR0.3.building", ".nuanalysis-default-DR0.2.building"):
        (releases / name / "events").mkdir(parents=True)
    (run / "figures" / ".fluxes.0123456789ab.partial").write_bytes(b"half")
    publish.build(run, "DR0.2")
    assert sorted(path.name for path in releases.iterdir()) == ["nuanalysis-default-DR0.1", "nuanalysis-default-DR0.2"]
    assert tree(release_of(run)) == before
    assert not list(run.rglob("*.partial"))


@pytest.mark.slow
def test_a_build_that_is_killed_changes_no_byte_of_the_next(
    built: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys, time; from pathlib import Path; from nuanalysis.publish import _release, build\n"
        "def wait(draft): (Path(sys.argv[1]) / 'here').touch(); time.sleep(600)\n"
        "_release.PARTS = (*_release.PARTS[:5], wait)\n"
        "build(Path(sys.argv[1]), 'DR0.1')"
    )
    monkeypatch.setattr(_release, "_PATIENCE_S", 0.1)
    with subprocess.Popen([sys.executable, "-c", code, run]) as process:
        try:
            until = time.monotonic() + 300.0  # a busy machine takes its time to import
            while not (run / "here").exists() and time.monotonic() < until:
                time.sleep(0.05)
            with pytest.raises(StoreLocked, match=f"process {process.pid}"):
                publish.build(run, "DR0.1")
        finally:
            process.send_signal(signal.SIGKILL)
    assert (run / "release" / ".nuanalysis-default-DR0.1.building").is_dir()
    assert tree(release_of(run)) == tree(release_of(built))  # the one from before stands
    publish.build(run, "DR0.1")
    assert tree(release_of(run)) == tree(release_of(built))
    assert [path.name for path in (run / "release").iterdir()] == ["nuanalysis-default-DR0.1"]


@pytest.mark.slow
def test_another_build_of_the_same_run_is_waited_for(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_release, "_PATIENCE_S", 0.1)
    with locked(run / ".release", 1.0), pytest.raises(StoreLocked):
        publish.build(run)
    publish.build(run)


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(28, "No space left on device"), ValueError("ours")])
def test_nothing_stays_of_a_build_that_ends_badly(
    run: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    def fail(draft: object) -> None:
        raise fault

    monkeypatch.setattr(_release, "PARTS", (*_release.PARTS[:3], fail))
    before = tree(release_of(run))
    words = "intact; make room" if isinstance(fault, OSError) else None
    with pytest.raises(BaseException, match=words):
        publish.build(run, "DR0.1")
    assert [path.name for path in (run / "release").iterdir()] == ["nuanalysis-default-DR0.1"]
    assert tree(release_of(run)) == before


# --- zarr zips --------------------------------------------------------------------------------------------------------


def numbers() -> xr.Dataset:
    """Every type of number there is, each with zeros in it, and an array of nothing else."""
    kinds = ("f4", "f8", "i2", "i4", "i8", "u1", "u4", "u8", "?")
    columns = {str(np.dtype(kind)): ("x", (np.arange(6) % 3).astype(kind)) for kind in kinds}
    zeros = {f"zero_{kind}": ("x", np.zeros(6, dtype=kind)) for kind in ("f8", "i8", "bool")}
    return xr.Dataset({**columns, **zeros, "single": ((), 0.0), "words": ("x", np.array(["", "a", "b", "", "c", "d"]))})


def test_zeros_are_zeros_in_plain_xarray(tmp_path: Path) -> None:
    """Whatever it makes of fill values: a zero is no missing value, and keeps its type."""
    import zarr

    path = write_zip(tmp_path / "a.zarr.zip", numbers())
    for more in ({}, {"use_zarr_fill_value_as_mask": True}):
        with zarr.storage.ZipStore(path, mode="r") as archive:
            found = xr.open_zarr(archive, consolidated=False, chunks=None, **more).load()
        for name, expected in numbers().drop_vars("words").items():
            assert found[name].dtype == expected.dtype, name
            np.testing.assert_array_equal(found[name].values, expected.values)


def altered(path: Path, change: Callable[[str, bytes], bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in held.items():
            archive.writestr(name, change(name, data))


def test_a_zip_that_declares_more_than_it_may_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", xr.Dataset({"v": ("x", np.arange(5.0))}))

    def huge(name: str, data: bytes) -> bytes:
        return data.replace(b"5", str(10**12).encode()) if name == "v/zarr.json" else data

    altered(path, huge)
    with pytest.raises(DataError, match=r"a\.zip (holds .* bytes unpacked|is not a readable zarr zip)"):
        read_zip(path)
    write_zip(path, xr.Dataset({"v": ("x", np.arange(5.0))}))

    def long(name: str, data: bytes) -> bytes:
        if name != "v/zarr.json":
            return data
        return json.dumps({**json.loads(data), "shape": [10**12]}).encode()

    altered(path, long)
    with pytest.raises(DataError, match=r"holds 8,000,000,000,000 bytes unpacked, expected at most"):
        read_zip(path)


def test_a_zip_whose_listing_or_chunks_are_bombs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "a.zip", xr.Dataset({"v": ("x", np.arange(5.0))}))
    deflated = io.BytesIO()
    with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zarr.json", b" " * 200_000_000)
    (tmp_path / "bomb.zip").write_bytes(deflated.getvalue())
    monkeypatch.setattr("nuanalysis.store._zarr.MAP", 100 << 20)
    with pytest.raises(DataError, match=r"bomb\.zip holds 200,000,000 bytes unpacked, expected at most 104,857,600"):
        read_zip(tmp_path / "bomb.zip")

    def swollen(name: str, data: bytes) -> bytes:
        """The head of the one zstd frame says 4 GB: magic, a descriptor of eight bytes of size, alone."""
        return b"\x28\xb5\x2f\xfd\xe0" + (4 << 30).to_bytes(8, "little") + data[13:] if name == "v/c/0" else data

    altered(path, swollen)
    with pytest.raises(DataError, match=r"a\.zip holds 4,294,967,296 bytes unpacked"):
        read_zip(path)


@pytest.mark.parametrize(
    "data", [b'{"node_type": "array"}', b"[" * 5000, b"\xff", b'{"zarr_format": 3, "node_type": "array", "codecs": 3}']
)
def test_a_zip_with_damaged_records_is_refused(tmp_path: Path, data: bytes) -> None:
    path = write_zip(tmp_path / "a.zip", xr.Dataset({"v": ("x", np.arange(5.0))}))
    altered(path, lambda name, held: data if name == "v/zarr.json" else held)
    with pytest.raises(DataError, match="not a readable zarr zip"):
        read_zip(path)
