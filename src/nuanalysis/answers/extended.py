"""Extended sources: positions along the Galactic plane times Gaussian extensions, and a list, each at its own size.

Local p-values are those of one position with one extension.  The global ones correct for all positions and extensions,
for all sources of the list, and for the two searches together, with the same background skies (arXiv:2307.07576).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import healpy as hp
import numpy as np
import xarray as xr
from pydantic import AfterValidator

from nuanalysis import trials
from nuanalysis.answers._posed import provenance_of
from nuanalysis.answers._question import Answer, Question, Sources
from nuanalysis.answers._sky import (
    FEWEST_LOCAL_TRIALS,
    NOT_ASKED,
    TABLE_DECLINATIONS,
    Sky,
    Spot,
    check_nside,
    digest,
    kept_skies,
    list_skies,
    list_table,
    local_table,
    look_at,
    of_skies,
    spot_of,
)
from nuanalysis.answers.sources import SourcesAnswer, sources
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import InputError
from nuanalysis.library.catalogues import open_catalogue
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import turned
from nuanalysis.model import Hypothesis
from nuanalysis.plot import Drawn, ExtensionStrip, Ring, Sidecar, extended_figure, mark, slug
from nuanalysis.records import Carried, Chance, Record, Unknown, carried, setting, shown
from nuanalysis.schema import Floats
from nuanalysis.sky.records import Catalogue, PointSource

LEAST_EXTENSION, MOST_EXTENSION = 0.05, 5.0  # deg
_MOST_DECLINATION = float(np.degrees(trials.MOST_DECLINATION))
_SKIES_A_BATCH = 25
_BOTH = "the smaller of the two searches' global p-values; positions, extensions and sources of the list corrected for"


def _sizes(extensions: tuple[float, ...]) -> tuple[float, ...]:
    wrong = [f"{size:g}" for size in extensions if not LEAST_EXTENSION <= size <= MOST_EXTENSION]
    if wrong or not extensions:
        raise ValueError(
            f"extensions hold {', '.join(wrong) or 'nothing'}; expected {LEAST_EXTENSION:g} to {MOST_EXTENSION:g} "
            "degrees (a scan fits points)"
        )
    return tuple(sorted(set(extensions)))


def _pair(name: str, most: float, given: tuple[float, ...]) -> tuple[float, ...]:
    if given and (len(given) != 2 or not all(-most <= value <= most for value in given)):
        raise ValueError(
            f"{name} is {', '.join(f'{v:g}' for v in given)}; expected two of -{most:g} to {most:g} degrees"
        )
    return given


def _longitudes(given: tuple[float, ...]) -> tuple[float, ...]:
    return _pair("longitude", 360.0, given)


def _declinations_between(given: tuple[float, ...]) -> tuple[float, ...]:
    if _pair("declination", _MOST_DECLINATION, given) and given[0] > given[1]:
        raise ValueError(f"declination is {given[0]:g}, {given[1]:g}; expected the lower one first")
    return given


class Extended(Question):
    """Fit extended sources along the Galactic plane and of a list; local p-values, and global ones over all of them."""

    example: ClassVar[Mapping[str, Any]] = {
        "extensions": (1.0, 2.0), "width": 2.0, "nside": 16, "declination": (-5.0, 40.0), "skies": 20, "local_trials": 200,
    }  # fmt: skip
    extensions: Annotated[tuple[float, ...], AfterValidator(_sizes)] = setting(
        (0.5, 1.0, 1.5, 2.0), unit="deg", help="Gaussian sigmas, 0.05 to 5"
    )
    width: float = setting(5.0, above=0, high=90, unit="deg", help="largest Galactic latitude of positions")
    nside: Annotated[int, AfterValidator(check_nside)] = setting(
        64, help="finest HEALPix resolution; wide extensions have a coarser one"
    )
    longitude: Annotated[tuple[float, ...], AfterValidator(_longitudes)] = setting(
        (), unit="deg", help="LO,HI: Galactic longitudes of positions, eastwards from LO to HI; without: all"
    )
    declination: Annotated[tuple[float, ...], AfterValidator(_declinations_between)] = setting(
        (), unit="deg", help="LO,HI: declinations of positions and of the list's sources; without: all up to 82"
    )
    catalogue: Sources = setting("extended-tev", help="the list, each source at its own extension")
    skies: int = setting(100, low=0, high=10_000_000, help="background skies for global p-values; 0: local ones alone")
    local_trials: int = setting(
        1000, low=FEWEST_LOCAL_TRIALS, high=10_000_000, help="tilted scrambles behind each local p-value"
    )

    def ask(self, samples: Samples, bench: Bench) -> ExtendedAnswer:
        return extended(look_at(samples), search_of(self), self, bench)


# --- what is looked at -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """A region of the plane, its layers, and a list of sources."""

    region: trials.PlaneRegion
    layers: tuple[trials.Layer, ...]
    catalogue: Catalogue


def search_of(asked: Extended) -> Search:
    """Positions and sources of a search.  Raises InputError where a region holds none of them."""
    along, most = asked.longitude or (0.0, 360.0), _MOST_DECLINATION
    low, high = np.radians(asked.declination or (-most, most)).tolist()
    region = trials.PlaneRegion(
        math.radians(asked.width), (math.radians(along[0]), math.radians(along[1])), (low, high)
    )
    planes = trials.layers(region, tuple(math.radians(size) for size in asked.extensions), asked.nside)
    faults = [
        f"no position is left for the extension {size:g} deg: no pixel of nside {plane.nside} lies in the range; widen "
        "width, longitude or declination"
        for size, plane in zip(asked.extensions, planes, strict=True)
        if not len(plane.pixels)
    ]
    listed = open_catalogue(asked.catalogue) if isinstance(asked.catalogue, str) else asked.catalogue
    inside = tuple(s for s in listed.sources if low <= s.declination <= high)
    if not inside:
        faults.append(f"no source of {listed.name} lies between declinations {asked.declination}")
    if faults:
        raise InputError("the search cannot be made:\n  - " + "\n  - ".join(faults))
    return Search(region, planes, replace(listed, sources=inside, weights=(1.0,) * len(inside)))


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A layer, its fits (position, FIT_COLUMNS), ln of their local p-values (position,), and the table of these."""

    layer: trials.Layer
    fits: Floats
    log_p: Floats
    table: trials.LocalP


def source_of(extension: float, declination: float) -> Hypothesis:
    """A source of that extension at right ascension 0, rad, its index free."""
    name = f"point:0,{math.degrees(declination):.6g}"
    source = PointSource(name, 0.0, declination, extension)
    return Hypothesis(name, Catalogue(name, name, (source,), (1.0,), "a direction"), 2.7, True)


def nodes(declination: tuple[float, float]) -> Floats:
    """The declinations of the scan's table that surround a range, (node,) rad."""
    grid = TABLE_DECLINATIONS
    first = max(int(np.searchsorted(grid, declination[0], side="right")) - 1, 0)
    return np.asarray(grid[first : int(np.searchsorted(grid, declination[1], side="left")) + 1])


def _table(sky: Sky, layer: trials.Layer, n_trials: int, bench: Bench) -> trials.LocalP:
    at = np.pi / 2 - hp.pix2ang(layer.nside, layer.pixels)[0]
    grid = nodes((float(at.min()), float(at.max())))
    where = tuple(source_of(layer.extension, float(dec)) for dec in grid)
    return local_table(sky, where, grid, n_trials, bench)


def fit_plane(sky: Sky, planes: tuple[trials.Layer, ...], n_trials: int, bench: Bench) -> tuple[Fitted, ...]:
    """Every position with every extension, on the data."""
    data = turned(sky.events.right_ascension())

    def work(layer: trials.Layer) -> Floats:
        return trials.fit_layer(sky.events, [data], layer)[0]

    fits = bench.map(work, planes, "extensions fitted at every position")
    tables = [_table(sky, layer, n_trials, bench) for layer in planes]
    log_p = [
        trials.log_p_map(table, layer.nside, layer.pixels, rows[:, 0])
        for layer, rows, table in zip(planes, fits, tables, strict=True)
    ]
    return tuple(map(Fitted, planes, fits, log_p, tables))


def background_plane(sky: Sky, search: Search, plane: tuple[Fitted, ...], n: int, bench: Bench) -> Floats:
    """The smallest ln p of each extension on n background skies, (sky, extension)."""
    tables = tuple(one.table for one in plane)

    def rows(first: int, last: int) -> Floats:
        return trials.extended_trials(sky.events, tables, search.layers, sky.seed, first, last)

    grids = tuple((layer.extension, layer.nside) for layer in search.layers)
    decides = (tuple(map(digest, tables)), search.region, grids)
    columns = trials.layer_columns(len(plane))
    found = kept_skies(sky, "extended", decides, columns, n, _SKIES_A_BATCH, rows, bench)
    return np.stack([found[f"log_p_{k}"].values for k in range(len(plane))], axis=1)


def likeliest_extension(plane: tuple[Fitted, ...], at: tuple[float, float], within: float) -> float:
    """The extension with the largest TS within an angle of right ascension and declination ``at``, rad.

    Deep in the tail, where local p-values are extrapolated, they do not tell one extension from the next; TS does.
    """
    best = []
    for one in plane:
        theta, phi = hp.pix2ang(one.layer.nside, one.layer.pixels)
        near = hp.rotator.angdist([np.pi / 2 - at[1], at[0]], [theta, phi]) <= within
        best.append(float(one.fits[near, 0].max(initial=-1.0)))
    return plane[int(np.argmax(best))].layer.extension


# --- the answer ------------------------------------------------------------------------------------------------------


class WideSpot(Record):
    """The hottest position of an extension."""

    extension_deg: float = shown("extension", unit="deg", form="g", short="ext")
    nside: int = shown("HEALPix nside of its positions", hidden=True)
    positions: int = shown("positions", hidden=True)
    spot: Spot = shown("hottest")


class ExtendedAnswer(Answer):
    """Extended sources along the plane and of a list."""

    name: ClassVar[str] = "extended"
    rows: ClassVar[str] = "extensions"
    hottest: WideSpot = shown("hottest position")
    extension_of_largest_ts: float = shown("extension of the largest TS there", unit="deg", form="g")
    fits: int = shown("fits, positions times extensions")
    not_converged: int = shown("fits that did not converge")
    skies: int = shown("background skies")
    local_trials: int = shown("scrambles behind each local p-value")
    width: float = shown("largest Galactic latitude", unit="deg", form="g", hidden=True)
    longitude: tuple[float, ...] = shown("Galactic longitudes", (), unit="deg", hidden=True)
    declination: tuple[float, ...] = shown("declinations", (), unit="deg", hidden=True)
    extensions: tuple[WideSpot, ...] = shown("hottest position of each extension")
    listed: SourcesAnswer = shown("the list", hidden=True)
    chance: Chance | Unknown = shown("chance of both searches together")
    plane: Carried[xr.Dataset] = carried()

    def headline(self) -> tuple[str, ...]:
        one = self.hottest
        return (
            f"Hottest along the plane: {one.spot.at.words()}, extension {one.extension_deg:g} deg, TS "
            f"{one.spot.ts:.2f}; {one.spot.local.words()}; {one.spot.chance.words()}.",
            self.listed.headline()[0],
        )

    def drawn(self) -> tuple[Drawn, ...]:
        if self.plane is None:
            return ()
        spot, whose = self.hottest, self.provenance
        hottest = Ring(spot.spot.at.l_deg, spot.spot.at.b_deg, spot.extension_deg)
        rings = [Ring(one.at.l_deg, one.at.b_deg, one.extension_deg) for one in self.listed.sources]
        label = f"Extended sources, {whose.sample}"
        figure = extended_figure(
            _strips(self.plane), hottest, rings, half_width_deg=self.width, label=label, origin=whose.origin
        )
        alt, caption = self._said()
        sidecar = Sidecar(
            f"extended-plane-{slug(whose.sample)}{mark(whose.origin)}", alt, caption, whose.origin, "maps"
        )
        return (Drawn(figure, sidecar, _fits_table(self.plane)),)

    def files(self) -> Mapping[str, bytes]:
        from nuanalysis.store import table_ecsv

        return {f"extended-list{mark(self.provenance.origin)}.ecsv": table_ecsv(self.listed.to_table())}

    def _said(self) -> tuple[str, str]:
        """Alt text and caption of the figure."""
        sizes, whose = ", ".join(f"{row.extension_deg:g}" for row in self.extensions), self.provenance
        events = f"{whose.stamp} events"
        found = " ".join(self.headline())
        caption = (
            f"{whose.sample}, {whose.n_events:,} {events}, seed {whose.seed}, {self.skies} background skies: −log₁₀ of "
            f"the local p-value of Gaussian sources of extension {sizes}° along the Galactic plane. Above: at each "
            "position the extension with the smallest p-value; white rings are sources of the list "
            f"({self.listed.catalogue}) with radii of their extensions (at least 0.4°), the cross and the dashed ring "
            "the hottest position and its extension. Below: for each extension the smallest p-value along b. Galactic "
            f"coordinates, longitude grows to the left. {found}"
        )
        return f"Map of the Galactic plane and profiles along longitude, {events} of {whose.sample}. {found}", caption


def _strips(plane: xr.Dataset) -> list[ExtensionStrip]:
    """The local p-values of each extension, for the figure."""
    out = []
    for extension in np.unique(plane["extension_deg"].values):
        mine = plane["extension_deg"].values == extension
        nside = int(plane["nside"].values[mine][0])
        values = -plane["log10_p"].values[mine]
        out.append(ExtensionStrip(float(extension), nside, plane["pixel"].values[mine].astype(np.int64), values))
    return out


def _fits_table(plane: xr.Dataset) -> Any:
    from astropy.table import Table

    return Table(
        {str(name): plane[name].values for name in plane.data_vars},
        units={str(name): plane[name].attrs["units"] or None for name in plane.data_vars},
        descriptions={str(name): plane[name].attrs["description"] for name in plane.data_vars},
        meta={key: str(value) for key, value in plane.attrs.items()},
    )


_PLANE = {
    "extension_deg": ("deg", "width of the Gaussian extension"),
    "nside": ("", "HEALPix nside of the position"),
    "pixel": ("", "HEALPix pixel, RING, ICRS"),
    "l_deg": ("deg", "Galactic longitude"),
    "b_deg": ("deg", "Galactic latitude"),
    "ra_deg": ("deg", "right ascension, ICRS"),
    "dec_deg": ("deg", "declination, ICRS"),
    "ts": ("", "test statistic"),
    "n_signal": ("", "fitted signal events"),
    "index": ("", "fitted spectral index"),
    "converged": ("", "1 where the fit converged"),
    "log10_p": ("", "log10 of the local p-value"),
}


def _plane_product(plane: tuple[Fitted, ...], sky: Sky) -> xr.Dataset:
    """Every position with every extension, a row each."""
    columns: dict[str, list[Floats]] = {name: [] for name in _PLANE}
    for one in plane:
        layer = one.layer
        theta, phi = hp.pix2ang(layer.nside, layer.pixels)
        dec, n = np.pi / 2 - theta, len(layer.pixels)
        lon, lat = hp.Rotator(coord=["C", "G"])(np.degrees(phi), np.degrees(dec), lonlat=True)
        values = (
            np.full(n, round(math.degrees(layer.extension), 9)), np.full(n, layer.nside), layer.pixels,
            np.round(np.asarray(lon) % 360.0, 6), np.round(lat, 6), np.round(np.degrees(phi), 6),
            np.round(np.degrees(dec), 6), *one.fits.T, one.log_p / math.log(10.0),
        )  # fmt: skip
        for name, value in zip(_PLANE, values, strict=True):
            columns[name].append(np.asarray(value, dtype=np.float64))
    described = {name: {"units": unit, "description": said} for name, (unit, said) in _PLANE.items()}
    data = {name: (("position",), np.concatenate(parts), described[name]) for name, parts in columns.items()}
    return xr.Dataset(data, attrs={"origin": sky.samples.origin, "sample": sky.samples.name})


def _best(one: Fitted, n_trials: int, chance: Chance | Unknown) -> WideSpot:
    """The hottest position of a layer."""
    row = trials.hottest_position(one.layer, one.log_p, one.fits)
    return WideSpot(
        extension_deg=round(math.degrees(one.layer.extension), 9),
        nside=one.layer.nside,
        positions=len(one.fits),
        spot=spot_of(row, one.table, n_trials, chance),
    )


def extended(sky: Sky, search: Search, asked: Extended, bench: Bench) -> ExtendedAnswer:
    """The answer for a sky that is prepared."""
    plane = fit_plane(sky, search.layers, asked.local_trials, bench)
    least = np.array([one.log_p.min() for one in plane])
    hottest = int(np.argmin(least))
    skies = background_plane(sky, search, plane, asked.skies, bench) if asked.skies else None
    listed = sources(sky, search.catalogue, asked.skies, 0.0, asked.local_trials, bench)
    each: list[Chance | Unknown] = [NOT_ASKED] * len(plane)
    anywhere: Chance | Unknown = NOT_ASKED
    both: Chance | Unknown = NOT_ASKED
    if skies is not None:
        each = [of_skies(skies[:, k] <= least[k], "all positions with this extension") for k in range(len(plane))]
        anywhere = of_skies(skies.min(axis=1) <= least.min(), "all positions and extensions")
        of_list = _list_background(sky, search.catalogue, asked, bench)
        data = np.array([least.min(), math.log(listed.local.p)])
        both = of_skies(trials.smaller_of_both(data, np.stack([skies.min(axis=1), of_list], axis=1)), _BOTH)
    spot = _best(plane[hottest], asked.local_trials, anywhere)
    at = (math.radians(spot.spot.at.ra_deg), math.radians(spot.spot.at.dec_deg))
    return ExtendedAnswer(
        provenance=provenance_of(sky.samples, sky.anywhere),
        hottest=spot,
        extension_of_largest_ts=round(math.degrees(likeliest_extension(plane, at, plane[hottest].layer.extension)), 9),
        fits=sum(len(one.fits) for one in plane),
        not_converged=sum(int((one.fits[:, 3] < 1).sum()) for one in plane),
        skies=asked.skies,
        local_trials=asked.local_trials,
        width=asked.width,
        longitude=asked.longitude,
        declination=asked.declination,
        extensions=tuple(_best(one, asked.local_trials, chance) for one, chance in zip(plane, each, strict=True)),
        listed=listed,
        chance=both,
        plane=_plane_product(plane, sky),
    )


def _list_background(sky: Sky, catalogue: Catalogue, asked: Extended, bench: Bench) -> Floats:
    """The smallest ln p of the list on the background skies, (sky,): the skies and tables of ``sources``."""
    table = list_table(sky, catalogue, asked.local_trials, bench)
    return np.asarray(list_skies(sky, catalogue, table, asked.skies, 0.0, bench).min(axis=1))


QUESTION = Extended
