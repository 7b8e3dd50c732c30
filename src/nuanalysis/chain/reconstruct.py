"""Reconstruct simulated cascades with trained networks: class, direction, place, energy and their errors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from nuanalysis.chain._events import Recipe, Seen, array, joined, opened, simulated, taken
from nuanalysis.chain._figures import event_figure
from nuanalysis.chain._judge import Judgement, judge
from nuanalysis.chain._light import Medium
from nuanalysis.chain._networks import trained
from nuanalysis.chain._step import Step
from nuanalysis.chain.train import CASCADES_ALONE
from nuanalysis.deferred import units as u
from nuanalysis.detector import MEDIAN_PULL, TRUTH, hull, inside
from nuanalysis.engine.bench import Bench
from nuanalysis.learn import Class, angle, median
from nuanalysis.records import Measured, Record, setting, shown
from nuanalysis.schema import Bools
from nuanalysis.store import atomic_write, table_ecsv
from nuanalysis.trials.streams import Purpose, seed_for

if TYPE_CHECKING:
    from astropy.table import QTable

EDGES = (3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0)  # of log10 E/GeV deposited
_FEWEST = 20  # events of a row


class ResolutionRow(Record):
    """Resolution for cascades of an energy."""

    low: float = shown("log10 E/GeV from", form=".1f")
    high: float = shown("to", form=".1f")
    events: int = shown("events")
    angle: Measured = shown("median angle, all", unit="deg")
    contained: Measured | None = shown("median angle, contained", None, unit="deg")
    pull: Measured = shown("median of angle over 1.177 sigma")
    vertex: Measured = shown("median distance of the vertex", unit="m")


class ReconstructAnswer(Record):
    """What networks made of simulated cascades."""

    networks: tuple[str, ...] = shown("networks, sha256", hidden=True)
    medium: str = shown("ice and modules")
    made: int = shown("events made")
    judged: int = shown("events reconstructed")
    rows: tuple[ResolutionRow, ...] = shown("by deposited energy")
    simulating_s: float = shown("seconds of simulation", unit="s", form=".1f")
    reconstructing_s: float = shown("seconds of reconstruction", unit="s", form=".1f")
    files: tuple[str, ...] = shown("table of the events, and one of them drawn")
    truth: str = shown("what it is", TRUTH)


class Reconstruct(Step):
    """Reconstruct simulated cascades with the networks of the run, or with those that come with the package."""

    events: int = setting(1000, low=100, high=10_000_000, help="cascades made, with random numbers of no training")

    def take(self, bench: Bench) -> ReconstructAnswer:
        names = [trained(bench.folder, task).network for task in ("classes", "direction")]
        began = time.monotonic()
        recipe = Recipe(seed_for(self.seed, Purpose.TESTING), self.events, self.medium, CASCADES_ALONE)
        seen = joined([opened(path) for path in simulated(recipe, bench, "direction-testing")])
        made_at = time.monotonic()
        judged = judge(seen, bench.folder, self.medium)
        done_at = time.monotonic()
        path = bench.folder / "reconstructed-synthetic.ecsv"
        atomic_write(path, table_ecsv(_table(seen, judged, self.seed)))
        figure = event_figure(seen, judged, self.medium, bench.folder)
        return ReconstructAnswer(
            networks=tuple(f"{one.name} {one.card.sha256}" for one in names),
            medium=str(self.medium),
            made=recipe.total,
            judged=len(judged.events),
            rows=tuple(_rows(seen, judged, self.medium)),
            simulating_s=made_at - began,
            reconstructing_s=done_at - made_at,
            files=(str(path), str(figure)),
        )


def _rows(seen: Seen, judged: Judgement, medium: Medium) -> Iterator[ResolutionRow]:
    truth, rng = taken(seen.truth, judged.events), np.random.default_rng(0)
    psi, log_energy = angle(judged.said.direction, truth.direction), np.log10(np.maximum(truth.deposited, 1.0))
    away = np.linalg.norm(judged.said.vertex - truth.vertex, axis=1)
    contained = inside(hull(array(medium)), truth.vertex)

    def middle(values: np.ndarray, of: Bools) -> Measured:
        found = median(values[of], rng)
        return Measured(value=found.value, error=found.error)

    for low, high in pairwise(EDGES):
        of = (log_energy >= low) & (log_energy < high)
        if of.sum() >= _FEWEST:
            yield ResolutionRow(
                low=low,
                high=high,
                events=int(of.sum()),
                angle=middle(np.degrees(psi), of),
                contained=middle(np.degrees(psi), of & contained) if (of & contained).sum() >= _FEWEST else None,
                pull=middle(psi / (MEDIAN_PULL * judged.sigma), of),
                vertex=middle(away, of),
            )


def _table(seen: Seen, judged: Judgement, seed: int) -> QTable:
    """A row for each event: truth and what the networks say; directions as they come from, in detector coordinates."""
    from astropy.table import QTable

    truth, said = taken(seen.truth, judged.events), judged.said
    columns = {
        "number": truth.number,
        "pdg": truth.pdg,
        "log10_energy_true": np.log10(truth.energy),
        "log10_deposited_true": np.log10(np.maximum(truth.deposited, 1.0)),
        "log10_deposited": said.log10_energy,
        "zenith_true": np.arccos(np.clip(-truth.direction[:, 2], -1.0, 1.0)) * u.rad,
        "azimuth_true": np.arctan2(-truth.direction[:, 1], -truth.direction[:, 0]) % (2 * np.pi) * u.rad,
        "zenith": np.arccos(np.clip(-said.direction[:, 2], -1.0, 1.0)) * u.rad,
        "azimuth": np.arctan2(-said.direction[:, 1], -said.direction[:, 0]) % (2 * np.pi) * u.rad,
        "angular_error": judged.sigma * u.rad,
        "vertex_true": truth.vertex * u.m,
        "vertex": said.vertex * u.m,
        **{f"probability_{one.name.lower()}": judged.probability[:, one] for one in Class},
    }
    return QTable(columns, meta={"origin": "synthetic", "truth": TRUTH, "seed": seed})
