"""A point-source fit in every direction of the sky, with the numbers of stand-alone fits.

Energy terms, groups and background are those of the samples and the same for all directions.  What changes with the
declination, the mean over right ascension and each sample's share of the signal, is worked out once for a circle of
directions; what changes along it is the kernel alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.errors import InputError
from nuanalysis.likelihood import _scan_kernels
from nuanalysis.likelihood._fit import FitResult, maximise
from nuanalysis.model import EnergyTerms, Prepared, Terms
from nuanalysis.model.kernels import SATURATION
from nuanalysis.response import Kernel, acceptance
from nuanalysis.schema import Floats, Ints
from nuanalysis.sky.records import Catalogue
from nuanalysis.sphere import vmf_norm

FIT_COLUMNS = ("ts", "n_signal", "index", "converged")
_REACH = 40.0  # kernels below exp(-40) of their peak count as zero, as in the stand-alone fit
_FAR = 1.0 / 16.0  # the largest |c x| of an event that enters by its powers; to sixth order that leaves 5e-10
_LEVELS = (4.0, 20.0)  # standard deviations of n_s that the power sums serve, one level after the other
_LOOKS = 8  # right ascensions at which the standard deviation is measured
_TURN = 2.0 * np.pi
_GOLDEN = 0.6180339887498949
_WIDEST = 1.0  # rad of right ascension: events that reach further are evaluated everywhere
_HALVINGS = 10
_BINS_IN_REACH = 4
FEW = 20  # directions of a circle for which sorting its events does not pay
_FLAT = 1e-9  # at a pole the density does not depend on right ascension: S = <S>, and TS is 0 but for rounding


@dataclass(frozen=True, slots=True, eq=False)
class SkyEvents:
    """All events of all samples with their energy terms: what every direction shares.

    problem : a point source anywhere, prepared on the samples.
    sin_dec, cos_dec and error (event,) rad, and energy, one entry a sample.
    """

    problem: Prepared
    sin_dec: tuple[Floats, ...]
    cos_dec: tuple[Floats, ...]
    error: tuple[Floats, ...]
    energy: tuple[EnergyTerms, ...]

    @property
    def index(self) -> Floats:
        """Spectral nodes, (node,)."""
        return self.problem.index

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """Point spread at a given error, one of each sample."""
        return tuple(part.sample.kernel for part in self.problem.parts)

    @property
    def widths(self) -> Floats:
        """Angular errors, rad, of all samples; of a point spread with several parts that of one with the same peak."""
        pairs = zip(self.error, self.kernels, strict=True)
        return np.concatenate([error * np.sum(k.weight / k.scale**2) ** -0.5 for error, k in pairs])

    @property
    def n_events(self) -> int:
        """Events of all samples."""
        return sum(map(len, self.error))

    def right_ascension(self) -> Floats:
        """Right ascensions of the data, (event,) rad."""
        return np.concatenate([p.sample.array("right_ascension") for p in self.problem.parts])

    def shares(self, declination: Floats) -> Floats:
        """Fraction of a source's events that each sample holds, (direction, sample, node)."""
        spectra = [self.problem.hypothesis.spectrum_at(float(g)) for g in self.index]
        seen = [[acceptance(p.sample.response, s, np.sin(declination)) for s in spectra] for p in self.problem.parts]
        expected = np.array(seen) * np.array([p.sample.livetime for p in self.problem.parts])[:, None, None]
        return np.ascontiguousarray(np.moveaxis(expected / expected.sum(axis=0), 2, 0))


def sky_events(prepared: Prepared, declinations: tuple[Floats, ...] | None = None) -> SkyEvents:
    """The events of a prepared point source, wherever that is; index free or fixed as there.

    declinations : (event,) rad for each sample, where they are not those of the data (smeared skies): background and
        energy terms are then estimated anew.
    Raises InputError for a template.
    """
    target = prepared.hypothesis.target
    if not isinstance(target, Catalogue) or len(target.sources) != 1:
        raise InputError(f"'{prepared.hypothesis.name}' is not a single source; a scan asks for point:RA,DEC")
    at = declinations or tuple(p.sample.array("declination") for p in prepared.parts)
    error = tuple(p.sample.array("angular_error") for p in prepared.parts)
    energy = []
    for part, declination, sigma in zip(prepared.parts, at, error, strict=True):
        where = part.densities.where(declination, part.sample.array("log10_energy"), sigma)
        estimate = part.densities.background(part.densities.counted(where))
        energy.append(part.densities.terms(where, estimate))
    return SkyEvents(prepared, tuple(map(np.sin, at)), tuple(map(np.cos, at)), error, tuple(energy))


@dataclass(frozen=True, slots=True, eq=False)
class Turned:
    """Right ascensions of all events of a sky, data or scrambled, (event,) rad in [0, 2 pi), with cosine and sine."""

    right_ascension: Floats
    cosine: Floats
    sine: Floats


def turned(right_ascension: Floats) -> Turned:
    """Right ascensions with what the kernels ask of them."""
    return Turned(right_ascension, np.cos(right_ascension), np.sin(right_ascension))


@dataclass(frozen=True, slots=True, eq=False)
class Circle:
    """What all directions of one declination share.

    wide, narrow (row, event): line, offset, height, mean and further parts of ``_scan_kernels.fill``; wide events are
        sorted by group.
    .._number (event,): which events of SkyEvents they are; .._group (event,); first (group + 1,): where the wide events
        of a group begin.
    klass (narrow,) of width in right ascension; bins, reach (class,) and first_bin (class + 1,): bins of a class.
    base (order, group), ratio (node, group), limit (level, group), largest (level, node): see
        ``_scan_kernels.fit_circle``.
    """

    declination: float
    wide: Floats
    wide_number: Ints
    wide_group: Ints
    first: Ints
    narrow: Floats
    narrow_number: Ints
    narrow_group: Ints
    klass: Ints
    bins: Ints
    first_bin: Ints
    reach: Floats
    base: Floats
    ratio: Floats
    limit: Floats
    largest: Floats
    index: Floats
    n_events: int


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Events that reach a circle at some right ascension, (event,) each; half is how far they do, rad."""

    shape: Floats
    number: Ints
    group: Ints
    half: Floats


def _seen(events: SkyEvents, declination: float, extension: float) -> _Seen:
    shapes, numbers, groups, halves = [], [], [], []
    first_event = first_group = 0
    rows = 4 + 2 * (max(len(one.weight) for one in events.kernels) - 1)
    columns = zip(events.sin_dec, events.cos_dec, events.error, events.energy, events.kernels, strict=True)
    for sin_dec, cos_dec, error, energy, kernel in columns:
        wide, *others = np.argsort(-kernel.scale, kind="stable")
        variance, product = (error * kernel.scale[wide]) ** 2 + extension**2, cos_dec * np.cos(declination)
        outwards = 1.0 - sin_dec * np.sin(declination)  # less ``product``: 1 - cos of the gap in declination
        active = np.flatnonzero(outwards - product < _REACH * variance)
        kappa, product, outwards = 1.0 / variance[active], product[active], outwards[active]
        shape = np.zeros((rows, len(active)))
        shape[0], shape[1] = kappa * product, -kappa * outwards
        for row, part in zip((2, *range(4, rows, 2)), (wide, *others), strict=False):
            own = 1.0 / ((error[active] * kernel.scale[part]) ** 2 + extension**2)
            height = kernel.weight[part] * vmf_norm(own) * energy.scale[active]
            shape[3] += height * np.exp(-own * (outwards - product)) * scipy.special.i0e(own * product)  # vmf_ra_mean
            if part == wide:
                shape[row] = height
            else:
                shape[row], shape[row + 1] = height / shape[2], own / kappa
        shapes.append(shape)
        left = _REACH / kappa - (outwards - product)
        halves.append(np.arccos(np.clip(1.0 - left / np.maximum(product, 1e-300), -1.0, 1.0)))
        numbers.append(active + first_event)
        groups.append(energy.group[active] + first_group)
        first_event += len(error)
        first_group += energy.ratio.shape[1]
    return _Seen(*(np.concatenate(v, axis=-1) for v in (shapes, numbers, groups, halves)))


def _typical(seen: _Seen, group: Ints, ratio: Floats) -> Floats:
    """Standard deviation of n_s / N at each node where no rare event lies near, (node,)."""
    out, found = np.empty(len(group)), np.empty((_LOOKS, len(ratio)))
    turn = _TURN * ((seen.number + 1) * _GOLDEN % 1.0)
    cos_ra, sin_ra = np.cos(turn), np.sin(turn)
    for row, at in zip(found, np.arange(_LOOKS) * _TURN / _LOOKS, strict=True):
        _scan_kernels.fill(seen.shape, cos_ra, sin_ra, float(np.cos(at)), float(np.sin(at)), out)
        row[:] = ratio**2 @ np.bincount(group, weights=out**2, minlength=ratio.shape[1])
    return np.asarray(1.0 / np.sqrt(np.maximum(np.quantile(found, 0.25, axis=0), 1e-300)))


def circle(
    events: SkyEvents, declination: float, share: Floats, extension: float = 0.0, *, sorting: bool = True
) -> Circle:
    """Prepare a circle of directions.

    share (sample, node): that of ``SkyEvents.shares``.  extension: Gaussian sigma in rad.  sorting: whether narrow
    events are sorted by right ascension, which pays for more than a few directions of a sky.
    """
    total = events.n_events
    ratios = [e.ratio * (share[k] * total / len(e.group))[:, None] for k, e in enumerate(events.energy)]
    seen = _seen(events, declination, extension)
    used, group = np.unique(seen.group, return_inverse=True)
    group = np.asarray(group, dtype=np.int64)
    ratio = np.ascontiguousarray(np.concatenate(ratios, axis=1)[:, used])
    largest = np.minimum(np.array(_LEVELS)[:, None] * _typical(seen, group, ratio), 100.0)
    limit = _FAR / np.maximum((largest[:, :, None] * ratio).max(axis=1), 1e-300)
    # Narrow events that stand out by their mean alone would be near ones in every direction.
    wide = (seen.half > (_WIDEST if sorting else 0.0)) | (seen.shape[3] > limit[-1][group])
    order = np.flatnonzero(wide)[np.argsort(group[wide], kind="stable")]
    rest = np.flatnonzero(~wide)
    klass = np.clip(np.floor(-np.log2(np.maximum(seen.half[rest], 1e-9) / _WIDEST)), 0, _HALVINGS - 1).astype(np.int64)
    reach = np.asarray(_WIDEST * 0.5 ** np.arange(_HALVINGS), dtype=np.float64)
    bins = np.ceil(_TURN / reach * _BINS_IN_REACH).astype(np.int64)
    base, power = np.empty((_scan_kernels.ORDERS, len(used))), np.ones(len(rest))
    for row in base:
        power *= -seen.shape[3, rest]
        row[:] = np.bincount(group[rest], weights=power, minlength=len(used))
    return Circle(
        declination,
        np.ascontiguousarray(seen.shape[:, order]),
        seen.number[order],
        group[order],
        np.searchsorted(group[order], np.arange(len(used) + 1)),
        np.ascontiguousarray(seen.shape[:, rest]),
        seen.number[rest],
        group[rest],
        klass,
        bins,
        np.concatenate([[0], np.cumsum(bins)]),
        reach,
        base,
        ratio,
        limit,
        largest,
        events.index,
        total,
    )


_Placed = tuple[Floats, Ints, Floats, Floats, Floats, Ints, Floats, Floats, Ints, Ints, Ints, Floats]


def _placed(where: Circle, sky: Turned) -> _Placed:
    """The events of a circle at their right ascensions, in the order in which the kernels read them."""
    start = np.zeros(where.first_bin[-1] + 1, dtype=np.int64)
    order = np.empty(len(where.narrow_number), dtype=np.int64)
    narrow = sky.right_ascension[where.narrow_number]
    _scan_kernels.sort_to_bins(narrow, where.klass, where.bins, where.first_bin, start, order)
    number, wide = where.narrow_number[order], where.wide_number
    return (
        where.wide, where.first, sky.cosine[wide], sky.sine[wide],
        np.ascontiguousarray(where.narrow[:, order]), where.narrow_group[order], sky.cosine[number], sky.sine[number],
        start, where.bins, where.first_bin, where.reach,
    )  # fmt: skip


def _from_all(where: Circle, placed: _Placed, at: float) -> FitResult:
    """The fit of one direction from all events, one by one."""
    wide, narrow = where.wide.shape[1], where.narrow.shape[1]
    e = np.empty(wide + narrow)
    _scan_kernels.fill_all(placed, at, e)
    group = np.concatenate([where.wide_group, placed[5]])
    nodes = len(where.index)
    data = Terms(e[None], where.ratio, group, np.ones(len(e)), np.ones((nodes, 1)), where.index, where.n_events)
    return maximise(data)


def fit_circle(where: Circle, sky: Turned, at: Floats) -> Floats:
    """Fits of directions ``at`` (direction,) rad of a circle, (direction, FIT_COLUMNS).

    As the stand-alone fit: power sums where they serve, else all events; ``tests/test_scan.py`` states how well.
    """
    out = np.zeros((len(at), len(FIT_COLUMNS)))
    if max((float(shape[0].max()) for shape in (where.wide, where.narrow) if shape.size), default=0.0) < _FLAT:
        out[:, 2:] = where.index[0], 1.0
        return out
    placed, found = _placed(where, sky), np.empty((len(at), 5))
    _scan_kernels.fit_circle(placed, where.base, where.ratio, where.limit, where.largest, at, found)
    out[:, 0] = np.maximum(2.0 * found[:, 2], 0.0)
    out[:, 1] = found[:, 0] * where.n_events
    out[:, 2] = np.interp(found[:, 1], np.arange(len(where.index)), where.index)
    out[:, 3] = found[:, 3]
    for k in np.flatnonzero(found[:, 4] < 0):
        fit = _from_all(where, placed, float(at[k]))
        out[k] = fit.ts, fit.n_signal, fit.index, fit.converged
    return out


def largest_tilt(where: Circle) -> Floats:
    """The largest n_s of a tilt at each node, (node,): as far as sums serve."""
    return np.asarray(where.largest[-1] * where.n_events)


def tilt_ratios(where: Circle, sky: Turned, at: Floats, node: Ints, n_signal: Floats) -> Floats:
    """ln of the density of skies tilted towards ``at`` (direction,) rad over the plain one, (direction, tilt).

    node, n_signal (tilt,): spectral node and n_s of each tilt.  That is ln L(n_s) / L(0) but for events whose share of
    signal would exceed 0.9: it is held there, in the ratio as in the draw (``tilted``).
    Raises InputError for a strength beyond ``largest_tilt``.
    """
    c = n_signal / where.n_events
    if (n_signal > largest_tilt(where)[node] * (1 + 1e-9)).any():
        raise InputError(f"a tilt of {n_signal.max():.4g} events is stronger than the sums serve; see largest_tilt")
    level = 0 if (c <= where.largest[0, node]).all() else 1
    placed, out = _placed(where, sky), np.empty((len(at), len(node)))
    strongest = (where.ratio[node] * c[:, None]).max(axis=0)
    saturating = np.flatnonzero(strongest[where.wide_group] * where.wide[3] > SATURATION)
    _scan_kernels.ratio_circle(placed, where.base, where.ratio, where.limit[level], saturating, node, c, at, out)
    return out


def tilted(where: Circle, at: float, node: int, n_signal: float, ra: Floats, rng: np.random.Generator) -> Floats:
    """Right ascensions of a sky tilted towards one direction of a circle, from those of a plain one, (event,) rad.

    An event's density 1 + c x is that of the plain draw, less the share c w <S>, plus this share of its kernel: a von
    Mises density about the direction for each part.  So each event is, with this probability, at most 0.9, drawn anew
    from that of one of its parts; exact up to kernels below exp(-40).
    """
    number = np.concatenate([where.wide_number, where.narrow_number])
    group = np.concatenate([where.wide_group, where.narrow_group])
    shape = np.concatenate([where.wide, where.narrow], axis=1)
    share = np.minimum(n_signal / where.n_events * where.ratio[node, group] * shape[3], SATURATION)
    drawn = np.flatnonzero(rng.random(len(number)) < share)
    out = ra.copy()
    out[number[drawn]] = (at + rng.vonmises(0.0, _concentration(shape[:, drawn], rng))) % _TURN
    return out


def _concentration(shape: Floats, rng: np.random.Generator) -> Floats:
    """Concentration in right ascension of one part of each event, drawn as the parts share the mean, (event,)."""
    line, most = shape[0], shape[0] + shape[1]
    if len(shape) == 4:
        return np.asarray(line)
    sharpness, heights = (np.stack([np.ones_like(line), *shape[row::2]]) for row in (5, 4))
    means = np.cumsum(heights * np.exp(sharpness * most) * scipy.special.i0e(sharpness * line), axis=0)
    part = (rng.random(len(line)) * means[-1] >= means).sum(axis=0)
    return np.asarray(line * np.take_along_axis(sharpness, np.minimum(part, len(means) - 1)[None], axis=0)[0])


def fit_directions(
    events: SkyEvents, sky: Turned, right_ascension: Floats, declination: Floats, extension: Floats | float = 0.0
) -> Floats:
    """Fits in any directions, (direction,) rad each: (direction, FIT_COLUMNS).

    Directions of the same declination and extension share the work.  extension: Gaussian sigma in rad, one or
    (direction,).
    """
    out = np.empty((len(declination), len(FIT_COLUMNS)))
    width = np.broadcast_to(extension, declination.shape)
    kinds, of = np.unique(np.stack([declination, width], axis=1), axis=0, return_inverse=True)
    for k, ((level, wide), share) in enumerate(zip(kinds, events.shares(kinds[:, 0]), strict=True)):
        mine = np.flatnonzero(of.ravel() == k)
        out[mine] = fit_circle(
            circle(events, float(level), share, float(wide), sorting=len(mine) > FEW), sky, right_ascension[mine]
        )
    return out
