"""Benchmarks: the plain twins are right, reports say what was measured.  No time is asserted anywhere."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_problem as small

from nuanalysis import trials
from nuanalysis.errors import EnvironmentFault
from nuanalysis.likelihood import maximise
from nuanalysis.model import prepare, terms

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from measures import clock, commands, figures, page, problems, rows, scaling, twins
from measures import report as reports
from measures.records import Curve, Machine, NotMeasured, Report, Row

SHORT = rows.Effort(rounds=1, seconds=0.0, processes=1)
ROW = Row(
    "template", "a trial", "synthetic", "CPU of one core", "ms", 0.25, 0.1, "numpy twin", 4.0, 0.5, 5, 80, "a note"
)
SLOW = replace(ROW, name="slow", what="a slow trial", ours=2.0, note="")
FREE = replace(ROW, name="free", what="no budget", budget=None, origin="real")
CURVES = (
    Curve("trial", "events", scaling.OURS, (10.0, 100.0, 1000.0), (1.0, 9.0, 100.0), 1.0),
    Curve("trial", "events", "numpy twin", (10.0, 100.0, 1000.0), (20.0, 180.0, 1900.0), None),
    Curve("stack", "stacked sources", scaling.OURS, (1.0, 1000.0), (2.0, 200.0), 0.0),
)
MACHINE = Machine("2026-01-02", "Linux x86_64", "a processor", 2, 24.0, 0.5, (("Python", "3.11"), ("numpy", "2.0")))
REPORT = Report(MACHINE, (ROW, SLOW, FREE), (NotMeasured("setup", "set-up", "s", 120.0, "elsewhere"),), CURVES)


# --- twins -----------------------------------------------------------------------------------------------------------


def moved(sample, seed):
    """The sample with other right ascensions, a third of them on one side: fits far from zero."""
    events = sample.events.copy()
    n = events.sizes["event"]
    rng = np.random.default_rng(seed)
    ra = np.where(rng.random(n) < 0.7, rng.uniform(0, 2 * np.pi, n), rng.normal(4.4, 0.4, n) % (2 * np.pi))
    events["right_ascension"] = events["right_ascension"].copy(data=ra)
    return replace(sample, events=events)


ONE = (small.SOURCES[0],)
SINGLE = small.stack_hypothesis(free=True, sources=ONE)
# In the package wide classes of angular error have wide pixels, in the twin not: some per cent of TS.
IN_MAPS = 0.1
CASES = {  # hypothesis, number of samples, nside, relative precision of TS
    "template": (small.template_hypothesis(), 1, 32, IN_MAPS),
    "template, two samples": (small.template_hypothesis(), 2, 32, IN_MAPS),
    "one source, free index": (SINGLE, 1, 32, 1e-6),
    "one source, two samples": (SINGLE, 2, 32, 1e-6),
    "one source, fixed index": (small.stack_hypothesis(free=False, sources=ONE), 1, 32, 1e-6),
    "three sources, one by one": (small.stack_hypothesis(free=True), 1, 32, 1e-6),
    "three sources, in maps": (small.stack_hypothesis(free=True), 1, 64, IN_MAPS),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_twin_has_our_ts(case):
    hypothesis, n, nside, precision = CASES[case]
    found = []
    for seed in range(2):
        samples = tuple(moved(small.sample(2000, seed=k, name=f"s{k}", nside=nside), seed + 10 * k) for k in range(n))
        ours = maximise(terms(prepare(hypothesis, samples)))
        twin = twins.data_fit(twins.make_twin(hypothesis, samples))
        assert twin.ts == pytest.approx(ours.ts, rel=precision)
        assert twin.n_signal == pytest.approx(ours.n_signal, rel=max(precision, 1e-3))
        found.append(twin.ts)
    assert max(found) > 5.0


def test_tilted_scrambles_of_the_twin_have_mean_weight_one():
    hypothesis, samples = small.template_hypothesis(), (small.sample(2000),)
    sd = float(trials.uncertainty(prepare(hypothesis, samples))[0])
    tilts = (trials.Tilt(0.0, 0, 0.4), trials.Tilt(1.5 * sd, 0, 0.3), trials.Tilt(3.0 * sd, 0, 0.3))
    twin = twins.make_twin(hypothesis, samples)
    weight = np.exp([twins.tilted_scramble(twin, tilts, seed)[1] for seed in range(300)])
    assert weight.mean() == pytest.approx(1.0, abs=4 * weight.std() / np.sqrt(len(weight)))
    assert weight.std() > 0.1  # tilted at all


def test_scrambles_of_the_twin_are_those_of_their_seed():
    twin = twins.make_twin(SINGLE, (small.sample(500),))
    assert twins.scramble(twin, 3) == twins.scramble(twin, 3)


# --- problems --------------------------------------------------------------------------------------------------------


def test_copies_are_other_events_of_the_same_kind():
    sample = small.sample(500)
    many = problems.copies(sample, 4)
    assert many.events.sizes["event"] == 2000
    assert many.livetime == pytest.approx(4 * sample.livetime)
    assert len(np.unique(many.array("declination"))) == 2000
    assert abs(many.array("declination") - np.tile(sample.array("declination"), 4)).max() <= np.radians(1.0)
    assert (many.array("log10_energy") == np.tile(sample.array("log10_energy"), 4)).all()


def test_sources_lie_along_the_plane():
    import healpy as hp

    sources = problems.plane_sources(200).target.sources
    ra, dec = (np.degrees([getattr(s, name) for s in sources]) for name in ("right_ascension", "declination"))
    longitude, latitude = hp.Rotator(coord=["C", "G"])(ra, dec, lonlat=True)
    assert np.std(latitude) == pytest.approx(2.0, rel=0.2)
    assert np.histogram(longitude % 360, 4, (0, 360))[0].min() > 20
    assert len(problems.plane_sources(1).target.sources) == 1


# --- clock -----------------------------------------------------------------------------------------------------------


def test_contenders_take_turns_and_the_best_round_counts():
    seen = []

    def watch(name, laps):
        laps = iter(laps)

        def timed(first, last):
            seen.append(name)
            return next(laps)

        return timed

    first, second = clock.race(
        (watch("a", (9.0, 5.0, 3.0, 4.0)), watch("b", (9.0, 7.0, 8.0, 6.0))), rounds=3, seconds=0.0
    )
    assert seen == ["a", "b", "a", "b", "a", "b", "a", "b"]  # once each to warm up
    assert (first.best, first.median, first.rounds, first.repetitions) == (3.0, 4.0, 3, 1)
    assert first.spread == pytest.approx(1 / 3)
    assert second.best == 6.0


def test_rounds_are_as_long_as_asked_for():
    assert clock.repetitions(lambda first, last: 0.01 * (last - first), 0.5) == 50
    assert clock.repetitions(lambda first, last: 2.0 * (last - first), 0.5) == 1


def test_memory_of_a_fresh_process_is_its_own():
    ballast = np.ones(30_000_000)
    peak = float(clock.fresh("from measures import clock; print(clock.peak_megabytes())"))
    assert 10 < peak < clock.peak_megabytes() - 100
    assert ballast.nbytes == 240_000_000


def test_a_failing_process_is_named():
    with pytest.raises(EnvironmentFault, match="exit code 1: ZeroDivisionError"):
        clock.fresh("1 / 0")


# --- rows ------------------------------------------------------------------------------------------------------------


def test_a_row_whose_data_are_missing_is_named_with_its_reason(monkeypatch, tmp_path):
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path))
    found, missing = rows.measure((rows.template_joint,), SHORT, lambda _: None)
    assert found == []
    assert [m.name for m in missing] == ["template-joint"]
    assert "data ls" in missing[0].reason
    assert str(tmp_path) not in missing[0].reason


def test_a_trial_row_has_both_times():
    row = rows.trial_row("x", "y", (lambda a, b: 1e-3 * (b - a), lambda a, b: 5e-3 * (b - a)), SHORT, budget=2.0)
    assert (row.ours, row.reference, row.ratio, row.met) == pytest.approx((1.0, 5.0, 5.0, True))


def test_budgets():
    assert (ROW.met, SLOW.met, FREE.met) == (True, False, None)
    assert (ROW.ratio, SLOW.ratio) == (16.0, 2.0)


def test_growth_is_a_power():
    assert [curve.exponent for curve in CURVES] == pytest.approx([1.0, np.log10(95) / 2, 2 / 3])
    assert replace(CURVES[0], first=1).exponent == pytest.approx(np.log10(100 / 9))


@pytest.mark.slow
def test_the_commands_that_are_timed_give_what_their_rows_say(monkeypatch):
    """A little of each, on the twin."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    row = commands.pvalue(9.0, SHORT)
    assert row.ours > 0.0
    assert row.ratio > 1.0
    assert "sigma) to" in row.note


# --- pages -----------------------------------------------------------------------------------------------------------


def test_the_page_has_every_number():
    said = page.markdown(REPORT, {"figures/scaling.png": "cost"}, ("## Beside another program",))
    assert "| a trial [1]; CPU of one core | 0.25 ms | 4 ms, numpy twin | 16 | 0.5 ms | yes | 10 % | 5 × 80 |" in said
    assert "| a slow trial; CPU of one core | 2 ms | 4 ms, numpy twin | 2 | 0.5 ms | **no** |" in said
    assert "| no budget [3]; CPU of one core | 0.25 ms | 4 ms, numpy twin | 16 | none |  |" in said
    assert "- [1] a note." in said
    assert "| trial, nuanalysis | 10 events: 1 ms | 1,000 events: 100 ms | events^1.00 | linear | yes |" in said
    assert "stacked sources^0.67 | flat | **no** |" in said
    assert "| set-up | 120 s | elsewhere |" in said
    assert "a processor, 2 cores, 24 GB, Linux x86_64; load 0.5 when it began; Python 3.11, numpy 2.0" in said
    assert "## Beside another program" in said
    assert "![cost](figures/scaling.png)" in said
    assert "busy with other work" not in said
    full = replace(REPORT, machine=replace(MACHINE, load=3.0))
    assert "busy with other work** (load 3.0 on 2 cores)" in page.markdown(full, {})
    for line in said.splitlines():  # every table line has the cells of its head
        assert not line.startswith("|") or line.count("|") in (9, 7, 4)


def test_the_text_says_what_is_not_met_and_what_is_missing():
    said = page.text(REPORT)
    assert "NOT MET" in said
    assert "not measured: elsewhere" in said
    assert "beside numpy twin; a note" in said


def test_numbers_are_short():
    assert [page.number(v) for v in (0.012345, 0.5, 12.34, 1234.5, 7.1e8)] == [
        "0.0123",
        "0.5",
        "12.3",
        "1,234",
        "7.1e+08",
    ]


def test_figures_have_labels_and_the_word_synthetic(tmp_path):
    names = figures.draw(REPORT, tmp_path / "figures")
    assert set(names) == {"ratios.png", "scaling.png"}
    assert all((tmp_path / "figures" / name).stat().st_size > 5000 for name in names)
    scaling, ratios = figures.scaling(CURVES), figures.ratios(REPORT.rows)
    assert [axes.get_xlabel() for axes in scaling.axes] == ["number of events", "number of stacked sources"]
    assert all("ms" in axes.get_ylabel() and axes.get_yscale() == "log" for axes in scaling.axes)
    assert "SYNTHETIC" in scaling.get_suptitle()
    assert "SYNTHETIC and real" in ratios.get_suptitle()


def test_without_curves_there_is_no_scaling_figure(tmp_path):
    assert set(figures.draw(replace(REPORT, curves=()), tmp_path)) == {"ratios.png"}


# --- command line ----------------------------------------------------------------------------------------------------


def test_the_program_answers_in_one_document(monkeypatch, capsys):
    monkeypatch.setattr(os, "environ", dict(os.environ))  # it holds its own process to one thread
    import run

    measured, missing = rows.measure((rows.importing,), SHORT, lambda _: None)
    report = replace(REPORT, machine=reports.machine(), rows=tuple(measured), not_measured=tuple(missing))
    monkeypatch.setattr(run, "run", lambda *, quick, say: report)
    monkeypatch.setattr(sys, "argv", ["run.py", "--quick", "--json"])
    run.main()
    said = json.loads(capsys.readouterr().out)
    assert set(said) == {"machine", "rows", "not_measured", "curves"}
    (row,) = said["rows"]
    assert {"name", "what", "ours", "reference_name", "reference", "ratio", "budget", "unit", "met", "spread"} < set(
        row
    )
    assert row["name"] == "import"
    assert row["ratio"] == pytest.approx(row["reference"] / row["ours"])
    assert said["curves"][0]["exponent"] == pytest.approx(1.0)
    assert "numpy" in said["machine"]["versions"]
    monkeypatch.setattr(sys, "argv", ["run.py", "--quick"])
    run.main()
    assert capsys.readouterr().out.count("beside import numpy") == 1
