"""Sources by their words, and a stream of synthetic cascade alerts, fitted and announced as fast as they come.

They carry the mission 'nuanalysis-simulation' and the tense 'test'; nothing in them is measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nuanalysis.alerts import Alert, Region, cascade_stream, notice_json, notice_of
from nuanalysis.chain.scanned_events import EventToScan, event_to_scan
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.library.icecat import known_alerts
from nuanalysis.realtime.sources import SIMULATED_EVENT, AlertSource, FolderSource, Heard, KafkaSource, ReplaySource
from nuanalysis.trials.streams import Stream, seed_of

STREAM = "simulated-cascade"
ENERGIES_TEV = (100.0, 1000.0)  # true ones, log-uniform
_MOST = 100_000  # events of a stream
_STREAM_TEV = (0.5, 500.0)  # reconstructed energies of which the published tables know a purity
_NINETY = 2.146  # radius that holds 90 % of a round normal law, in units of its width
ENERGY = "deposited energy of the fit, taken for that of the neutrino"


@dataclass(frozen=True, slots=True)
class SimulatedSource:
    """``number`` cascades, each a pure function of the seed and its place; gap_s : seconds between two, 0 for none."""

    bench: Bench
    seed: int
    number: int
    gap_s: float = 0.0

    def __iter__(self) -> Iterator[Heard]:
        """Each with the clock started when its light was there."""
        for k in range(self.number):
            if k and self.gap_s:
                time.sleep(self.gap_s)
            yield simulated_alert(event_words(self.seed, k), self.bench, self.seed, k)


def simulated_alert(words: str, bench: Bench, seed: int, k: int) -> Heard:
    """The event that some words name, fitted and announced as alert k of a seed; its clock starts before it is made."""
    began = time.monotonic()
    alert = announced(event_to_scan(words, bench), seed, k)
    data = notice_json(notice_of(alert, sent=alert.time))
    return Heard(data, words, alert, ((SIMULATED_EVENT, words),), since=began)


def event_words(seed: int, k: int) -> str:
    """The k-th event of a seed as ``realtime scan`` takes it."""
    rng = np.random.Generator(np.random.Philox(key=[seed_of(seed, Stream.SIMULATED_ALERTS), k]))
    low, high = np.log10(ENERGIES_TEV)
    energy = float(10 ** rng.uniform(low, high))
    return f"simulated:{int(rng.integers(10**9))}?energy={energy:.1f}"


def announced(event: EventToScan, seed: int, k: int) -> Alert:
    """Revision 0 of a simulated cascade, from its free fit."""
    best = event.scan.open().best
    assert best is not None  # a fit with the direction free went before
    energy = float(event.energy_tev)
    stream = cascade_stream(float(np.clip(energy, *_STREAM_TEV)))
    return Alert(
        name=f"SIM-{seed}-{k}",
        run=max(seed, 1),  # notices know no run 0
        event_id=k + 1,
        time=event.mjd,
        stream=STREAM,
        tier="cascade",
        topology="shower",
        energy_tev=energy,
        energy_kind=ENERGY,
        p_astro=stream.purity,
        far_per_yr=stream.far_per_yr,
        method="cascade: tables of the sample of 2023, all declinations",
        region=Region(
            right_ascension=best.right_ascension,
            declination=best.declination,
            radius=_NINETY * event.sigma,
            radius_definition="90 % of a round normal law, from the curvature of the fit; not calibrated",
        ),
        tense="test",
        origin="synthetic",
    )


def source_of(words: str, bench: Bench, *, seed: int = 1, speed: float = 0.0) -> AlertSource:
    """The source that some words name: replay, gcn, simulated:NUMBER, or the folder of notices.

    Raises InputError for anything else, DataError where the catalogue of a replay is not here.
    """
    if words == "replay":
        return ReplaySource(known_alerts(), speed)
    if words == "gcn":
        return KafkaSource()
    kind, _, number = words.partition(":")
    if kind == "simulated":
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= _MOST):
            raise InputError(f"'{words}' names no stream; expected simulated:NUMBER, 1 to {_MOST:,} events")
        return SimulatedSource(bench, seed, int(number))
    if not Path(words).is_dir():
        known = ("replay", "gcn", "simulated:3")
        raise InputError(f"no source '{words}', and no such folder.{did_you_mean(words, known)}")
    return FolderSource(Path(words))
