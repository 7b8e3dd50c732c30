"""Extended sources along the Galactic plane and of a list: local p-values, and global ones over all of them.

Positions are fitted with every Gaussian extension, a source of the list with its own.  Local p-values are those of one
position with one extension.  The global ones correct for all positions and extensions,
for all sources of the list, and for the two searches together, with the same background skies (arXiv:2307.07576).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator

from nuanalysis import store, trials
from nuanalysis.answers import _sky
from nuanalysis.answers._ensembles import counted
from nuanalysis.answers._question import Answer, Fitted, Question, SourceList, position, provenance_of
from nuanalysis.answers._sky import GLOBAL, NO_SKIES, Sky, global_chance
from nuanalysis.answers.sources import ListSearch, Source, SourcesAnswer, search_list
from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench, Kept
from nuanalysis.errors import DataError, InputError
from nuanalysis.library.catalogues import catalogue
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import FIT_COLUMNS, Turned, turned
from nuanalysis.plot import Drawn, ExtensionStrip, Ring, Sidecar, extended_figure, mark, slug
from nuanalysis.records import Carried, Chance, Position, Record, Unknown, carried, setting, shown
from nuanalysis.schema import Floats
from nuanalysis.sky.records import Catalogue
from nuanalysis.store.sky_maps import LOCAL

_LEAST_EXTENSION, _MOST_EXTENSION = 0.05, 5.0  # deg
_ALL_AROUND, _IN_REACH = (0.0, 360.0), (-82.0, 82.0)  # deg
_SKIES_A_BATCH = 25


def _extensions(given: tuple[float, ...]) -> tuple[float, ...]:
    wrong = [f"{size:g}" for size in given if not _LEAST_EXTENSION <= size <= _MOST_EXTENSION]
    if wrong or not given:
        raise ValueError(
            f"extensions holds {', '.join(wrong) or 'nothing'}; expected {_LEAST_EXTENSION:g} to {_MOST_EXTENSION:g} "
            "degrees each (scan fits points)"
        )
    return tuple(sorted(set(given)))


def _pair(name: str, most: float, rising: bool, given: tuple[float, ...]) -> tuple[float, ...]:
    found = ", ".join(f"{value:g}" for value in given)
    if given and (len(given) != 2 or not all(abs(value) <= most for value in given)):
        raise ValueError(f"{name} is ({found}); expected (low, high), both from {-most:g} to {most:g} degrees, or ()")
    if given and rising and given[0] > given[1]:
        raise ValueError(f"{name} is ({found}); expected the lower one first")
    return given


Extensions = Annotated[tuple[float, ...], AfterValidator(_extensions)]
Longitudes = Annotated[tuple[float, ...], AfterValidator(partial(_pair, "longitude", 360.0, False))]
Declinations = Annotated[tuple[float, ...], AfterValidator(partial(_pair, "declination", _IN_REACH[1], True))]


class Extended(Question):
    """Extended sources along the Galactic plane and of a list: local p-values, and global ones over all of them."""

    example: ClassVar = {
        "extensions": (1.0, 3.0), "width": 3.0, "nside": 16, "declination": (-5.0, 40.0), "skies": 20,
        "local_trials": 200,
    }  # fmt: skip
    extensions: Extensions = setting((0.5, 1.0, 1.5, 2.0), unit="deg", help="Gaussian sigmas, 0.05 to 5 each")
    width: float = setting(5.0, above=0, high=90, unit="deg", help="largest Galactic latitude of positions")
    nside: _sky.Nside = setting(64, help="finest HEALPix resolution, a power of 2; wide extensions have a coarser one")
    longitude: Longitudes = setting(
        (), unit="deg", help="Galactic longitudes of positions, eastwards from the first to the second; without: all"
    )
    declination: Declinations = setting(
        (), unit="deg", help="lowest and highest declination of positions and sources; without: all, -82 to 82"
    )
    catalogue: SourceList = setting("extended-tev", help="the list, each source fitted at its own extension")
    skies: _sky.NSkies = 100
    local_trials: _sky.LocalTrials = 1000

    def model_post_init(self, context: object) -> None:
        faults = [
            f"no position is left for the extension {math.degrees(layer.extension):g} deg: no pixel of nside "
            f"{layer.nside} lies in the range; widen width, longitude or declination"
            for layer in self.layers()
            if not len(layer.pixels)
        ]
        try:
            self.listed()
        except InputError as error:
            faults.append(str(error))
        except DataError:
            pass  # the list's release is not here: said when it is asked, a spec can be read without
        if faults:
            raise ValueError("; ".join(faults))

    def region(self) -> trials.PlaneRegion:
        """Where positions lie."""
        west, east = map(math.radians, self.longitude or _ALL_AROUND)
        low, high = map(math.radians, self.declination or _IN_REACH)
        return trials.PlaneRegion(math.radians(self.width), (west, east), (low, high))

    def layers(self) -> tuple[trials.Layer, ...]:
        """The positions of every extension."""
        return trials.layers(self.region(), tuple(math.radians(size) for size in self.extensions), self.nside)

    def listed(self) -> Catalogue:
        """The sources of the list between the declinations.  Raises InputError where there is none."""
        listed, (low, high) = catalogue(self.catalogue), self.region().declination
        kept = tuple(source for source in listed.sources if low <= source.declination <= high)
        if not kept:
            between = f"{math.degrees(low):g} and {math.degrees(high):g} deg"
            raise InputError(f"no source of {listed.name} lies between declinations {between}")
        return replace(listed, sources=kept, weights=(1.0,) * len(kept))

    def ask(self, samples: Samples, bench: Bench) -> ExtendedAnswer:
        sky, n_trials = _sky.look_at(samples, bench), self.local_trials
        plane = fit_plane(sky, self.layers(), n_trials)
        skies = plane_skies(sky, self.region(), plane, self.skies) if self.skies else None
        listed = search_list(sky, samples, self.listed(), self.skies, n_trials)
        n_fits, of = sum(len(one.fits) for one in plane), f"{GLOBAL}, all positions"
        own = [
            global_chance(None if skies is None else skies[:, k], one.least, f"{of} with this extension")
            for k, one in enumerate(plane)
        ]
        best = min(plane, key=lambda one: one.least)
        of_all = global_chance(skies, best.least, f"{of} and extensions")
        hottest = best.hottest(of_all, n_trials).model_copy(update={"n_positions": n_fits})
        return ExtendedAnswer(
            provenance=provenance_of(samples, sky.anywhere),
            width=self.width,
            longitude=self.longitude or _ALL_AROUND,
            declination=self.declination or _IN_REACH,
            chance=_both(plane, skies, listed),
            hottest=hottest,
            likeliest_extension_deg=likeliest_extension(plane, hottest.at, best.extension_deg),
            extensions=tuple(one.hottest(chance, n_trials) for one, chance in zip(plane, own, strict=True)),
            listed=listed.answer,
            n_fits=n_fits,
            not_converged=sum(int((one.fits[:, 3] < 1).sum()) for one in plane),
            n_skies=self.skies,
            local_trials=n_trials,
            positions=_dataset(plane),
        )


class Hottest(Record):
    """The position with the smallest local p-value, of one extension or of all."""

    extension_deg: float = shown("Gaussian extension", unit="deg", form="g", short="extension")
    at: Position = shown("where", short="RA   dec")
    fitted: Fitted = shown("fit")
    local: Chance = shown("chance of this position with this extension alone", short="local p")
    chance: Chance | Unknown = shown("chance that the best of all that were tried is as good", short="global p")
    n_positions: int = shown("positions tried", short="positions")


class ExtendedAnswer(Answer):
    """Extended sources along the plane and of a list."""

    rows: ClassVar = "extensions"
    width: float = shown("positions: largest latitude", unit="deg", form="g")
    longitude: tuple[float, ...] = shown("longitudes, eastwards", unit="deg", form="g")
    declination: tuple[float, ...] = shown("declinations", unit="deg", form="g")
    chance: Chance | Unknown = shown("chance in both searches")
    hottest: Hottest = shown("hottest position", hidden=True)
    likeliest_extension_deg: float = shown("extension of largest TS nearby", unit="deg", form="g")
    extensions: tuple[Hottest, ...] = shown("hottest position of each extension")
    listed: SourcesAnswer = shown("list")
    n_fits: int = shown("fits")
    not_converged: int = shown("fits that did not converge")
    n_skies: int = shown("background skies")
    local_trials: int = shown("scrambles for each local p")
    positions: Carried[xr.Dataset] = carried()

    def headline(self) -> tuple[str, ...]:
        spot = self.hottest
        return (
            f"Hottest position: {spot.at.words()}, extension {spot.extension_deg:g} deg, TS {spot.fitted.ts:.2f}; "
            f"{spot.local.words()}; {spot.chance.words()}.",
            self.listed.headline()[0],
            f"Both searches together: {self.chance.words()}.",
        )

    def drawn(self) -> tuple[Drawn, ...]:
        if self.positions is None:
            return ()
        whose = self.provenance
        strips = [
            ExtensionStrip(float(size), int(one["nside"].values[0]), one["pixel"].values, -one["log10_p_local"].values)
            for size, one in self.positions.groupby("extension")
        ]
        spots: tuple[Hottest | Source, ...] = (self.hottest, *self.listed.sources)
        hottest, *rings = (Ring(one.at.l_deg, one.at.b_deg, one.extension_deg) for one in spots)
        figure = extended_figure(
            strips,
            hottest,
            rings,
            half_width_deg=self.width,
            label=f"Extended sources, {whose.sample}",
            origin=whose.origin,
        )
        found, sizes = " ".join(self.headline()), ", ".join(f"{one.extension_deg:g}" for one in self.extensions)
        caption = (
            f"{whose.words()}, {self.n_skies} background skies: −log₁₀ of the local p-value of Gaussian sources of "
            f"extension {sizes}° along the Galactic plane. Above: at each position the extension with the smallest "
            f"p-value; white rings are sources of the list ({self.listed.catalogue}) with radii of their extensions "
            "(at least 0.4°), the cross and the dashed ring the hottest position and its extension. Below: for each "
            "extension the smallest p-value along b. Galactic coordinates, longitude grows to the left. " + found
        )
        alt = f"Map of the Galactic plane and profiles along longitude, {whose.stamp} events of {whose.sample}. {found}"
        name = f"extended-plane-{slug(whose.sample)}{mark(whose.origin)}"
        sidecar = Sidecar(name, alt, caption, whose.origin, "maps")
        return (Drawn(figure, sidecar, self._fits()),)

    def _fits(self) -> object:
        """Every position with every extension as a row of an astropy Table."""
        from astropy.table import Table

        about = {"ORIGIN": self.provenance.stamp, "SAMPLE": self.provenance.sample, "SEED": self.provenance.seed}
        columns = {str(name): values.values for name, values in (self.positions or {}).items()}
        units = dict.fromkeys(("extension", "l", "b", "ra", "dec"), "deg")
        return Table(columns, units=units, meta={**about, "LOG10_P_LOCAL": f"log10 of the p-value, local: {LOCAL}"})

    def files(self) -> Mapping[str, bytes]:
        return {"extended-list.ecsv": store.table_ecsv(self.listed.to_table())}


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """A layer, its fits (position, FIT_COLUMNS), ln of their local p-values (position,), and the table of these."""

    layer: trials.Layer
    fits: Floats
    log_p: Floats
    table: trials.LocalP

    @property
    def extension_deg(self) -> float:
        """Its extension, deg, as it was asked for."""
        return round(math.degrees(self.layer.extension), 9)

    @property
    def least(self) -> float:
        """The smallest ln p of its positions."""
        return float(self.log_p.min())

    def directions(self) -> tuple[Floats, Floats]:
        """Right ascension and declination of its positions, (position,) rad."""
        theta, phi = hp.pix2ang(self.layer.nside, self.layer.pixels)
        return np.asarray(phi), np.asarray(np.pi / 2 - theta)

    def hottest(self, chance: Chance | Unknown, local_trials: int) -> Hottest:
        """Its hottest position."""
        k, (ra, dec) = int(np.argmin(self.log_p)), self.directions()
        at, ts, log_p = float(dec[k]), float(self.fits[k, 0]), float(self.log_p[k])
        return Hottest(
            extension_deg=self.extension_deg,
            at=position(float(ra[k]), at),
            fitted=_sky.fitted_row(self.fits[k]),
            local=_sky.local_chance(self.table, at, ts, log_p, local_trials),
            chance=chance,
            n_positions=len(self.fits),
        )


def _fit_layer(kept: Kept, data: Turned, layer: trials.Layer) -> Floats:
    return trials.fit_layer(kept.value, [data], layer)[0]


def fit_plane(sky: Sky, layers: tuple[trials.Layer, ...], local_trials: int) -> tuple[Searched, ...]:
    """Every position with every extension, on the data."""
    work = partial(_fit_layer, sky.kept, turned(sky.events.right_ascension()))
    fits = sky.bench.map(work, layers, "positions of each extension", (sky.kept,))
    out = []
    for layer, rows in zip(layers, fits, strict=True):
        dec = np.pi / 2 - hp.pix2ang(layer.nside, layer.pixels)[0]
        low, high = float(dec.min()), float(dec.max())
        table = _sky.sky_table(sky, local_trials, extension=layer.extension, low=low, high=high)
        out.append(Searched(layer, rows, trials.log_p_map(table, layer.nside, layer.pixels, rows[:, 0]), table))
    return tuple(out)


def plane_skies(sky: Sky, region: trials.PlaneRegion, plane: tuple[Searched, ...], n: int) -> Floats:
    """The smallest ln p of each extension on n background skies, (sky, extension)."""
    tables, layers = tuple(one.table for one in plane), tuple(one.layer for one in plane)
    decides = (tuple(map(_sky.digest, tables)), region, tuple((layer.extension, layer.nside) for layer in layers))
    columns = trials.layer_columns(len(plane))
    asked = _sky.Skies("extended", trials.extended_trials, (tables, layers), decides, columns, _SKIES_A_BATCH)
    found = _sky.background(sky, asked, n)
    return np.stack([found[f"log_p_{k}"].values for k in range(len(plane))], axis=1)


def likeliest_extension(plane: tuple[Searched, ...], at: Position, within_deg: float) -> float:
    """The extension, deg, with the largest TS within an angle of a place.

    Deep in the tail, where local p-values are extrapolated, they do not tell one extension from the next; TS does.
    """
    best = []
    for one in plane:
        ra, dec = one.directions()
        here = [np.pi / 2 - math.radians(at.dec_deg), math.radians(at.ra_deg)]
        near = hp.rotator.angdist(here, [np.pi / 2 - dec, ra]) <= math.radians(within_deg)
        best.append(float(one.fits[near, 0].max(initial=-1.0)))
    return plane[int(np.argmax(best))].extension_deg


def _dataset(plane: tuple[Searched, ...]) -> xr.Dataset:
    """Every position with every extension; dim ``fit``, angles in deg."""
    parts = []
    for one in plane:
        ra, dec = (np.degrees(angle) for angle in one.directions())
        lon, lat = hp.Rotator(coord=["C", "G"])(ra, dec, lonlat=True)
        angles = {"l": np.asarray(lon) % 360.0, "b": np.asarray(lat), "ra": ra, "dec": dec}
        columns = {name: np.round(angle, 6) for name, angle in angles.items()}
        columns |= dict(zip(FIT_COLUMNS, one.fits.T, strict=True)) | {"log10_p_local": one.log_p / math.log(10.0)}
        columns |= {"pixel": one.layer.pixels, "extension": np.full(len(ra), one.extension_deg)}
        columns |= {"nside": np.full(len(ra), one.layer.nside)}
        parts.append(xr.Dataset({name: ("fit", column) for name, column in columns.items()}))
    return xr.concat(parts, "fit")


def _both(plane: tuple[Searched, ...], skies: Floats | None, listed: ListSearch) -> Chance | Unknown:
    """The chance of as small a result in the better of both searches."""
    if skies is None or listed.skies is None:
        return NO_SKIES
    data = np.array([min(one.least for one in plane), listed.log_p.min()])
    both = np.stack([skies.min(axis=1), listed.skies.min(axis=1)], axis=1)
    of = "the smaller of the two searches' global p-values is as small in a background sky"
    return counted(trials.tail(trials.smaller_of_both(data, both)), of, _sky.METHOD, "global")
