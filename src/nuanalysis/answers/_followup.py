"""What a follow-up search says of one window: events, chance, limit and sensitivity, from trials on a bench."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from nuanalysis import trials
from nuanalysis.answers._question import position
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench, Ensemble, Kept
from nuanalysis.engine.ensembles import problem_fingerprint
from nuanalysis.errors import PrecisionError
from nuanalysis.interpret import time_windows
from nuanalysis.likelihood import Places, WindowFit, Yardstick, burst_of, window_fit, yardstick
from nuanalysis.model import Hypothesis, Sample
from nuanalysis.records import Carried, Chance, Measured, Position, Record, Unknown, carried, certain, shown
from nuanalysis.schema import Bools, Floats, Ints
from nuanalysis.selection import Runs, Window, window
from nuanalysis.sky.records import Catalogue, PointSource, PowerLaw
from nuanalysis.trials.streams import Stream, seed_of

METHOD = "fresh trials: a Poisson number of events of the season, right ascensions uniform"
TO_90 = float(np.sqrt(-2.0 * np.log(0.1)))  # radius that holds 90 per cent of a round Gaussian, in sigma
SHOWN_WITHIN = float(np.radians(5.0))  # of the region: events that are listed
_BATCH, _BURST_BATCH = 20_000, 500


class NearEvent(Record):
    """An event of a window near the alert.

    coincident : within its own 90 % radius of the position, or of the 90 % region.
    """

    after_s: float = shown("seconds after the alert", form=".1f", short="t")
    ra_deg: float = shown("right ascension, deg", form=".2f", short="RA")
    dec_deg: float = shown("declination, deg", form=".2f", short="dec")
    sigma_deg: float = shown("angular error, deg", form=".2f", short="sigma")
    log10_energy: float = shown("log10 of the reconstructed energy in GeV", form=".2f", short="log E")
    separation_deg: float = shown("from the best position, deg", form=".2f", short="from")
    signal_over_background: float = shown("S / (n_b B) at the fitted place", form=".3g", short="S/B")
    coincident: bool = shown("in coincidence", short="in")


class WindowFlux(Record):
    """Limit and sensitivity of a window, in events and as a fluence, and the energies they hold for.

    sensitivity_low, sensitivity_high : over the declinations of the 90 % region; of an exact place both are the one.
    """

    limit_events: Measured | Unknown = shown("90 % upper limit, mean events", short="limit")
    limit: Measured | Unknown = shown("90 % upper limit on E^2 F at 1 TeV", short="E2F limit")
    sensitivity: Measured | Unknown = shown("sensitivity, the median limit without signal", short="sensitivity")
    sensitivity_low: float | None = shown("lowest sensitivity in the 90 % region, GeV cm-2", None, form=".3g")
    sensitivity_high: float | None = shown("highest sensitivity in the 90 % region, GeV cm-2", None, form=".3g")
    energy_low_gev: float = shown("5 % of the expected events have less energy", unit="GeV", form=".3g")
    energy_high_gev: float = shown("5 % of the expected events have more energy", unit="GeV", form=".3g")


class SearchedWindow(Record):
    """A window around an alert, and what was found in it."""

    length_s: float = shown("length", unit="s", form=",.0f", short="length")
    live_s: float = shown("observing time inside", unit="s", form=",.1f", short="live")
    n_events: int = shown("events inside, whole sky", short="events")
    n_background: Measured = shown("expected of background, whole sky", short="expected")
    n_coincident: int = shown("events in coincidence", short="coincident")
    ts: float = shown("test statistic TS", form=".2f", short="TS")
    n_signal: float = shown("fitted signal events n_s", form=".2f", short="n_s")
    fitted_at: Position = shown("at", hidden=True)
    chance: Chance = shown("chance", short="p")
    flux: WindowFlux = shown("")
    near: tuple[NearEvent, ...] = shown("events within 5 deg of the alert", (), hidden=True)
    background: Carried[xr.Dataset] = carried()


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A follow-up as it is searched.

    source (place,) : probability of each place.    inside (place,) : those of the 90 % region.
    own : numbers of the events that are the alert itself.
    """

    season: Sample
    runs: Runs
    stick: Yardstick
    mjd: float
    index: float
    off_d: float
    places: Places
    source: Floats
    inside: Bools
    own: Ints
    seed: int
    fingerprint: str


def spectrum_of_nowhere(index: float) -> Hypothesis:
    """A source with a fixed index; of a place that does not matter."""
    source = PointSource("burst", 0.0, 0.0)
    return Hypothesis("burst", Catalogue("burst", "a burst", (source,), (1.0,), "a burst"), index, False)


def asked_of(
    season: Sample, runs: Runs, *, mjd: float, index: float, off_d: float, region: tuple[Places, Floats, Bools],
    own: Ints, seed: int,
) -> Asked:  # fmt: skip
    """A follow-up on a season, its densities made once for all windows."""
    hypothesis = spectrum_of_nowhere(index)
    places, source, inside = region
    digest = hashlib.sha256(problem_fingerprint(hypothesis, (season,)).encode())
    for array in (places.right_ascension, places.declination, places.penalty, source, own):
        digest.update(np.ascontiguousarray(array).tobytes())
    return Asked(
        season, runs, yardstick(hypothesis, season), mjd, index, off_d, places, source, inside, own, seed,
        digest.hexdigest(),
    )  # fmt: skip


def own_events(season: Sample, *, mjd: float, ra: float, dec: float, within_s: float, within: float) -> Ints:
    """Numbers of the events that are the alert itself: the nearest in direction of those at its time, or none.

    within_s, within : how far in time and direction, rad, it may lie.
    """
    at = np.flatnonzero(np.abs(season.array("mjd") - mjd) * 86400.0 <= within_s)
    apart = time_windows.separation(season.array("right_ascension")[at], season.array("declination")[at], ra, dec)
    if not len(at) or apart.min() > within:
        return np.empty(0, dtype=np.int64)
    return at[[int(apart.argmin())]]


def searched(asked: Asked, length_s: float, n_trials: int, n_bursts: int, bench: Bench) -> SearchedWindow:
    """Search one window.  Raises InputError as ``selection.window``."""
    mjd = asked.season.array("mjd")
    found = window(mjd, asked.runs, centre=asked.mjd, length_s=length_s, off_d=asked.off_d, own=asked.own)
    events = asked.season.events.isel(event=found.on)
    columns = ("declination", "log10_energy", "angular_error")
    burst = burst_of(asked.stick, *(np.asarray(events[name].values, dtype=np.float64) for name in columns))
    ra = np.asarray(events["right_ascension"].values, dtype=np.float64)
    fit = window_fit(burst, ra, found.n_background, asked.places)
    background, bursts = _trials(asked, found, n_trials, n_bursts, bench)
    near = _near(asked, events, fit)
    place = fit.place
    return SearchedWindow(
        length_s=length_s,
        live_s=found.live_s,
        n_events=len(found.on),
        n_background=Measured(value=found.n_background, error=found.n_background_error),
        n_coincident=sum(one.coincident for one in near),
        ts=fit.ts,
        n_signal=fit.n_signal,
        fitted_at=position(float(asked.places.right_ascension[place]), float(asked.places.declination[place])),
        chance=chance_of(background["ts"].values, fit.ts),
        near=near,
        background=background,
        flux=_flux(asked, bursts, fit.ts, float(np.median(background["ts"].values))),
    )


def chance_of(ts: Floats, observed: float) -> Chance:
    """Share of trials (trial,) with a TS at least as large; 1 where TS is 0."""
    if observed <= 0.0:
        return certain()
    n, met = len(ts), int((ts >= observed).sum())
    p = met / n
    return Chance(
        p=p,
        error=float(np.sqrt(p * (1.0 - p) / n)),
        n_trials=n,
        ess=float(met),
        bound=None if met else 2.303 / n,
        of="a TS at least as large in a window of background",
        method=METHOD,
    )


def _flux(asked: Asked, bursts: Floats, ts: float, median: float) -> WindowFlux:
    """Limit and sensitivity of a TS and of the median one without signal, from rows of bursts."""
    response, places = asked.season.response, asked.places.declination
    mean = time_windows.mean_fluence_per_event(response, asked.index, places, asked.source)
    limit, reach = _excluded(bursts, ts), _excluded(bursts, median)
    per_event = time_windows.fluence_per_event(response, asked.index, places[asked.inside])
    ends = [reach.value * float(end) for end in (per_event.min(), per_event.max()) if isinstance(reach, Measured)]
    low, high = time_windows.energy_range(response, asked.index, places, asked.source)
    return WindowFlux(
        limit_events=limit,
        limit=_in_fluence(limit, mean),
        sensitivity=_in_fluence(reach, mean),
        sensitivity_low=ends[0] if ends else None,
        sensitivity_high=ends[1] if ends else None,
        energy_low_gev=low,
        energy_high_gev=high,
    )


def _in_fluence(events: Measured | Unknown, per_event: float) -> Measured | Unknown:
    return events.times(per_event, time_windows.UNIT) if isinstance(events, Measured) else events


def _excluded(bursts: Floats, ts: float) -> Measured | Unknown:
    try:
        found = trials.excluded_mean(bursts, ts)
    except PrecisionError as error:
        return Unknown(reason=str(error))
    return Measured(value=found.value, error=found.error)


def _near(asked: Asked, events: xr.Dataset, fit: WindowFit) -> tuple[NearEvent, ...]:
    """The events of the window near the alert, the most signal-like first."""
    ra, dec, error, energy, mjd = (
        np.asarray(events[name].values, dtype=np.float64)
        for name in ("right_ascension", "declination", "angular_error", "log10_energy", "mjd")
    )
    best = int(np.argmax(asked.places.penalty))
    inside = np.append(np.flatnonzero(asked.inside), best)
    places = asked.places.right_ascension[inside], asked.places.declination[inside]
    apart = time_windows.separation(ra[:, None], dec[:, None], *places)
    nearest = apart.min(axis=1) if len(ra) else np.empty(0)
    listed = np.flatnonzero((nearest <= SHOWN_WITHIN) | (nearest <= TO_90 * error))
    return tuple(
        NearEvent(
            after_s=float((mjd[k] - asked.mjd) * 86400.0),
            ra_deg=float(np.degrees(ra[k])),
            dec_deg=float(np.degrees(dec[k])),
            sigma_deg=float(np.degrees(error[k])),
            log10_energy=float(energy[k]),
            separation_deg=float(np.degrees(apart[k, -1])),
            signal_over_background=float(fit.ratio[k]),
            coincident=bool(nearest[k] <= TO_90 * error[k]),
        )
        for k in listed[np.argsort(-fit.ratio[listed], kind="stable")]
    )


# ---- trials ---------------------------------------------------------------------------------------------------------


def _trials(asked: Asked, found: Window, n: int, n_bursts: int, bench: Bench) -> tuple[xr.Dataset, Floats]:
    """Trials without signal, a dataset that figures take, and rows of bursts."""
    chosen = np.ones(asked.season.events.sizes["event"], dtype=bool)
    chosen[asked.own] = False
    problem = trials.window_problem(
        asked.stick, chosen, found.n_background, asked.places, spectrum=PowerLaw(asked.index), source=asked.source
    )
    name = hashlib.sha256(f"{asked.fingerprint} {found.n_background!r} {asked.index!r}".encode()).hexdigest()
    kept = bench.keep(problem, name)
    background = _filled("window", trials.WINDOW_COLUMNS, _window_rows, kept, name, (asked.seed, n, _BATCH), bench)
    bursts = _filled(
        "burst", trials.BURST_COLUMNS, _burst_rows, kept, name, (asked.seed, n_bursts, _BURST_BATCH), bench
    )
    rows = np.stack([bursts[column].values for column in trials.BURST_COLUMNS], axis=1)
    empty = np.zeros(background.sizes["trial"])
    return background.assign(log_weight=("trial", empty), converged=("trial", empty + 1.0)), rows


def _window_rows(kept: Kept, seed: int, first: int, last: int) -> Floats:
    return trials.window_trials(kept.value, seed_of(seed, Stream.WINDOWS), first, last)


def _burst_rows(kept: Kept, seed: int, first: int, last: int) -> Floats:
    return trials.burst_trials(kept.value, seed_of(seed, Stream.BURSTS), first, last)


def _filled(
    kind: str, columns: tuple[str, ...], rows: Callable[[Kept, int, int, int], Floats], kept: Kept, name: str,
    plan: tuple[int, int, int], bench: Bench,
) -> xr.Dataset:  # fmt: skip
    """Trials of one kind; plan : their seed and number, and how many make a task."""
    seed, n, batch = plan
    key = hashlib.sha256(f"{kind} {name} {seed}".encode()).hexdigest()
    wanted = Ensemble(kind, key, columns, n, batch, {"seed": seed, "kind": kind})
    return bench.fill(wanted, partial(rows, kept, seed), (kept,))
