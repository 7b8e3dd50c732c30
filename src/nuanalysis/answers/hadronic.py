"""How much of the diffuse gamma rays do the fitted neutrinos account for?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator

from nuanalysis.answers import _hadronic_rows as rows
from nuanalysis.answers._hadronic_rows import AnyFit, GammaRow, MaskRow, SetRow, Tracks
from nuanalysis.answers._own_fit import galactic_flux, known_flux
from nuanalysis.answers._question import Answer
from nuanalysis.answers._reading import Reading, read_from
from nuanalysis.errors import InputError
from nuanalysis.interpret import hadronic
from nuanalysis.interpret.regions import shares
from nuanalysis.interpret.spectra import GAMMA_RAYS, Galactic, GammaRays
from nuanalysis.library.templates import open_template
from nuanalysis.plot import (
    Drawn,
    RatioSeries,
    RegionPanel,
    RegionSeries,
    Sidecar,
    mark,
    ratio_figure,
    spectra_figure,
)
from nuanalysis.records import Unknown, setting, shown
from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy import absorption
from nuanalysis.sky.records import Template

LITERATURE = (
    "a leptonic part is needed: arXiv:2307.12363",
    "the sea of cosmic rays is enough, a gradient preferred: arXiv:2502.18268",
    "local protons overshoot LHAASO: arXiv:2506.06593",
    "GALPROP lies below IceCube by factors of a few: arXiv:2511.09777",
)


class Hadronic(Reading):
    """Neutrinos of the fit over those that gamma rays of each region and energy allow: the hadronic ratio R."""

    example: ClassVar = {"draws": 500}
    flux: Annotated[str, AfterValidator(known_flux)] = setting(
        "pi0", help="published best fit, one of pi0, kra-5, kra-50, or the JSON of a fit of ours"
    )
    yields: Literal["kelner", "aafrag"] = setting("kelner", help="cross sections set beside the pp relation")
    point_spread: float = setting(
        0.3, low=0.0, high=2.0, unit="deg", help="point spread that widens the masks; assumed for LHAASO"
    )
    draws: int = setting(20_000, low=100, high=1_000_000, help="draws of the flux and of the gamma rays")

    def ask(self) -> HadronicAnswer:
        galactic = galactic_flux(self.flux)
        template, rng = open_template(galactic.template), self.random()
        strengths = galactic.strengths.draws(rng, self.draws)
        is_open = rows.left_open(template, np.radians(self.point_spread))
        found, means, masks = list[GammaRow](), list[SetRow](), list[MaskRow]()
        for one in GAMMA_RAYS:
            mask = rows.mask_of(one, template, is_open)
            masks += [] if mask is None else [mask]
            asked = rows.Asked(one, beside(galactic, template, one), self.yields, None if mask is None else mask.factor)
            each, mean = rows.compared(asked, strengths, rng)
            found += each
            means += mean
        if not found:
            raise InputError(f"{galactic.label} is not known at any energy of the gamma rays; give another flux")
        origin = "real" if galactic.origin == "real" else "mixed"
        sources = (galactic.source, template.reference, *(one.source for one in GAMMA_RAYS), rows.TRACKS.source)
        fits = rows.fits()
        return HadronicAnswer(
            provenance=read_from(sources, self.seed, origin=origin),
            flux=self.flux,
            neutrinos=galactic.label,
            spread=(float(np.quantile(strengths, 0.16)), float(np.quantile(strengths, 0.84))),
            map=f"{template.label} ({template.origin}, nside {template.nside})",
            rows_found=tuple(found),
            means=tuple(means),
            fits=fits,
            inner_over_outer=fits[0].norm / fits[2].norm,
            tracks=rows.tracks(fits[0].index),
            masks=is_open if isinstance(is_open, Unknown) else tuple(masks),
            draws=self.draws,
        )  # fmt: skip


def beside(galactic: Galactic, template: Template, one: GammaRays) -> Floats:
    """E_nu^2 phi_nu averaged over the region at half of each gamma-ray energy, (point,); NaN where it is not known."""
    return intensity(galactic, template, one, one.points().energy * hadronic.NEUTRINO_SHARE)


def intensity(galactic: Galactic, template: Template, one: GammaRays, energy: Floats) -> Floats:
    """E^2 dN/dE of neutrinos averaged over a region at energies (energy,) TeV; TeV cm^-2 s^-1 sr^-1, per flavour."""
    at_nodes = shares(template.maps, [one.region])[:, 0]
    share = np.interp(np.log10(energy) + 3.0, template.log10_energy, at_nodes)
    return np.asarray(galactic.at(energy) * share / one.region.solid_angle)


class HadronicAnswer(Answer):
    """The hadronic ratio of gamma rays in regions of the plane."""

    rows: ClassVar = "rows_found"
    flux: str = shown("flux asked for", hidden=True)
    neutrinos: str = shown("neutrinos")
    spread: tuple[float, float] = shown("their 68 % in units of the best fit, common to all R", form=".2f")
    map: str = shown("map of the neutrinos")
    rows_found: tuple[GammaRow, ...] = shown("R = neutrinos at E/2 over half of the gamma rays; R > 1 is no fraction")
    means: tuple[SetRow, ...] = shown("geometric mean of R over each spectrum")
    fits: tuple[AnyFit, ...] = shown("power laws through LHAASO, dN/dE at 50 TeV in TeV-1 cm-2 s-1 sr-1")
    inner_over_outer: float = shown("inner over outer at 50 TeV", form=".2f")
    tracks: Tracks = shown("public tracks in the LHAASO region")
    masks: tuple[MaskRow, ...] | Unknown = shown("masks of LHAASO drawn with gamma-cat and HGPS")
    absorption: str = shown("what absorbs", absorption.MEDIUM, hidden=True)
    literature: tuple[str, ...] = shown("others disagree", LITERATURE)
    draws: int = shown("draws", hidden=True)

    def headline(self) -> tuple[str, ...]:
        kept = {"whole": [one for one in self.rows_found if not one.masked],
                "masked": [one for one in self.rows_found if one.masked]}  # fmt: skip
        said = [
            f"{words}: R from {min(one.median for one in some):.2f} to {max(one.median for one in some):.2f}"
            for words, some in (("sources left in", kept["whole"]), ("sources masked (LHAASO)", kept["masked"]))
            if some
        ]
        return (f"{self.neutrinos}: {'; '.join(said)}.", "R above 1 is more than these gamma rays allow, no fraction.")

    def about(self) -> Mapping[str, str]:
        return {"NEUTRINOS": self.neutrinos, "ABSORBED": self.absorption}

    def drawn(self) -> tuple[Drawn, ...]:
        return (self._ratios(), self._spectra())

    def _of(self, name: str) -> list[GammaRow]:
        return [one for one in self.rows_found if one.data == name]

    def _ratios(self) -> Drawn:
        origin, series = self.provenance.origin, list[RatioSeries]()
        for one in GAMMA_RAYS:
            if some := self._of(one.name):
                columns = np.array([(row.energy, row.median, row.low, row.high) for row in some]).T
                series.append(RatioSeries(one.label, *columns))
        figure = ratio_figure(series, label=f"Hadronic ratio, {self.neutrinos}", origin=origin)
        caption = (
            "Neutrinos at E/2 over half of the gamma rays, E^2 dN/dE each: median and 68 % of "
            f"{self.draws:,} draws; the errors of the neutrino flux are common to all points; "
            "energies of the series are moved apart by 4 %. LHAASO masks known "
            "sources, the fit of neutrinos cannot; the others leave resolved sources in. Loss on the way is not "
            f"counted here. Above 1 R is no fraction. Sources: {'; '.join(self.provenance.notes)}."
        )
        alt = f"Hadronic ratio against gamma-ray energy. {' '.join(self.headline())}"
        return Drawn(figure, Sidecar(f"hadronic-ratio{mark(origin)}", alt, caption, origin, "other"))

    def _spectra(self) -> Drawn:
        origin, galactic = self.provenance.origin, galactic_flux(self.flux)
        template, panels = open_template(galactic.template), list[RegionPanel]()
        factors = {} if isinstance(self.masks, Unknown) else {one.data: one.factor for one in self.masks}
        for some in rows.by_region():
            mask = factors.get(some[0].name)
            panels.append(_panel(_Drawing(galactic, template, self.spread, mask), some))
        label = f"Diffuse gamma rays, and those that go with the neutrinos: {self.neutrinos}"
        figure = spectra_figure(panels, label=label, origin=origin)
        notes = (f"{one.label}: {one.source}, {one.kind}, {one.sources}" + f" ({one.note})" * bool(one.note)
                 for one in GAMMA_RAYS)  # fmt: skip
        caption = (
            "Points: measured gamma rays, statistical errors. Line and band: gamma rays of the collisions that make "
            f"the fitted neutrinos, E_gamma = 2 E_nu, K = 2, best fit and 68 %; dashed: after the loss on the way "
            f"({absorption.MEDIUM}). Neutrinos: {galactic.source}; map: {self.map}. Gamma rays: {'; '.join(notes)}; "
            f"public tracks: {rows.TRACKS.source}, twice their E^2 dN/dE at twice their energy."
        )
        alt = f"Gamma-ray spectra of {len(panels)} regions of the plane. {self.headline()[0]}"
        return Drawn(figure, Sidecar(f"hadronic-spectra{mark(origin)}", alt, caption, origin, "other"))


@dataclass(frozen=True, slots=True, eq=False)
class _Drawing:
    """What the lines of every panel are made from; mask : factor of the map outside masks."""

    galactic: Galactic
    template: Template
    spread: tuple[float, float]
    mask: float | None


def _panel(drawing: _Drawing, some: Sequence[GammaRays]) -> RegionPanel:
    first, points = some[0], [one.points() for one in some]
    beyond = 1.5 if len(points[0]) > 1 else 5.0
    ends = min(one.energy.min() for one in points) / beyond, max(one.energy.max() for one in points) * beyond
    energy = np.geomspace(*ends, 25)
    expected = hadronic.gamma_rays_beside(
        intensity(drawing.galactic, drawing.template, first, energy * hadronic.NEUTRINO_SHARE)
    )
    measured = [RegionSeries(one.label.partition(" ")[0].replace("Tibet", "Tibet ASγ"), p.energy, p.value, p.err_low,
                             p.err_high) for one, p in zip(some, points, strict=True)]  # fmt: skip
    if first.region.name == "lhaaso-inner":
        measured.append(_tracks_point())
    low, high = drawing.spread
    return RegionPanel(
        title=first.region.label,
        measured=tuple(measured),
        energy=energy,
        expected=expected,
        low=expected * low,
        high=expected * high,
        absorbed=expected * rows.survival(first, energy)[1],
        masked=np.empty(0) if drawing.mask is None else expected * drawing.mask,
    )


def _tracks_point() -> RegionSeries:
    """The public tracks as the gamma rays that would go with them."""
    one = rows.TRACKS
    at = np.array([2.0 * 10.0 ** (one.log10_energy - 3.0)])
    best, low, high = (hadronic.gamma_rays_beside(np.array([x])) for x in (one.value, one.low, one.high))
    return RegionSeries("public tracks × 2", at, best, best - low, high - best)
