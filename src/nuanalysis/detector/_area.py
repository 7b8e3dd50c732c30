"""The effective area of a selection, the most that any detector of its size can have, and the published one beside it.

Areas are sums over the three flavours of the mean of neutrino and antineutrino, cm2: times the flux of nu + nubar of
one flavour they give the events of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nuanalysis.detector._neutrinos import NUCLEONS_PER_M3, survival
from nuanalysis.errors import InputError
from nuanalysis.records import Measured, Record, Unknown, shown
from nuanalysis.response import earth
from nuanalysis.schema import Bools, Floats, Ints

FLAVOURS = 3
_M3 = 1e9  # in a km3
_CM2 = 1e4  # in a m2
_STEPS = 8  # inside a bin of energy and of sin(declination), where means of the limit are taken
_GLASHOW_LOG10 = (6.6, 7.1)  # of the energy in GeV; the limit is of nucleons alone
_AROUND = 0.15  # in log10 E on either side of an energy at which two areas are compared
_MORE = 4.0  # times as many events stand behind the efficiency of all bands as behind the factor of one
_STEEPEST = 0.35  # of ln(efficiency) in a bin of 0.041 in log10 E: E^3.7
_INDEX = 2.5  # of the spectrum that weighs the bins there


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """An effective area in bins.

    sin_dec_edges (band + 1,), log10_edges (bin + 1,) E/GeV; area, error (band, bin) cm2; effective (band, bin) events
    behind each bin, infinite where it is no estimate.
    """

    sin_dec_edges: Floats
    log10_edges: Floats
    area: Floats
    error: Floats
    effective: Floats


def effective_area(
    log10_energy: Floats, sin_dec: Floats, weight: Floats, sin_dec_edges: Floats, log10_edges: Floats
) -> Area:
    """The area of the events that are given: those that pass, of all flavours, neutrinos and antineutrinos alike.

    log10_energy (event,) of the neutrino in GeV; sin_dec (event,) of where it comes from, which at the Pole is minus
    the cosine of the zenith; weight (event,) m2 sr GeV, see ``Truth``.  Errors: roots of sums of squares.
    """
    edges = sin_dec_edges, log10_edges
    total, squares = (np.histogram2d(sin_dec, log10_energy, bins=edges, weights=one)[0] for one in (weight, weight**2))
    # Half: the mean of nu and nubar, whose fluxes the weights take apart.
    unit = 0.5 * _CM2 / (2.0 * np.pi * np.multiply.outer(np.diff(sin_dec_edges), np.diff(10.0**log10_edges)))
    effective = np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0.0)
    return Area(sin_dec_edges, log10_edges, total * unit, np.sqrt(squares) * unit, effective)


def interaction_area(log10_energy: Floats) -> Floats:
    """Area of 1 km3 of ice in which every interaction with a nucleon is seen, nothing in the way; (2, energy) cm2.

    Of neutrinos and of antineutrinos, of one flavour; 14.7 m2 on average at 100 TeV.
    """
    nu_cc, nu_nc, bar_cc, bar_nc = earth.cross_sections(log10_energy)
    return np.asarray(np.array([nu_cc + nu_nc, bar_cc + bar_nc]) * NUCLEONS_PER_M3 * _M3)


def _surviving(log10_energy: Floats, sin_dec: Floats) -> Floats:
    """Chance of neutrinos and of antineutrinos to come through the Earth, (2, sin_dec, energy): see ``survival``."""
    energy, cosine = np.broadcast_arrays(log10_energy, -sin_dec[:, None])
    found = [survival(energy.ravel(), cosine.ravel(), np.full(energy.size, pdg)) for pdg in (14, -14)]
    return np.reshape(found, (2, *energy.shape))


def _substeps(edges: Floats) -> Floats:
    """Middles of ``_STEPS`` even steps in each bin, (bin x step,)."""
    part = (np.arange(_STEPS) + 0.5) / _STEPS
    return np.asarray((edges[:-1, None] + np.diff(edges)[:, None] * part).ravel())


def geometric_limit(sin_dec_edges: Floats, log10_edges: Floats, *, volume: float) -> Area:
    """The area of a detector that catches every interaction of all flavours within a volume, km3.

    Mean over energy and sin(declination) in each bin, as an effective area is.  The Earth is that of the simulation's
    weights, see ``survival``.  Muons that come in from outside of the volume and the Glashow resonance are beyond it;
    volume : of IceCube's hull + 150 m 1.9 km3, ``hull(detector).grown(150.0).volume`` in m3.
    """
    log10_energy, sin_dec = np.log10(_substeps(10.0**log10_edges)), _substeps(sin_dec_edges)
    seen = interaction_area(log10_energy)[:, None] * _surviving(log10_energy, sin_dec)
    fine = FLAVOURS * volume * seen.mean(axis=0)
    shape = (len(sin_dec_edges) - 1, _STEPS, len(log10_edges) - 1, _STEPS)
    area = fine.reshape(shape).mean(axis=(1, 3))
    return Area(sin_dec_edges, log10_edges, area, np.zeros_like(area), np.full_like(area, np.inf))


def above(found: Area, limit: Area, *, sigmas: float = 3.0) -> Bools:
    """Bins of an area that lie above the limit by more than their errors, (band, bin); the Glashow resonance apart.

    A bin of fewer effective events than ``sigmas`` squared says nothing alone.
    """
    _refuse_other_bins(found, limit)
    low, high = _GLASHOW_LOG10
    resonance = (found.log10_edges[1:] > low) & (found.log10_edges[:-1] < high)
    known = (found.effective > sigmas**2) & ~resonance
    return np.asarray(known & (found.area - sigmas * found.error > limit.area))


def _refuse_other_bins(one: Area, other: Area) -> None:
    for name in ("sin_dec_edges", "log10_edges"):
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine.shape != theirs.shape or not np.allclose(mine, theirs):
            raise InputError(
                f"{name} of two areas differ ({len(mine)} and {len(theirs)} edges); expected the same bins"
            )


class AreaRatio(Record):
    """An effective area over the published one, near an energy in a band of the sky."""

    sin_dec_low: float = shown("sin(declination) from", form=".1f", short="from")
    sin_dec_high: float = shown("to", form=".1f", short="to")
    energy_tev: float = shown("energy of the neutrino", unit="TeV", form="g", short="E/TeV")
    ratio: Measured = shown("ours over the published area")
    n_effective: float = shown("effective events behind ours", form=".0f", short="N_eff")


def area_ratios(
    found: Area, published: Area, *, log10_energies: Sequence[float] = (3.0, 4.0, 5.0)
) -> tuple[AreaRatio, ...]:
    """Ours over the published area in each band, at 1, 10 and 100 TeV: events of E^-2.5 within 0.15 in log10 E.

    Errors are ours alone: of the published area none are known.  Bands without published area there are left out.
    """
    _refuse_other_bins(found, published)
    middles = 0.5 * (found.log10_edges[1:] + found.log10_edges[:-1])
    spectrum = 10.0 ** (-(_INDEX - 1.0) * middles)
    out = []
    for low, high, band in zip(found.sin_dec_edges[:-1], found.sin_dec_edges[1:], range(len(found.area)), strict=True):
        for at in log10_energies:
            bins = np.flatnonzero(np.abs(middles - at) <= _AROUND)
            theirs = float((published.area[band, bins] * spectrum[bins]).sum())
            if theirs > 0.0:
                out.append(_ratio(found, (band, bins), spectrum[bins] / theirs, (float(low), float(high), at)))
    return tuple(out)


def _ratio(found: Area, cells: tuple[int, Ints], share: Floats, place: tuple[float, float, float]) -> AreaRatio:
    low, high, at = place
    total, error = float((found.area[cells] * share).sum()), float(np.sqrt(((found.error[cells] * share) ** 2).sum()))
    return AreaRatio(
        sin_dec_low=low,
        sin_dec_high=high,
        energy_tev=10.0 ** (at - 3.0),
        ratio=Measured(value=total, error=error or Unknown(reason="no event passes there")),
        n_effective=(total / error) ** 2 if error else 0.0,
    )


# ---- where few events are seen -------------------------------------------------------------------------------------


def smooth_area(found: Area, limit: Area, *, least: float = 20.0) -> Area:
    """An area without holes: the limit, times an efficiency of the energy, times a slow factor of each band.

    Efficiency: of all bands together, see ``_efficiency``.  Factor: area over what limit and efficiency give, mean over
    as many bins on either side as hold ``least`` effective events of the band; each bin counts by the events that all
    bands have there.  A bin with enough events is its own table.  Bins below the lowest that sees anything stay zero,
    bins above the highest have the efficiency of that one, and a band that sees nothing has the factor 1.
    limit : in the same bins.    Raises InputError where no band sees anything.
    """
    _refuse_other_bins(found, limit)
    area, error, most = found.area.sum(axis=0), np.sqrt((found.error**2).sum(axis=0)), limit.area.sum(axis=0)
    if not (seen := np.flatnonzero(area)).size:
        raise InputError("no event passes in any band of sin(declination); simulate more, or loosen the cuts")
    bins = slice(int(seen[0]), int(seen[-1]) + 1)
    events = np.divide(area**2, error**2, out=np.zeros_like(area), where=error > 0.0)[bins]
    efficiency, counts = _efficiency(area[bins] / most[bins], events, _MORE * least)
    out = Area(found.sin_dec_edges, found.log10_edges, *(np.zeros_like(found.area) for _ in range(3)))
    for band, effective in enumerate(found.effective[:, bins]):
        expected = limit.area[band, bins] * efficiency
        part, spread = found.area[band, bins] / expected, found.error[band, bins] / expected
        even = np.ones_like(part)
        factor, wide = _pooled(part, spread, counts, effective, least) if effective.any() else (even, even)
        _fill(out, band, bins, efficiency * factor, efficiency * wide)
    out.area[:, bins.start :] *= limit.area[:, bins.start :]
    out.error[:, bins.start :] *= limit.area[:, bins.start :]
    return out


def _efficiency(part: Floats, events: Floats, least: float) -> tuple[Floats, Floats]:
    """Efficiency in each bin, and the mean number of events around it, both (bin,).

    part : area over limit.  In a window that holds ``least`` effective events the efficiency is a power of the energy
    with the same sum and the same first moment: exact for a power law, so that a steep threshold is not smeared.
    """
    efficiency, counts = np.zeros_like(part), np.zeros_like(part)
    for k in range(len(part)):
        bins = _window(events, k, least)
        steps = np.arange(bins.start, bins.stop) - k
        slope = _slope(steps, float((part[bins] * steps).sum() / part[bins].sum()))
        efficiency[k] = part[bins].sum() / np.exp(slope * steps).sum()
        counts[k] = events[bins].mean()
    return efficiency, counts


def _slope(steps: Ints, moment: float) -> float:
    """The s, at most ``_STEEPEST``, for which weights exp(s step) have this mean step: found by halving."""
    low, high = -_STEEPEST, _STEEPEST
    for _ in range(40):
        middle = 0.5 * (low + high)
        weight = np.exp(middle * steps - np.abs(middle * steps).max())
        low, high = (middle, high) if (weight * steps).sum() < moment * weight.sum() else (low, middle)
    return 0.5 * (low + high)


def _window(effective: Floats, k: int, least: float) -> slice:
    """The bins around k, as many on either side, that hold so many effective events; all, where there are fewer."""
    for reach in range(len(effective)):
        bins = slice(max(k - reach, 0), min(k + reach + 1, len(effective)))
        if effective[bins].sum() >= least:
            return bins
    return slice(0, len(effective))


def _fill(out: Area, band: int, bins: slice, efficiency: Floats, error: Floats) -> None:
    """Efficiencies of the bins of a band, of those above them that of the last one, with the events they are worth."""
    above_them = slice(bins.stop, None)
    worth = np.divide(efficiency**2, error**2, out=np.full_like(error, np.inf), where=error > 0.0)
    for table, values in ((out.area, efficiency), (out.error, error), (out.effective, worth)):
        table[band, bins], table[band, above_them] = values, values[-1]


def _pooled(values: Floats, errors: Floats, counts: Floats, effective: Floats, least: float) -> tuple[Floats, Floats]:
    """Mean weighted by counts, and its error, around each bin: over bins that hold so many effective events."""
    mean, spread = np.zeros_like(values), np.zeros_like(values)
    for k in range(len(values)):
        bins = _window(effective, k, least)
        share = counts[bins] / counts[bins].sum()
        mean[k], spread[k] = (share * values[bins]).sum(), np.sqrt(((share * errors[bins]) ** 2).sum())
    return mean, spread


def within_bands(found: Area, edges: Floats) -> Area:
    """An area in finer bands of sin(declination): it changes within each band as the limit does; the mean stays.

    edges : of the finer bands, which hold those of the bands.
    """
    fine = geometric_limit(edges, found.log10_edges, volume=1.0).area
    width = np.diff(edges)
    band = np.searchsorted(found.sin_dec_edges[1:-1], 0.5 * (edges[1:] + edges[:-1]), side="right")
    mean = np.array([np.average(fine[band == k], axis=0, weights=width[band == k]) for k in range(len(found.area))])
    change = fine / mean[band]
    return Area(edges, found.log10_edges, found.area[band] * change, found.error[band] * change, found.effective[band])
