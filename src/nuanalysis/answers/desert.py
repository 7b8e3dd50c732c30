"""How faint in neutrinos is the Milky Way beside other galaxies?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator

from nuanalysis.answers._own_fit import galactic_flux, known_flux
from nuanalysis.answers._question import Answer
from nuanalysis.answers._reading import PUBLISHED, Reading, read_from
from nuanalysis.interpret import luminosity, luminosity_band
from nuanalysis.interpret.luminosity import STATED, STATEMENT, STATEMENT_SOURCE
from nuanalysis.interpret.luminosity_band import Draws, Tables
from nuanalysis.interpret.spectra import BEST_FITS, ISOTROPIC, Galactic
from nuanalysis.plot import DesertBand, Drawn, Sidecar, desert_figure, mark, origin_of
from nuanalysis.records import Record, setting, shown
from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy import GAS

LOWEST, HIGHEST = 5.0, 97.0  # TeV, that all measured fluxes reach
ALL_INDICES = (2.0, 2.53, 2.7)
PLAIN_ENERGIES = (1.0, 10.0, 30.0, 100.0)
PLAIN_DISTANCE, PLAIN_N0, PLAIN_XI = 8.0, 0.01, 2.4
LEVELS = (0.05, 0.5, 0.95)


class Desert(Reading):
    """Neutrino luminosity of an average galaxy over that of the Milky Way, with all its inputs open."""

    example: ClassVar = {"draws": 500}
    flux: Annotated[str, AfterValidator(lambda name: known_flux(name, several=PUBLISHED))] = setting(
        PUBLISHED, help="published (all best fits of 2023), one of pi0, kra-5, kra-50, or the JSON of a fit of ours"
    )
    energy: float = setting(30.0, low=LOWEST, high=HIGHEST, unit="TeV", help="neutrino energy of the numbers")
    n0_low: float = setting(0.01, low=1e-4, high=1.0, unit="Mpc-3", help="least local density of galaxies")
    n0_high: float = setting(0.1, low=1e-4, high=1.0, unit="Mpc-3", help="largest local density of galaxies")
    draws: int = setting(20_000, low=100, high=1_000_000, help="draws of all inputs")

    def model_post_init(self, context: object) -> None:
        if self.n0_low >= self.n0_high:
            raise ValueError(f"n0_low is {self.n0_low:g} and n0_high {self.n0_high:g}; expected the first to be less")

    def ask(self) -> DesertAnswer:
        galactic = BEST_FITS if self.flux == PUBLISHED else (galactic_flux(self.flux),)
        geometry = tuple(one for gas in GAS for one in luminosity.geometries(gas))
        grid = np.concatenate([[self.energy], np.geomspace(LOWEST, HIGHEST, 13)])
        tables = luminosity_band.tabulated(grid, ISOTROPIC, galactic, geometry)
        n0 = self.n0_low, self.n0_high
        counts = {"isotropic": len(ISOTROPIC), "galactic": galactic, "gas": len(GAS)}
        draws = luminosity_band.draw(self.random(), self.draws, n0=n0, **counts)  # type: ignore[arg-type]
        per_galaxy, per_star = luminosity_band.ratios(draws, tables)
        first = luminosity_band.tabulated(grid[:1], ISOTROPIC, galactic, geometry)
        origin = origin_of(("real", *(one.origin for one in galactic)))
        sources = [one.source for one in galactic] + [one.source for one in ISOTROPIC] + [STATEMENT_SOURCE]
        return DesertAnswer(
            provenance=read_from(sources, self.seed, origin=origin),
            energy=self.energy,
            ratio=_band("all inputs", per_galaxy[0]),
            per_star_formation=_band("per star formation, without n0", per_star[0]),
            inside=float(((per_galaxy[0] >= STATED[0]) & (per_galaxy[0] <= STATED[1])).mean()),
            n0=n0,
            evolutions=_by_evolution(draws, per_galaxy[0]),
            parts=tuple(Carries.taken_from(one) for one in luminosity_band.parts(draws, first)),
            galactic=tuple(_row(one, k, tables) for k, one in enumerate(galactic)),
            plain=_plain(galactic[0]),
            band=tuple(
                EnergyBand(energy=float(e), low=low, median=middle, high=high)
                for e, (low, middle, high) in zip(grid[1:], np.quantile(per_galaxy[1:], LEVELS, axis=1).T, strict=True)
            ),
            xi=tuple(Xi(evolution=one.name, index=g, xi=luminosity.xi_z(one, g), reference=one.reference)
                     for one in luminosity.EVOLUTIONS for g in ALL_INDICES),
            geometry=tuple(GeometryRow.taken_from(one) for one in geometry),
            draws=self.draws,
        )  # fmt: skip


class Ratios(Record):
    """Quantiles of a ratio of luminosities over the draws."""

    inputs: str = shown("inputs")
    low: float = shown("5 %", form=".3g")
    median: float = shown("median", form=".3g")
    high: float = shown("95 %", form=".3g")

    def words(self, form: str = "") -> str:
        return f"median {self.median:.3g}, 5 to 95 % of the draws {self.low:.3g} to {self.high:.3g}"


class OfEvolution(Record):
    """The ratio with one evolution of sources, everything else drawn."""

    evolution: str = shown("evolution of sources")
    low: float = shown("5 %", form=".3g")
    median: float = shown("median", form=".3g")
    high: float = shown("95 %", form=".3g")


class Carries(Record):
    """What one input carries of the spread."""

    name: str = shown("input, held")
    share: float = shown("share of the variance of ln(ratio) that goes", form=".2f")
    left: float = shown("factor from 5 to 95 % that is left", form=".3g")


class GalacticRow(Record):
    """A flux of the Milky Way at the energy of the numbers; luminosities for the gas models and cosmic rays."""

    name: str = shown("Galactic flux")
    flux: float = shown("E^2 F, all sky", unit="TeV cm-2 s-1", form=".3g")
    least: float = shown("least luminosity", unit="erg / s", form=".3g")
    most: float = shown("largest luminosity", unit="erg / s", form=".3g")
    share: float = shown("of the isotropic flux", form=".3f")
    source: str = shown("source", hidden=True)
    note: str = shown("note", "", hidden=True)


class Plain(Record):
    """The estimate with all emission at 8 kpc, n0 = 0.01 per Mpc^3 and xi_z = 2.4."""

    energy: float = shown("energy", unit="TeV", form="g")
    luminosity: float = shown("luminosity", unit="erg / s", form=".3g")
    ratio: float = shown("ratio", form=".3g")


class EnergyBand(Record):
    """The ratio against energy."""

    energy: float = shown("energy", unit="TeV", form=".3g")
    low: float = shown("5 %", form=".3g")
    median: float = shown("median", form=".3g")
    high: float = shown("95 %", form=".3g")


class Xi(Record):
    """The integral over redshift."""

    evolution: str = shown("evolution of sources")
    index: float = shown("index of the isotropic flux", form="g")
    xi: float = shown("xi_z", form=".3f")
    reference: str = shown("reference", hidden=True)


class GeometryRow(Record):
    """How far the emission is."""

    gas: str = shown("gas")
    cosmic_rays: str = shown("cosmic rays")
    distance: float = shown("<r^-2>^(-1/2)", unit="kpc", form=".2f")
    near: float = shown("flux from less than 1 kpc", form=".2f")


class DesertAnswer(Answer):
    """How many times brighter than the Milky Way an average galaxy is."""

    rows: ClassVar = "band"
    energy: float = shown("energy", unit="TeV", form="g")
    ratio: Ratios = shown("average galaxy over the Milky Way")
    per_star_formation: Ratios = shown("the same per star formation, without n0")
    inside: float = shown("share of the draws between 10 and 100", form=".3f")
    statement: str = shown("published statement", STATEMENT)
    statement_source: str = shown("its source", STATEMENT_SOURCE)
    n0: tuple[float, float] = shown("local density of galaxies between", unit="Mpc-3", form="g")
    assumed: str = shown(
        "assumed, not confirmed",
        "range of n0; star formation 0.015 solar masses / yr / Mpc^3 and 1.65 to 1.9 / yr in the Milky Way",
    )
    caution: str = shown(
        "what it is not",
        "the relations are the usual ones, those of the paper were not read; the isotropic flux holds the Galactic "
        "share too; sources of their own are not in gas x cosmic rays; light takes 28 kyr from the Centre, which is "
        "what a statement about time rests on",
    )
    evolutions: tuple[OfEvolution, ...] = shown("ratio by the evolution of sources")
    parts: tuple[Carries, ...] = shown("what each input carries")
    galactic: tuple[GalacticRow, ...] = shown("Milky Way")
    plain: tuple[Plain, ...] = shown("8 kpc, n0 = 0.01, xi_z = 2.4")
    band: tuple[EnergyBand, ...] = shown("ratio against energy")
    xi: tuple[Xi, ...] = shown("evolution of sources")
    geometry: tuple[GeometryRow, ...] = shown("distance of the emission")
    draws: int = shown("draws", hidden=True)

    def headline(self) -> tuple[str, ...]:
        return (
            f"At {self.energy:g} TeV an average galaxy is {self.ratio.median:.3g} times as bright in neutrinos as the "
            f"Milky Way ({self.ratio.low:.3g} to {self.ratio.high:.3g} over the inputs, 5 to 95 %).",
            f"Published: the Milky Way is {self.statement} ({self.statement_source}).",
        )

    def drawn(self) -> tuple[Drawn, ...]:
        origin = self.provenance.origin
        values = np.array([(one.energy, one.low, one.median, one.high) for one in self.band]).T
        plain = np.array([(one.energy, one.ratio) for one in self.plain]).T
        figure = desert_figure(DesertBand(*values), plain, stated=STATED, origin=origin)
        caption = (
            "Neutrino luminosity of an average galaxy over that of the Milky Way. Band: 5 to 95 % of "
            f"{self.draws:,} draws of all inputs, line: median; n0 from {self.n0[0]:g} to {self.n0[1]:g} per Mpc^3, "
            f"three evolutions, {len(ISOTROPIC)} isotropic fluxes, {len(self.galactic)} Galactic ones with their "
            "errors, three gas models. Diamonds: all emission at 8 kpc, n0 = 0.01, xi_z = 2.4. Hatched: 'one to two "
            f"orders of magnitude', {STATEMENT_SOURCE}. Sources: {'; '.join(self.provenance.notes)}."
        )
        alt = f"Ratio of luminosities against neutrino energy. {' '.join(self.headline())}"
        return (Drawn(figure, Sidecar(f"desert{mark(origin)}", alt, caption, origin, "other")),)


def _band(inputs: str, ratios: Floats) -> Ratios:
    low, median, high = (float(one) for one in np.quantile(ratios, LEVELS))
    return Ratios(inputs=inputs, low=low, median=median, high=high)


def _by_evolution(draws: Draws, ratios: Floats) -> tuple[OfEvolution, ...]:
    names = [one.name for one in luminosity.EVOLUTIONS]
    quantiles = [np.quantile(ratios[draws.evolution == k], LEVELS).tolist() for k in range(len(names))]
    return tuple(
        OfEvolution(evolution=name, low=low, median=median, high=high)
        for name, (low, median, high) in zip(names, quantiles, strict=True)
    )


def _row(one: Galactic, k: int, tables: Tables) -> GalacticRow:
    """A Galactic flux at the first energy of the tables; k : its number there."""
    flux = float(tables.flux[k, 0])
    bright = luminosity.of_milky_way(np.array(flux), tables.distance[k, :, :, 0])
    return GalacticRow(
        name=one.label,
        flux=flux,
        least=float(bright.min()),
        most=float(bright.max()),
        share=flux / (4.0 * np.pi * float(tables.intensity[0, 0])),
        source=one.source,
        note=one.note,
    )


def _plain(one: Galactic) -> tuple[Plain, ...]:
    energies = np.array(PLAIN_ENERGIES)
    ours = luminosity.of_milky_way(one.at(energies), np.array(PLAIN_DISTANCE))
    theirs = luminosity.of_average_galaxy(ISOTROPIC[0].at(energies)[0], np.array(PLAIN_N0), np.array(PLAIN_XI))
    known: Sequence[tuple[float, float, float]] = np.stack([energies, ours, theirs / ours], axis=1).tolist()
    return tuple(Plain(energy=e, luminosity=bright, ratio=q) for e, bright, q in known if np.isfinite(q))
