"""The only maker of random events: injected signal, the twin of the 2023 cascade sample, and projections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError
from nuanalysis.response import (
    NOMINAL,
    BackgroundRate,
    ErrorTable,
    Response,
    Shifted,
    Spectrum,
    Variation,
    acceptance,
    band_acceptance,
    band_of,
    band_rates,
    cascades_2023,
    detected,
    draw_error,
    draw_point_spread,
    draw_reconstructed_energy,
    draw_tabulated_energy,
    draw_true_energy,
    true_given_seen,
)
from nuanalysis.schema import EVENTS, Floats, Ints, dataset
from nuanalysis.sky.records import Catalogue, PowerLaw, Template
from nuanalysis.sphere import offset, pixel_directions

ISOTROPIC_SPECTRUM = PowerLaw(2.53)
ISOTROPIC_NORM = 1.66e-18  # GeV^-1 cm^-2 s^-1 sr^-1 per flavour at 100 TeV, cascades of six years (IceCube 2020)
ATMOSPHERIC_SPECTRUM = PowerLaw(3.7)
FIRST_MJD, LAST_MJD = 55694.0, 59357.0  # May 2011 to May 2021
PROJECTED_MJD = 62502.0  # 1 January 2030: where a projection begins, for want of a date
DAY, YEAR = 86400.0, 365.25 * 86400.0  # s


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Simulated detected events: directions and per-event error in rad, log10 E/GeV; (event,) each."""

    right_ascension: Floats
    declination: Floats
    log10_energy: Floats
    angular_error: Floats

    def __len__(self) -> int:
        return len(self.declination)

    def take(self, chosen: Ints) -> Drawn:
        return Drawn(*(getattr(self, name)[chosen] for name in self.__slots__))


def _detected(
    response: Response,
    log10_true: Floats,
    ra: Floats,
    dec: Floats,
    rng: np.random.Generator,
    variation: Variation = NOMINAL,
) -> Drawn:
    """Push true energies and directions through the response, or through a variation of it."""
    log10_energy = draw_reconstructed_energy(response, log10_true, np.sin(dec), rng)
    psi, error = draw_point_spread(response, log10_true, np.sin(dec), rng, scale=variation.angular_scale)
    seen_ra, seen_dec = offset(ra, dec, psi, rng.uniform(0.0, 2 * np.pi, len(psi)))
    return Drawn(seen_ra, seen_dec, log10_energy, error)


@dataclass(frozen=True, slots=True, eq=False)
class Emission:
    """Where detected events of a target come from.

    parts : the spectrum of each part of the target; a part has one morphology.
    cumulative : (part x place,) cumulative weights of pixels or sources, one part after the other.
    bands : (part, band) fraction of the events of each part in each band of the effective area; all sum to 1.
    energies : (part, band, true bin) cumulative detected events over neutrino energy.
    """

    target: Template | Catalogue
    response: Response
    parts: tuple[Spectrum, ...]
    cumulative: Floats
    bands: Floats
    energies: Floats


def _energies(response: Response, parts: tuple[Spectrum, ...]) -> Floats:
    return np.array([np.cumsum(detected(response, spectrum), axis=1) for spectrum in parts])


def bands_of(target: Template | Catalogue, response: Response) -> Ints:
    """The band of the effective area that each pixel or source of a target lies in, (place,)."""
    if isinstance(target, Template):
        _, dec = pixel_directions(target.nside)
    else:
        dec = np.array([s.declination for s in target.sources])
    return band_of(np.sin(dec), response.array("sin_dec_edges"))


def emission(
    target: Template | Catalogue, response: Response, spectrum: Spectrum, band: Ints | None = None
) -> Emission:
    """Weigh the pixels or sources of a target with the acceptance; done once for many draws.

    band : ``bands_of`` the target, where many spectra are asked for.
    """
    weights = target.parts(spectrum) if isinstance(target, Template) else ((np.array(target.weights), spectrum),)
    band = bands_of(target, response) if band is None else band
    expected = [weight * band_acceptance(response, part)[band] for weight, part in weights]
    bands = np.array([np.bincount(band, weights=e, minlength=len(response.array("effective_area"))) for e in expected])
    total = max(float(bands.sum()), 1e-300)
    spectra = tuple(s for _, s in weights)
    cumulative = np.cumsum(np.concatenate(expected))
    return Emission(target, response, spectra, cumulative, bands / total, _energies(response, spectra))


def relative_rate(source: Emission, variation: Variation) -> float:
    """Mean number of events of a varied detector over that of the nominal one."""
    if variation == NOMINAL:
        return 1.0
    rates = np.array([band_rates(source.response, part, variation) for part in source.parts])
    return float((source.bands * rates).sum())


def _in_pixels(nside: int, pixel: Ints, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Directions inside the given pixels: a random sub-pixel stands for a uniform draw."""
    fine = 16
    nested = hp.ring2nest(nside, pixel) * fine**2 + rng.integers(0, fine**2, len(pixel))
    theta, phi = hp.pix2ang(nside * fine, nested, nest=True)
    return np.asarray(phi), np.asarray(np.pi / 2 - theta)


def _around_sources(catalogue: Catalogue, chosen: Ints, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Directions of the chosen sources, spread by their extension."""
    ra, dec, width = (
        np.array([getattr(s, name) for s in catalogue.sources])[chosen]
        for name in ("right_ascension", "declination", "extension")
    )
    spread = width * np.sqrt(-2.0 * np.log1p(-rng.random(len(chosen))))
    return offset(ra, dec, spread, rng.uniform(0.0, 2 * np.pi, len(chosen)))


def signal(source: Emission, n: int, rng: np.random.Generator, variation: Variation = NOMINAL) -> Drawn:
    """Draw n detected events of a template or of a stack, as the response sees them, or a variation of it.

    Places and parts keep the weights of the nominal detector: exact for a power law, whose rate a shift of the energy
    changes alike everywhere.  Other spectra keep that share of their parts too, while ``relative_rate`` and the
    energies drawn inside a part follow the shift.
    """
    chosen = np.searchsorted(source.cumulative, rng.random(n) * source.cumulative[-1], side="right")
    part, place = np.divmod(chosen, len(source.cumulative) // len(source.parts))
    if isinstance(source.target, Template):
        ra, dec = _in_pixels(source.target.nside, place, rng)
    else:
        ra, dec = _around_sources(source.target, place, rng)
    energies = source.energies
    if variation.energy_shift:
        # From here on energies are those the response knows.
        shifted = tuple(Shifted(spectrum, variation.energy_shift) for spectrum in source.parts)
        energies = _energies(source.response, shifted)
    band = band_of(np.sin(dec), source.response.array("sin_dec_edges"))
    log10_true = draw_tabulated_energy(source.response, energies[part, band], rng)
    return _detected(source.response, log10_true, ra, dec, rng, variation)


def _isotropic(response: Response, n: int, rng: np.random.Generator) -> Drawn:
    """Isotropic astrophysical events; the response folds their spectrum to the released figure S1."""
    dec = np.arcsin(rng.uniform(-1.0, 1.0, 10 * n + 100))
    seen = acceptance(response, ISOTROPIC_SPECTRUM, np.sin(dec))
    dec = dec[rng.random(len(dec)) < seen / seen.max()][:n]
    ra = rng.uniform(0.0, 2 * np.pi, n)
    log10_true = draw_true_energy(response, ISOTROPIC_SPECTRUM, np.sin(dec), rng)
    return _detected(response, log10_true, ra, dec, rng)


def _atmospheric(
    n: int, astrophysical: Drawn, rng: np.random.Generator, exposure: float
) -> tuple[Drawn, NDArray[np.int8]]:
    """Atmospheric neutrinos and muons that bring the sample to the released distributions of the data.

    The astrophysical events are subtracted from the released data distributions of sin(dec) and of the angular
    error; energies follow the released atmospheric shape, errors of one energy the law of the response, brought to the
    released distribution of each component.  Muons have the energies of neutrinos: theirs were not released.  Right
    ascension is uniform.
    """
    response, table = cascades_2023.response(), cascades_2023.marginals()
    counted = np.histogram(np.sin(astrophysical.declination), table.sin_dec_edges)[0]
    joint, low = cascades_2023.expected_atmosphere(table, counted, exposure)
    cell = rng.choice(joint.size, size=n, p=joint.ravel() / joint.sum())
    row, true, column = np.unravel_index(cell, joint.shape)
    sin_dec = rng.uniform(table.sin_dec_edges[row], table.sin_dec_edges[row + 1])
    log10_energy = rng.uniform(low[column], low[column + 1])
    muon_share = table.sin_dec[:, 2] / (table.sin_dec[:, 1] + table.sin_dec[:, 2])
    component = (rng.random(n) < muon_share[row]).astype(np.int8)
    middles = 0.5 * (response.array("log10_true_edges")[1:] + response.array("log10_true_edges")[:-1])
    muons = np.tensordot(muon_share, joint, axes=(0, 0)).sum(axis=1)
    neutrinos = joint.sum(axis=(0, 2)) - muons
    laws = _background_errors(response, table, astrophysical.angular_error, (neutrinos, muons), middles, exposure)
    error = draw_error(
        cascades_2023.error_edges(), laws.reshape(-1, laws.shape[2]), component * len(middles) + true, rng
    )
    return Drawn(rng.uniform(0.0, 2 * np.pi, n), np.arcsin(sin_dec), log10_energy, error), component


def _background_errors(
    response: Response,
    table: cascades_2023.Marginals,
    taken: Floats,
    energies: tuple[Floats, Floats],
    log10_true: Floats,
    exposure: float,
) -> Floats:
    """P(error bin | true energy) of atmospheric neutrinos and of muons, (component, true energy, error bin).

    The law of the response times a factor of the error alone, which brings each component to its released distribution:
    muons to theirs, neutrinos to what the data leave besides the muons and the astrophysical errors ``taken``.
    energies : events of either component at each true energy, (true energy,).
    """
    assert isinstance(response.errors, ErrorTable)
    law, bins = response.errors.at(log10_true), np.arange(0, 2 * len(table.angular_error), 2)
    released = np.column_stack([table.angular_error.T, table.angular_error_overflow])[:, 1:]
    muons = released[2] / released[2].sum() * energies[1].sum()
    left = exposure * released[0] - muons - np.histogram(taken, cascades_2023.error_edges()[::2])[0]
    laws = []
    for wanted, many in ((left, energies[0]), (muons, energies[1])):
        shares = np.maximum(wanted, 0.0) / np.maximum(wanted, 0.0).sum()
        found = law
        for _ in range(30):
            seen = np.add.reduceat(many @ found, bins) / many.sum()
            found = found * np.repeat(shares / np.maximum(seen, 1e-300), 2)
            found /= found.sum(axis=1, keepdims=True)
        laws.append(found)
    return np.array(laws)


def _sample(
    parts: Sequence[tuple[Drawn, NDArray[np.int8]]],
    dates: tuple[float, float],
    rng: np.random.Generator,
    said: Mapping[str, object],
) -> xr.Dataset:
    """Events with their components as one dataset, at random times between two dates, MJD; said : its attributes.

    An exposure may be one of area and not of time: dates end where those of the schema do.
    """
    n = sum(len(drawn) for drawn, _ in parts)
    first, last = dates[0], min(dates[1], EVENTS.columns["mjd"].high)
    mjd, order = np.sort(rng.uniform(first, last, n)), rng.permutation(n)
    values: dict[str, NDArray[np.generic]] = {
        name: np.concatenate([getattr(drawn, name) for drawn, _ in parts])[order] for name in Drawn.__slots__
    }
    component = np.concatenate([kind for _, kind in parts])[order]
    return dataset(EVENTS, {"mjd": mjd, **values, "component": component}, {"origin": "synthetic", **said})


def _of_kind(drawn: Drawn, component: int) -> tuple[Drawn, NDArray[np.int8]]:
    return drawn, np.full(len(drawn), component, dtype=np.int8)


def cascades(
    seed: int,
    target: Template | Catalogue | None,
    n_signal: float,
    *,
    spectrum: Spectrum,
    label: str = "",
    exposure: float = 1.0,
) -> xr.Dataset:
    """The synthetic twin of the cascade sample: exactly 59,592 events, schema EVENTS, origin 'synthetic'.

    n_signal : expected number of signal events of ``target`` (Poisson); 0 for none.
    exposure : times that of the sample: its events, and its livetime, are as many times more.  Then it is a projection.
    Drawn from the released response and rate tables (IceCube 2023), conditional on the released total.
    """
    total = round(exposure * cascades_2023.N_EVENTS)
    if not 0 <= n_signal < total / 4:
        raise InputError(f"n_signal is {n_signal:g}; expected 0 to {total // 4} for a sample of {total} events")
    rng = np.random.Generator(np.random.Philox(seed))
    response = cascades_2023.response()
    n = int(rng.poisson(n_signal)) if target is not None else 0
    isotropic = int(rng.poisson(exposure * cascades_2023.EXPECTED_ASTROPHYSICAL))
    parts = [_of_kind(_isotropic(response, isotropic, rng), 2)]
    if target is not None:
        parts.append(_of_kind(signal(emission(target, response, spectrum), n, rng), 3))
    astro = Drawn(*(np.concatenate([getattr(p, f) for p, _ in parts]) for f in Drawn.__slots__))
    parts.append(_atmospheric(total - len(astro), astro, rng, exposure))
    note = "SYNTHETIC: drawn from the published response and rate tables; not IceCube events"
    longer = f"; PROJECTION to {exposure:.3g} times the exposure, as if the detector and its selection never changed"
    said = {
        "sample": cascades_2023.NAME,
        "livetime_s": exposure * cascades_2023.LIVETIME_S,
        "reference": cascades_2023.REFERENCE,
        "seed": seed,
        "signal": label or "none",
        "n_signal_expected": float(n_signal if target is not None else 0.0),
        "n_signal_drawn": n,
        "note": note if exposure == 1.0 else note + longer,
    }
    return _sample(parts, (FIRST_MJD, FIRST_MJD + exposure * (LAST_MJD - FIRST_MJD)), rng, said)


def _background(response: Response, table: BackgroundRate, livetime_s: float, rng: np.random.Generator) -> Drawn:
    """Atmospheric events of a table of rates, uniform in right ascension and flat inside each bin.

    Their per-event errors are those of true energies that a falling flux has at the reconstructed one.
    """
    counts = rng.poisson(table.rate * livetime_s)
    row, column = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), counts.shape[1])
    n, seen, bands = len(row), table.log10_energy_edges, table.sin_dec_edges
    dec = np.arcsin(bands[row] + rng.random(n) * np.diff(bands)[row])
    log10_energy = seen[column] + rng.random(n) * np.diff(seen)[column]
    at = np.clip(band_of(log10_energy, response.array("migration_reco_edges")), 0, None)
    share = true_given_seen(response, ATMOSPHERIC_SPECTRUM)
    log10_true = draw_error(response.array("migration_true_edges"), share, at, rng)
    _, error = draw_point_spread(response, log10_true, np.sin(dec), rng)
    return Drawn(rng.uniform(0.0, 2 * np.pi, n), dec, log10_energy, error)


def projected(
    response: Response,
    table: BackgroundRate,
    seed: int,
    livetime_s: float,
    source: Emission | None = None,
    n_signal: float = 0.0,
    label: str = "",
) -> xr.Dataset:
    """Events that a detector would see: its background table, an isotropic astrophysical flux, and signal.

    n_signal : expected signal events (Poisson) of ``source``.    label : of the signal, in words.
    Schema EVENTS, origin 'synthetic'.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    bands = np.diff(response.array("sin_dec_edges")) * band_acceptance(response, ISOTROPIC_SPECTRUM)
    isotropic = 2.0 * np.pi * ISOTROPIC_NORM * livetime_s * float(bands.sum())
    n = int(rng.poisson(n_signal)) if source is not None else 0
    parts = [
        _of_kind(_background(response, table, livetime_s, rng), 0),
        _of_kind(_isotropic(response, int(rng.poisson(isotropic)), rng), 2),
    ]
    if source is not None:
        parts.append(_of_kind(signal(source, n, rng), 3))
    said = {
        "sample": response.name,
        "livetime_s": livetime_s,
        "reference": response.reference,
        "seed": seed,
        "signal": label or "none",
        "n_signal_expected": float(n_signal if source is not None else 0.0),
        "n_signal_drawn": n,
        "note": f"SYNTHETIC PROJECTION: {response.label}, {livetime_s / YEAR:.3g} years drawn from simulated rate "
        "tables, with an isotropic flux of 1.66e-18 (E/100 TeV)^-2.53; no event was ever seen",
    }
    return _sample(parts, (PROJECTED_MJD, PROJECTED_MJD + livetime_s / DAY), rng, said)
