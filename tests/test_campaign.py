"""A campaign: what it adds to single fits, what is left out, what is kept, and the table it ends in."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import healpy as hp
import numpy as np
import pytest
from astropy.io import fits as fits_files
from astropy.table import Table
from small_results import change, entry, listed, measured, results, scanned, together, unknown

from nuanalysis import publish, trials
from nuanalysis.answers import Answer, _ensembles, _sky
from nuanalysis.answers._ensembles import Wanted
from nuanalysis.answers._flux import InModels
from nuanalysis.answers._question import open_all
from nuanalysis.answers.model_card import ModelCardAnswer
from nuanalysis.answers.together import together as of_problems
from nuanalysis.answers.transport import OfGas, Preference, TransportAnswer, _measured
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.cost import costing
from nuanalysis.engine.executors import Executor, Processes, Serial, Threads
from nuanalysis.errors import DataError, StepMissing
from nuanalysis.publish import Results
from nuanalysis.publish._campaign_rows import published_list
from nuanalysis.records import Chance, Interval, Measured
from nuanalysis.sky import catalogues
from nuanalysis.sky.records import Catalogue, PointSource
from nuanalysis.store import read_zip, write_zip
from nuanalysis.workflow import steps
from nuanalysis.workflow.spec import AnalysisSpec, Asked, parse_spec, read_spec

pytestmark = pytest.mark.slow

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
        patch.setattr(_sky, "TABLE_DECLINATIONS", np.radians([-60.0, 0.0, 60.0]))
        patch.setitem(catalogues.CATALOGUES, "three", THREE)
        patch.delenv("NUANALYSIS_DATA", raising=False)
        patch.setenv("NUANALYSIS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@dataclass(slots=True)
class Said:
    """Progress that is kept."""

    lines: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        self.lines.append(line)

    def move(self, what: str, done: int, total: int, note: str = "") -> None:
        pass

    @property
    def kept(self) -> int:
        return sum("unchanged, kept" in line for line in self.lines)


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder with the spec it was made from and its release."""

    spec: AnalysisSpec
    folder: Path
    release: Path

    @property
    def results(self) -> Results:
        return publish.load_results(self.folder)

    def answer(self, section: str) -> Any:
        """The only answer of a section."""
        [one] = self.results.entries(section)
        return one.answer


def compared(asked: Asked) -> bool:
    return asked.section != "measure"


def ask(spec: AnalysisSpec, folder: Path, executor: Executor | None = None, only: Any = bool) -> Said:
    said = Said()
    steps.ask_all(spec, folder, Bench(folder, executor or Serial(), said), only=only)
    return said


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    spec, folder = parse_spec(SPEC), tmp_path_factory.mktemp("runs") / "small"
    steps.fill_event_store(spec, folder, Said())
    steps.select_samples(spec, folder, Said())
    ask(spec, folder, only=lambda one: not compared(one))
    with pytest.raises(StepMissing, match="nuanalysis run SPEC"):
        steps.collect_results(spec, folder)
    ask(spec, folder, Threads(2), compared)
    steps.collect_results(spec, folder)
    steps.draw_and_report(folder)
    return Run(spec, folder, steps.build_release(folder))


@pytest.fixture
def spoilt(finished: Run, tmp_path: Path) -> Path:
    """A copy of the run folder, to be spoilt."""
    return Path(shutil.copytree(finished.folder, tmp_path / "small"))


# --- results ----------------------------------------------------------------------------------------------------------


def test_together_and_the_published_ts_stand_in_results_with_errors_trials_and_seeds(finished: Run) -> None:
    at_ts, corrected, two = (finished.answer(section) for section in ("significance", "bias", "together"))
    p = at_ts.chance
    about = at_ts.provenance
    assert (at_ts.tested.hypothesis, at_ts.ts, about.origin, about.seed) == ("template:pi0", 22.19, "synthetic", 3)
    assert p.scope == "local"
    assert 0 < p.error < 0.07 * p.p
    assert abs(p.p - 1.24e-6) < 6 * p.error  # half a chi-square, as scrambles of a fixed index nearly are
    [one] = corrected.corrected
    assert (one.n_signal_fitted, one.published) == (748.0, 671.1)
    assert one.n_signal.error > 0
    assert (len(two.hypotheses), two.provenance.seed, two.chance.scope) == (2, 3, "global")
    assert two.local.p <= two.chance.p <= 2.0 * two.local.p * 1.3
    assert 0 < two.chance.error < two.chance.p
    assert {row.chance.scope for row in two.hypotheses} == {"local"}


def test_what_this_version_does_not_know_is_left_out_and_named(finished: Run) -> None:
    left = finished.results.left_out_questions
    assert set(left) == {"template:tomorrow", "together:templates"}
    assert "no template 'tomorrow'" in left["template:tomorrow"]
    assert "only template:pi0" in left["together:templates"]
    assert [one.name for one in finished.results.entries("measure")] == ["template:pi0", "stack:snr"]


def test_every_part_has_its_cost(finished: Run) -> None:
    costs = finished.results.costs
    assert [(c.section, c.name) for c in costs] == [
        ("measure", "template:pi0"), ("significance", "template:pi0"), ("bias", "template:pi0"),
        ("measure", "stack:snr"), ("together", "two"), ("joint", "apart"), ("scan", "sky"), ("sources", "few"),
    ]  # fmt: skip
    assert all(c.core_seconds > 0 and c.measured == "CPU time" for c in costs)


def test_called_again_nothing_is_computed(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = sorted((finished.folder / "results").glob("*.json"))
    assert len(parts) == 8
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in parts}
    document = (finished.folder / "results.json").read_bytes()
    monkeypatch.setattr(steps, "selected_samples", lambda *args: pytest.fail("asked again"))
    assert ask(finished.spec, finished.folder).kept == 8
    steps.collect_results(finished.spec, finished.folder)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in parts} == before
    assert (finished.folder / "results.json").read_bytes() == document


def test_another_precision_is_another_part(finished: Run, spoilt: Path) -> None:
    said = ask(parse_spec(SPEC.replace("precision = 0.3", "precision = 0.25")), spoilt)
    assert said.kept == 7
    assert "cascades-2023 together two" in said.lines


def test_a_spec_of_single_fits_is_no_campaign(finished: Run) -> None:
    single = finished.results.model_copy(update={"answers": finished.results.entries("measure")})
    assert publish.campaign_rows(single) == ()
    assert publish.campaign_text(single) == ""


def test_a_scan_and_a_source_list_stand_in_results_with_local_and_global(finished: Run) -> None:
    sky, few = finished.answer("scan"), finished.answer("sources")
    assert (sky.provenance.sample, sky.provenance.origin, sky.provenance.seed) == ("cascades-2023", "synthetic", 3)
    assert (sky.n_pixels, sky.n_skies, sky.local_trials) == (192, 6, 200)
    assert [spot.hemisphere for spot in sky.hottest] == ["south", "north"]
    for spot in sky.hottest:
        assert (spot.local.scope, spot.chance.scope, spot.chance.n_trials) == ("local", "global", 6)
    assert (len(few.sources), few.n_skies, few.local_trials) == (3, 40, 200)
    assert {row.name for row in few.sources} == {"a", "b", "c"}
    assert few.population.chance.n_trials == 40


def test_the_product_of_a_scan_is_its_map(finished: Run) -> None:
    sky = finished.answer("scan")
    product = read_zip(finished.folder / "products" / "sky-scan-cascades-2023-sky.zip")
    about = product.attrs
    assert (about["nside"], about["ordering"], about["frame"], about["origin"]) == (4, "RING", "ICRS", "synthetic")
    assert product.sizes["pixel"] == 192
    for spot in sky.hottest:
        there = product.isel(pixel=hp.ang2pix(4, spot.at.ra_deg, spot.at.dec_deg, lonlat=True))
        assert (float(there["ts"]), float(there["n_signal"])) == pytest.approx((spot.fitted.ts, spot.fitted.n_signal))
        assert 10 ** -float(there["log10_p"]) == pytest.approx(spot.local.p)


@pytest.mark.parametrize(
    "lost",
    [
        "results/scan-cascades-2023-sky.json",
        "products/sky-scan-cascades-2023-sky.zip",
        "results/sources-cascades-2023-few.json",
    ],
)
def test_what_was_lost_is_made_again_from_the_trials_that_are_there(
    finished: Run, spoilt: Path, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: (spoilt / path).read_bytes() for path in (lost, "results.json")}
    (spoilt / lost).unlink()
    for name in ("sky_trials", "source_trials", "local_p"):
        monkeypatch.setattr(trials, name, lambda *args: pytest.fail("trials were made again"))
    assert ask(finished.spec, spoilt).kept == 7
    steps.collect_results(finished.spec, spoilt)
    assert without_costs((spoilt / "results.json").read_bytes()) == without_costs(before["results.json"])
    if lost.startswith("products"):
        assert (spoilt / lost).read_bytes() == before[lost]


def without_costs(document: bytes) -> dict[str, Any]:
    return {key: value for key, value in json.loads(document).items() if key not in ("costs", "created")}


def test_more_skies_are_another_part_and_a_scan_no_longer_asked_for_leaves_no_product(
    spoilt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = parse_spec(SPEC.replace("skies = 40", "skies = 45"))
    asked: list[tuple[int, int]] = []
    real = trials.source_trials
    monkeypatch.setattr(trials, "source_trials", lambda *args: asked.append((args[3], args[4])) or real(*args))
    ask(more, spoilt)
    assert [last for _, last in asked] == [45]  # of a batch that had been cut short; others are kept
    steps.collect_results(more, spoilt)
    [few] = publish.load_results(spoilt).entries("sources")
    assert few.answer.n_skies == few.answer.chance.n_trials == 45
    steps.collect_results(parse_spec(SPEC.partition("[[scan]]")[0]), spoilt)
    assert not list((spoilt / "products").glob("sky-*"))
    assert publish.load_results(spoilt).entries("scan") == ()


# --- table, report, release -------------------------------------------------------------------------------------------


def test_the_table_holds_published_and_ours_and_ends_in_the_core_hours_of_both(finished: Run) -> None:
    rows = {row.quantity: row for row in publish.campaign_rows(finished.results)}
    first = rows["template:pi0: local p-value at TS 22.19"]
    assert (first.published, first.trials_published, first.kind, first.origin) == (1.26e-6, 5e8, "local", "synthetic")
    assert first.ours is not None
    assert first.error is not None
    assert first.trials is not None
    assert first.ours > first.error > 0
    assert first.trials >= 1000
    assert first.difference == pytest.approx((first.ours - 1.26e-6) / first.error)
    reach = rows["template:pi0: sensitivity, 90 %"]
    assert reach.published == pytest.approx(5.98)
    assert (reach.difference, reach.difference_of) == (pytest.approx((reach.ours - 5.98) / reach.error), "ours")
    assert reach.cells()[3].endswith("σ of our error")
    assert rows["template:pi0: best-fit flux"].difference_of == "both"
    half = rows["template:pi0: 68 % interval, upper half-width"]
    assert half.error > 0
    assert half.difference is None
    own = rows["template:pi0: local p-value of the fit, TS " + next(iter(rows)).partition("TS ")[2]]
    assert own.difference is None  # of another sky than the published one
    assert rows["template:pi0: fitted n_s 748 after the bias correction"].published == 671.1
    assert rows["template:pi0: 68 % interval, upper half-width"].published == pytest.approx(5.3)
    assert rows["template:pi0: 68 % interval, lower half-width"].published == pytest.approx(4.9)
    assert rows["stack:snr: fitted n_s"].published == 218.6
    assert rows["two: global p-value, best of 2"].kind == "global"
    apart = [row for name, row in rows.items() if name.startswith("apart: local p-value of stack:snr")]
    assert "template:pi0 profiled" in apart[0].quantity
    assert apart[0].ours is not None
    assert 0 < apart[0].ours <= 1
    absent = [row for row in rows.values() if row.note.startswith("not in this version")]
    assert [row.quantity.split(":")[0] for row in absent] == ["template", "templates"]
    total = list(rows.values())[-1]
    spent = [row.core_hours for row in list(rows.values())[:-1] if row.core_hours is not None]
    assert total.core_hours == pytest.approx(sum(spent))
    assert len(spent) == len(finished.results.costs)
    assert total.core_hours_published == 41_000


def test_the_table_of_the_run_and_of_the_release_can_be_read(finished: Run) -> None:
    table = Table.read(finished.folder / "campaign.ecsv", format="ascii.ecsv")
    rows = publish.campaign_rows(finished.results)
    assert list(table["quantity"]) == [row.quantity for row in rows]
    assert set(table["kind"]) == {"local", "global", "-"}
    assert str(table["core_hours"].unit) == "h"
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
    assert "http:" not in section
    assert "https:" not in section


def test_a_joint_fit_of_the_spec_is_in_the_results_and_in_the_report(finished: Run) -> None:
    one = finished.answer("joint")
    about = one.provenance
    assert (about.sample, about.origin, one.n_trials) == ("cascades-2023", "synthetic", 100)
    assert [row.tested.hypothesis for row in one.hypotheses] == ["template:pi0", "stack:snr"]
    assert one.ts >= max(row.ts for row in one.hypotheses)
    assert all(row.profiled.chance.scope == "local" for row in one.hypotheses)
    report = (finished.folder / "report" / "index.html").read_text()
    section = report.partition("<h3>Fitted together: apart")[2].partition("</section>")[0]
    assert section.count("SYNTHETIC") >= 1
    assert f"{one.hypotheses[0].norm.n_signal.value:.1f}" in section
    assert "Correlation with 2" in section


def test_the_table_has_the_hottest_spots_and_the_list_beside_the_published(finished: Run) -> None:
    rows = {row.quantity: row for row in publish.campaign_rows(finished.results)}
    sky, few = finished.answer("scan"), finished.answer("sources")
    for spot, published in zip(sky.hottest, (0.46, 0.28), strict=True):
        name = f"sky: hottest point of the {spot.hemisphere}ern sky"
        found, local = rows[f"{name}: global p-value"], rows[f"{name}: local p-value"]
        assert (found.published, found.trials_published, found.kind) == (published, 1000, "global")
        assert (found.ours, found.error) == (spot.chance.p, spot.chance.error)
        assert (found.trials, found.origin, found.seed) == (6, "synthetic", 3)
        assert (local.ours, local.trials, local.kind) == (spot.local.p, 200, "local")
    best = rows["few: global p-value, best of 3 sources"]
    assert (best.ours, best.trials, best.kind) == (few.chance.p, 40, "global")
    assert best.published is None  # of another list
    rows = {
        row.quantity: row for row in publish.campaign_rows(results(more=[entry("sources", "all", listed("list-109"))]))
    }
    best = rows["all: global p-value, best of 3 sources"]
    assert (best.published, best.trials_published) == (0.22, 100_000)
    assert rows["all: local p-value of the best"].published == 0.002
    assert published_list(listed("list-109", "tracks")) == {}


def test_the_published_sources_are_those_of_the_list() -> None:
    assert set(published_list(listed("list-109"))) <= {source.name for source in catalogues.LIST_109.sources}


@pytest.mark.parametrize(
    ("hypotheses", "published", "trials_published"),
    [
        (("template:pi0", "template:kra-gamma-like-5"), 3.78e-6, None),
        (("template:fermi-bubbles", "template:fermi-bubbles?cutoff=50"), 0.06, None),
        (("each:list-109/IC 678", "each:list-109/Arp 220"), 0.22, 1e6),
        (("stack:snr", "stack:pwn"), None, None),
    ],
)
def test_the_published_global_p_value_is_that_of_the_same_hypotheses(
    hypotheses: tuple[str, ...], published: float | None, trials_published: float | None
) -> None:
    rows = publish.campaign_rows(results((), [entry("together", "some", together(hypotheses))]))
    [row] = [one for one in rows if one.quantity.startswith("some: global")]
    assert (row.published, row.trials_published) == (published, trials_published)


def test_without_a_scan_the_hottest_spots_are_not_asked_for() -> None:
    found = results(more=[entry("together", "two", together())])
    spots = [row for row in publish.campaign_rows(found) if row.quantity.startswith("hottest point")]
    assert [row.published for row in spots] == [0.28, 0.46]
    assert {row.note for row in spots} == {"not asked for: no [[scan]] in this spec"}
    assert "no [[scan]] in this spec" in publish.campaign_text(found)


def test_a_chance_beyond_the_trials_says_so() -> None:
    none = Chance(p=0.01, error=0.01, n_trials=100, bound=0.023, scope="global")
    beyond = Chance(p=1e-7, error=unknown("beyond"), n_trials=100, extrapolated=True)
    sky = scanned(chance=none)
    hottest = tuple(spot.model_copy(update={"local": beyond}) for spot in sky.hottest)
    more = entry("scan", "sky", sky.model_copy(update={"hottest": hottest}))
    rows = {row.quantity: row for row in publish.campaign_rows(results(more=[more]))}
    name = "sky: hottest point of the northern sky"
    assert "none of the trials: below 0.023 with 90 %" in rows[f"{name}: global p-value"].note
    local = rows[f"{name}: local p-value"]
    assert (local.error, local.note) == (None, "extrapolated beyond the trials")


def test_no_skies_no_global_p_value_anywhere(finished: Run, spoilt: Path) -> None:
    why = unknown("asked without background skies")

    def without(answer: Answer) -> Answer:
        if answer.name == "scan":
            hottest = tuple(spot.model_copy(update={"chance": why}) for spot in answer.hottest)
            return answer.model_copy(update={"hottest": hottest, "chance": why, "n_skies": 0})
        if answer.name == "sources":
            population = answer.population.model_copy(update={"chance": why})
            return answer.model_copy(update={"population": population, "chance": why, "n_skies": 0})
        return answer

    held = publish.load_results(spoilt).answers
    found = change(spoilt, answers=tuple(one.model_copy(update={"answer": without(one.answer)}) for one in held))
    publish.report(spoilt)
    section = sky_section(spoilt)
    assert section.count(f"– ({why.reason})") == 4
    assert section.count("Global: not asked for") == 1
    rows = [row for row in publish.campaign_rows(found) if row.note.startswith("not asked for: no background skies")]
    assert len(rows) == 4
    assert publish.verify(steps.build_release(spoilt)).ok


def sky_section(folder: Path) -> str:
    report = (folder / "report" / "index.html").read_text()
    return report.partition('<section id="sky"')[2].partition("</section>")[0]


def test_the_report_shows_the_sky_with_local_and_global_and_published(finished: Run) -> None:
    section = sky_section(finished.folder)
    sky, few = finished.answer("scan"), finished.answer("sources")
    assert section.count("<img ") == 2  # the map and the list
    alt = section.partition('<img alt="')[2].partition('"')[0]
    caption = section.partition("<figcaption>")[2].partition("</figcaption>")[0]
    for words in ("SYNTHETIC", "local p", "global p", f"dec {sky.hottest[0].at.dec_deg:.2f}"):
        assert words in alt
        assert words in caption
    for words in ("337.9, 17.6", "248.1, −50.9", ">0.28<", ">0.46<", "6 background skies", "Binomial population test"):
        assert words in section, words
    for row in few.sources:
        assert re.search(rf'<th [^>]*scope="row"[^>]*>{re.escape(row.name)}</th>', section)
    assert "http:" not in section
    assert "https:" not in section
    assert section.count("SYNTHETIC") >= 4
    assert 'href="#sky"' in (finished.folder / "report" / "index.html").read_text()


def test_the_release_holds_the_sky_in_every_form_with_origin_and_release_in_the_headers(finished: Run) -> None:
    stem = "maps/sky-scan-cascades-2023-sky-synthetic"
    told = {item["path"]: item for item in json.loads((finished.release / "manifest.json").read_text())["files"]}
    found = finished.answer("scan").sky
    for ending in (".fits", ".multiorder.fits", ".plane.fits"):
        assert told[stem + ending]["origin"] == "synthetic"
        with fits_files.open(finished.release / (stem + ending), checksum=True) as units:
            for unit in units:
                assert (unit.header["ORIGIN"], unit.header["RELEASE"]) == ("synthetic", finished.release.name)
    for number, name in enumerate(("ts", "n_signal", "index")):
        values = hp.read_map(finished.release / f"{stem}.fits", field=number, dtype=float)
        np.testing.assert_array_equal(values, found[name].values)
    page = (finished.release / f"{stem}.html").read_text()
    assert "never to be taken for IceCube data" in page
    table = Table.read(finished.release / "fits" / "sources-cascades-2023-few-synthetic.ecsv", format="ascii.ecsv")
    few = finished.answer("sources")
    assert list(table["local"]) == [row.local.p for row in few.sources]
    assert (table.meta["ORIGIN"], table.meta["SEED"], table.meta["N_SKIES"]) == ("synthetic", 3, "40")
    assert table.meta["RELEASE"] == finished.release.name
    assert "sky-scan-cascades-2023-sky-synthetic.html" in (finished.release / "README.md").read_text()


def test_built_twice_a_release_with_a_sky_is_the_same_bytes(finished: Run, spoilt: Path) -> None:
    again = steps.build_release(spoilt)
    assert publish.verify(again).digest == publish.verify(finished.release).digest


def test_a_product_that_is_no_scan_stops_the_build(spoilt: Path) -> None:
    path = spoilt / "products" / "sky-scan-cascades-2023-sky.zip"
    write_zip(path, read_zip(path).drop_vars("index"))
    with pytest.raises(DataError, match=r"sky-scan-cascades-2023-sky\.zip holds no 'sky'"):
        steps.build_release(spoilt)


def test_the_end_of_a_run_names_the_hottest_spots_and_the_best_source(finished: Run) -> None:
    lines = [line for line in steps.headlines(finished.folder) if ", scan " in line or ", sources " in line]
    assert len(lines) == 2
    assert all("local p " in line and "global p " in line and "[SYNTHETIC]" in line for line in lines)


def test_numbers_that_are_not_there_are_null_in_json(finished: Run) -> None:
    rows = [row.to_dict() for row in publish.campaign_rows(finished.results)]
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert rows[-1]["ours"] is None


# --- a long list ------------------------------------------------------------------------------------------------------


def test_a_long_list_gives_a_global_p_value_near_that_of_a_common_mixture(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both mixtures on the same hypotheses."""
    [sample] = steps.held_samples(finished.spec, finished.folder)
    ready = steps.selected_samples(sample, finished.folder, 3)
    names = ("point:266.4,-29.0", "point:83.6,22.0", "stack:snr")
    problems = open_all(names, ready, index_free=False)
    wanted, bench = Wanted(precision=0.1, n_trials=1500), Bench(tmp_path, Threads(2), Said())
    common = of_problems(problems, (4.2, 4.0, 3.0), ready, wanted, bench)
    monkeypatch.setattr(_ensembles, "FEW", 1)
    mixed = of_problems(problems, (4.2, 4.0, 3.0), ready, wanted, bench)
    assert common.best == mixed.best
    assert mixed.chance.n_trials == 1500
    for one, other in ((mixed.chance, common.chance), (mixed.local, common.local)):
        assert abs(one.p - other.p) < 4 * np.hypot(one.error, other.error)
    assert 0 < mixed.chance.error < 0.4 * mixed.chance.p


# --- cost -------------------------------------------------------------------------------------------------------------


def burn(seconds: float) -> float:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return seconds


def test_cpu_time_of_threads_and_of_living_processes_is_counted() -> None:
    with costing(Threads(2)) as cost:
        thread = threading.Thread(target=burn, args=(0.2,))
        thread.start()
        thread.join()
    assert 0.15 < cost.core_seconds < 5.0
    with Processes(1) as pool, costing(pool) as cost:
        assert dict(pool.map(sum, [range(40_000_000)]))  # about half a second, and the worker lives on
    assert cost.measured == "CPU time"
    assert cost.core_seconds > 0.2


def test_what_cannot_be_seen_is_wall_time_times_workers_and_says_so() -> None:
    class Scheduler:
        workers = 3

        def map(self, function: Any, items: Iterable[Any]) -> Iterator[Any]:
            yield from ()

    with costing(Scheduler()) as cost:  # type: ignore[arg-type]
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
    asked = {(one.section, one.name): one.question for one in spec.asked}
    compared = {name: question for (section, name), question in asked.items() if section == "together"}
    assert set(compared) == {"templates", "fermi-bubbles", "stacks", "stacks-smeared"}
    assert len(compared["fermi-bubbles"].hypotheses) == 4
    [sky] = [question for (section, _), question in asked.items() if section == "scan"]
    [all_sources] = [question for (section, _), question in asked.items() if section == "sources"]
    assert (sky.nside, sky.skies) == (64, 1000)
    assert (all_sources.catalogue, all_sources.skies) == ("list-109", 3000)
    assert not spec.left_out


def test_a_gradient_and_a_model_of_somebody_have_rows_of_their_own() -> None:
    [one] = [measured("cascades-2023", "synthetic", "template:mine", "mine", "user file", 9.0, 300.0, 2e-11)]
    best = Measured(value=1.6, error=0.1, unit="x model")
    limit = best.model_copy(update={"value": 2.4})
    absolute = InModels(model="mine", model_flux=1e-11, model_events=200.0, best=best, interval=unknown("none"),
                        upper_limit_90=limit)  # fmt: skip
    flux = one.flux.model_copy(update={"in_models": absolute})
    card = ModelCardAnswer(provenance=one.provenance, tested=one.tested, fitted=one.fitted, chance=one.chance,
                           flux=flux, gamma_rays=(), outlook=())  # fmt: skip
    ends = Interval(low=0.0, low_error=0.0, high=0.018, high_error=0.001, level=0.68, unit="kpc-1")
    free = Preference(best=0.004, interval=ends, gain=0.3, chance=one.chance)
    gas = OfGas(gas="ferriere", norm=best, free=free, held=unknown("too bright"), points=(), expected=(), sends=())
    gradient = TransportAnswer(
        provenance=one.provenance, envelope=ends, gases=(gas,), measured=_measured(), n_trials=200
    )
    found = publish.campaign_rows(results((), [entry("model_card", "mine", card), entry("transport", "a", gradient)]))
    rows = {row.quantity: row for row in found}
    assert rows["template:mine: flux over that of the model"].ours == 1.6
    limited = rows["template:mine: 90 % upper limit over the model"]
    assert (limited.ours, limited.unit) == (2.4, "x model")
    assert limited.note.startswith("allowed at 90 %: up to 2.40 times its flux")
    row = rows["a: gradient of delta, ferriere"]
    assert (row.ours, row.error, row.unit, row.trials) == (0.004, 0.009, "per kpc", 200)
    assert "no gradient asked for" in row.note
    assert rows["a: gradient of delta, ferriere: local p-value of no gradient"].kind == "local"
    assert all(row.origin == "synthetic" for row in rows.values() if row.ours is not None)
