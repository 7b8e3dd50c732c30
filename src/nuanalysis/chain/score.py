"""Score predictions of anybody on the benchmark of the open detector, with statistical errors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Literal

import numpy as np

from nuanalysis.chain._benchmark_reading import Known, Said, read_known, read_said, refuse_unfinished
from nuanalysis.chain._resolution import EDGES, FEWEST
from nuanalysis.detector import MEDIAN_PULL, TRUSTED, TRUTH
from nuanalysis.learn import Class, angle, area_under_curve, median, passing, reliability
from nuanalysis.records import Measured, Record, shown
from nuanalysis.schema import Bools, Floats
from nuanalysis.store import sha256_file

EFFICIENCY = 0.9  # of cascades, where the background is counted
Weighting = Literal["generated", "rate"]
Cascades = Literal["all", "contained"]


class Separation(Record):
    """How well cascades are told from through-going muons and bundles."""

    weighting: Weighting = shown("every generated event alike, or by its rate", short="weights")
    cascades: Cascades = shown("all cascades, or those with their vertex inside the hull of the strings", short="of")
    auc: Measured = shown("area under the curve", short="AUC")
    passing: Measured = shown("background that passes at 90 % of cascades", short="passes")
    upper: float | None = shown("upper limit of it, 90 %, where fewer than 10 effective events pass", None, form=".2g")
    effective: float = shown("effective events that pass", form=".1f", short="N_eff")


class ScoreRow(Record):
    """Resolution for cascades of an energy: medians."""

    low: float = shown("log10 E/GeV deposited from", form=".1f")
    high: float = shown("to", form=".1f")
    events: int = shown("events")
    angle: Measured = shown("angle to the truth, all", unit="deg")
    contained: Measured | None = shown("of contained cascades", None, unit="deg")
    pull: Measured = shown("angle over 1.177 sigma")
    vertex: Measured = shown("distance of the vertex", unit="m")
    energy: Measured = shown("distance in log10 of the deposited energy")


class ScoreAnswer(Record):
    """What predictions are worth on the test split of a benchmark."""

    benchmark: str = shown("benchmark")
    sha256: str = shown("sha256 of the predictions", hidden=True)
    events: int = shown("events scored")
    separation: tuple[Separation, ...] = shown("cascades against through-going muons and bundles")
    calibration_error: Measured = shown("expected calibration error of the probability of a cascade")
    rows: tuple[ScoreRow, ...] = shown("medians for cascades, by deposited energy")
    truth: str = shown("what it is", f"SYNTHETIC: {TRUTH}")


def score(predictions: Path, benchmark: Path) -> ScoreAnswer:
    """The score of a table of predictions on the benchmark in a folder.

    Raises InputError for predictions that are not one sound row for each event of the test split, DataError where the
    folder holds no finished benchmark.
    """
    refuse_unfinished(benchmark)
    return scored(predictions, benchmark)


def scored(predictions: Path, benchmark: Path) -> ScoreAnswer:
    """The same on a benchmark whose sums are not written yet."""
    known = read_known(benchmark)
    said = read_said(predictions, known)
    return ScoreAnswer(
        benchmark=known.name,
        sha256=sha256_file(predictions),
        events=len(known.event),
        separation=tuple(separations(known, said)),
        calibration_error=calibration_error(known, said),
        rows=tuple(score_rows(known, said)),
    )


def separations(known: Known, said: Said) -> Iterator[Separation]:
    """By odds of a cascade against the two muon classes; starting tracks are left out.

    Raises InputError where cascades or muons are missing.
    """
    muon = np.isin(known.label, (Class.THROUGH_GOING, Class.BUNDLE))
    against = said.probability[:, Class.THROUGH_GOING] + said.probability[:, Class.BUNDLE]
    odds = said.probability[:, Class.CASCADE] / np.maximum(against, 1e-300)
    weights: dict[Weighting, Floats] = {"generated": np.ones(len(muon)), "rate": known.rate}
    cascade = known.label == Class.CASCADE
    signals: dict[Cascades, Bools] = {"all": cascade, "contained": cascade & known.contained}
    for (name, weight), (which, signal) in product(weights.items(), signals.items()):
        of = muon | signal
        auc = area_under_curve(odds[of], signal[of], weight[of])
        left = passing(odds[of], signal[of], weight[of], EFFICIENCY)
        found = left.fraction
        yield Separation(
            weighting=name,
            cascades=which,
            auc=Measured(value=auc.value, error=auc.error),
            passing=Measured(value=found.value, error=found.error),
            upper=left.upper if found.events < TRUSTED else None,
            effective=found.events,
        )


def calibration_error(known: Known, said: Said) -> Measured:
    """Mean gap between probability and share of cascades in 20 bins, every event alike."""
    cascade = known.label == Class.CASCADE
    found = reliability(said.probability[:, Class.CASCADE], cascade, np.ones(len(cascade)))
    error = float(np.sqrt(((found.weight * found.error) ** 2).sum()))
    return Measured(value=found.calibration_error, error=error)


def score_rows(known: Known, said: Said) -> Iterator[ScoreRow]:
    """Of cascades in half-decades of deposited energy that hold at least 20 of them."""
    psi = angle(said.direction, known.direction)
    away = np.linalg.norm(said.vertex - known.vertex, axis=1)
    off = np.abs(said.log10_energy - known.log10_energy)
    cascade = known.label == Class.CASCADE
    for low, high in pairwise(EDGES):
        of = cascade & (known.log10_energy >= low) & (known.log10_energy < high)
        within = of & known.contained
        if of.sum() >= FEWEST:
            yield ScoreRow(
                low=low,
                high=high,
                events=int(of.sum()),
                angle=_middle(np.degrees(psi), of, "deg"),
                contained=_middle(np.degrees(psi), within, "deg") if within.sum() >= FEWEST else None,
                pull=_middle(psi / (MEDIAN_PULL * said.sigma), of),
                vertex=_middle(away, of, "m"),
                energy=_middle(off, of),
            )


def _middle(values: Floats, of: Bools, unit: str = "") -> Measured:
    """Median and its error; each median draws the same numbers, so that no order of calls matters."""
    found = median(values[of], np.random.default_rng(0))
    return Measured(value=found.value, error=found.error, unit=unit)
