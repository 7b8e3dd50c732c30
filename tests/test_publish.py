"""What leaves the house: the report, the release, and its verification."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import healpy as hp
import jsonschema
import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.table import Table
from scipy.stats import norm
from small_results import (
    PUBLISHED_MAP,
    RESULTS,
    SCIENCE_DOI,
    at_published_ts,
    change,
    entry,
    expected,
    listed,
    make_run,
    measured,
    results,
    scanned,
    together,
    unknown,
)

from nuanalysis import plot, publish
from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.cli import release as verbs
from nuanalysis.errors import DataError, InputError, StepMissing
from nuanalysis.interpret.published import PUBLISHED
from nuanalysis.plot import plain
from nuanalysis.publish import Results, _compare, _numbers
from nuanalysis.publish._cards import named_cells
from nuanalysis.publish._manifest import INDEX, json_text, release_files, write_sums
from nuanalysis.publish._texts import recipe_text
from nuanalysis.records import Chance, Interval, Measured
from nuanalysis.store import read_zip, write_zip


def draw(run: Path) -> list[Path]:
    return publish.draw(publish.load_results(run), run)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its figures, report and release; tests that spoil anything copy it first."""
    run = make_run(tmp_path_factory.mktemp("runs") / "default")
    draw(run)
    publish.report(run)
    publish.build(run, "DR0.1")
    return run


@pytest.fixture
def spoilt(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be spoilt."""
    return Path(shutil.copytree(finished, tmp_path / "default"))


def release_of(run: Path) -> Path:
    return run / "release" / "nuanalysis-default-DR0.1"


class _Page(HTMLParser):
    """What a reader's program would see: pictures, anything it would fetch, headings, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[dict[str, str]] = []
        self.fetched: list[str] = []
        self.text = ""
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag == "img":
            self.pictures.append(found)
        named = [found[key] for key in ("src", "href", "srcset", "data", "action", "poster") if key in found]
        self.fetched += [address for address in named if not address.startswith(("#", "data:"))]

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


# ------------------------------------------------------------------------------------------------ results.json


def everything() -> Results:
    """Results with an answer to each question of which there is one by hand."""
    significance, bias = at_published_ts()
    more = (
        entry("significance", "template:pi0", significance),
        entry("bias", "template:pi0", bias),
        entry("together", "stacks", together()),
        entry("scan", "sky", scanned()),
        entry("sources", "few", listed()),
        entry("expect", "model", expected()),
    )
    return results(more=more)


@pytest.mark.slow
def test_the_schema_is_one_and_accepts_what_answers_hold(finished: Path) -> None:
    schema = json.loads(recipe_text("results.schema.json"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads((finished / "results.json").read_text()), schema)
    jsonschema.validate(everything().to_dict(), schema)
    assert next(publish.load_results(finished).of(MeasureAnswer)).fitted.n_signal == 741.0


def test_the_schema_is_that_of_the_records() -> None:
    """Run 'nuanalysis release schema > src/nuanalysis/publish/recipe/results.schema.json' where this fails."""
    assert publish.schema_text() == recipe_text("results.schema.json")


def test_results_come_back_as_they_were(finished: Path) -> None:
    found = everything()
    assert publish.read_results(json.loads(json.dumps(found.to_dict())), source="here").to_dict() == found.to_dict()
    first = publish.load_results(finished).answers[0]
    xr.testing.assert_identical(first.answer.map, read_zip(first.product(finished, "map")))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (("chance", "p"), -0.2),
        (("chance", "error"), -1.0),
        (("chance", "scope"), "everywhere"),
        (("chance", "n_trials"), -1),
        (("best",), 3),
        (("provenance", "seed"), None),
        (("provenance", "origin"), "simulated"),
        (("more",), 1),
    ],
)
@pytest.mark.slow
def test_an_answer_with_an_impossible_value_breaks_the_schema(key: tuple[str, ...], value: object) -> None:
    document = results(more=[entry("together", "stacks", together())]).to_dict()
    schema = publish.results_schema()
    jsonschema.validate(document, schema)
    inner = document["answers"][-1]["answer"]
    for one in key[:-1]:
        inner = inner[one]
    inner[key[-1]] = value
    with pytest.raises(DataError, match=key[-1]):
        publish.read_results(document, source="results.json")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_without_comparisons_there_is_no_campaign_anywhere(finished: Path) -> None:
    assert "Campaign" not in (finished / "report" / "index.html").read_text()
    assert publish.campaign_table(publish.load_results(finished)) == b""
    assert publish.campaign_text(publish.load_results(finished)) == ""
    assert not [name for name in release_files(release_of(finished)) if "campaign" in name]


def test_a_comparison_that_failed_says_why_instead_of_a_number(spoilt: Path) -> None:
    why = unknown("too few <trials> at //x.org")
    failed = together(chance=why, local=why, trials_factor=None)
    found = change(spoilt, answers=(*publish.load_results(spoilt).answers, entry("together", "stacks", failed)))
    publish.report(spoilt)
    page = page_of(spoilt / "report" / "index.html")
    assert "No global p-value: too few <trials>" in page.text
    assert page.fetched == []
    [row] = [r for r in publish.campaign_rows(found) if r.kind == "global" and r.quantity.startswith("stacks")]
    assert row.ours is None
    assert "declinations smeared by 3 deg" in row.quantity
    assert row.note.startswith("too few")


def test_the_campaign_table_shows_published_rows_of_their_own_sample_only() -> None:
    rows = publish.campaign_rows(results(more=[entry("together", "stacks", together())]))
    assert sum(row.quantity.startswith("template:pi0: local") for row in rows) == 1
    assert {row.origin for row in rows if row.origin} == {"synthetic"}
    assert rows[-1].core_hours is None
    assert "not measured" in rows[-1].note


@pytest.mark.slow
def test_a_question_without_a_line_of_its_own_is_in_report_and_release(tmp_path: Path) -> None:
    """Its headline, its fields and its figures; nothing of it becomes markup or an address."""
    significance, _ = at_published_ts()
    more = (entry("expect", "model", expected()), entry("significance", "template:pi0", significance))
    run = make_run(tmp_path / "default", results(RESULTS[:1], more))
    draw(run)
    page = page_of(publish.report(run))
    assert "Further questions" in page.text
    for words in (
        "Expect “model”",
        plot.typeset(expected().headline()[0]),
        "expected events",
        "619.2",
        "see x.org <b>",
    ):
        assert words in page.text, words
    assert "Local p-value of a test statistic" in page.text
    assert page.fetched == []
    assert "b" not in page.counts
    release = publish.build(run)
    assert publish.verify(release).ok
    stem = "expect-cascades-2023-model-synthetic"
    assert json.loads((release / f"fits/{stem}.json").read_text())["answer"] == expected().to_dict()
    table = Table.read(release / f"fits/{stem}.ecsv", format="ascii.ecsv")
    assert (table["n_expected"][0], table.meta["ORIGIN"], table.meta["SEED"]) == (619.2, "synthetic", 7)
    assert table.meta["RELEASE"] == release.name


@pytest.mark.slow
def test_figures_of_an_answer_are_called_as_its_entry_and_stand_with_it(tmp_path: Path) -> None:
    more = [entry("scan", name, scanned(plane=True)) for name in ("sky", "sky-2")]
    run = make_run(tmp_path / "default", results((), more))
    names = {path.stem for path in draw(run)}
    stem = "scan-cascades-2023-sky"
    assert {f"{stem}-synthetic", f"{stem}.2-synthetic", f"{stem}-2-synthetic", f"{stem}-2.2-synthetic"} <= names
    section = publish.report(run).read_text().partition('<section id="sky"')[2].partition("</section>")[0]
    first, second = section.split("Scan “sky-2”")
    assert (first.count("<img "), second.count("<img ")) == (2, 2)


def test_data_release_points_to_the_files_of_the_package() -> None:
    folder = Path(__file__).parent.parent / "data_release"
    for name in ("release.toml", "results.schema.json", "CHANGES.md"):
        assert (folder / name).read_text(encoding="utf-8") == recipe_text(name)


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (("answers", 0, "answer", "fitted", "ts"), "-", "fitted.ts"),
        (("answers", 1, "answer", "flux", "best"), {"value": 1.0}, "flux.best.error"),
        (("samples", 0, "origin"), "simulated", "samples.0.origin"),
        (("spec_fingerprint",), "abc", "spec_fingerprint"),
        (("created",), "yesterday", "created"),
        (("schema_version",), "1", "schema_version"),
        (("answers", 0, "section"), "why", "no question 'why'"),
    ],
)
def test_results_against_the_schema_are_refused_by_name(
    spoilt: Path, path: tuple[Any, ...], value: Any, word: str
) -> None:
    document = json.loads((spoilt / "results.json").read_text())
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    (spoilt / "results.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=word):
        publish.report(spoilt)


def test_all_faults_come_at_once() -> None:
    with pytest.raises(DataError) as refused:
        publish.read_results({"schema_version": "1", "name": "x"}, source="here")
    assert "spec_fingerprint" in str(refused.value)
    assert "schema_version" in str(refused.value)


def test_results_that_are_missing_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(StepMissing, match="nuanalysis run"):
        publish.report(tmp_path)
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(DataError, match="no JSON"):
        publish.report(tmp_path)


# ---------------------------------------------------------------------------------------------------- report


def test_the_report_needs_nothing_from_outside(finished: Path) -> None:
    path = finished / "report" / "index.html"
    page = page_of(path)
    assert page.fetched == []
    encoded = r"(data:image/png;base64,|&#34;codes&#34;:&#34;)[A-Za-z0-9+/=]+"
    bare = re.sub(encoded, "", path.read_text(encoding="utf-8"))
    assert not re.search(r"https?:|//\w|@import|url\(", bare)
    assert "doi:10.1126/science.adc9818" in bare


def test_every_picture_of_the_report_has_an_alt_text_and_a_caption(finished: Path) -> None:
    page = page_of(finished / "report" / "index.html")
    assert len(page.pictures) == len(list((finished / "figures").glob("*.png"))) > 10
    assert all(len(picture["alt"]) > 30 for picture in page.pictures)
    assert page.counts["figcaption"] == len(page.pictures)
    assert page.counts["h1"] == 1
    assert page.counts["caption"] == page.counts["table"]


def test_the_report_says_what_is_synthetic_local_and_published(finished: Path) -> None:
    text = page_of(finished / "report" / "index.html").text
    for words in ("SYNTHETIC", "REAL", "by construction", "local", "748.0", "4.71σ", "5.98", "21.8", "218.6", "3.40σ"):
        assert words in text, words
    for words in ("10.21234/B4F04V (unconfirmed)", "abab", "MANIFEST.sha256", "derived IC86-II tables stand in"):
        assert words in text, words


def test_a_table_of_differences_has_one_in_every_row(finished: Path) -> None:
    page = (finished / "report" / "index.html").read_text()
    tables = re.findall(r"<caption>Numbers of [^<]*<.*?</table>", page, re.DOTALL) or re.findall(
        r"<caption>Numbers of .*?</table>", page, re.DOTALL
    )
    assert len(tables) > 3
    for table in tables:
        rows = re.findall(r"<tr>(.*?)</tr>", table.partition("<tbody>")[2], re.DOTALL)
        assert rows
        assert all("σ" in row.rpartition("<td")[2] for row in rows)
    assert "[published: (1.26\u00a0" in page or "[published: 1.26" in page  # a p-value has no difference: in the list


def test_the_report_says_how_to_cite_the_run_itself(finished: Path) -> None:
    page = (finished / "report" / "index.html").read_text()
    cited = page.partition('<section id="cite"')[2].partition("</section>")[0]
    digest = hashlib.sha256((finished / "results.json").read_bytes()).hexdigest()
    for words in ("@misc{nuanalysis-default", "The nuanalysis developers", "2026", "nuanalysis 0.1.0", digest):
        assert words in cited, words


def test_bias_stands_beside_the_distribution_and_the_page_names_where_coverage_was_measured(finished: Path) -> None:
    page = (finished / "report" / "index.html").read_text()
    trials = page.partition('<section id="trials"')[2].partition("</section>")[0]
    assert "median fitted against injected events, from 1,500 injected skies" in trials
    named = re.search(r"docs/decisions/[\w.-]+\.md", trials)
    assert named
    assert "coverage" in (Path(__file__).parent.parent / named[0]).read_text()


def test_every_cell_of_a_card_has_the_name_of_its_column_and_dashes_are_left_out() -> None:
    table = (
        '<table class="cards x"><thead><tr><th scope="col">Na&shy;me</th><th>n<sub>s</sub></th></tr></thead>'
        '<tbody><tr><th scope="row">a</th><td class="num">–</td></tr><tr><td>b</td><td>5 – 6</td></tr></tbody></table>'
    )
    made = named_cells(table + "<table><tr><td>–</td></tr></table>")
    assert made.endswith("<table><tr><td>–</td></tr></table>")
    assert '<th data-label="Name" scope="row">a</th><td class="num absent" data-label="nₛ">–</td>' in made
    assert '<td data-label="Name">b</td><td data-label="nₛ">5 – 6</td>' in made


def test_a_report_so_far_says_what_is_left_and_loads_itself_again(tmp_path: Path) -> None:
    run = make_run(tmp_path / "default")
    found = publish.load_results(run)
    left = ("scan “sky” on tracks", "sources “<b>”")
    path = publish.report_so_far(run, found, left)
    text, raw = page_of(path).text, path.read_text()
    assert "6 of 8 answers are here. Still to come: scan “sky” on tracks; sources “<b>”." in text
    assert '<meta http-equiv="refresh" content="30">' in raw
    assert "not written yet" in text
    finished = publish.report(run).read_text()
    assert "http-equiv" not in finished
    assert "This run goes on" not in finished


def test_a_run_without_results_or_figures_still_has_a_report(tmp_path: Path) -> None:
    run = make_run(tmp_path / "default")
    change(run, answers=(), cut_flow=(), inputs=())
    assert "holds no results" in page_of(publish.report(run)).text
    assert publish.verify(publish.build(run)).ok


def test_text_from_a_run_cannot_become_markup(spoilt: Path) -> None:
    first, second = publish.load_results(spoilt).samples
    noted = first.model_copy(update={"note": "<script src=http://evil.example/x.js></script>"})
    change(spoilt, samples=(noted, second))
    page = page_of(publish.report(spoilt))
    assert page.counts["script"] == 1  # our own, which sorts tables
    assert page.fetched == []
    assert "<script src=evil.example/x.js>" in page.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("see https://doi.org/10.1/x", "see doi:10.1/x"),
        ("http://dx.doi.org/10.1/x", "doi:10.1/x"),
        ("at https://icecube.wisc.edu/a, ftp://b.org", "at icecube.wisc.edu/a, b.org"),
        ("//cdn.example/x", "cdn.example/x"),
        ("1 / 2, a//, TeV/(cm2 s)", "1 / 2, a//, TeV/(cm2 s)"),
    ],
)
def test_addresses_become_text(text: str, said: str) -> None:
    assert plain(text) == said


def test_a_figure_without_its_picture_is_refused_and_one_without_sidecar_left_out(spoilt: Path) -> None:
    (spoilt / "figures" / "half-written.png").write_bytes(b"x")
    publish.report(spoilt)
    (spoilt / "figures" / "no-picture.json").write_text(
        json.dumps({"slug": "a", "alt": "b", "caption": "c", "origin": "real", "section": "other"})
    )
    with pytest.raises(DataError, match="no-picture"):
        publish.report(spoilt)


@pytest.mark.slow
def test_figures_of_results_that_are_gone_go_too(spoilt: Path) -> None:
    own = plot.Sidecar("of-a-notebook", "alt", "caption", "real")
    line = plot.bias_figure(*[np.arange(3.0)] * 4, label="x", origin="real")
    plot.save(line, spoilt / "figures", own)
    change(spoilt, answers=publish.load_results(spoilt).answers[-1:])
    drawn = draw(spoilt)
    assert {path.stem for path in (spoilt / "figures").glob("*.png")} == {"of-a-notebook", *(p.stem for p in drawn)}
    assert not list((spoilt / "figures").glob("ts-cascades*"))


# -------------------------------------------------------------------------------------- ours beside theirs


def line(lines: tuple[_compare.Line, ...], quantity: str) -> _compare.Line:
    return next(one for one in lines if one.quantity.startswith(quantity))


def test_differences_by_hand() -> None:
    one = measured(*RESULTS[0])
    unit = one.flux.best.unit
    best = Measured(value=31.8e-12, error=1e-12, unit=unit)
    ends = Interval(low=25.8e-12, low_error=1e-13, high=40e-12, high_error=1e-13, level=0.68, unit=unit)
    flux = one.flux.model_copy(update={"best": best, "interval": ends})
    fitted = one.fitted.model_copy(update={"n_signal": 990.0})
    lines = _compare.compare(one.model_copy(update={"flux": flux, "fitted": fitted}))
    # (31.8 - 21.8) / sqrt(6.0^2 + 5.3^2) = 1.249
    assert line(lines, "best-fit flux").difference == "+1.2σ"
    # 990 - 748 events over (31.8 - 25.8) x 30.96 of them: the lower half of the interval, as events
    assert line(lines, "signal events").difference == "+1.3σ of our error"
    assert line(lines, "sensitivity").difference == "−0.8σ of our error"  # (5.90 - 5.98) / 0.1
    assert line(lines, "sensitivity").ours == "5.90 ± 0.10"
    assert line(lines, "TS").difference == "–"  # without an error of ours there is no difference
    assert not any("%" in one.difference for one in lines)
    assert line(lines, "local significance").ours == "4.40σ"  # of p = 0.5 exp(-22.9 / 2)
    assert line(lines, "local significance").difference == "−0.3σ"
    assert line(lines, "best-fit flux").published == "21.8\u00a0+5.3 −4.9"


def test_numbers_of_one_sample_are_not_set_beside_another() -> None:
    lines = _compare.compare(measured(*RESULTS[4]))
    assert line(lines, "signal events").published == "–"
    assert line(lines, "local significance").published == "–"
    assert line(lines, "best-fit flux").published.startswith("21.8")
    assert line(lines, "90 % upper limit").difference == "below the published flux"


def test_unconfirmed_units_are_quoted_but_not_compared() -> None:
    flux = line(_compare.compare(measured(*RESULTS[1])), "best-fit flux")
    assert "unconfirmed" in flux.published
    assert flux.difference == "–"


def test_the_bias_corrected_number_stands_beside_the_published_one() -> None:
    one = measured(*RESULTS[0])
    flux = one.flux.model_copy(update={"n_signal_corrected": Measured(value=671.1, error=3.0)})
    found = line(_compare.compare(one.model_copy(update={"flux": flux})), "n_s, bias corrected")
    assert (found.ours, found.published, found.difference) == ("671.1", "671.1", "+0.0σ of our error")


@pytest.mark.slow
def test_a_number_that_is_not_there_has_its_reason(spoilt: Path) -> None:
    first, *rest = publish.load_results(spoilt).answers
    short = unknown("range too short")
    flux = first.answer.flux.model_copy(update={"interval": short, "upper_limit_90": short})
    lost = {"chance": unknown("too few trials"), "flux": flux, "sensitivity": unknown("not reached")}
    change(spoilt, answers=(entry("measure", first.name, first.answer.model_copy(update=lost)), *rest))
    text = page_of(publish.report(spoilt)).text
    for words in ("No p-value: too few trials", "No 68 % interval: range too short", "No sensitivity: not reached"):
        assert words in text
    draw(spoilt)
    page = page_of(publish.report(spoilt))
    assert not [words for words in (page.text, *(p["alt"] for p in page.pictures)) if re.search(r"\bnan\b", words)]
    assert publish.verify(publish.build(spoilt)).ok


def test_an_index_without_signal_is_not_shown() -> None:
    assert line(_compare.compare(measured(*RESULTS[5])), "spectral index").ours == "–"


@pytest.mark.parametrize(
    ("value", "words"),
    [(1.26e-6, "1.26 ×\u00a010⁻⁶"), (0.409, "0.409"), (0.0, "0"), (float("nan"), "–"), (5.9e-4, "5.90 ×\u00a010⁻⁴")],
)
def test_scientific(value: float, words: str) -> None:
    assert _numbers.scientific(value) == words


def test_published_numbers_are_consistent_in_themselves() -> None:
    for one in PUBLISHED.values():
        assert norm.isf(one.p) == pytest.approx(one.sigma, abs=0.01)


# --------------------------------------------------------------------------------------------------- release


def test_two_builds_are_byte_identical(finished: Path, spoilt: Path) -> None:
    first = {name: (release_of(finished) / name).read_bytes() for name in release_files(release_of(finished))}
    publish.build(spoilt, "DR0.1")
    second = {name: (release_of(spoilt) / name).read_bytes() for name in release_files(release_of(spoilt))}
    assert [name for name in first if first[name] != second.get(name)] == []
    assert first.keys() == second.keys()
    assert publish.verify(release_of(finished)).digest == publish.verify(release_of(spoilt)).digest


def test_the_release_holds_every_product(finished: Path) -> None:
    names = set(release_files(release_of(finished)))
    for name in (
        "README.md", "LICENSE", "CITATION.cff", "CHANGES.md", "citations.ecsv", "citations.bib", "environment.json",
        "results.json", "results.schema.json", "spec.toml", "manifest.json", "fits/fits.ecsv", "fits/fits.json",
        "cut-flow/cut-flow.ecsv", "report/index.html", "events/events-tracks.fits", "events/events-tracks.ecsv.gz",
        "events/events-cascades-2023-synthetic.zarr.zip", "response/response-cascades-2023.fits",
        "maps/map-cascades-2023-template-pi0-synthetic.fits", "trials/trials-tracks-template-pi0.zarr.zip",
    ):  # fmt: skip
        assert name in names, name


def test_events_read_back_from_fits_with_units(finished: Path) -> None:
    written = read_zip(finished / "products" / "events-cascades-2023.zip")
    path = release_of(finished) / "events" / "events-cascades-2023-synthetic.fits"
    with fits.open(path, checksum=True) as opened:
        header, columns = opened["EVENTS"].header, opened["EVENTS"].columns
        assert opened[0].header["ORIGIN"] == header["ORIGIN"] == "synthetic"
        assert [columns[name].unit for name in ("RA", "DEC", "ENERGY", "MJD", "TIME")] == [
            "deg",
            "deg",
            "TeV",
            "d",
            "s",
        ]
        place = 1 + columns.names.index("RA")
        assert header[f"TUCD{place}"] == "pos.eq.ra"
        assert "ICRS" in header.comments[f"TTYPE{place}"]
        assert header["RADESYS"] == "ICRS"
    table = Table.read(path, hdu="EVENTS")
    np.testing.assert_allclose(np.radians(table["RA"]), written["right_ascension"], rtol=1e-14)
    np.testing.assert_allclose(np.log10(table["ENERGY"]) + 3, written["log10_energy"], rtol=1e-14)
    np.testing.assert_array_equal(table["MJD"], written["mjd"])
    np.testing.assert_array_equal(table["COMPONENT"], written["component"])
    np.testing.assert_allclose(table["TIME"] / 86400 + header["MJDREFI"], written["mjd"], rtol=1e-12)


def test_events_are_the_same_in_all_three_formats(finished: Path) -> None:
    folder = release_of(finished) / "events"
    binary = Table.read(folder / "events-tracks.fits", hdu="EVENTS")
    text = Table.read(folder / "events-tracks.ecsv.gz", format="ascii.ecsv")
    assert text.colnames == binary.colnames
    assert str(text["RA"].unit) == "deg"
    assert text.meta["ORIGIN"] == "real"
    for name in binary.colnames:
        np.testing.assert_array_equal(text[name], binary[name])
    xr.testing.assert_identical(
        read_zip(folder / "events-tracks.zarr.zip"), read_zip(finished / "products" / "events-tracks.zip")
    )


def test_the_response_reads_back(finished: Path) -> None:
    written = read_zip(finished / "products" / "response-cascades-2023.zip")
    path = release_of(finished) / "response" / "response-cascades-2023.fits"
    area = Table.read(path, hdu="EFFECTIVE AREA")
    np.testing.assert_array_equal(area["EFFAREA"][0], written["effective_area"])
    assert str(area["EFFAREA"].unit) == "cm2"
    np.testing.assert_allclose(area["ENERG_HI"][0], 10.0 ** (written["log10_true_edges"].values[1:] - 3))
    np.testing.assert_array_equal(Table.read(path, hdu="MIGRATION")["MATRIX"], written["migration"])
    np.testing.assert_array_equal(Table.read(path, hdu="POINT SPREAD")["KAPPA_N"], written["psf_kappa_narrow"])


def test_maps_are_healpix_for_everybody(finished: Path) -> None:
    path = release_of(finished) / "maps" / "map-tracks-template-pi0.fits"
    values, header = hp.read_map(path, h=True, dtype=np.float64)
    written = read_zip(finished / "products" / "map-tracks-template-pi0.zip")
    np.testing.assert_array_equal(values, written["ts_density"])
    said = dict(header)
    assert (said["ORDERING"], said["COORDSYS"], said["NSIDE"], said["TUNIT1"]) == ("RING", "C", 8, "sr-1")


def test_trials_and_fits_read_back(finished: Path) -> None:
    release = release_of(finished)
    trials = Table.read(release / "trials" / "trials-cascades-2023-template-pi0-synthetic.fits", hdu="TRIALS")
    written = read_zip(finished / "products" / "trials-cascades-2023-template-pi0.zip")
    np.testing.assert_array_equal(trials["LOG_WEIGHT"], written["log_weight"])
    rows = Table.read(release / "fits" / "fits.ecsv", format="ascii.ecsv")
    assert list(rows["origin"]) == [row[1] for row in RESULTS]
    assert str(rows["flux_upper_limit_90"].unit) == "TeV / (s cm2)"
    assert rows["fitted_n_signal"][0] == 741.0
    said = json.loads((release / "fits" / "fits.json").read_text())["answers"][0]
    assert said["answer"]["provenance"]["seed"] == 7


def test_a_published_template_is_not_passed_on(finished: Path) -> None:
    folder = release_of(finished) / "maps"
    for ending in (".fits", ".zarr.zip"):
        name = "map-cascades-2023-template-pi0-synthetic" + ending
        path = folder / name
        columns = Table.read(path, hdu=1).colnames if ending == ".fits" else list(read_zip(path).data_vars)
        assert columns == [{".fits": "CHANNEL1", ".zarr.zip": "ts_density"}[ending]]
    own = read_zip(folder / "map-cascades-2023-stack-snr-synthetic.zarr.zip")
    assert set(own.data_vars) == {"ts_density", "signal_density"}


def test_a_map_that_does_not_say_where_it_is_from_is_taken_for_published(spoilt: Path) -> None:
    path = spoilt / "products" / "map-cascades-2023-stack-snr.zip"
    sky = read_zip(path)
    del sky.attrs["model_origin"]
    write_zip(path, sky)
    publish.build(spoilt, "DR0.1")
    released = read_zip(release_of(spoilt) / "maps" / "map-cascades-2023-stack-snr-synthetic.zarr.zip")
    assert "signal_density" not in released


def test_a_file_that_may_only_be_cited_stops_the_build(spoilt: Path) -> None:
    before = release_files(release_of(spoilt))
    (spoilt / "notebooks").mkdir()
    (spoilt / "notebooks" / "03.ipynb").write_bytes(PUBLISHED_MAP)
    with pytest.raises(DataError, match=r"notebooks/03.ipynb is cascades_2023/MainResult/pi0.npy"):
        publish.build(spoilt, "DR0.1")
    assert release_files(release_of(spoilt)) == before
    assert [path.name for path in (spoilt / "release").iterdir()] == ["nuanalysis-default-DR0.1"]


def test_everything_synthetic_says_so(finished: Path) -> None:
    release = release_of(finished)
    listed = {item["path"]: item["origin"] for item in json.loads((release / "manifest.json").read_text())["files"]}
    for path in release.rglob("*.fits"):
        name = path.relative_to(release).as_posix()
        with fits.open(path) as opened:
            origins = {hdu.header["ORIGIN"] for hdu in opened}
        assert origins == {listed[name]}
        assert ("synthetic" in path.name) == (origins == {"synthetic"})
    assert listed["figures/fluxes-real-and-synthetic.png"] == "mixed"
    assert "SYNTHETIC" in (release / "README.md").read_text()


def test_a_product_against_its_schema_stops_the_build(spoilt: Path) -> None:
    path = spoilt / "products" / "events-tracks.zip"
    events = read_zip(path)
    events["declination"][3] = np.nan
    write_zip(path, events)
    with pytest.raises(DataError, match="declination"):
        publish.build(spoilt, "DR0.2")
    assert not (spoilt / "release" / "nuanalysis-default-DR0.2").exists()


def test_a_damaged_product_stops_the_build(spoilt: Path) -> None:
    path = spoilt / "products" / "trials-tracks-template-pi0.zip"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="trials-tracks-template-pi0"):
        publish.build(spoilt, "DR0.2")


@pytest.mark.parametrize("version", ["1.0", "DR1", "DR01.0", "DR0.1/../../x", "dr0.1"])
def test_a_version_of_another_form_is_refused(finished: Path, version: str) -> None:
    with pytest.raises(InputError, match=r"DRn\.m"):
        publish.build(finished, version)


def test_what_a_killed_build_left_is_cleared_away(spoilt: Path) -> None:
    left = spoilt / "release" / ".nuanalysis-default-DR0.1.building"
    left.mkdir()
    (left / "half").write_text("x")
    publish.build(spoilt, "DR0.1")
    assert [path.name for path in (spoilt / "release").iterdir()] == ["nuanalysis-default-DR0.1"]
    assert publish.verify(release_of(spoilt)).ok


def test_citation_file_is_yaml_and_names_no_unconfirmed_doi(finished: Path) -> None:
    yaml = pytest.importorskip("yaml")
    read = yaml.safe_load((release_of(finished) / "CITATION.cff").read_text())
    assert read["cff-version"] == "1.2.0"
    assert {reference["type"] for reference in read["references"]} == {"data"}  # 'dataset' is no type of a reference
    assert [reference.get("doi") for reference in read["references"]] == [SCIENCE_DOI, None]
    assert "unconfirmed" in read["references"][1]["notes"]
    assert "not stated" in (release_of(finished) / "LICENSE").read_text()


# ------------------------------------------------------------------------------------------------------ verify


def test_sha256sum_agrees_with_our_manifest(finished: Path) -> None:
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("no sha256sum on this machine")
    checked = subprocess.run([program, "-c", "--quiet", "MANIFEST.sha256"], cwd=release_of(finished), check=False)
    assert checked.returncode == 0


def test_a_flipped_byte_is_found_and_named(spoilt: Path) -> None:
    path = release_of(spoilt) / "events" / "events-tracks.fits"
    data = bytearray(path.read_bytes())
    data[-3000] ^= 1
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(data)
    checked = publish.verify(release_of(spoilt))
    assert not checked.ok
    assert (checked.first_bad, checked.expected) == ("events/events-tracks.fits", expected)
    assert checked.found == hashlib.sha256(data).hexdigest()
    assert expected in checked.message()


@pytest.mark.slow
def test_a_byte_flipped_in_any_file_is_named(spoilt: Path) -> None:
    """Every file that the manifest lists, in turn; and the manifest itself, whose line then fits no file."""
    release = release_of(spoilt)
    listed = [line.partition("  ")[2] for line in (release / "MANIFEST.sha256").read_text().splitlines()]
    assert len(listed) > 40
    for name in listed:
        kept = (release / name).read_bytes()
        (release / name).write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        assert publish.verify(release).first_bad == name
        (release / name).write_bytes(kept)
    assert publish.verify(release).ok
    manifest = bytearray((release / "MANIFEST.sha256").read_bytes())
    manifest[0] ^= 1  # a digit of the first sum
    (release / "MANIFEST.sha256").write_bytes(manifest)
    assert publish.verify(release).first_bad == listed[0]


def test_missing_and_unexpected_files_are_named(spoilt: Path) -> None:
    (release_of(spoilt) / "README.md").unlink()
    (release_of(spoilt) / "events" / "extra.fits").write_text("x")
    checked = publish.verify(release_of(spoilt))
    assert (checked.changed, checked.missing, checked.unexpected) == ((), ("README.md",), ("events/extra.fits",))


@pytest.mark.parametrize("text", ["", "no manifest\n", "0" * 64 + "  ../outside\n", "0" * 64 + "  /etc/hosts\n"])
def test_a_manifest_that_is_none_is_refused(spoilt: Path, text: str) -> None:
    (release_of(spoilt) / "MANIFEST.sha256").write_text(text)
    with pytest.raises(DataError, match=r"MANIFEST\.sha256"):
        publish.verify(release_of(spoilt))


def test_two_manifests_that_disagree_are_refused(spoilt: Path) -> None:
    release = release_of(spoilt)
    index = json.loads((release / "manifest.json").read_text())
    index["files"] = index["files"][1:]
    (release / "manifest.json").write_text(json.dumps(index))
    write_sums(release)
    with pytest.raises(DataError, match="disagree"):
        publish.verify(release)


def test_a_release_of_the_first_layout_still_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Written by hand as releases with results.json of version 1 were: the manifest alone decides."""
    release = tmp_path / "nuanalysis-old-DR0.1"
    (release / "fits").mkdir(parents=True)
    old = {"schema_version": "1", "name": "old", "results": [{"hypothesis": "template:pi0", "fit": {"ts": 22.9}}]}
    (release / "results.json").write_text(json.dumps(old))
    (release / "results.schema.json").write_text(json.dumps({"title": "results.json of nuanalysis, version 1"}))
    (release / "fits" / "fits.ecsv").write_text("ts\n22.9\n")
    digests = {name: hashlib.sha256((release / name).read_bytes()).hexdigest() for name in release_files(release)}
    files = [{"path": name, "sha256": digest, "origin": "synthetic"} for name, digest in digests.items()]
    (release / INDEX).write_text(json_text({"schema": "nuanalysis-release/1", "release": "old", "files": files}))
    write_sums(release)
    assert invoke(capsys, "verify", release, "--json")["ok"] is True
    (release / "results.json").write_text(json.dumps({**old, "name": "new"}))
    assert publish.verify(release).first_bad == "results.json"


# --------------------------------------------------------------------------------------------------------- cli


def invoke(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    """The one JSON document that a verb puts on stdout."""
    verbs.app([str(argument) for argument in arguments], standalone_mode=False)
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


@pytest.mark.slow
def test_the_verbs_answer_with_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "default", results(RESULTS[-1:]))
    built = invoke(capsys, "build", run, "--version", "DR1.2", "--json")
    assert built["version"] == "DR1.2"
    checked = invoke(capsys, "verify", built["release"], "--json")
    assert checked["ok"] is True
    assert (checked["digest"], checked["files"]) == (built["digest"], built["files"])
    told = invoke(capsys, "report", run, "--json")
    assert Path(told["report"]).is_file()


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(capsys, "schema") == publish.results_schema()


def test_verify_ends_with_a_data_error(spoilt: Path) -> None:
    (release_of(spoilt) / "LICENSE").write_text("mine now")
    with pytest.raises(DataError, match="first bad file LICENSE") as refused:
        verbs.app(["verify", str(release_of(spoilt))], standalone_mode=False)
    assert refused.value.exit_code == 3


def test_a_chance_lies_above_one_only_within_its_error() -> None:
    assert Chance(p=1.05, error=0.2, n_trials=50).sigma is None
    with pytest.raises(ValueError, match=r"p is 1.2; expected 0 to 1"):
        Chance(p=1.2, error=0.01, n_trials=50)
