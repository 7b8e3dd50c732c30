"""A scan of the sky as files: HEALPix and multi-order FITS, images of the Galactic plane, and the product.

Every header says whether the events are real or synthetic, and that the p-values of a map are local.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import healpy as hp
import numpy as np
import xarray as xr

from nuanalysis.errors import DataError
from nuanalysis.records import Provenance
from nuanalysis.schema import Floats, Ints
from nuanalysis.store.fits import Card, Field, Stamp, add_cards, hdu_file, healpix_cards, table_hdu

LOCAL = "local: of this direction alone, not corrected for the others looked at"
_COLUMNS = (
    ("TS", "ts", "test statistic of the fit"),
    ("N_S", "n_signal", "fitted signal events"),
    ("INDEX", "index", "fitted spectral index"),
    ("LOG10_P_LOCAL", "log10_p", "-log10 of the local p-value"),
)


@dataclass(frozen=True, slots=True, eq=False)
class SkyMap:
    """Fits of all pixels (RING, ICRS), (pixel,) each; log10_p: -log10 of the local p-value, NaN beyond 82 deg.

    local_trials : behind log10_p, at each declination.
    """

    nside: int
    ts: Floats
    n_signal: Floats
    index: Floats
    log10_p: Floats
    local_trials: int


# --- the product of a run --------------------------------------------------------------------------------------------


def sky_product(map_: SkyMap, whose: Provenance) -> xr.Dataset:
    """The map as one dataset; ``sky_map_of`` is its inverse."""
    values = {
        field: (("pixel",), getattr(map_, field), {"units": "", "description": meaning})
        for _, field, meaning in _COLUMNS
    }
    about = {"nside": map_.nside, "ordering": "RING", "frame": "ICRS", "local_trials": map_.local_trials}
    return xr.Dataset(values, attrs={**about, "origin": whose.origin, "sample": whose.sample})


def sky_map_of(sky: xr.Dataset) -> SkyMap:
    """The map of a product.  Raises DataError for a dataset that is none."""
    try:
        values = {field: np.asarray(sky[field].values, dtype=np.float64) for _, field, _ in _COLUMNS}
        found = SkyMap(nside=int(sky.attrs["nside"]), local_trials=int(sky.attrs["local_trials"]), **values)
    except (KeyError, ValueError) as error:
        raise DataError(f"this is no scan of the sky ({error!r}); run 'nuanalysis run SPEC' again") from error
    if len(found.ts) != 12 * found.nside**2:
        raise DataError(f"a scan has {len(found.ts)} pixels, nside {found.nside}; run 'nuanalysis run SPEC' again")
    return found


# --- FITS ------------------------------------------------------------------------------------------------------------


def _cards(map_: SkyMap, whose: Provenance) -> list[Card]:
    """What every file says of itself; events that are simulated are called so."""
    return [
        ("ORIGIN", whose.origin, "real or synthetic"),
        ("OBJECT", whose.stamp.upper(), "events"),
        ("SAMPLE", whose.sample, "event sample"),
        ("NEVENTS", whose.n_events, "events of the sample"),
        ("SEED", whose.seed, "of the trials behind p-values"),
        ("LOCALN", map_.local_trials, "trials at each declination for local p"),
        ("RADESYS", "ICRS", "frame of the pixels"),
    ]


def _finished(hdus: list[Any], whose: Provenance, stamp: Stamp | None) -> bytes:
    for hdu in hdus:
        hdu.header.add_comment(f"LOG10_P_LOCAL is -log10 of the p-value, {LOCAL}; NaN beyond declination 82 deg")
    if stamp is not None:
        return hdu_file(hdus, stamp)
    from astropy.io import fits

    primary = fits.PrimaryHDU()
    add_cards(primary.header, [("ORIGIN", whose.origin, "real or synthetic")])
    out = io.BytesIO()
    fits.HDUList([primary, *hdus]).writeto(out)
    return out.getvalue()


def _fields(map_: SkyMap, pixels: Ints | slice = slice(None)) -> list[Field]:
    return [Field(name, getattr(map_, field)[pixels], "", meaning) for name, field, meaning in _COLUMNS]


def map_fits(map_: SkyMap, whose: Provenance, stamp: Stamp | None = None) -> bytes:
    """The map as HEALPix FITS, RING, ICRS."""
    cards = [*healpix_cards(map_.nside, "C"), *_cards(map_, whose)]
    return _finished([table_hdu("SKYMAP", _fields(map_), cards)], whose, stamp)


def multi_order(map_: SkyMap) -> tuple[Ints, Ints]:
    """UNIQ numbers, rising, and the NEST pixel whose values each stands for.

    Four pixels that all hold TS 0, so the same fit, become their parent; nothing else is merged, so nothing is lost.
    """
    nest = np.asarray(hp.ring2nest(map_.nside, np.arange(len(map_.ts))))
    order = np.argsort(nest)
    empty = (map_.ts[order] <= 0.0) & ~np.isnan(map_.log10_p[order])
    uniq, at = [], []
    nside, first = map_.nside, np.arange(len(order))
    while True:
        whole = empty.reshape(-1, 4).all(axis=1) if nside > 1 else np.zeros(0, dtype=bool)
        kept = ~np.repeat(whole, 4) if nside > 1 else np.ones(len(first), dtype=bool)
        kept &= first >= 0
        uniq.append(4 * nside**2 + np.flatnonzero(kept))
        at.append(first[kept])
        if nside == 1:
            break
        first = np.where(whole, first.reshape(-1, 4)[:, 0], -1)
        nside, empty = nside // 2, np.asarray(whole)
    numbers, pixels = np.concatenate(uniq), np.concatenate(at)
    rising = np.argsort(numbers)
    return numbers[rising], pixels[rising]


def multi_order_fits(map_: SkyMap, whose: Provenance, stamp: Stamp | None = None) -> bytes:
    """The map as multi-order HEALPix FITS (UNIQ, ICRS); see ``multi_order``."""
    uniq, nested = multi_order(map_)
    ring = np.asarray(hp.nest2ring(map_.nside, nested))
    cards: list[Card] = [
        ("PIXTYPE", "HEALPIX", "pixelisation"),
        ("ORDERING", "NUNIQ", "pixel order"),
        ("COORDSYS", "C", "C: celestial (ICRS)"),
        ("MOCORDER", int(np.log2(map_.nside)), "finest order"),
        ("INDXSCHM", "EXPLICIT", "pixels are named by UNIQ"),
    ]
    fields = [Field("UNIQ", uniq, "", "pixel and its order, 4 nside^2 + NEST"), *_fields(map_, ring)]
    return _finished([table_hdu("SKYMAP", fields, [*cards, *_cards(map_, whose)])], whose, stamp)


def plane_fits(
    map_: SkyMap, whose: Provenance, stamp: Stamp | None = None, *, half_height: float = 10.0, step: float = 0.25
) -> bytes:
    """The Galactic plane as images (latitude, longitude), deg, plate carrée, longitude 180 to -180; nearest pixels."""
    from astropy.io import fits

    lon = np.arange(180.0 - step / 2, -180.0, -step)
    lat = np.arange(-half_height + step / 2, half_height, step)
    grid_lon, grid_lat = np.meshgrid(lon, lat)
    ra, dec = hp.Rotator(coord=["G", "C"])(grid_lon.ravel(), grid_lat.ravel(), lonlat=True)
    pixel = np.asarray(hp.ang2pix(map_.nside, ra, dec, lonlat=True)).reshape(grid_lon.shape)
    images = []
    for field in _fields(map_):
        hdu = fits.ImageHDU(field.values[pixel], name=field.name)
        for axis, kind, first, delta in ((1, "GLON-CAR", lon[0], -step), (2, "GLAT-CAR", lat[0], step)):
            hdu.header[f"CTYPE{axis}"], hdu.header[f"CUNIT{axis}"] = kind, "deg"
            hdu.header[f"CRVAL{axis}"], hdu.header[f"CDELT{axis}"] = 0.0, delta
            hdu.header[f"CRPIX{axis}"] = float((0.0 - first) / delta + 1.0)
        hdu.header.comments["EXTNAME"] = field.meaning
        add_cards(hdu.header, _cards(map_, whose)[:-1])  # the frame of an image is that of its axes
        images.append(hdu)
    return _finished(images, whose, stamp)
