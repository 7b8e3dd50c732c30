"""A scan of the sky as files: HEALPix and multi-order FITS, images of the Galactic plane, and the product.

Every header says whether the events are real or synthetic, and that the p-values of a map are local.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import xarray as xr
from nuanalysis.records import Provenance
from nuanalysis.schema import Floats, Ints
from nuanalysis.store.fits import Card, Field, Stamp, add_cards, hdu_file, map_hdu, multi_order_hdu

LOCAL = "of this direction alone, not corrected for the others looked at"
_COLUMNS = (
    ("TS", "ts", "test statistic of the fit"),
    ("N_S", "n_signal", "fitted signal events"),
    ("INDEX", "index", "fitted spectral index"),
    ("LOG10_P_LOCAL", "log10_p", "-log10 of the local p-value"),
)


def sky_dataset(columns: Mapping[str, Floats], whose: Provenance, local_trials: int) -> xr.Dataset:
    """Fits of all pixels (RING, ICRS) as one dataset that says whose they are; dim ``pixel``.

    columns : ts, n_signal, index, and log10_p: -log10 of the local p-value, NaN beyond declination 82 deg.
    local_trials : behind log10_p, at each declination.
    """
    values = {name: (("pixel",), columns[name], {"units": "", "description": meaning}) for _, name, meaning in _COLUMNS}
    about = {"nside": hp.npix2nside(len(columns["ts"])), "ordering": "RING", "frame": "ICRS"}
    mine = {key: getattr(whose, key) for key in ("origin", "sample", "n_events", "seed")}
    return xr.Dataset(values, attrs={**about, **mine, "local_trials": local_trials})


def _cards(sky: xr.Dataset) -> list[Card]:
    """What every file says of itself; events that are simulated are called so."""
    about = sky.attrs
    return [
        ("ORIGIN", about["origin"], "real or synthetic"),
        ("OBJECT", about["origin"].upper(), "events"),
        ("SAMPLE", about["sample"], "event sample"),
        ("NEVENTS", int(about["n_events"]), "events of the sample"),
        ("SEED", int(about["seed"]), "of the trials behind p-values"),
        ("LOCALN", int(about["local_trials"]), "trials at each declination for local p"),
        ("RADESYS", "ICRS", "frame of the pixels"),
    ]


def _finished(hdus: list[Any], sky: xr.Dataset, stamp: Stamp | None) -> bytes:
    for hdu in hdus:
        hdu.header.add_comment(f"LOG10_P_LOCAL is -log10 of the p-value, local: {LOCAL}; NaN beyond declination 82 deg")
    if stamp is not None:
        return hdu_file(hdus, stamp)
    from astropy.io import fits

    primary = fits.PrimaryHDU()
    add_cards(primary.header, [("ORIGIN", sky.attrs["origin"], "real or synthetic")])
    out = io.BytesIO()
    fits.HDUList([primary, *hdus]).writeto(out)
    return out.getvalue()


def _fields(sky: xr.Dataset, pixels: Ints | slice = slice(None)) -> list[Field]:
    return [Field(name, sky[field].values[pixels], "", meaning) for name, field, meaning in _COLUMNS]


def map_fits(sky: xr.Dataset, stamp: Stamp | None = None) -> bytes:
    """The map as HEALPix FITS, RING, ICRS; TS is the column CHANNEL1, see ``map_hdu``."""
    return _finished([map_hdu("SKYMAP", _fields(sky), sky.attrs["nside"], "C", _cards(sky))], sky, stamp)


def probability_density(ts: Floats) -> Floats:
    """exp(TS / 2) normalised over the sky, (pixel,) sr^-1, zero where TS is not known.

    Where a single point source lies, if there is one: the likelihood of the best fit in each direction, times a flat
    prior on the sphere.  Maps of alerts and of gravitational waves hold the same; it says nothing on whether there is
    a source.
    """
    known = np.isfinite(ts)
    likelihood = np.where(known, np.exp(0.5 * (np.where(known, ts, 0.0) - np.max(ts, where=known, initial=0.0))), 0.0)
    return np.asarray(likelihood * (len(ts) / (4.0 * np.pi * likelihood.sum())))


def multi_order(sky: xr.Dataset) -> tuple[Ints, Ints]:
    """UNIQ numbers, rising, and the NEST pixel whose values each stands for.

    Four pixels that all hold TS 0, so the same fit, become their parent; nothing else is merged, so nothing is lost.
    """
    nside, ts = int(sky.attrs["nside"]), sky["ts"].values
    order = np.argsort(hp.ring2nest(nside, np.arange(len(ts))))
    empty = (ts[order] <= 0.0) & ~np.isnan(sky["log10_p"].values[order])
    uniq, at, first = [], [], np.arange(len(order))
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


def multi_order_fits(sky: xr.Dataset, stamp: Stamp | None = None) -> bytes:
    """The map as multi-order HEALPix FITS (UNIQ, ICRS); see ``multi_order``."""
    uniq, nested = multi_order(sky)
    ring = np.asarray(hp.nest2ring(sky.attrs["nside"], nested))
    density = probability_density(sky["ts"].values)[ring]
    meaning = "exp(TS/2), integral over the sky 1"
    return _finished([multi_order_hdu(uniq, density, meaning, _fields(sky, ring), _cards(sky))], sky, stamp)


def plane_fits(sky: xr.Dataset, stamp: Stamp | None = None, *, half_height: float = 10.0, step: float = 0.25) -> bytes:
    """The Galactic plane as images (latitude, longitude), deg, plate carrée, longitude 180 to -180; nearest pixels."""
    from astropy.io import fits

    lon = np.arange(180.0 - step / 2, -180.0, -step)
    lat = np.arange(-half_height + step / 2, half_height, step)
    grid_lon, grid_lat = np.meshgrid(lon, lat)
    ra, dec = hp.Rotator(coord=["G", "C"])(grid_lon.ravel(), grid_lat.ravel(), lonlat=True)
    pixel = np.asarray(hp.ang2pix(sky.attrs["nside"], ra, dec, lonlat=True)).reshape(grid_lon.shape)
    images = []
    for field in _fields(sky):
        hdu = fits.ImageHDU(field.values[pixel], name=field.name)
        for axis, kind, first, delta in ((1, "GLON-CAR", lon[0], -step), (2, "GLAT-CAR", lat[0], step)):
            hdu.header[f"CTYPE{axis}"], hdu.header[f"CUNIT{axis}"] = kind, "deg"
            hdu.header[f"CRVAL{axis}"], hdu.header[f"CDELT{axis}"] = 0.0, delta
            hdu.header[f"CRPIX{axis}"] = float((0.0 - first) / delta + 1.0)
        hdu.header.comments["EXTNAME"] = field.meaning
        add_cards(hdu.header, _cards(sky)[:-1])  # the frame of an image is that of its axes
        images.append(hdu)
    return _finished(images, sky, stamp)
