"""``nuanalysis stack``: one document, tables and figures that say what they are, the numbers of ``fit``, refusals."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image
from small_problem import SOURCES, whole
from test_stack_terms import lit

from nuanalysis import plot, trials
from nuanalysis.answers.stack import SourcePart, Stack, StackAnswer
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import InputError
from nuanalysis.library import samples
from nuanalysis.library.catalogues import open_catalogue
from nuanalysis.plot._page import png
from nuanalysis.records import Chance, Unknown
from nuanalysis.sky import catalogues
from nuanalysis.sky.records import Catalogue

THREE = Catalogue("three", "three sources", SOURCES, (1.0, 2.0, 1.0), "by hand")
DARK = Catalogue("dark", "two sources elsewhere", tuple(s for s in SOURCES[1:]), (1.0, 1.0), "by hand")
SETTINGS = ("--sample", "cascades-2023", "--no-index-free", "--injections", "300", "--executor", "serial")
STACK = ("stack", *SETTINGS)


def small_sample(*_):
    """A part of a twin with signal stands for the sample."""
    return whole(lit("exact", 1500, expected=25.0))


@pytest.fixture(autouse=True)
def small(cache, monkeypatch):
    """No public files."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(cache))
    monkeypatch.setattr(samples, "load", small_sample)
    monkeypatch.setitem(catalogues.CATALOGUES, "three", THREE)
    monkeypatch.setitem(catalogues.CATALOGUES, "dark", DARK)


@pytest.fixture
def mine(tmp_path):
    """A user's file of twenty sources with classes and weights."""
    rng = np.random.default_rng(4)
    columns = {
        "name": [f"S{k:02d}" for k in range(20)],
        "ra": rng.uniform(0.0, 360.0, 20),
        "dec": rng.uniform(-60.0, 60.0, 20),
        "kind": ["SNR"] * 14 + ["PWN"] * 6,
        "flux_tev": np.arange(1.0, 21.0),
    }
    path = tmp_path / "mine.ecsv"
    Table(columns, units={"ra": "deg", "dec": "deg"}).write(path)
    return path


def never(*arguments, **named):
    raise AssertionError("work was begun")


def answered(cache, *, samples=None, **settings):
    """The answer without the command line."""
    return Stack.of(**{"injections": 300, "index_free": False, **settings}).ask(
        samples or small_sample(), Bench(cache / "ensembles")
    )


# --- the answer ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_catalogues_come_with_their_sources_files_and_a_global_p_value(call, mine, tmp_path):
    rule = f"{mine}?rule=kind == 'SNR' and flux_tev > 2&weight=flux_tev"
    output = tmp_path / "out"
    code, out, err = call(*STACK, "--catalogues", "three", "--catalogues", rule, "--output", output, "--json")
    assert code == 0, err
    assert "SYNTHETIC" in err
    document = json.loads(out)
    files = [document.pop("files"), document.pop("seconds")][0]
    answer = StackAnswer.from_dict(document)
    assert answer.to_dict() == document
    assert (answer.provenance.origin, answer.provenance.seed) == ("synthetic", 1)
    three, own = answer.catalogues
    assert sorted(row.name for row in three.sources) == sorted(s.name for s in SOURCES)
    weight = {row.name: row.weight for row in own.sources}
    assert weight == pytest.approx({f"S{k:02d}": (k + 1) / np.arange(3.0, 15.0).sum() for k in range(2, 14)})
    assert own.chosen.listed == 20
    assert three.chosen is None
    for one in answer.catalogues:
        check_sums(one.sources, one.found)
    assert three.found.flux.upper_limit_90.value > three.found.flux.best.value
    assert (answer.best, answer.chance.scope) == ("stack:three", "global")
    assert 1.0 - 1e-9 <= answer.trials_factor <= 2.0 + 1e-9
    assert answer.chance.n_trials >= 1000
    assert "not a result on this source alone" in SourcePart.model_fields["flux_upper_limit_90"].description
    check_files(files, answer)


def check_sums(rows, found):
    """The parts of the sources add up to the stack."""
    totals = {"weight": 1.0, "share_of_events": 1.0, "n_signal": found.fitted.n_signal, "ts_term": found.fitted.ts}
    for key, total in {**totals, "flux": found.flux.best.value}.items():
        assert sum(getattr(row, key) for row in rows) == pytest.approx(total, abs=1e-9 * max(abs(total), 1.0)), key
    limit = found.flux.upper_limit_90
    limits = [limit if isinstance(limit, Unknown) else pytest.approx(row.weight * limit.value) for row in rows]
    assert [row.flux_upper_limit_90 for row in rows] == limits
    assert found.chance.scope == "local"


def check_files(files, answer):
    """Table and figures: they say what they hold, and the table is a catalogue again."""
    assert all("synthetic" in file for file in files)
    for one, drawn in zip(answer.catalogues, answer.drawn(), strict=True):
        sidecar, rows = drawn.sidecar, one.sources
        picture = next(Path(file) for file in files if file.endswith(f"{sidecar.slug}.png"))
        path = picture.with_suffix(".ecsv")
        table = Table.read(path)
        assert all(table[name].description for name in table.colnames)
        assert str(table["flux"].unit) == "TeV / (s cm2)"
        assert tuple(table.meta[k] for k in ("ORIGIN", "SAMPLE", "SEED")) == ("synthetic", "small", 1)
        assert table.meta["VERSION"]
        assert table["ts_term"].sum() == pytest.approx(one.found.fitted.ts)
        assert (sidecar.origin, sidecar.section) == ("synthetic", "stacking")
        assert rows[0].name in sidecar.alt
        with Image.open(picture) as image:
            assert image.width > 500
        whole = next(file for file in files if file.endswith(".ecsv"))
        rule = f"rule=catalogue == '{rows[0].catalogue}'&" if one is answer.catalogues[0] else ""
        again = open_catalogue(f"{whole if rule else path}?{rule}weight=weight")
        assert [s.name for s in again.sources] == [row.name for row in rows]
        assert np.array(again.weights) / sum(again.weights) == pytest.approx([row.weight for row in rows])
        places = [(np.degrees(s.right_ascension), np.degrees(s.declination)) for s in again.sources]
        assert places == [pytest.approx((row.at.ra_deg, row.at.dec_deg)) for row in rows]


def test_every_number_is_that_of_fit(call):
    stacked = json.loads(call(*STACK, "--catalogues", "stack:three", "--json")[1])
    fitted = json.loads(call("fit", *SETTINGS, "--hypothesis", "stack:three", "--json")[1])
    assert fitted["fitted"]["ts"] > 1.0
    assert stacked["catalogues"][0]["found"] == {k: v for k, v in fitted.items() if k not in ("seconds", "files")}
    assert stacked["trials_factor"] is None
    assert stacked["chance"] == fitted["chance"]


def test_smeared_declinations_and_given_trials_are_used_and_said(cache):
    plain, smeared = (answered(cache, catalogues=("three",), trials=400, smear_declination=s) for s in (0.0, 3.0))
    assert (plain.smear_declination, smeared.smear_declination) == (0.0, pytest.approx(3.0))
    p, q = (one.catalogues[0].found for one in (plain, smeared))
    assert (p.chance.n_trials, q.chance.n_trials) == (400, 400)
    assert p.chance.p != q.chance.p
    assert p.fitted == q.fitted


def test_in_words_the_largest_terms_stand_first_and_the_global_p_value_is_said(call):
    code, out, _ = call(*STACK, "--catalogues", "three", "--catalogues", "dark", "--trials", "400")
    assert code == 0
    said = " ".join(out.split())
    lines = out.splitlines()
    assert "SYNTHETIC" in lines[0]
    assert "3 sources, stack:three: TS" in said
    assert "local p" in said
    rows = lines[lines.index(next(line for line in lines if line.startswith("  source "))) + 1 :][:3]
    terms = [abs(float(row.split()[3])) for row in rows]
    assert terms == sorted(terms, reverse=True)
    assert "The best of 2 stacks is stack:" in said
    assert "global p" in said


def test_a_limit_that_was_not_reached_is_said_with_its_reason(cache):
    answer = answered(cache, catalogues=("three",), trials=400)
    (one,) = answer.catalogues
    why = Unknown(reason="inject over a wider range")
    flux = one.found.flux.model_copy(update={"upper_limit_90": why})
    other = one.model_copy(update={"found": one.found.model_copy(update={"flux": flux})})
    assert "not known: inject over a wider range" in str(answer.model_copy(update={"catalogues": (other,)}))


def test_without_signal_the_global_p_value_is_one_and_says_why(cache):
    """Sources on the other side of the sky, where the sample has nothing."""
    away = [
        Catalogue(name, name, tuple(turned(s) for s in SOURCES[1:]), weights, "by hand")
        for name, weights in (("one", (1.0, 1.0)), ("other", (1.0, 2.0)))
    ]
    bright = whole(lit())
    answer = answered(cache, samples=bright, catalogues=tuple(away))
    assert [one.found.fitted.ts for one in answer.catalogues] == [0.0, 0.0]
    assert (answer.chance.p, answer.chance.n_trials, answer.chance.scope) == (1.0, 0, "global")
    assert "zero" in answer.chance.method
    assert "global p 1" in str(answer)


def turned(source):
    return replace(source, right_ascension=(source.right_ascension + np.pi) % (2 * np.pi))


def test_a_global_p_value_that_trials_do_not_reach_is_unknown_with_the_reason(call, monkeypatch):
    """Plain scrambles alone do not reach the tail; the rest of the answer stands."""
    monkeypatch.setattr(trials, "mixture", lambda run, met: (trials.PLAIN, np.ones(2)))
    arguments = ("--catalogues", "three", "--catalogues", "dark", "--trials", "250", "--seed", "3")
    code, out, _ = call(*STACK, *arguments, "--json")
    assert code == 0
    found = json.loads(out)["chance"]
    assert set(found) == {"reason"}
    assert "The best of 2 stacks is stack:dark: p-value not known: " in " ".join(call(*STACK, *arguments)[1].split())


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--catalogues", "snrr"), ["'snrr'", "Did you mean 'snr'"]),
        (("--catalogues", "three", "--catalogues", "stack:three"), ["three named twice"]),
        (("--catalogues", "three", "--injections", "10"), ["injections is 10"]),
        (("--catalogues", "three", "--trials", "10"), ["trials is 10"]),
        (("--catalogues", "three", "--sample", "cascade"), ["'cascade'", "cascades-2023"]),
        (("--catalogues", "three", "--index", "7"), ["'index'", "7"]),
        (("--catalogues", "three", "--output", __file__), ["is a file"]),
        (("--catalogues", "three", "--n-signal", "-4"), ["n_signal"]),
        (("--catalogues", "three", "--workers", "0"), ["workers", "0"]),
        (
            ("--catalogues", "snrr", "--catalogues", "three?rule=flux >", "--index", "7", "--precision", "2"),
            ["'snrr'", "three?rule", "'index'", "'precision'"],
        ),
    ],
)
def test_bad_input_is_refused_before_work_all_faults_together(call, monkeypatch, arguments, words):
    monkeypatch.setattr(samples, "load", never)
    found, out, err = call("stack", "--sample", "cascades-2023", *arguments, "--json")
    assert found == 2
    for word in words:
        assert word in err
    assert json.loads(out)["error"]["exit_code"] == 2


def test_data_that_are_not_here_are_a_data_error_that_names_the_release(call, monkeypatch):
    monkeypatch.setattr(samples, "load", never)
    code, out, err = call(*STACK, "--catalogues", "hgps", "--json")
    assert code == 3
    assert "source-catalogues" in err
    assert json.loads(out)["error"]["kind"] == "NotHereError"


def test_without_injections_the_headlines_say_what_is_not_known(cache):
    answer = answered(cache, catalogues=("three", "dark"), injections=0)
    words = "p-value not known: asked without injections."
    assert words in answer.headline()[0]
    assert words in answer.catalogues[0].found.headline()[0]
    assert words in " ".join(str(answer).split())


def test_rules_on_the_same_list_have_files_of_their_own(cache, mine):
    rules = tuple(f"{mine}?rule=flux_tev > {least}" for least in (18, 19))
    answer = answered(cache, catalogues=rules, injections=0)
    assert len({drawn.sidecar.slug for drawn in answer.drawn()}) == 2


# --- the figure ----------------------------------------------------------------------------------------------------


@lru_cache
def many(number):
    """Many sources with long names, and terms of both signs."""
    terms = np.random.default_rng(number).normal(0.3, 1.0, number)
    return [plot.SourceBar(f"a source with quite a long name {k}", float(t), 1.0 / number) for k, t in enumerate(terms)]


def drawn(bars):
    label = f"{len(bars)} of 3000 sources of a-table-of-mine.ecsv with KIND == 'SNR' and FLUX > 0.1 and COST in '$' W$"
    return plot.stack_figure(bars, ts=sum(one.ts_term for one in bars), label=label, origin="synthetic")


@pytest.mark.parametrize("number", [1, 12, 1000])
def test_names_never_overlap_and_the_rest_is_counted(number):
    figure = drawn(many(number))
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    axes = figure.axes[0]
    boxes = [label.get_window_extent(renderer) for label in axes.get_yticklabels()]
    boxes = sorted((box.y0, box.y1) for box in boxes)
    assert len(boxes) == min(number, 21)
    assert all(low[1] <= high[0] for low, high in pairwise(boxes))
    width = figure.get_window_extent(renderer).width
    framed = figure._suptitle.get_bbox_patch().get_window_extent(renderer)
    assert framed.x0 >= 0
    assert framed.x1 <= width
    assert framed.y0 > max(one.get_tightbbox(renderer).y1 for one in figure.axes)
    for one in figure.axes:
        box = one.get_tightbbox(renderer)
        assert box.x0 >= -1  # the layout rounds to a pixel
        assert box.x1 <= width + 1
    assert "SYNTHETIC" in figure._suptitle.get_text()
    if number == 1000:
        order = sorted((one.ts_term for one in many(number)), key=abs)[:-20]
        assert axes.get_yticklabels()[-1].get_text() == "980 others"
        assert f"{sum(order):.2f}".lstrip("-") in axes.texts[0].get_text()
        assert plot.stack_words(many(number))[1] == "the 20 largest of 1000 sources"


def test_bars_are_the_terms_largest_first_and_told_apart_in_grey():
    figure = drawn(many(12))
    bars = figure.axes[0].patches
    assert [bar.get_width() for bar in bars] == sorted((one.ts_term for one in many(12)), reverse=True)
    assert all(bool(bar.get_hatch()) == (bar.get_width() < 0) for bar in bars)
    grey = np.asarray(Image.open(io.BytesIO(png(figure))).convert("L"))
    assert grey.min() < 60  # dark bars beside hatched ones on white


def test_the_caption_says_the_numbers_of_the_fit(cache):
    answer = answered(cache, catalogues=("three",), trials=400)
    found = answer.catalogues[0].found
    assert isinstance(found.chance, Chance)
    (one,) = answer.drawn()
    for number in (f"TS {found.fitted.ts:.2f}", f"n_s {found.fitted.n_signal:.1f}", "400 trials", "Seed 1"):
        assert number in one.sidecar.caption


def test_a_stack_without_signal_says_so_in_its_figure():
    nothing = [plot.SourceBar(f"source {k}", 0.0, 0.5) for k in range(2)]
    figure = plot.stack_figure(nothing, ts=0.0, label="two sources", origin="real")
    assert not figure.axes[0].patches
    assert "no signal fitted" in figure.axes[0].texts[0].get_text()
    assert "SYNTHETIC" not in figure._suptitle.get_text()
    with pytest.raises(InputError, match="no sources"):
        plot.stack_figure([], ts=0.0, label="none", origin="real")
