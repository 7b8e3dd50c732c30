"""Results held against what is packed beside them: p-values against their trials, spots against their maps.

Everything is computed anew with the formula of the answer from the same numbers, so they agree but for the order of
sums: to TOLERANCE.  What an answer calls not known is not doubted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nuanalysis import trials
from nuanalysis.answers.compare import CompareAnswer, Side
from nuanalysis.answers.extended import ExtendedAnswer, Hottest
from nuanalysis.answers.fit import FitAnswer
from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.answers.scan import ScanAnswer, Spot
from nuanalysis.answers.significance import SignificanceAnswer
from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import PrecisionError
from nuanalysis.publish._results import Entry, Results, SampleCard
from nuanalysis.records import Chance, Unknown
from nuanalysis.schema import Floats

TOLERANCE = 1e-6  # relative
SMOOTHED = 1e-2  # relative, of the integral of a map: each event is spread by a transform on the sphere
EXACT = 1e-9  # relative above 1, of a sum over the packed terms of all events
_DAY = 86400.0  # s
_PARTS = " + "  # joins the names of samples that are analysed together


def _differ(what: str, said: float | None, found: float | None, tolerance: float = TOLERANCE) -> Iterator[str]:
    """The fault of a number that is not the one found anew."""
    if said is None or found is None:
        if said is not found:
            yield f"{what} is {said}, expected {found}"
    elif not math.isclose(said, found, rel_tol=tolerance, abs_tol=1e-12):
        yield f"{what} is {said:.9g}, expected {found:.9g}"


def _weighted(said: Chance | Unknown, ts: float, background: xr.Dataset | None) -> Iterator[str]:
    """A local p-value against weighted trials."""
    if isinstance(said, Unknown) or background is None:
        return
    if ts <= 0.0:
        yield from _differ("p of a test statistic of zero", said.p, 1.0)
        return
    try:
        found = trials.p_value(background["ts"].values, background["log_weight"].values, ts)
    except PrecisionError as short:
        yield f"p is {said.p:.3g}, but the packed trials do not give one: {short}"
        return
    error = None if isinstance(said.error, Unknown) else said.error
    yield from _differ("p, of the packed trials,", said.p, found.p)
    yield from _differ("its error", error, found.p_error)
    yield from _differ("the number of trials", said.n_trials, found.n_trials)
    yield from _differ("ess", said.ess, found.ess)


def _same_model(answer: MeasureAnswer) -> Iterator[str]:
    """What a map says of its hypothesis: whether it may go out hangs on that."""
    said = {"hypothesis": answer.tested.hypothesis, "model_origin": answer.tested.model_origin}
    packed = {"map": answer.map, "likelihood": answer.likelihood}
    for what, dataset in packed.items():
        for name, expected in said.items():
            if dataset is not None and (found := dataset.attrs.get(name, expected)) != expected:
                yield f"{name} of the packed {what} is {found!r}, expected {expected!r}"
    n_signal, ts = answer.profile_n_signal, answer.profile_ts
    if len(n_signal) != len(ts):
        yield f"its profile has {len(ts)} values at {len(n_signal)} numbers of events"


def _summed(answer: MeasureAnswer) -> Iterator[str]:
    """The test statistic against the terms of all events; a run of earlier versions has none."""
    if answer.likelihood is None:
        return
    signal, mean, background, ratio = (
        answer.likelihood[name].values for name in ("signal", "signal_mean", "background", "ratio")
    )
    x = ratio * (signal - mean) / background
    found = 2.0 * math.fsum(np.log1p(answer.fitted.n_signal / answer.provenance.n_events * x))
    if not abs(found - answer.fitted.ts) <= EXACT * max(1.0, answer.fitted.ts):
        yield f"fitted.ts, of the packed likelihood, is {answer.fitted.ts:.12g}, expected {found:.12g}"


def _measured(answer: MeasureAnswer) -> Iterator[str]:
    if answer.trials is None or answer.map is None:
        yield "its trials or its map are not among the products"
    yield from _weighted(answer.chance, answer.fitted.ts, answer.trials)
    yield from _summed(answer)
    if answer.map is not None:
        if "ts" in answer.map.attrs:
            yield from _differ("fitted.ts, of the packed map,", answer.fitted.ts, float(answer.map.attrs["ts"]))
        yield from _same_model(answer)
        whole = float(answer.map["ts_density"].values.mean()) * 4.0 * np.pi
        yield from _differ("fitted.ts, the integral of the packed map,", answer.fitted.ts, whole, SMOOTHED)


def _log10_p(said: Chance, log10_p: float) -> Iterator[str]:
    """A local p-value against -log10 p in a map."""
    yield from _differ("its local p", said.p, min(10.0**-log10_p, 1.0))


def _spot(spot: Spot, sky: xr.Dataset, nside: int) -> Iterator[str]:
    pixel = int(hp.ang2pix(nside, spot.at.ra_deg, spot.at.dec_deg, lonlat=True))
    row = {name: float(sky[name].values[pixel]) for name in ("ts", "n_signal", "index", "log10_p")}
    yield from _differ("its ts", spot.fitted.ts, row["ts"])
    yield from _differ("its n_signal", spot.fitted.n_signal, row["n_signal"])
    yield from _differ("its index", spot.fitted.index, row["index"] if row["n_signal"] > 0.0 else None)
    yield from _log10_p(spot.local, row["log10_p"])
    south = hp.pix2ang(nside, np.arange(12 * nside**2), lonlat=True)[1] < 0.0
    there = south if spot.hemisphere == "south" else ~south
    yield from _differ("the largest -log10 p there", row["log10_p"], float(np.nanmax(sky["log10_p"].values[there])))


def _scanned(answer: ScanAnswer) -> Iterator[str]:
    if answer.sky is None:
        return
    if not answer.n_pixels == answer.sky.sizes["pixel"] == 12 * answer.nside**2:
        yield f"it has {answer.n_pixels} directions at nside {answer.nside}, the map {answer.sky.sizes['pixel']} pixels"
        return
    for spot in answer.hottest:
        found = _spot(spot, answer.sky, answer.nside)
        yield from (f"hottest spot of the {spot.hemisphere}: {fault}" for fault in found)


def _hottest(said: Hottest, positions: xr.Dataset) -> Iterator[str]:
    best = positions.isel(fit=int(np.argmin(positions["log10_p_local"].values)))
    yield from _differ("its extension", said.extension_deg, float(best["extension"]))
    yield from _differ("its ts", said.fitted.ts, float(best["ts"]))
    yield from _differ("its n_signal", said.fitted.n_signal, float(best["n_signal"]))
    yield from _differ("positions tried", said.n_positions, positions.sizes["fit"])
    yield from _log10_p(said.local, -float(best["log10_p_local"]))


def _extended(answer: ExtendedAnswer) -> Iterator[str]:
    if answer.positions is None:
        return
    sizes = answer.positions["extension"].values
    yield from (f"hottest position: {fault}" for fault in _hottest(answer.hottest, answer.positions))
    for one in answer.extensions:
        mine = answer.positions.isel(fit=np.flatnonzero(sizes == one.extension_deg))
        if not mine.sizes["fit"]:
            yield f"extension {one.extension_deg:g} deg is not among the packed positions"
            continue
        yield from (f"extension {one.extension_deg:g} deg: {fault}" for fault in _hottest(one, mine))


def _compared(answer: CompareAnswer) -> Iterator[str]:
    if answer.experiments is None:
        return
    q_a, q_b = (answer.experiments[name].values for name in ("q_a", "q_b"))
    a, b = answer.models
    yield from _differ("q", answer.q, b.ts - a.ts)
    for letter, side, q, own, other in (("a", a, answer.q, q_a, q_b), ("b", b, -answer.q, -q_b, -q_a)):
        found = trials.separation(own, other, answer.power_level)
        name, (given, at) = side.tested.hypothesis, _given(answer.experiments, side, letter)
        p = trials.as_large_given(own, given, q, at)
        shares = (("p", side.chance, p), ("power", side.power, found.power), ("right", side.right, found.right))
        for what, said, anew in (*shares, ("ties", side.ties, found.ties)):
            yield from _differ(f"{what} of {name}", said.p, anew.p)
            yield from _differ(f"trials of {what} of {name}", said.n_trials, anew.n_trials)


def _given(experiments: xr.Dataset, side: Side, letter: str) -> tuple[Floats, Floats]:
    """What q of a model is compared at: in its experiments (trial, quantity), and in the events."""
    names = [name for name in (f"root_ts_{letter}", f"index_{letter}") if name in experiments]
    index = side.norm.index.value if side.norm.index is not None else np.nan  # without events it does not matter
    at = np.array([np.sqrt(side.ts), index])[: len(names)]
    return np.column_stack([experiments[name].values for name in names]), at


def _fitted(answer: FitAnswer) -> Iterator[str]:
    yield from _weighted(answer.chance, answer.fitted.ts, answer.background)


def _significance(answer: SignificanceAnswer) -> Iterator[str]:
    yield from _weighted(answer.chance, answer.ts, answer.background)


_CHECKS: Mapping[type, Callable[[Any], Iterator[str]]] = {
    MeasureAnswer: _measured, FitAnswer: _fitted, SignificanceAnswer: _significance, ScanAnswer: _scanned,
    ExtendedAnswer: _extended, CompareAnswer: _compared,
}  # fmt: skip


def answer_faults(entries: Iterable[Entry]) -> Iterator[str]:
    """Every number of answers that what is packed with them does not give."""
    for entry in entries:
        yield from (f"{entry.section} {entry.name} on {entry.sample}: {fault}" for fault in _found(entry))


def _found(entry: Entry) -> Iterator[str]:
    check = _CHECKS.get(type(entry.answer))
    try:
        yield from () if check is None else check(entry.answer)
    except (KeyError, ValueError, TypeError, IndexError) as error:  # a dataset of another kind
        held = (f"{entry.product(Path(), kind)} holds no '{kind}'" for kind in entry.answer.products())
        yield f"{' or '.join(held)} ({error})"


def sample_faults(results: Results) -> Iterator[str]:
    """What answers say of their samples, samples of their seasons, and the cut flow of both, where they disagree."""
    held = {sample.sample: sample for sample in results.samples}
    if len(held) < len(results.samples):
        yield "a sample is listed twice"
    asked = [(entry.section, entry.sample, entry.name) for entry in results.answers]
    yield from (f"{section} {name} on {sample}: it is answered twice" for section, sample, name in _twice(asked))
    for entry in results.answers:
        found = _about(entry, held, results.seed)
        yield from (f"{entry.section} {entry.name} on {entry.sample}: {fault}" for fault in found)
    for sample in results.samples:
        days = sum(one.livetime_d for one in sample.seasons)
        events = sum(one.n_events for one in sample.seasons)
        yield from _differ(f"events of {sample.sample}, all seasons,", sample.n_events, events)
        yield from _differ(f"livetime of {sample.sample} in days", sample.livetime_s / _DAY, days)
        for season in sample.seasons:
            last = [row.events for row in results.cut_flow if (row.sample, row.season) == (sample.sample, season.name)]
            if last:
                yield from _differ(f"events of {season.name} after the last cut", last[-1], season.n_events)


def _about(entry: Entry, held: Mapping[str, SampleCard], seed: int) -> Iterator[str]:
    about, parts = entry.answer.provenance, entry.sample.split(_PARTS)
    if missing := [part for part in parts if part not in held]:
        yield f"the run holds no sample {' and '.join(missing)}"
        return
    yield from _differ("events", about.n_events, sum(held[part].n_events for part in parts))
    yield from _differ("seed", about.seed, seed)
    origins = {held[part].origin for part in parts}
    expected = origins.pop() if len(origins) == 1 else "mixed"
    if about.origin != expected:
        yield f"origin is {about.origin}, expected {expected}"


def _twice(names: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


def season_faults(results: Results, season: str, events: xr.Dataset) -> Iterator[str]:
    """What the card of a season says of its events, against the events."""
    for sample in results.samples:
        for one in sample.seasons:
            if one.name == season:
                days = float(events.attrs["livetime_s"]) / _DAY
                yield from _differ(f"events of {season}", one.n_events, events.sizes["event"])
                yield from _differ(f"livetime of {season} in days", one.livetime_d, days)
                if events.attrs["origin"] != sample.origin:
                    yield f"origin of {season} is {sample.origin}, expected {events.attrs['origin']}"
