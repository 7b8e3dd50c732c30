"""The Response noun and what follows from it: acceptance, expected events, energy densities, draws, variations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.deferred import xarray as xr
from nuanalysis.response._errors import Errors, ErrorTable, columns_of
from nuanalysis.schema import RESPONSE, Floats, Ints, Spectrum, check, dataset
from nuanalysis.sphere import vmf_cumulative, vmf_draw

_SUBSTEPS = 16  # midpoint steps inside an energy bin; E^-4 is then integrated to 0.01 per cent


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """What one detector sample does to a flux.

    dataset : keeps schema RESPONSE.
    errors : the law of the per-event errors of simulated events.
    notes : stand-ins and simplifications; every result made with this response repeats them.
    arrays : the variables of the dataset as plain arrays; thousands of draws ask for them, and xarray takes 12 us each.
    """

    name: str
    label: str
    reference: str
    dataset: xr.Dataset
    errors: Errors
    notes: tuple[str, ...] = ()
    arrays: Mapping[str, Floats] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check(self.dataset, RESPONSE, source=f"response '{self.name}'")
        arrays = {str(name): np.asarray(values.values, dtype=np.float64) for name, values in self.dataset.items()}
        object.__setattr__(self, "arrays", arrays)

    def array(self, name: str) -> Floats:
        """A variable of the dataset as a plain array."""
        return self.arrays[name]


@dataclass(frozen=True, slots=True, eq=False)
class Resolution:
    """What a Response holds besides its effective area.

    migration (band, true, reco), rows sum to 1, with its edges, log10 E/GeV; spread (3, band, node): narrow fraction
    and both concentrations of the point spread at the nodes, log10 E/GeV; the other fields are those of Response.
    """

    sin_dec_edges: Floats
    true_edges: Floats
    reco_edges: Floats
    migration: Floats
    nodes: Floats
    spread: Floats
    errors: Errors
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class BackgroundRate:
    """Background rate, (sin_dec, energy) s^-1, on edges of sin(declination) and of log10 E/GeV as reconstructed."""

    sin_dec_edges: Floats
    log10_energy_edges: Floats
    rate: Floats


def response_of(
    name: str,
    label: str,
    reference: str,
    area: xr.Dataset | Mapping[str, Floats],
    found: Resolution,
    *,
    flavours: str,
) -> Response:
    """Response with an effective area, (sin_dec, log10_true) cm2 with its two edge variables, and a resolution."""
    values = {
        **{key: np.asarray(area[key]) for key in ("effective_area", "sin_dec_edges", "log10_true_edges")},
        "migration": found.migration,
        "band_sin_dec_edges": found.sin_dec_edges,
        "migration_true_edges": found.true_edges,
        "migration_reco_edges": found.reco_edges,
        "psf_log10_true": found.nodes,
        "psf_narrow_fraction": found.spread[0],
        "psf_kappa_narrow": found.spread[1],
        "psf_kappa_broad": found.spread[2],
        **columns_of(found.errors),
    }
    data = dataset(RESPONSE, values, {"name": name, "reference": reference, "flavours": flavours})
    return Response(name, label, reference, data, found.errors, found.notes)


def _bin_weights(spectrum: Spectrum, log10_edges: Floats) -> Floats:
    """Integral of the relative spectrum over each bin, GeV; (bin,)."""
    step = np.diff(log10_edges)[:, None] / _SUBSTEPS
    middles = log10_edges[:-1, None] + step * (np.arange(_SUBSTEPS) + 0.5)
    energy = 10.0**middles
    return np.asarray((spectrum.shape(middles) * energy * np.log(10.0) * step).sum(axis=1))


def band_of(sin_dec: Floats, edges: Floats) -> Ints:
    """Band that holds each sin(declination); the ends belong to the outer bands."""
    return np.searchsorted(edges[1:-1], sin_dec, side="right")


def band_acceptance(response: Response, spectrum: Spectrum) -> Floats:
    """``acceptance`` in each band of the effective area, (band,) cm2 GeV."""
    return np.asarray(response.array("effective_area") @ _bin_weights(spectrum, response.array("log10_true_edges")))


def acceptance(response: Response, spectrum: Spectrum, sin_dec: Floats) -> Floats:
    """Events per unit of time and of flux dN/dE at 100 TeV at each sin(declination).

    Returns (...,) cm2 GeV: times dN/dE(100 TeV) in GeV^-1 cm^-2 s^-1 and s, a number of events.
    Constant inside each band of the effective area, as released.
    """
    return np.asarray(band_acceptance(response, spectrum)[band_of(sin_dec, response.array("sin_dec_edges"))])


def rebin(source: Floats, target: Floats) -> Floats:
    """Fraction of each source bin inside each target bin, (source, target); the outside goes to the end bins."""
    wide = target.copy()
    wide[0], wide[-1] = min(wide[0], source[0]), max(wide[-1], source[-1])
    low = np.maximum(source[:-1, None], wide[None, :-1])
    high = np.minimum(source[1:, None], wide[None, 1:])
    return np.asarray(np.clip(high - low, 0.0, None) / np.diff(source)[:, None])


def true_to_migration(response: Response) -> Floats:
    """Truth bins of the effective area over those of the migration; outside its table its end rows serve."""
    return rebin(response.array("log10_true_edges"), response.array("migration_true_edges"))


def _to_reconstructed(response: Response, log10_edges: Floats) -> Floats:
    """Share of each truth bin of the effective area in each bin of reconstructed energy, (band, true, bin)."""
    reco = rebin(response.array("migration_reco_edges"), log10_edges)
    return np.asarray(np.einsum("tm,bmr,rk->btk", true_to_migration(response), response.array("migration"), reco))


def detected(response: Response, spectrum: Spectrum) -> Floats:
    """Detected events by effective-area band and truth bin of the effective area, arbitrary norm."""
    return np.asarray(response.array("effective_area") * _bin_weights(spectrum, response.array("log10_true_edges")))


def energy_density(response: Response, spectrum: Spectrum, sin_dec_edges: Floats, log10_edges: Floats) -> Floats:
    """Probability of each reconstructed-energy bin at each sin(declination) bin, (sin_dec, bin), rows sum to 1."""
    return energy_densities(response, (spectrum,), sin_dec_edges, log10_edges)[0]


def energy_densities(
    response: Response, spectra: Sequence[Spectrum], sin_dec_edges: Floats, log10_edges: Floats
) -> list[Floats]:
    """``energy_density`` of each spectrum; the migration is folded with the bins once for all.

    A row of declination that the detector never sees holds zeros.
    """
    fine = np.linspace(sin_dec_edges[:-1], sin_dec_edges[1:], 9, axis=1)
    middles = 0.5 * (fine[:, 1:] + fine[:, :-1])  # (sin_dec, 8): bins may straddle bands
    area_band = band_of(middles, response.array("sin_dec_edges"))
    other_band = band_of(middles, response.array("band_sin_dec_edges"))
    spread = _to_reconstructed(response, log10_edges)[other_band]
    found = [np.einsum("djt,djtk->dk", detected(response, spectrum)[area_band], spread) for spectrum in spectra]
    totals = [one.sum(axis=1, keepdims=True) for one in found]
    return [np.asarray(one / np.where(total > 0.0, total, 1.0)) for one, total in zip(found, totals, strict=True)]


def error_shares(
    response: Response, spectra: Sequence[Spectrum], sin_dec_edges: Floats, log10_edges: Floats, error_edges: Floats
) -> Floats:
    """Probability of each class of per-event error of signal seen in each bin, (spectrum, sin_dec, bin, class).

    For a response with an ErrorTable; errors beyond the edges, rad, belong to the outer classes.  A bin that no signal
    reaches has the errors of true energies as large as its own.
    """
    assert isinstance(response.errors, ErrorTable)
    fine = np.linspace(sin_dec_edges[:-1], sin_dec_edges[1:], 9, axis=1)
    middles = 0.5 * (fine[:, 1:] + fine[:, :-1])
    area_band = band_of(middles, response.array("sin_dec_edges"))
    other_band = band_of(middles, response.array("band_sin_dec_edges"))
    spread = _to_reconstructed(response, log10_edges)[other_band]
    edges = response.array("log10_true_edges")
    law = response.errors.shares(0.5 * (edges[1:] + edges[:-1]), error_edges)
    alone = response.errors.shares(0.5 * (log10_edges[1:] + log10_edges[:-1]), error_edges)
    out = []
    for spectrum in spectra:
        joint = np.einsum("djt,djtk->dkt", detected(response, spectrum)[area_band], spread)
        found = joint @ law + 1e-9 * joint.sum() * alone
        out.append(found / found.sum(axis=2, keepdims=True))
    return np.array(out)


def acceptance_by_energy(response: Response, spectrum: Spectrum, sin_dec: Floats, log10_edges: Floats) -> Floats:
    """``acceptance`` split by reconstructed energy, (..., bin); events outside the edges go to the end bins."""
    table = np.einsum("at,btk->abk", detected(response, spectrum), _to_reconstructed(response, log10_edges))
    area_band = band_of(sin_dec, response.array("sin_dec_edges"))
    return np.asarray(table[area_band, band_of(sin_dec, response.array("band_sin_dec_edges"))])


def draw_true_energy(response: Response, spectrum: Spectrum, sin_dec: Floats, rng: np.random.Generator) -> Floats:
    """log10 of the neutrino energy of detected events at each sin(declination), (event,)."""
    cumulative = np.cumsum(detected(response, spectrum), axis=1)
    return draw_tabulated_energy(response, cumulative[band_of(sin_dec, response.array("sin_dec_edges"))], rng)


def draw_tabulated_energy(response: Response, cumulative: Floats, rng: np.random.Generator) -> Floats:
    """log10 of the neutrino energy, (event,), from cumulative detected events over truth bins, (event, true bin)."""
    return _draw_from_bins(cumulative, response.array("log10_true_edges"), rng)


def _draw_from_bins(cumulative: Floats, edges: Floats, rng: np.random.Generator) -> Floats:
    """One value of each row of cumulative contents (event, bin), flat inside its bin, (event,)."""
    u = rng.random(len(cumulative)) * cumulative[:, -1]
    chosen = np.minimum((cumulative < u[:, None]).sum(axis=1), cumulative.shape[1] - 1)
    return np.asarray(edges[chosen] + rng.random(len(cumulative)) * np.diff(edges)[chosen])


def draw_reconstructed_energy(
    response: Response, log10_true: Floats, sin_dec: Floats, rng: np.random.Generator
) -> Floats:
    """log10 of the reconstructed energy, (event,); flat inside a bin of the migration table."""
    row = band_of(log10_true, response.array("migration_true_edges"))
    band = band_of(sin_dec, response.array("band_sin_dec_edges"))
    cumulative = np.cumsum(response.array("migration")[band, row], axis=1)
    return _draw_from_bins(cumulative, response.array("migration_reco_edges"), rng)


def point_spread(response: Response, log10_true: Floats, sin_dec: Floats) -> tuple[Floats, Floats, Floats]:
    """Fraction of the narrow part and both concentrations at each energy, (event,) each."""
    nodes = response.array("psf_log10_true")
    band = band_of(sin_dec, response.array("band_sin_dec_edges"))
    position = np.interp(log10_true, nodes, np.arange(len(nodes)))
    left = np.minimum(position.astype(np.int64), len(nodes) - 2)
    t = position - left

    def between(name: str) -> Floats:
        table = response.array(name)
        return np.asarray((1 - t) * table[band, left] + t * table[band, left + 1])

    return between("psf_narrow_fraction"), between("psf_kappa_narrow"), between("psf_kappa_broad")


def draw_point_spread(
    response: Response, log10_true: Floats, sin_dec: Floats, rng: np.random.Generator, *, scale: float = 1.0
) -> tuple[Floats, Floats]:
    """Opening angle and per-event error, (event,) rad each.

    With a table of errors the opening angle follows from the error drawn.  Else an event belongs to the narrow or the
    broad part, and its error scatters about the width of that part, so that the likelihood can tell well from badly
    measured events.
    scale : of the widths; the error does not follow.
    """
    if isinstance(response.errors, ErrorTable):
        error = response.errors.draw(log10_true, rng)
        return response.errors.draw_opening_angle(error, rng, scale), error
    fraction, narrow, broad = point_spread(response, log10_true, sin_dec)
    kappa = np.where(rng.random(len(fraction)) < fraction, narrow, broad)
    psi = vmf_draw(kappa / scale**2, rng)
    return psi, response.errors.draw(kappa**-0.5, rng)


def fit_mixture(psi: Floats, cumulative: Floats, start: tuple[float, float, float]) -> tuple[float, float, float]:
    """Narrow fraction and both concentrations whose cumulative point spread passes through the given points.

    psi (point,) rad, cumulative (point,) in (0, 1); start = (fraction, kappa narrow, kappa broad).
    """

    def model(p: Floats) -> Floats:
        f, narrow, broad = 1.0 / (1.0 + np.exp(-p[0])), np.exp(p[1]) + np.exp(p[2]), np.exp(p[2])
        return np.asarray(f * vmf_cumulative(psi, narrow) + (1 - f) * vmf_cumulative(psi, broad))

    p0 = [np.log(start[0] / (1 - start[0])), np.log(start[1] - start[2]), np.log(start[2])]
    # A weak pull towards the start keeps three parameters defined where the curve needs only two.
    fit = scipy.optimize.least_squares(lambda p: np.concatenate([(model(p) - cumulative) * 200.0, 0.05 * (p - p0)]), p0)
    f = 1.0 / (1.0 + np.exp(-fit.x[0]))
    return float(f), float(np.exp(fit.x[1]) + np.exp(fit.x[2])), float(np.exp(fit.x[2]))


# ---- systematic variations, in what public numbers support: rate, energy scale, point-spread width ----------------


@dataclass(frozen=True, slots=True)
class Variation:
    """A detector that differs from the nominal one.

    acceptance : its events over those of the nominal detector at the same light.
    energy_shift : it sees an event of log10 energy E as the nominal detector sees E + energy_shift, in everything:
        selection, reconstructed energy, direction (more light is what a higher energy looks like).
    angular_scale : width of its point spread over the nominal one; the per-event error does not follow.
    """

    acceptance: float = 1.0
    energy_shift: float = 0.0
    angular_scale: float = 1.0


NOMINAL = Variation()


@dataclass(frozen=True, slots=True)
class Systematics:
    """How far detectors may differ from the nominal one: standard deviations of normal numbers g.

    acceptance : of the logarithm of the acceptance.    energy_shift : in log10 E.
    angular_scale : the scale is exp(|g| angular_scale), since wrong ice can only spoil the direction.
    """

    acceptance: float = 0.0
    energy_shift: float = 0.0
    angular_scale: float = 0.0


NONE = Systematics()


def draw_variation(systematics: Systematics, rng: np.random.Generator) -> Variation:
    g = rng.standard_normal(3)
    return Variation(
        float(np.exp(systematics.acceptance * g[0])),
        float(systematics.energy_shift * g[1]),
        float(np.exp(systematics.angular_scale * abs(g[2]))),
    )


@dataclass(frozen=True, slots=True)
class Shifted:
    """A spectrum over the energy as the nominal detector sees it: d N / d E' with log10 E' = log10 E + by."""

    spectrum: Spectrum
    by: float

    def shape(self, log10_energy: Floats) -> Floats:
        return np.asarray(self.spectrum.shape(np.asarray(log10_energy) - self.by) * 10.0**-self.by)


def band_rates(response: Response, spectrum: Spectrum, variation: Variation) -> Floats:
    """Events in each band of the effective area over those of the nominal detector, (band,).

    For a power law this is acceptance x 10^(energy_shift (index - 1)) in every band, up to the ends of the
    effective-area table: the events that a shift brings over the threshold, or takes away, are in it.
    """
    if variation.energy_shift == 0.0:
        return np.full(len(response.array("effective_area")), variation.acceptance)
    nominal = detected(response, spectrum).sum(axis=1)
    seen = detected(response, Shifted(spectrum, variation.energy_shift)).sum(axis=1)
    return np.asarray(variation.acceptance * seen / np.where(nominal > 0, nominal, np.inf))
