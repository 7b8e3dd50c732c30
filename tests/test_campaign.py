"""A campaign: what it adds to single fits, what is left out, what is kept, and the table it ends in."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import healpy as hp
import numpy as np
import pytest
from astropy.io import fits as fits_files
from astropy.table import Table

from nuanalysis import publish, trials
from nuanalysis.answers import campaign, scan
from nuanalysis.engine.executors import Processes, Serial, Threads
from nuanalysis.errors import DataError, StepMissing
from nuanalysis.publish._campaign import published_list
from nuanalysis.sky import catalogues
from nuanalysis.sky.records import Catalogue, PointSource
from nuanalysis.store import read_zip, write_zip
from nuanalysis.store.sky_maps import read_sky
from nuanalysis.workflow import steps
from nuanalysis.workflow.spec import AnalysisSpec, leave_out_unknown, parse_spec, read_spec

SPEC = """
name = "small"
seed = 3

[[sample]]
name = "cascades-2023"
min_log10_energy = 4.0

[[hypothesis]]
name = "template:pi0"
published_ts = 22.19

[[hypothesis]]
name = "template:tomorrow"
optional = true

[[hypothesis]]
name = "stack:snr"

[trials]
scrambles = 200
injections = 100

[[together]]
name = "two"
hypotheses = ["template:pi0", "stack:snr", "template:tomorrow"]
precision = 0.3

[[together]]
name = "templates"
hypotheses = ["template:pi0", "template:tomorrow"]

[[joint]]
name = "apart"
hypotheses = ["template:pi0", "stack:snr"]
trials = 100

[[scan]]
name = "sky"
nside = 4
skies = 6
local_trials = 200

[[sources]]
name = "few"
catalogue = "three"
skies = 40
local_trials = 200
"""
THREE = Catalogue(
    "three",
    "three sources",
    (PointSource("a", 1.0, 0.2), PointSource("b", 1.02, 0.2), PointSource("c", 4.0, -0.9, 0.02)),
    (1.0, 1.0, 1.0),
    "by hand",
)
SPECS = Path(__file__).parents[1] / "specs"


@pytest.fixture(scope="module", autouse=True)
def nothing_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No mirror, an empty cache; a short list, and three declinations for the local p-values of a scan."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "TABLE_DECLINATIONS", np.radians([-60.0, 0.0, 60.0]))
        patch.setitem(catalogues.CATALOGUES, "three", THREE)
        patch.delenv("NUANALYSIS_DATA", raising=False)
        patch.setenv("NUANALYSIS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder with the spec it was made from and its release."""

    spec: AnalysisSpec
    folder: Path
    release: Path

    @property
    def results(self) -> dict[str, Any]:
        return publish.load_results(self.folder)


def fits(spec: AnalysisSpec, folder: Path, said: list[str]) -> None:
    steps.fill_event_store(spec, folder, said.append)
    steps.select_samples(spec, folder, said.append)
    for sample in steps.held_samples(spec, folder):
        for hypothesis in spec.hypothesis:
            steps.fit_hypothesis(spec, folder, sample, hypothesis, Serial(), said.append)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    spec, folder = leave_out_unknown(parse_spec(SPEC)), tmp_path_factory.mktemp("runs") / "small"
    fits(spec, folder, [])
    with pytest.raises(StepMissing, match="nuanalysis run SPEC"):
        steps.collect_results(spec, folder)
    steps.compare_hypotheses(spec, folder, Threads(2), lambda line: None)
    steps.collect_results(spec, folder)
    steps.draw_and_report(folder)
    return Run(spec, folder, steps.build_release(folder))


# --- results ----------------------------------------------------------------------------------------------------------


def test_together_and_the_published_ts_stand_in_results_with_errors_trials_and_seeds(finished: Run) -> None:
    results = finished.results
    [at_ts] = results["at_published_ts"]
    p = at_ts["p_value"]
    assert (at_ts["hypothesis"], at_ts["ts"], at_ts["origin"], at_ts["seed"]) == (
        "template:pi0", 22.19, "synthetic", 3,
    )  # fmt: skip
    assert p["kind"] == "local"
    assert 0 < p["p_error"] < 0.07 * p["p"]
    assert abs(p["p"] - 1.24e-6) < 6 * p["p_error"]  # half a chi-square, as scrambles of a fixed index nearly are
    assert at_ts["bias"]["n_signal_fitted"] == 748.0
    assert at_ts["bias"]["n_signal"] is None or at_ts["bias"]["n_signal_error"] > 0
    [two] = results["together"]
    assert (two["name"], two["n_hypotheses"], two["seed"]) == ("two", 2, 3)
    assert two["kind"].startswith("global")
    assert two["p_local"] <= two["p_global"] <= 2.0 * two["p_local"] * 1.3
    assert 0 < two["p_global_error"] < two["p_global"]
    assert {row["kind"] for row in two["local"]} == {"local"}


def test_what_this_version_does_not_know_is_left_out_and_named(finished: Run) -> None:
    left = finished.results["left_out_hypotheses"]
    assert set(left) == {"template:tomorrow", "together:templates"}
    assert "no template 'tomorrow'" in left["template:tomorrow"]
    assert "only template:pi0" in left["together:templates"]
    assert [r["hypothesis"] for r in finished.results["results"]] == ["template:pi0", "stack:snr"]


def test_every_part_has_its_cost(finished: Run) -> None:
    costs = finished.results["costs"]
    assert [(c["part"], c["name"]) for c in costs] == [
        ("fit", "template:pi0"), ("fit", "stack:snr"), ("published ts", "template:pi0"), ("together", "two"),
        ("joint", "apart"), ("scan", "sky"), ("sources", "few"),
    ]  # fmt: skip
    assert all(c["core_seconds"] > 0 and c["measured"] == "CPU time" for c in costs)


def test_called_again_nothing_is_computed(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [
        p
        for stem in ("together", "published-ts", "joint", "scan", "sources")
        for p in (finished.folder / "results").glob(f"{stem}-*.json")
    ]
    watched = [*parts, finished.folder / "results.json", finished.folder / "campaign.ecsv"]
    assert len(watched) == 7
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in parts}
    results = (finished.folder / "results.json").read_bytes()
    monkeypatch.setattr(steps.inference, "pose", lambda *args: pytest.fail("posed again"))
    said: list[str] = []
    steps.compare_hypotheses(finished.spec, finished.folder, Serial(), said.append)
    steps.collect_results(finished.spec, finished.folder)
    assert sum("unchanged, kept" in line for line in said) == 5
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in parts} == before
    assert (finished.folder / "results.json").read_bytes() == results


def test_another_precision_is_another_part(finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(shutil.copytree(finished.folder, tmp_path / "small"))
    other = parse_spec(SPEC.replace("precision = 0.3", "precision = 0.25"))
    posed: list[str] = []
    monkeypatch.setattr(steps.campaign, "together", lambda problems, *rest: posed.append("together") or {})
    steps.compare_hypotheses(leave_out_unknown(other), folder, Serial(), posed.append)
    assert "together" in posed
    assert sum("unchanged, kept" in line for line in posed) == 4


def test_a_spec_of_single_fits_asks_for_no_comparison(finished: Run, tmp_path: Path) -> None:
    plain = parse_spec(SPEC.partition("[[together]]")[0].replace("published_ts = 22.19\n", ""))
    assert not plain.is_campaign
    steps.compare_hypotheses(plain, tmp_path, Serial(), print)  # nothing there, nothing asked
    assert publish.campaign_rows({k: v for k, v in finished.results.items() if k not in COMPARED}) == ()


COMPARED = ("together", "at_published_ts")


def test_a_scan_and_a_source_list_stand_in_results_with_local_and_global(finished: Run) -> None:
    [sky], [few] = finished.results["scans"], finished.results["source_lists"]
    assert (sky["name"], sky["sample"], sky["origin"], sky["seed"]) == ("sky", "cascades-2023", "synthetic", 3)
    assert (sky["pixels"], sky["n_skies"], sky["local_trials"]) == (192, 6, 200)
    assert [spot["hemisphere"] for spot in sky["hottest"]] == ["south", "north"]
    for spot in sky["hottest"]:
        assert spot["p_local"]["kind"].startswith("local")
        assert spot["p_global"]["kind"].startswith("global")
        assert spot["p_global"]["n_skies"] == 6
    assert (few["name"], few["n_sources"], few["n_skies"], few["local_trials"]) == ("few", 3, 40, 200)
    assert {row["source"] for row in few["sources"]} == {"a", "b", "c"}
    assert few["population"]["p_global"]["n_skies"] == 40
    assert not [key for one in (sky, few) for key in one if key.startswith("seconds")]


def test_the_product_of_a_scan_is_its_map_and_its_document(finished: Run) -> None:
    found, answer = read_sky(finished.folder / "products" / "sky-cascades-2023-sky.zip")
    [sky] = finished.results["scans"]
    assert json.loads(answer) == sky
    attrs = read_zip(finished.folder / "products" / "sky-cascades-2023-sky.zip").attrs
    assert (attrs["nside"], attrs["ordering"], attrs["frame"], attrs["origin"]) == (4, "RING", "ICRS", "synthetic")
    assert len(found.ts) == 192
    for spot in sky["hottest"]:
        pixel = hp.ang2pix(4, spot["ra_deg"], spot["dec_deg"], lonlat=True)
        assert (found.ts[pixel], found.n_signal[pixel]) == pytest.approx((spot["ts"], spot["n_s"]))
        assert 10 ** -found.log10_p[pixel] == pytest.approx(spot["p_local"]["p"])


@pytest.mark.parametrize(
    "lost",
    [
        "results/scan-cascades-2023-sky.json",
        "products/sky-cascades-2023-sky.zip",
        "results/sources-cascades-2023-few.json",
    ],
)
def test_what_was_lost_is_made_again_from_the_trials_that_are_there(
    finished: Run, tmp_path: Path, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(finished.folder, tmp_path / "small"))
    before = {path: (folder / path).read_bytes() for path in (lost, "results.json")}
    (folder / lost).unlink()
    for name in ("sky_trials", "source_trials", "local_p"):
        monkeypatch.setattr(trials, name, lambda *args: pytest.fail("trials were made again"))
    said: list[str] = []
    steps.compare_hypotheses(finished.spec, folder, Serial(), said.append)
    steps.collect_results(finished.spec, folder)
    assert sum("unchanged, kept" in line for line in said) == 4
    assert without_costs((folder / "results.json").read_bytes()) == without_costs(before["results.json"])
    if lost.startswith("products"):
        assert (folder / lost).read_bytes() == before[lost]


def without_costs(results: bytes) -> dict[str, Any]:
    return {key: value for key, value in json.loads(results).items() if key not in ("costs", "created")}


def test_more_skies_are_another_part_and_a_scan_no_longer_asked_for_leaves_no_product(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(finished.folder, tmp_path / "small"))
    more = leave_out_unknown(parse_spec(SPEC.replace("skies = 40", "skies = 45")))
    asked: list[tuple[int, int]] = []
    real = trials.source_trials
    monkeypatch.setattr(trials, "source_trials", lambda *args: asked.append((args[3], args[4])) or real(*args))
    steps.compare_hypotheses(more, folder, Serial(), lambda line: None)
    assert [last for _, last in asked] == [45]  # of a batch that had been cut short; others are kept
    steps.collect_results(more, folder)
    [few] = publish.load_results(folder)["source_lists"]
    assert few["n_skies"] == few["best"]["p_global"]["n_skies"] == 45
    none = leave_out_unknown(parse_spec(SPEC.partition("[[scan]]")[0]))
    steps.collect_results(none, folder)
    assert not list((folder / "products").glob("sky-*"))
    assert publish.load_results(folder)["scans"] == []


# --- table, report, release -------------------------------------------------------------------------------------------


def test_the_table_holds_published_and_ours_and_ends_in_the_core_hours_of_both(finished: Run) -> None:
    rows = {row.quantity: row for row in publish.campaign_rows(finished.results)}
    first = rows["template:pi0: local p-value at TS 22.19"]
    assert (first.published, first.trials_published, first.kind, first.origin) == (1.26e-6, 5e8, "local", "synthetic")
    assert first.ours > first.error > 0
    assert first.trials >= 1000
    assert rows["template:pi0: sensitivity, 90 %"].published == pytest.approx(5.98)
    assert rows["template:pi0: fitted n_s 748 after the bias correction"].published == 671.1
    assert rows["template:pi0: 68 % interval, upper half-width"].published == pytest.approx(5.3)
    assert rows["template:pi0: 68 % interval, lower half-width"].published == pytest.approx(4.9)
    assert rows["stack:snr: fitted n_s"].published == 218.6
    assert rows["two: global p-value, best of 2"].kind == "global"
    apart = [row for name, row in rows.items() if name.startswith("apart: local p-value of stack:snr")]
    assert "template:pi0 profiled" in apart[0].quantity
    assert 0 < apart[0].ours <= 1
    absent = [row for row in rows.values() if row.note.startswith("not in this version")]
    assert [row.quantity.split(":")[0] for row in absent] == [
        "template", "templates",
    ]  # fmt: skip
    total = list(rows.values())[-1]
    spent = [row.core_hours for row in list(rows.values())[:-1] if np.isfinite(row.core_hours)]
    assert total.core_hours == pytest.approx(sum(spent))
    assert len(spent) == len(finished.results["costs"])
    assert total.core_hours_published == 41_000


def test_the_table_of_the_run_and_of_the_release_can_be_read(finished: Run) -> None:
    table = Table.read(finished.folder / "campaign.ecsv", format="ascii.ecsv")
    rows = publish.campaign_rows(finished.results)
    assert list(table["quantity"]) == [row.quantity for row in rows]
    assert set(table["kind"]) == {"local", "global", "-"}
    released = Table.read(finished.release / "fits" / "campaign-synthetic.ecsv", format="ascii.ecsv")
    np.testing.assert_array_equal(released["ours"], table["ours"])
    assert released.meta["ORIGIN"] == "synthetic"
    assert publish.verify(finished.release).ok


def test_the_text_for_a_terminal_marks_synthetic_rows_and_says_what_is_missing(finished: Run) -> None:
    text = publish.campaign_text(finished.results)
    lines = text.splitlines()
    assert all("[SYNTHETIC]" in line for line in lines if line.startswith(("template:pi0", "stack:", "two:")))
    assert "template:tomorrow: local p-value: not in this version: there is no template 'tomorrow'" in text
    assert "41,000" in text
    for word in ("local p-value", "global p-value"):
        assert word in text
    assert not [line for line in lines if "p-value" in line and "local" not in line and "global" not in line]


def test_the_report_names_local_and_global_and_marks_what_is_synthetic(finished: Run) -> None:
    report = (finished.folder / "report" / "index.html").read_text()
    section = report.partition('<section id="campaign"')[2].partition("</section>")[0]
    assert 'href="#campaign"' in report
    assert section.count("SYNTHETIC") >= 10
    assert "σ global, one-sided" in section
    assert "local p " in section
    assert "not in this version" in section
    assert "http" not in section


def test_a_joint_fit_of_the_spec_is_in_the_results_and_in_the_report(finished: Run) -> None:
    [one] = finished.results["joint"]
    assert (one["name"], one["sample"], one["origin"], one["n_trials"]) == ("apart", "cascades-2023", "synthetic", 100)
    assert [row["hypothesis"] for row in one["hypotheses"]] == ["template:pi0", "stack:snr"]
    assert one["ts"] >= max(row["ts"] for row in one["hypotheses"])
    assert all(row["p_value"]["kind"].startswith("local") for row in one["hypotheses"])
    report = (finished.folder / "report" / "index.html").read_text()
    section = report.partition("<h3>Fitted together: apart")[2].partition("</section>")[0]
    assert section.count("SYNTHETIC") >= 1
    assert f"{one['hypotheses'][0]['n_s']:.1f}" in section
    assert "Correlation with 2" in section


def test_the_table_has_the_hottest_spots_and_the_list_beside_the_published(finished: Run) -> None:
    rows = {row.quantity: row for row in publish.campaign_rows(finished.results)}
    [sky], [few] = finished.results["scans"], finished.results["source_lists"]
    for spot, published in zip(sky["hottest"], (0.46, 0.28), strict=True):
        name = f"sky: hottest point of the {spot['hemisphere']}ern sky"
        found, local = rows[f"{name}: global p-value"], rows[f"{name}: local p-value"]
        assert (found.published, found.trials_published, found.kind) == (published, 1000, "global")
        assert (found.ours, found.error) == (spot["p_global"]["p"], spot["p_global"]["p_error"])
        assert (found.trials, found.origin, found.seed) == (6, "synthetic", 3)
        assert (local.ours, local.trials, local.kind) == (spot["p_local"]["p"], 200, "local")
    best = rows["few: global p-value, best of 3 sources"]
    assert (best.ours, best.trials, best.kind) == (few["best"]["p_global"]["p"], 40, "global")
    assert np.isnan(best.published)  # of another list
    listed = {**few, "name": "all", "catalogue": "list-109"}
    rows = {row.quantity: row for row in publish.campaign_rows({**finished.results, "source_lists": [listed]})}
    best = rows["all: global p-value, best of 3 sources"]
    assert (best.published, best.trials_published) == (0.22, 100_000)
    assert rows["all: local p-value of the best"].published == 0.002
    assert published_list({**listed, "sample": "tracks"}) == {}


def test_the_published_sources_are_those_of_the_list() -> None:
    published = published_list({"catalogue": "list-109", "sample": "cascades-2023"})
    assert set(published) <= {source.name for source in catalogues.LIST_109.sources}


@pytest.mark.parametrize("scans", [[], None])
def test_without_a_scan_the_hottest_spots_are_not_asked_for(finished: Run, scans: list[Any] | None) -> None:
    results = {**finished.results, "scans": scans or []}
    if scans is None:
        del results["scans"]  # as older results are
    publish.check_results(results, source="results.json")
    spots = [row for row in publish.campaign_rows(results) if row.quantity.startswith("hottest point")]
    assert [row.published for row in spots] == [0.28, 0.46]
    assert {row.note for row in spots} == {"not asked for: no [[scan]] in this spec"}
    assert "no [[scan]] in this spec" in publish.campaign_text(results)


def test_no_skies_no_global_p_value_anywhere(finished: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished.folder, tmp_path / "small"))
    results = json.loads((folder / "results.json").read_text())
    for spot in results["scans"][0]["hottest"]:
        spot["p_global"] = None
    results["scans"][0] |= {"p_global_all_sky": None, "n_skies": 0}
    results["source_lists"][0]["best"]["p_global"] = results["source_lists"][0]["population"]["p_global"] = None
    results["source_lists"][0]["n_skies"] = 0
    (folder / "results.json").write_text(json.dumps(results))
    publish.report(folder)
    section = sky_section(folder)
    assert section.count("not asked for") == 5
    rows = [row for row in publish.campaign_rows(results) if row.note.startswith("not asked for: no background skies")]
    assert len(rows) == 4
    assert publish.verify(steps.build_release(folder)).ok


def sky_section(folder: Path) -> str:
    report = (folder / "report" / "index.html").read_text()
    return report.partition('<section id="sky"')[2].partition("</section>")[0]


def test_the_report_shows_the_sky_with_local_and_global_and_published(finished: Run) -> None:
    section = sky_section(finished.folder)
    [sky], [few] = finished.results["scans"], finished.results["source_lists"]
    assert section.count("<img ") == 1
    alt = section.partition('<img alt="')[2].partition('"')[0]
    caption = section.partition("<figcaption>")[2].partition("</figcaption>")[0]
    for words in ("SYNTHETIC", "local p", "global p", f"dec {sky['hottest'][0]['dec_deg']:.1f}"):
        assert words in alt
        assert words in caption
    for words in ("337.9, 17.6", "248.1, −50.9", ">0.28<", ">0.46<", "6 background skies", "Binomial population test"):
        assert words in section, words
    for row in few["sources"]:
        assert f'<th scope="row">{row["source"]}</th>' in section
    assert "http" not in section
    assert section.count("SYNTHETIC") >= 4
    assert 'href="#sky"' in (finished.folder / "report" / "index.html").read_text()


def test_the_release_holds_the_sky_in_every_form_with_origin_and_release_in_the_headers(finished: Run) -> None:
    stem = "maps/sky-cascades-2023-sky-synthetic"
    listed = {item["path"]: item for item in json.loads((finished.release / "manifest.json").read_text())["files"]}
    found, _ = read_sky(finished.folder / "products" / "sky-cascades-2023-sky.zip")
    for ending in (".fits", ".multiorder.fits", ".plane.fits"):
        assert listed[stem + ending]["origin"] == "synthetic"
        with fits_files.open(finished.release / (stem + ending), checksum=True) as units:
            for unit in units:
                assert (unit.header["ORIGIN"], unit.header["RELEASE"]) == ("synthetic", "nuanalysis-small-DR0.1")
    for number, values in enumerate((found.ts, found.n_signal, found.index)):
        np.testing.assert_array_equal(hp.read_map(finished.release / f"{stem}.fits", field=number, dtype=float), values)
    page = (finished.release / f"{stem}.html").read_text()
    assert "never to be taken for IceCube data" in page
    table = Table.read(finished.release / "fits" / "sources-cascades-2023-few-synthetic.ecsv", format="ascii.ecsv")
    [few] = finished.results["source_lists"]
    assert list(table["p_local"]) == [row["p_local"]["p"] for row in few["sources"]]
    assert (table.meta["ORIGIN"], table.meta["SEED"], table.meta["N_SKIES"]) == ("synthetic", 3, 40)
    assert table.meta["RELEASE"] == "nuanalysis-small-DR0.1"
    assert "sky-cascades-2023-sky-synthetic.html" in (finished.release / "README.md").read_text()


def test_built_twice_a_release_with_a_sky_is_the_same_bytes(finished: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished.folder, tmp_path / "small"))
    again = steps.build_release(folder)
    assert publish.verify(again).digest == publish.verify(finished.release).digest


def test_a_product_that_is_no_scan_stops_the_build(finished: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished.folder, tmp_path / "small"))
    path = folder / "products" / "sky-cascades-2023-sky.zip"
    write_zip(path, read_zip(path).drop_vars("index"))
    with pytest.raises(DataError, match="is no scan of the sky"):
        steps.build_release(folder)


def test_the_end_of_a_run_names_the_hottest_spots_and_the_best_source(finished: Run) -> None:
    lines = [line for line in steps.headline(finished.folder) if "hottest" in line or "best of" in line]
    assert len(lines) == 3
    assert all("local p " in line and "global p " in line and "[SYNTHETIC]" in line for line in lines)


def test_numbers_that_are_not_there_are_null_in_json(finished: Run) -> None:
    rows = [row.record() for row in publish.campaign_rows(finished.results)]
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert rows[-1]["ours"] is None


# --- a long list ------------------------------------------------------------------------------------------------------


def test_a_long_list_gives_a_global_p_value_near_that_of_a_common_mixture(
    finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both mixtures on the same hypotheses."""
    [sample] = steps.held_samples(finished.spec, finished.folder)
    ready = steps.selected_samples(sample, finished.folder).seasons
    names = ("point:266.4,-29.0", "point:83.6,22.0", "stack:snr")
    asked = [steps.read_hypothesis(name, index_free=False) for name in names]
    problems = tuple(steps.inference.pose(one, ready, finished.folder, 3) for one in asked)
    observed = iter((4.2, 4.0, 3.0) * 2)
    monkeypatch.setattr(campaign.inference, "fit", lambda problem: (Fit(next(observed)), None))
    wanted = campaign.Wanted(0.1, 1500)
    common = campaign.together(problems, "cascades-2023", wanted, Threads(2), lambda line: None)
    monkeypatch.setattr(campaign.inference, "FEW", 1)
    listed = campaign.together(problems, "cascades-2023", wanted, Threads(2), lambda line: None)
    assert common["best"] == listed["best"]
    assert listed["n_trials"] == 1500
    gap = listed["p_global"] - common["p_global"]
    assert abs(gap) < 4 * np.hypot(listed["p_global_error"], common["p_global_error"])
    assert 0 < listed["p_global_error"] < 0.4 * listed["p_global"]
    assert abs(listed["p_local"] - common["p_local"]) < 4 * np.hypot(listed["p_local_error"], common["p_local_error"])


@dataclass(frozen=True, slots=True)
class Fit:
    ts: float


# --- cost -------------------------------------------------------------------------------------------------------------


def burn(seconds: float) -> float:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return seconds


def test_cpu_time_of_threads_and_of_living_processes_is_counted() -> None:
    with campaign.costing(Threads(2)) as cost:
        thread = threading.Thread(target=burn, args=(0.2,))
        thread.start()
        thread.join()
    assert 0.15 < cost.core_seconds < 5.0
    with Processes(1) as pool, campaign.costing(pool) as cost:
        assert dict(pool.map(sum, [range(40_000_000)]))  # about half a second, and the worker lives on
    assert cost.measured == "CPU time"
    assert cost.core_seconds > 0.2


def test_what_cannot_be_seen_is_wall_time_times_workers_and_says_so() -> None:
    class Scheduler:
        workers = 3

        def map(self, function: Any, items: Iterable[Any]) -> Iterator[Any]:
            yield from ()

    with campaign.costing(Scheduler()) as cost:  # type: ignore[arg-type]
        time.sleep(0.05)
    assert cost.measured == "wall time x 3 workers"
    assert cost.core_seconds == pytest.approx(3 * cost.seconds)


# --- the campaign itself ----------------------------------------------------------------------------------------------


def test_the_spec_of_the_campaign_is_good_and_holds_what_the_paper_tested() -> None:
    spec = read_spec(SPECS / "campaign-2023.toml")
    names = {h.name for h in spec.hypothesis}
    assert names >= {"template:pi0", "stack:snr", "stack:pwn", "stack:unid"}
    kra = {f"template:kra-gamma-like-{cutoff}?spectrum=published" for cutoff in (5, 50)}
    assert names >= kra
    at = {h.name: h.published_ts for h in spec.hypothesis}
    assert [at[name] for name in ("template:pi0", *sorted(kra, key=len))] == [22.19, 19.06, 15.56]
    together = {t.name: t.hypotheses for t in spec.together}
    assert set(together) == {"templates", "fermi-bubbles", "stacks", "stacks-smeared"}
    [sky], [listed] = spec.scan, spec.sources
    assert (sky.nside, sky.skies) == (64, 1000)
    assert (listed.catalogue, listed.skies) == ("list-109", 3000)
    assert len(together["fermi-bubbles"]) == 4
    here = leave_out_unknown(spec)
    assert not here.left_out
    assert here.is_campaign
