"""Where the test statistic and the events of a fit come from: single events, the sky, and the sources of a stack."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import scipy
from nuanalysis.errors import InputError
from nuanalysis.likelihood import FitResult
from nuanalysis.model import REACH, Hypothesis, Prepared, PreparedSample, Sample, StackSpace, Terms, space_nodes
from nuanalysis.response import Spectrum, acceptance
from nuanalysis.schema import Floats, Ints
from nuanalysis.sky.catalogues import seen_shares
from nuanalysis.sky.records import Catalogue
from nuanalysis.sphere import vmf_norm, vmf_window

_CLASSES = 24
_NARROWEST = 1.2  # pixels: what is spread less rings around its place, as no harmonics above 3 nside are there
_PAIRS = 250_000  # events times sources of a block: a few arrays of this length stay in the processor's cache


def event_contributions(terms: Terms, best: FitResult) -> Floats:
    """2 ln(1 + (n_s/N) x_i) of every event of the Terms, (event,); they sum to the TS of the fit."""
    position = float(np.interp(best.index, terms.index, np.arange(len(terms.index))))
    low = min(int(position), len(terms.index) - 1)
    high = min(low + 1, len(terms.index) - 1)
    x = (low + 1 - position) * terms.x(low) + (position - low) * terms.x(high)
    return np.asarray(2.0 * np.log1p(best.n_signal / terms.n_events * x))


@dataclass(frozen=True, slots=True, eq=False)
class BestFitTerms:
    """x = ratio (signal - mean) / background of every event that the signal can reach, at the best fit, (event,) each.

    season : which of the samples, from 0.  row : of the event in its sample, from 0.
    signal, mean : S in the direction of the event, sr^-1, and its mean over right ascension; background : B, sr^-1.
    ratio : signal over background in all else, the share of the season in the signal with it.
    """

    season: Ints
    row: Ints
    signal: Floats
    mean: Floats
    background: Floats
    ratio: Floats


def best_fit_terms(prepared: Prepared, terms: Terms, best: FitResult) -> BestFitTerms:
    """What the likelihood is made of at the best fit; TS = 2 sum ln(1 + (n_s / N) x), see BestFitTerms.

    Between two spectral nodes, and of several spatial shapes, S and <S> are the means that give the same x.
    """
    slope = _weights(terms, best)  # (p, event)
    ratio = slope.sum(axis=0)
    mean = np.concatenate([part.lookup.mean for part in prepared.parts], axis=1)
    return BestFitTerms(
        season=np.repeat(np.arange(len(prepared.parts)), [len(part.active) for part in prepared.parts]),
        row=np.concatenate([part.active for part in prepared.parts]),
        signal=(slope * (terms.difference + mean)).sum(axis=0) / ratio,
        mean=(slope * mean).sum(axis=0) / ratio,
        background=1.0 / terms.scale,
        ratio=ratio,
    )


def _weights(terms: Terms, best: FitResult) -> Floats:
    """Weight of each spatial shape in x but for the background in direction, (p, event), between spectral nodes."""
    nodes = np.array([np.interp(best.index, terms.index, row) for row in np.eye(len(terms.index))])
    return np.asarray(((nodes[:, None] * terms.mixing).T @ terms.ratio)[:, terms.group])


def _smeared(values: Floats, ra: Floats, dec: Floats, error: Floats, nside: int) -> Floats:
    """Each value spread over the sphere by its own angular error, (pixel,) sr^-1; signed."""
    lmax = 3 * nside - 1
    pixel = hp.ang2pix(nside, np.pi / 2 - dec, ra)
    area = 4 * np.pi / (12 * nside**2)
    edges = np.quantile(error, np.linspace(0, 1, _CLASSES + 1))
    klass = np.clip(np.searchsorted(edges, error, side="right") - 1, 0, _CLASSES - 1)
    total = np.zeros(hp.Alm.getsize(lmax), dtype=np.complex128)
    for k in range(_CLASSES):
        chosen = klass == k
        if chosen.any():
            width = max(float(np.median(error[chosen])), _NARROWEST * np.sqrt(area))
            counts = np.bincount(pixel[chosen], weights=values[chosen], minlength=12 * nside**2) / area
            total += hp.almxfl(hp.map2alm(counts, lmax=lmax, iter=3), vmf_window(lmax, width**-2))
    total[0] = values.sum() / np.sqrt(4 * np.pi)  # exact: sums of pixels are not, and signs cancel
    return np.asarray(hp.alm2map(total, nside, lmax=lmax))


def ts_density(prepared: Prepared, terms: Terms, best: FitResult, *, nside: int = 64) -> Floats:
    """Contribution to the test statistic per sr, (pixel,), RING, ICRS; it integrates to the TS of the fit.

    Events out of reach of every source contribute nothing.  Each event is spread by its angular error, or by 1.2 pixels
    where that is more.
    """
    values = event_contributions(terms, best)
    ra, dec, error = (
        np.concatenate([part.sample.array(name)[part.active] for part in prepared.parts])
        for name in ("right_ascension", "declination", "angular_error")
    )
    if not best.ts or not len(values):
        return np.zeros(12 * nside**2)
    return _smeared(values, ra, dec, error, nside)


def _catalogue(hypothesis: Hypothesis) -> Catalogue:
    if not isinstance(hypothesis.target, Catalogue):
        raise InputError(f"'{hypothesis.name}' is a template; expected a stack of sources")
    return hypothesis.target


def _accepted(catalogue: Catalogue, sample: Sample, spectrum: Spectrum) -> Floats:
    """Acceptance at each source, (source,)."""
    return acceptance(sample.response, spectrum, np.sin([s.declination for s in catalogue.sources]))


def event_shares(prepared: Prepared, index: float) -> Floats:
    """Share of the expected events of a stack that each source brings, (source,), sums to 1: all samples together.

    Weight at Earth times acceptance times livetime, for a power law of this index.  Raises InputError for a template.
    """
    target, spectrum = _catalogue(prepared.hypothesis), prepared.hypothesis.spectrum_at(index)
    samples = [part.sample for part in prepared.parts]
    exposure = sum((s.livetime * _accepted(target, s, spectrum) for s in samples), np.zeros(len(target.sources)))
    return seen_shares(np.array(target.weights), exposure)


def source_terms(prepared: Prepared, data: Terms, best: FitResult) -> Floats:
    """Contribution of each source to the test statistic of a stack, (source,); they sum to the TS of the fit.

    With x_i = sum_k x_ik the share of source k is t_ik = 2 ln(1 + c x_i) x_ik / x_i, c = n_s / N: an event's term is
    divided as its signal density is, and so is what the mean over right ascension takes from it.  So a source that
    the events avoid has a negative term; where one of many shines, its own is more than TS.  S and <S> are those of
    the fit; where they are read from maps, exact kernels divide them, each to its own sum over the sources.
    data : ``terms(prepared)``, the samples as they are.    Raises InputError for a template.
    """
    catalogue, c = _catalogue(prepared.hypothesis), best.n_signal / data.n_events
    total = np.zeros(len(catalogue.sources))
    if c <= 0.0:
        return total
    # The fitted index lies between two nodes, and the signal is their mixture.
    slope = _weights(data, best) * data.scale  # (p, event), x = sum_p slope d
    x = (slope * data.difference).sum(axis=0)
    slope *= 2.0 * np.where(x != 0.0, np.log1p(c * x) / np.where(x != 0.0, x, 1.0), c)
    spectra = [prepared.hypothesis.spectrum_at(float(g)) for g in space_nodes(prepared.hypothesis)[0]]
    first = np.cumsum([0, *(len(part.active) for part in prepared.parts)])
    for part, start, stop in zip(prepared.parts, first[:-1], first[1:], strict=True):
        mean = slope[:, start:stop] * part.lookup.mean
        density = slope[:, start:stop] * data.difference[:, start:stop] + mean
        total += _divided(catalogue, part, spectra, density, mean)
    return total


def _divided(
    catalogue: Catalogue, part: PreparedSample, spectra: list[Spectrum], density: Floats, mean: Floats
) -> Floats:
    """Sums over the events of one sample, (source,), of density minus mean, (p, event), divided among the sources."""
    weights = np.array(
        [seen_shares(np.array(catalogue.weights), _accepted(catalogue, part.sample, s)) for s in spectra]
    )
    at = np.array([(s.right_ascension, s.declination, s.extension**2) for s in catalogue.sources])
    shining = np.flatnonzero(weights.any(axis=0))
    ra, dec, error = (part.sample.array(n)[part.active] for n in ("right_ascension", "declination", "angular_error"))
    total = np.zeros(len(at))
    for events, near in _blocks(at[:, 1], at[:, 2], dec, error, shining, reach=isinstance(part.space, StackSpace)):
        here, w = at[near], weights[:, near]
        kernel, circle = _relative_kernels(ra[events], dec[events], error[events], *here.T)
        for amount, over in ((density, kernel), (-mean, circle)):
            total[near] += (w * ((amount[:, events] / (w @ over.T)) @ over)).sum(axis=0)
    return total


def _blocks(
    dec: Floats, extension2: Floats, event_dec: Floats, error: Floats, shining: Ints, *, reach: bool
) -> Iterator[tuple[Ints, Ints]]:
    """Events, and those of the shining sources that they are compared with, in blocks of bounded size.

    shining : sources of which anything is seen.
    reach : leave out sources that none of the events can reach at any right ascension.
    """
    size = max(1, _PAIRS // len(dec))
    # Events of similar error in a band of declination reach the same few sources.
    order = np.lexsort((event_dec, np.floor(2.0 * np.log2(error)))) if reach else np.arange(len(error))
    for start in range(0, len(order), size):
        events = order[start : start + size]
        near = shining
        if reach:
            low, high, widest = event_dec[events].min(), event_dec[events].max(), error[events].max()
            gap = np.maximum(np.maximum(low - dec, dec - high), 0.0)
            within = 1.0 - np.cos(gap) < REACH * (widest**2 + extension2)
            near = shining[within[shining]]
        if len(near):
            yield events, near


def _relative_kernels(
    event_ra: Floats, event_dec: Floats, error: Floats, ra: Floats, dec: Floats, extension2: Floats
) -> tuple[Floats, Floats]:
    """Kernels of sources at events and their means over right ascension, (event, source).

    Each is relative to one number an event, so that the kernels of an event far from all sources do not vanish.
    """
    kappa = 1.0 / (error[:, None] ** 2 + (extension2 if extension2.any() else 0.0))
    across = np.cos(event_dec)[:, None] * np.cos(dec)
    along = np.sin(event_dec)[:, None] * np.sin(dec) - 1.0
    norm = vmf_norm(kappa)

    def relative(exponent: Floats) -> Floats:
        return np.asarray(norm * np.exp(exponent - exponent.max(axis=1, keepdims=True)))

    kernel = relative(kappa * (across * np.cos(event_ra[:, None] - ra) + along))
    return kernel, relative(kappa * (across + along)) * scipy.special.i0e(kappa * across)
