"""Rows of the hadronic ratio: one gamma-ray point each, with everything that is set beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nuanalysis.errors import DataError
from nuanalysis.interpret import hadronic, luminosity, masks
from nuanalysis.interpret.published import INTENSITIES
from nuanalysis.interpret.spectra import GAMMA_RAYS, GammaRays, gamma_rays
from nuanalysis.library.catalogues import open_table, parse_catalogue
from nuanalysis.records import Record, Unknown, known, shown
from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy import GAS, sight
from nuanalysis.sky.records import Template

CATALOGUES = ("gamma-cat", "hgps")
MASKED = ("lhaaso-inner", "lhaaso-outer")
TRACKS = next(one for one in INTENSITIES if one.name == "lhaaso-region")


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A gamma-ray spectrum and the neutrinos beside each of its points; mask : see ``MaskRow.factor``, or None."""

    gamma: GammaRays
    e2_neutrino: Floats
    yields: str
    mask: float | None


class GammaRow(Record):
    """One gamma-ray point.

    survival : share that comes through, the middle of three gas models.  through_low, through_high : of the models.
    of_yields : neutrinos that cross sections give over those of the pp relation; R with them is R divided by it.
    """

    data: str = shown("gamma rays")
    energy: float = shown("gamma-ray energy", unit="TeV", form=".3g", short="E / TeV")
    ratio: float = shown("R with best fits", form=".2f", short="R")
    median: float = shown("median of R", form=".2f")
    low: float = shown("lower end of 68 %", form=".2f")
    high: float = shown("upper end of 68 %", form=".2f")
    above_one: float = shown("share of the draws with R > 1", form=".2f", short="P(R>1)")
    gamma_error: float = shown("statistical error of the gamma rays, mean of both sides", form=".2f", short="gamma")
    absorbed: float = shown("R corrected for the loss on the way", form=".2f", short="R x T")
    survival: float = shown("share of the gamma rays that comes through", form=".3f", short="T")
    survival_low: float = shown("its least of three gas models", form=".3f", hidden=True)
    survival_high: float = shown("its largest of three gas models", form=".3f", hidden=True)
    of_yields: float | Unknown = shown(
        "neutrinos of the cross sections over those of the pp relation", form=".2f", hidden=True
    )
    inside_masks: float | None = shown("R with the map outside the same masks", None, form=".2f", short="R open")
    masked: bool = shown("whether known sources were masked in the gamma rays", hidden=True)
    region: str = shown("region", hidden=True)
    kind: str = shown("how the numbers came here", hidden=True)
    source: str = shown("source", hidden=True)
    note: str = shown("what is not confirmed", "", hidden=True)


class SetRow(Record):
    """The geometric mean of R over the points of a spectrum; errors of the flux and systematic ones do not average."""

    data: str = shown("gamma rays")
    points: int = shown("points")
    median: float = shown("median of the mean R", form=".2f")
    low: float = shown("lower end of 68 %", form=".2f")
    high: float = shown("upper end of 68 %", form=".2f")
    above_one: float = shown("share of the draws with a mean R > 1", form=".2f", short="P(R>1)")
    inside_masks: float | None = shown("median with the map outside the same masks", None, form=".2f", short="R open")


class AnyFit(Record):
    """A power law through a gamma-ray spectrum."""

    data: str = shown("gamma rays")
    errors: str = shown("errors")
    norm: float = shown("dN/dE at 50 TeV", unit="TeV-1 cm-2 s-1 sr-1", form=".3g")
    norm_error: float = shown("its error", unit="TeV-1 cm-2 s-1 sr-1", form=".2g", hidden=True)
    index: float = shown("index", form=".3f")
    index_error: float = shown("its error", form=".3f", short="error")
    chi2: float = shown("chi^2", form=".1f", short="chi2")
    degrees: int = shown("degrees of freedom", short="of")


class Tracks(Record):
    """R of the muon neutrinos of public tracks."""

    energy: float = shown("neutrino energy", unit="TeV", form="g")
    ratio: float = shown("R", form=".2f")
    error_low: float = shown("its error below", form=".2f")
    error_high: float = shown("its error above", form=".2f")
    above_one: float = shown("standard deviations above 1", form=".1f")
    source: str = shown("source")

    def words(self, form: str = "") -> str:
        errors = f"+{self.error_high:.2f} -{self.error_low:.2f}"
        return (
            f"R = {self.ratio:.2f} {errors} at {self.energy:g} TeV, {self.above_one:.1f} sigma above 1 ({self.source})"
        )


class MaskRow(Record):
    """What masks leave of a region."""

    data: str = shown("gamma rays")
    open: float = shown("part of the solid angle that is left", form=".3f")
    factor: float = shown("map there over the whole region", form=".3f")


@lru_cache(maxsize=8)
def _weights(name: str) -> Floats:
    """How much of the emission of the region of a spectrum lies at each distance, (gas model, distance)."""
    relative = luminosity.COSMIC_RAYS[1].relative(sight.KNOTS)
    part = gamma_rays(name).region
    return np.stack([hadronic.distance_weights(part, GAS[gas], relative) for gas in GAS])


def survival(one: GammaRays, energy: Floats) -> Floats:
    """Share that comes through at energies (energy,) TeV: least, middle and most of the gas models, (3, energy)."""
    return np.sort(hadronic.survival(_weights(one.name), energy), axis=0)


def left_open(template: Template, point_spread: float) -> Floats | Unknown:
    """Fraction of each pixel of a template that discs around known sources leave; point_spread in rad."""
    try:
        tables = [open_table(parse_catalogue(name)) for name in CATALOGUES]
    except DataError as error:
        return Unknown(reason=str(error))
    ra, dec, extension = (
        np.concatenate([getattr(one, key)[one.placed] for one in tables])
        for key in ("right_ascension", "declination", "extension")
    )
    return masks.left_open(template.nside, ra, dec, masks.radii(extension, point_spread))


def mask_of(one: GammaRays, template: Template, is_open: Floats | Unknown) -> MaskRow | None:
    """What the masks leave of the region of a spectrum that was measured so; None for others, or without catalogues."""
    if isinstance(is_open, Unknown) or one.name not in MASKED:
        return None
    factor, left = masks.unmasked_over_whole(template.density, one.region, is_open)
    return MaskRow(data=one.name, open=left, factor=factor)


def compared(asked: Asked, strengths: Floats, rng: np.random.Generator) -> tuple[list[GammaRow], list[SetRow]]:
    """The rows of one spectrum, and its mean; points where the neutrinos are not known are left out."""
    one, points = asked.gamma, asked.gamma.points()
    found = hadronic.ratios(points, asked.e2_neutrino, strengths, rng)
    through = survival(one, points.energy)
    made = hadronic.of_yields(np.log10(points.energy) + 3.0, asked.yields)
    rows = []
    for k in np.flatnonzero(np.isfinite(asked.e2_neutrino)):
        least, middle, most = (float(x) for x in through[:, k])
        rows.append(
            GammaRow(
                data=one.name,
                energy=float(points.energy[k]),
                ratio=float(found.best[k]),
                median=float(found.median[k]),
                low=float(found.low[k]),
                high=float(found.high[k]),
                above_one=float(found.above_one[k]),
                gamma_error=float(0.5 * (points.err_low[k] + points.err_high[k]) / points.value[k]),
                absorbed=float(found.best[k]) * middle,
                survival=middle,
                survival_low=least,
                survival_high=most,
                of_yields=known(float(made[k]), "yields are stated from 0.3 TeV"),
                inside_masks=None if asked.mask is None else float(found.best[k]) * asked.mask,
                masked=one.name in MASKED,
                region=one.region.label,
                kind=one.kind,
                source=one.source,
                note=one.note,
            )
        )
    if not rows:
        return [], []
    median, low, high, above_one = found.mean.tolist()
    opened = None if asked.mask is None else median * asked.mask
    mean = SetRow(data=one.name, points=len(rows), median=median, low=low, high=high, above_one=above_one,
                  inside_masks=opened)  # fmt: skip
    return rows, [mean]


def fits() -> tuple[AnyFit, ...]:
    """Power laws through the spectra of LHAASO, with statistical errors and with systematic ones; inner first."""
    found = []
    for name in MASKED:
        points = gamma_rays(name).points()
        for systematic in (False, True):
            fit = hadronic.power_law(points, systematic=systematic)
            errors = "with systematic ones" if systematic else "statistical"
            found.append(AnyFit.taken_from(fit, data=name, errors=errors))
    return tuple(found)


def tracks(index: float) -> Tracks:
    """R of the public tracks; index : of the gamma rays, to carry the nearest point to twice their energy."""
    energy = 10.0 ** (TRACKS.log10_energy - 3.0)
    points = gamma_rays("lhaaso-inner").points()
    beside = float(hadronic.neutrinos_beside(np.array(hadronic.e2_at(points, 2.0 * energy, index))))
    ratio, low, high = TRACKS.value / beside, TRACKS.low / beside, TRACKS.high / beside
    return Tracks(
        energy=round(energy, 6),
        ratio=ratio,
        error_low=ratio - low,
        error_high=high - ratio,
        above_one=(ratio - 1.0) / (ratio - low),
        source=TRACKS.source,
    )


def by_region() -> list[list[GammaRays]]:
    """The spectra, those of one region together."""
    found: dict[str, list[GammaRays]] = {}
    for one in GAMMA_RAYS:
        found.setdefault(one.region.name, []).append(one)
    return list(found.values())
