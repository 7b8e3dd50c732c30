"""From a few words to an event that can be scanned: a published scan, a file of one, or a simulated cascade."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from nuanalysis.alerts import Alert
from nuanalysis.chain._cascade_likelihood import FittedCascade, fitted, light_of, likelihood_of, sky_of
from nuanalysis.chain._events import array
from nuanalysis.chain._light import Medium, light
from nuanalysis.chain._scan_levels import own_levels
from nuanalysis.chain._simulated_cascades import cascades
from nuanalysis.detector import TRUTH, hull, inside
from nuanalysis.engine.bench import Bench, Kept
from nuanalysis.engine.provenance import room_fingerprint
from nuanalysis.engine.sky_scans import SkyScan
from nuanalysis.errors import DataError, InputError, did_you_mean
from nuanalysis.ingest import find, realtime_scans
from nuanalysis.ingest.realtime_scans import PublishedScan
from nuanalysis.learn import EventPulses
from nuanalysis.library.icecat import known_alert
from nuanalysis.reconstruct import PUBLISHED, WILKS, EventLikelihood, Levels, Plan, TableLikelihood
from nuanalysis.trials.streams import Purpose, seed_for

#: Degrees of a pixel of order 0: sqrt(pi / 3) rad.
_PIXEL = float(np.sqrt(np.pi / 3.0))
_FINER = 3.5  # pixels are narrower than the error of the direction by this
_ORDERS = 3, 7  # of the finest pixels of a cascade
_TRACK_ORDERS = 3, 9
_COARSE_MASS, _STEADY = 1e-3, 0.02
SIMULATED = "simulated:"
SIMULATED_MJD = 60310.0  # of every simulated event: 2024-01-01
ENERGY_TEV = 100.0
Origin = Literal["real", "synthetic"]


@dataclass(frozen=True, slots=True, eq=False)
class EventToScan:
    """An event with its likelihood and the levels that go with it.

    name : fit for a file.  origin : of the event.  what : one sentence.  levels : those used first, then others that
    are shown beside them.  note : why these, '' where that needs no words.  truth : right ascension and declination of
    a simulated event, rad.  energy_tev : fitted, mjd, and
    sigma : error of the direction by the curvature of ln L, rad: NaN where unknown.
    alert : that announced it; None where none did.
    """

    name: str
    origin: Origin
    topology: Literal["track", "shower"]
    what: str
    scan: SkyScan
    levels: tuple[Levels, ...]
    note: str = ""
    truth: tuple[float, float] | None = None
    run: int = 0
    event_id: int = 0
    energy_tev: float = float("nan")
    mjd: float = float("nan")
    sigma: float = float("nan")
    alert: Alert | None = None


def event_to_scan(text: str, bench: Bench, *, max_order: int = 0, most: int = 5000) -> EventToScan:
    """The event that some words name.

    text : IC220524A or IC220624A; FILE.npz?declination=mirrored or =healpix in the form of skymap_scanner; or
    simulated:SEED?energy=TEV.  max_order : of the finest pixels, 0 for what suits the event.  most : pixels at most.
    Raises InputError for words that name none, DataError for a release that is not here.
    """
    if text.startswith(SIMULATED):
        return _simulated(text, bench, max_order, most)
    path, _, options = text.partition("?")
    if path in realtime_scans.EVENTS and not options:
        found = realtime_scans.read_scan(find(realtime_scans.RELEASE), path)
        event = _published(path, found, max_order, most, Path(realtime_scans.EVENTS[path]).name)
        return replace(event, alert=_announced(path))
    if path.endswith(".npz"):
        return _published(Path(path).stem, _file(Path(path), options), max_order, most, Path(path).name)
    known = [*realtime_scans.EVENTS, SIMULATED]
    raise InputError(
        f"no event '{text}'.{did_you_mean(text, known)} Expected {', '.join(realtime_scans.EVENTS)}, a scan "
        "FILE.npz?declination=mirrored (or healpix), or simulated:SEED?energy=TEV"
    )


# ---- published scans ----------------------------------------------------------------------------------------------


def _file(path: Path, options: str) -> PublishedScan:
    rules = {"declination=mirrored": True, "declination=healpix": False}
    if options not in rules:
        raise InputError(
            f"which way declination runs in {path} is not known: scans that are public store theta - 90 deg, others "
            f"may store 90 deg - theta; say {path}?declination=mirrored or {path}?declination=healpix, and compare the "
            "best pixel with a position you know"
        )
    return realtime_scans.read_scan_file(path, mirrored=rules[options])


def _published(name: str, found: PublishedScan, max_order: int, most: int, file: str) -> EventToScan:
    uniq = 4 ** (found.order + 1) + found.index
    rising = np.argsort(uniq)
    nuisance = np.stack([found.energy_inside, found.energy], axis=1)[rising]
    table = TableLikelihood(uniq[rising], found.minus_log_likelihood[rising], nuisance)
    digest = hashlib.sha256(b"".join(x.tobytes() for x in (table.uniq, table.minus_log_likelihood, table.nuisance)))
    first, last = int(found.order.min()), min(max_order or _TRACK_ORDERS[1], int(found.order.max()))
    plan = Plan(PUBLISHED, first=min(first, last), last=last, most=most)
    run, event_id = _numbers(file)
    return EventToScan(
        name=name,
        origin="real",
        topology="track",
        what=f"a published scan of {len(uniq):,} pixels, replayed: no pixel is fitted anew",
        scan=SkyScan(name, digest.hexdigest(), partial(_same, table), plan),
        levels=(PUBLISHED, WILKS),
        note="nothing public simulates IceCube's tracks; these are the levels of one event, used for all",
        run=run,
        event_id=event_id,
        energy_tev=float(found.energy_inside[np.argmin(found.minus_log_likelihood)]) * 1e-3,
    )


def _announced(name: str) -> Alert | None:
    """The alert of the catalogue; None where the catalogue is not here."""
    try:
        return known_alert(name)
    except DataError:
        return None


def _same(table: EventLikelihood) -> EventLikelihood:
    return table


def _numbers(file: str) -> tuple[int, int]:
    """Run and event out of a name as runRRRRRRRR-evtEEEEEEEEEEEE-..; zeros where it says neither."""
    words = file.split("-")
    digits = [word[3:] for word in words[:2]]
    if len(words) >= 2 and words[0].startswith("run") and words[1].startswith("evt") and all(map(str.isdigit, digits)):
        return int(digits[0]), int(digits[1])
    return 0, 0


# ---- simulated cascades -------------------------------------------------------------------------------------------


def _simulated(text: str, bench: Bench, max_order: int, most: int) -> EventToScan:
    seed, energy_tev = _words(text)
    event = next(cascades(Medium(), light(bench), seed=seed_for(seed, Purpose.TESTING), energy_tev=energy_tev))
    truth = sky_of(event.truth.direction, SIMULATED_MJD)
    found = cascade_to_scan(
        event.seen, bench, name=f"simulated-{seed}-{energy_tev:g}TeV", mjd=SIMULATED_MJD, max_order=max_order, most=most
    )
    return replace(
        found,
        what=f"a simulated cascade of an electron neutrino of {event.truth.energy[0] * 1e-3:.3g} TeV: {TRUTH}",
        truth=(float(truth[0][0]), float(truth[1][0])),
        event_id=event.number,
    )


def open_all() -> None:
    """Open what every scan of a cascade needs, kept for this process: array, ice, network of light.

    Raises DataError where the files of the detector are not here.
    """
    medium = Medium()
    array(medium)
    light_of(medium)


def cascade_to_scan(
    seen: EventPulses, bench: Bench, *, name: str, mjd: float, max_order: int = 0, most: int = 5000
) -> EventToScan:
    """A simulated cascade, of which nothing is known but its pulses, after its free fit.

    seen : as ``learn.near_pulses`` gives them, of modules of the medium of the chain.  mjd : of the event, UTC.
    Raises InputError for an event without light.
    """
    medium = Medium()
    found = fitted(seen, medium, mjd)
    pulses = hashlib.sha256(b"".join(x.tobytes() for x in (seen.module, seen.time, seen.charge, seen.saturated)))
    said = {"pulses": pulses.hexdigest(), "medium": asdict(medium), "mjd": mjd}
    code = room_fingerprint("detector", "response", "learn", "reconstruct", "chain")
    key = hashlib.sha256(json.dumps([said, code], sort_keys=True).encode()).hexdigest()
    log10_energy = found.top.log_energy / np.log(10.0)
    contained = bool(inside(hull(array(medium)), found.top.position[None])[0])
    own = own_levels("shower", log10_energy, contained)
    levels = (*own, WILKS, PUBLISHED)
    return EventToScan(
        name=name,
        origin="synthetic",
        topology="shower",
        what=f"a simulated cascade: {TRUTH}",
        scan=_cascade_scan(name, bench.keep(found, key), found, levels[0], max_order, most),
        levels=levels,
        note="" if own else f"no class was calibrated for 10^{log10_energy:.2f} GeV, contained: {contained}",
        energy_tev=found.top.energy * 1e-3,
        mjd=mjd,
        sigma=found.sigma,
    )


def _words(text: str) -> tuple[int, float]:
    """Seed and energy out of simulated:SEED?energy=TEV."""
    seed, _, option = text.removeprefix(SIMULATED).partition("?")
    key, _, value = option.partition("=")
    good = seed.isascii() and seed.isdigit() and len(seed) <= 12 and (not option or key == "energy")
    try:
        energy = float(value) if option else ENERGY_TEV
    except ValueError:
        good = False
    if not good:
        raise InputError(f"'{text}' names no simulated event; expected simulated:SEED or simulated:SEED?energy=TEV")
    return int(seed), energy


def _cascade_scan(name: str, kept: Kept, found: FittedCascade, levels: Levels, max_order: int, most: int) -> SkyScan:
    plan = cascade_plan(found.sigma, levels, max_order, most)
    opened: Callable[[], EventLikelihood] = partial(likelihood_of, kept)
    return SkyScan(name, kept.path.stem, opened, plan, (kept,))


def cascade_plan(sigma: float, levels: Levels, max_order: int = 0, most: int = 5000) -> Plan:
    """How a cascade with an error of the direction, rad, is scanned; max_order : 0 for what suits that error."""
    last = max_order or finest_order(sigma)
    return Plan(levels, first=min(2, last), last=last, coarse_mass=_COARSE_MASS, steady=_STEADY, most=most)


def finest_order(sigma: float) -> int:
    """The order whose pixels are narrower than an error of the direction, rad, by 3.5: 3 to 7, nside 8 to 128."""
    return int(np.clip(np.ceil(np.log2(_FINER * _PIXEL / sigma)), *_ORDERS))
