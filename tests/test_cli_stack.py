"""``nuanalysis stack``: one document, tables and figures that say what they are, the numbers of ``fit``, refusals."""

from __future__ import annotations

import io
import json
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
from nuanalysis.answers import stack as work
from nuanalysis.errors import DataError, InputError
from nuanalysis.library import samples
from nuanalysis.library.catalogues import open_catalogue
from nuanalysis.plot._page import png
from nuanalysis.sky import catalogues
from nuanalysis.sky.records import Catalogue

THREE = Catalogue("three", "three sources", SOURCES, (1.0, 2.0, 1.0), "by hand")
DARK = Catalogue("dark", "two sources elsewhere", tuple(s for s in SOURCES[1:]), (1.0, 1.0), "by hand")
STACK = ("stack", "--sample", "cascades-2023", "--fixed-index", "--injections", "300")
FIT = ("fit", "--sample", "cascades-2023", "--fixed-index", "--injections", "300")


@pytest.fixture(autouse=True)
def small(cache, monkeypatch):
    """A part of a twin with signal stands for the sample; no public files."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(cache))
    monkeypatch.setattr(samples, "load", lambda spec, seed: whole(lit("exact", 1500, expected=25.0)))
    monkeypatch.setitem(catalogues.CATALOGUES, "three", THREE)


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


def without_clocks(document):
    return {key: value for key, value in document.items() if key not in ("seconds", "files")}


# --- the answer ----------------------------------------------------------------------------------------------------


def test_two_catalogues_come_with_their_sources_files_and_a_global_p_value(call, mine, tmp_path):
    rule = f"{mine}?rule=kind == 'SNR' and flux_tev > 2&weight=flux_tev"
    output = tmp_path / "out"
    code, out, err = call(*STACK, "--catalogue", "three", "--catalogue", rule, "--output", output, "--json")
    assert code == 0, err
    assert "SYNTHETIC" in err
    document = json.loads(out)
    assert (document["origin"], document["seed"], document["precision"]) == ("synthetic", 1, work.PRECISION)
    three, own = document["catalogues"]
    assert [row["name"] for row in three["sources"]] == [s.name for s in SOURCES]
    assert [row["name"] for row in own["sources"]] == [f"S{k:02d}" for k in range(2, 14)]
    assert [row["weight"] for row in own["sources"]] == pytest.approx(np.arange(3.0, 15.0) / np.arange(3.0, 15.0).sum())
    assert own["selection"]["listed"] == 20
    assert three["selection"] is None
    for answer in (three, own):
        rows = answer["sources"]
        totals = (("weight", 1.0), ("share_of_events", 1.0), ("n_s", answer["n_s"]), ("ts_term", answer["ts"]))
        for key, total in (*totals, ("flux", answer["flux"]["best"])):
            assert sum(row[key] for row in rows) == pytest.approx(total, abs=1e-9 * max(abs(total), 1.0)), key
        limit = answer["flux"]["upper_limit_90"]
        limits = [None if limit is None else pytest.approx(row["weight"] * limit) for row in rows]
        assert [row["flux_upper_limit_90"] for row in rows] == limits
        assert answer["p_value"]["kind"] == "local"
    assert three["flux"]["upper_limit_90"] > three["flux"]["best"]
    found = document["global"]
    assert found["kind"].startswith("global")
    assert [row["hypothesis"] for row in found["local"]] == ["stack:three", f"stack:{rule}"]
    assert found["best"] == "stack:three"
    # At least the local one of the best, at most twice that.
    assert 1.0 - 1e-9 <= found["trials_factor"] <= 2.0 + 1e-9
    assert found["n_trials"] >= 1000
    assert set(document["columns"]) == set(three["sources"][0])
    assert "not a result on this source alone" in document["columns"]["flux_upper_limit_90"]["meaning"]
    assert json.loads((output / "stack.json").read_text()) == document
    check_files(document, own)


def check_files(document, own):
    """Tables and figures of a document: they say what they hold, and the table is a catalogue again."""
    files = document["files"]["catalogues"]
    assert [file["catalogue"] for file in files] == [answer["catalogue"] for answer in document["catalogues"]]
    for file, answer in zip(files, document["catalogues"], strict=True):
        assert "synthetic" in file["table"]
        table = Table.read(file["table"])
        assert table.colnames == list(work.COLUMNS)
        assert all(table[name].description for name in table.colnames)
        assert str(table["flux"].unit) == "TeV / (s cm2)"
        expected = ("synthetic", "cascades-2023", 1, answer["p_value"]["n_trials"], 300)
        assert tuple(table.meta[k] for k in ("ORIGIN", "SAMPLE", "SEED", "N_TRIALS", "N_TRIALS_FLUX")) == expected
        assert table.meta["VERSION"].startswith("nuanalysis ")
        assert table["ts_term"].sum() == pytest.approx(answer["ts"], abs=1e-9)
        sidecar = json.loads(Path(file["figure"]).with_suffix(".json").read_text())
        assert (sidecar["origin"], sidecar["section"]) == ("synthetic", "stacking")
        assert answer["sources"][0]["name"] in sidecar["alt"]
        with Image.open(file["figure"]) as picture:
            assert picture.width > 500
    again = open_catalogue(f"{files[1]['table']}?weight=weight")
    assert [s.name for s in again.sources] == [row["name"] for row in own["sources"]]
    assert np.array(again.weights) / sum(again.weights) == pytest.approx([row["weight"] for row in own["sources"]])
    places = [(np.degrees(s.right_ascension), np.degrees(s.declination)) for s in again.sources]
    assert places == [pytest.approx((row["ra_deg"], row["dec_deg"])) for row in own["sources"]]


def test_every_number_is_that_of_fit(call):
    stacked = json.loads(call(*STACK, "--catalogue", "stack:three", "--json")[1])
    fitted = json.loads(call(*FIT, "--hypothesis", "stack:three", "--json")[1])
    assert fitted["ts"] > 1.0
    answer = stacked["catalogues"][0]
    assert without_clocks({key: answer[key] for key in fitted}) == without_clocks(fitted)
    assert stacked["global"] is None


def test_smeared_declinations_and_given_trials_are_used_and_said(call):
    arguments = (*STACK, "--catalogue", "three", "--trials", "400", "--json")
    plain = json.loads(call(*arguments)[1])
    smeared = json.loads(call(*arguments, "--smear-declination", "3")[1])
    assert (plain["smear_declination_deg"], smeared["smear_declination_deg"]) == (0.0, pytest.approx(3.0))
    assert smeared["precision"] is None
    p, q = (one["catalogues"][0]["p_value"] for one in (plain, smeared))
    assert (p["n_trials"], q["n_trials"]) == (400, 400)
    assert p["p"] != q["p"]
    assert plain["catalogues"][0]["ts"] == smeared["catalogues"][0]["ts"]


def test_in_words_the_largest_terms_stand_first_and_the_global_p_value_last(call, monkeypatch):
    monkeypatch.setitem(catalogues.CATALOGUES, "dark", DARK)
    code, out, _ = call(*STACK, "--catalogue", "three", "--catalogue", "dark", "--trials", "400")
    assert code == 0
    lines = out.splitlines()
    assert "SYNTHETIC" in lines[0]
    assert lines[1] == "stack:three: three sources, 3 sources"
    assert "local p" in out
    rows = lines[lines.index(next(line for line in lines if line.startswith("  source"))) + 1 :][:3]
    terms = [abs(float(row.split()[-1])) for row in rows]
    assert terms == sorted(terms, reverse=True)
    assert lines[-1].startswith("best of 2 catalogues: stack:")
    assert "global p" in lines[-1]


def zero(**changes):
    """An answer without signal."""
    flux = {"best": 0.0, "low_68": 0.0, "high_68": 1e-12, "upper_limit_90": 2e-12, "upper_limit_90_error": 1e-13}
    sources = [
        {"name": f"source {k}", "ra_deg": 1.0, "dec_deg": 2.0, "weight": 0.5, "share_of_events": 0.5, "n_s": 0.0,
         "flux": 0.0, "flux_upper_limit_90": 1e-12, "ts_term": 0.0}
        for k in range(2)
    ]  # fmt: skip
    return {
        "hypothesis": "stack:two", "label": "two sources", "sample": "tracks", "origin": "real", "ts": 0.0, "n_s": 0.0,
        "index": None, "index_free": True, "index_of_shares": 2.7, "converged": True, "seed": 1, "selection": None,
        "p_value": {"p": 1.0, "p_error": 0.0, "sigma": None, "n_trials": 0}, "n_sources": 2, "sources": sources,
        "flux": {**flux, "unit": "TeV cm-2 s-1", "convention": "as ever"}, **changes,
    }  # fmt: skip


def test_a_limit_that_was_not_reached_is_said_with_its_reason():
    flux = {**zero()["flux"], "upper_limit_90": None, "upper_limit_reason": "inject over a wider range"}
    head = {"sample": "tracks", "n_events": 5, "origin": "real", "injected": "", "seed": 1, "global": None}
    text = work.in_words({**head, "catalogues": [zero(flux=flux)]})
    assert "no 90 % limit: inject over a wider range" in text


def test_without_signal_the_global_p_value_is_one_and_says_why():
    found = work._global((), (0.0, 0.0), None, None, None)
    assert (found["p_global"], found["n_trials"]) == (1.0, 0)
    assert "zero" in found["reason"]
    document = {"sample": "tracks", "n_events": 5, "origin": "real", "injected": "", "seed": 1}
    text = work.in_words({**document, "catalogues": [zero(), zero()], "global": found})
    assert text.splitlines()[-1] == "global p 1 +- 0 (- sigma), 0 trials"


def test_a_global_p_value_that_trials_do_not_reach_is_null_with_the_reason(call, monkeypatch):
    """Plain scrambles alone do not reach the tail; the rest of the answer stands."""
    monkeypatch.setitem(catalogues.CATALOGUES, "dark", DARK)
    monkeypatch.setattr(trials, "mixture", lambda run, met: (trials.PLAIN, np.ones(2)))
    arguments = ("--catalogue", "three", "--catalogue", "dark", "--trials", "250", "--seed", "3")
    code, out, _ = call(*STACK, *arguments, "--json")
    assert code == 0
    found = json.loads(out)["global"]
    assert found["p_global"] is None
    assert found["reason"]
    assert "global p not determined" in call(*STACK, *arguments)[1].splitlines()[-1]


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--catalogue", "snrr"), 2, ["'snrr'", "Did you mean 'snr'"]),
        (("--catalogue", "three", "--catalogue", "stack:three"), 2, ["more than once"]),
        (("--catalogue", "three", "--injections", "10"), 2, ["--injections is 10"]),
        (("--catalogue", "three", "--trials", "10"), 2, ["--trials is 10"]),
        (("--catalogue", "three", "--sample", "cascade"), 2, ["'cascade'", "cascades-2023"]),
        (("--catalogue", "three", "--index", "7"), 2, ["index 7"]),
        (("--catalogue", "three", "--output", __file__), 2, ["is a file"]),
        (("--catalogue", "three", "--n-signal", "-4"), 2, ["n_signal"]),
        (("--catalogue", "three", "--workers", "0"), 2, ["0"]),
        (("--catalogue", "hgps"), 3, ["source-catalogues"]),
        (
            ("--catalogue", "snrr", "--catalogue", "three?rule=flux >", "--trials", "10", "--output", __file__),
            2,
            ["4 things stand against it", "'snrr'", "three?rule", "--trials is 10", "is a file"],
        ),
    ],
)
def test_bad_input_is_refused_before_work_all_faults_together(call, monkeypatch, arguments, code, words):
    monkeypatch.setattr(samples, "load", never)
    found, out, err = call("stack", "--sample", "cascades-2023", *arguments, "--json")
    assert found == code
    for word in words:
        assert word in err
    assert json.loads(out)["error"]["exit_code"] == code


def test_missing_data_alone_are_a_data_error_and_beside_a_fault_of_input_an_input_error():
    def lacks():
        raise DataError("not here")

    def wrong():
        raise InputError("wrong")

    with pytest.raises(DataError, match="2 things"):
        work.all_or_none([lacks], [lacks])
    with pytest.raises(InputError, match="2 things"):
        work.all_or_none([lacks], [wrong])
    assert work.all_or_none([lambda: None], [lambda: 1, lambda: 2]) == [1, 2]


def test_rules_on_the_same_list_have_files_of_their_own():
    names = ["hgps?rule=a > 1", "snr", "hgps?rule=a > 2", "my list.csv"]
    answers = [{"catalogue": name} for name in names]
    assert work._file_names(answers) == ["stack-hgps-1", "stack-snr", "stack-hgps-2", "stack-my-list"]


# --- the figure ----------------------------------------------------------------------------------------------------


@lru_cache
def many(number, origin="synthetic"):
    """An answer of many sources with long names, and terms of both signs."""
    terms = np.random.default_rng(number).normal(0.3, 1.0, number)
    sources = [
        {"name": f"a source with quite a long name {k}", "ts_term": float(t), "share_of_events": 1.0 / number}
        for k, t in enumerate(terms)
    ]
    label = f"{number} of 3000 sources of a-table-of-mine.ecsv with KIND == 'SNR' and FLUX > 0.1 and COST in '$' or W$"
    fit = {"label": label, "ts": float(terms.sum()), "n_s": 12.0, "index": 2.5, "n_sources": number}
    p = {"p": 0.01, "p_error": 0.001, "sigma": 2.3, "n_trials": 1000}
    return zero(origin=origin, sources=sources, p_value=p, **fit)


@pytest.mark.parametrize("number", [1, 12, 1000])
def test_names_never_overlap_and_the_rest_is_counted(number):
    answer = many(number)
    figure, sidecar = plot.stack_figure(answer, name="stack-many")
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
    assert sidecar.slug == "stack-many-synthetic"
    if number == 1000:
        order = sorted((row["ts_term"] for row in answer["sources"]), key=abs)[:-20]
        assert axes.get_yticklabels()[-1].get_text() == "980 others"
        assert f"{sum(order):.2f}".lstrip("-") in axes.texts[0].get_text()
        assert "the 20 largest of 1000 sources" in sidecar.caption


def test_bars_are_the_terms_largest_first_and_told_apart_in_grey():
    answer = many(12)
    figure, sidecar = plot.stack_figure(answer, name="stack-many")
    bars = figure.axes[0].patches
    assert [bar.get_width() for bar in bars] == sorted((row["ts_term"] for row in answer["sources"]), reverse=True)
    assert all(bool(bar.get_hatch()) == (bar.get_width() < 0) for bar in bars)
    grey = np.asarray(Image.open(io.BytesIO(png(figure))).convert("L"))
    assert grey.min() < 60  # dark bars beside hatched ones on white
    for number in ("local p = 0.01", "12.0", "1000 trials", "seed 1"):
        assert number in sidecar.caption


def test_a_stack_without_signal_says_so_in_its_figure():
    figure, sidecar = plot.stack_figure(zero(), name="stack-two")
    assert not figure.axes[0].patches
    assert "no signal fitted" in figure.axes[0].texts[0].get_text()
    assert "SYNTHETIC" not in figure._suptitle.get_text()
    assert (sidecar.slug, sidecar.origin) == ("stack-two", "real")
    with pytest.raises(InputError, match="no sources"):
        plot.stack_figure(zero(sources=[]), name="stack-none")
