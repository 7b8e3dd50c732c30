"""The datasets of a run as FITS and ECSV for other people's programs: degrees and TeV."""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nuanalysis.errors import DataError
from nuanalysis.store.fits import Field, Stamp, add_cards, ecsv, hdu_file, healpix_cards, table_hdu


def event_fields(events: xr.Dataset) -> list[Field]:
    """Columns of an EVENTS dataset for the public: deg and TeV.  Rows keep their order."""
    number = events.sizes["event"]
    identity = events["event_id"].values if "event_id" in events else np.arange(number)
    mjd = events["mjd"].values
    fields = [
        Field(
            "EVENT_ID",
            np.asarray(identity, dtype=np.int64),
            "",
            "event number" if "event_id" in events else "row number",
            "meta.id",
        ),
        Field(
            "TIME",
            (mjd - math.floor(mjd.min() if number else 0.0)) * 86400.0,
            "s",
            "UTC seconds since MJDREFI, 86400 s a day",
            "time.epoch",
        ),
        Field("MJD", mjd, "d", "modified Julian date, UTC", "time.epoch"),
        Field(
            "RA",
            np.degrees(events["right_ascension"].values),
            "deg",
            "reconstructed right ascension, ICRS",
            "pos.eq.ra",
        ),
        Field("DEC", np.degrees(events["declination"].values), "deg", "reconstructed declination, ICRS", "pos.eq.dec"),
        Field(
            "ENERGY",
            10.0 ** (events["log10_energy"].values - 3.0),
            "TeV",
            "reconstructed energy, or the proxy of the release",
            "em.energy",
        ),
        Field(
            "ANG_ERR", np.degrees(events["angular_error"].values), "deg", "circularised 1 sigma error", "stat.error;pos"
        ),
    ]
    if "azimuth" in events:
        fields.append(Field("AZIMUTH", np.degrees(events["azimuth"].values), "deg", "detector azimuth", "pos.az.azi"))
    if "zenith" in events:
        fields.append(Field("ZENITH", np.degrees(events["zenith"].values), "deg", "detector zenith", "pos.az.zd"))
    if "run" in events:
        fields.append(Field("RUN_ID", np.asarray(events["run"].values, dtype=np.int64), "", "run number", "meta.id"))
    if "component" in events:
        meaning = "truth: 0 atm. nu, 1 atm. mu, 2 isotropic astro, 3 signal"
        fields.append(
            Field("COMPONENT", np.asarray(events["component"].values, dtype=np.int16), "", meaning, "meta.code.class")
        )
    return fields


def _event_cards(events: xr.Dataset) -> list[tuple[str, Any, str]]:
    mjd = events["mjd"].values
    return [
        ("HDUCLASS", "GADF", "after the data formats for gamma-ray astronomy"),
        ("HDUCLAS1", "EVENTS", ""),
        ("SAMPLE", str(events.attrs["sample"]), "event sample or season"),
        ("LIVETIME", float(events.attrs["livetime_s"]), "[s] livetime of the sample"),
        ("MJDREFI", math.floor(mjd.min()) if len(mjd) else 0, "reference of TIME, whole days"),
        ("MJDREFF", 0.0, "reference of TIME, fraction"),
        ("TIMEUNIT", "s", ""),
        ("TIMESYS", "UTC", ""),
        ("RADESYS", "ICRS", "frame of RA and DEC"),
        ("REFERENC", str(events.attrs["reference"]), "where the events are from"),
    ]


def events_fits(events: xr.Dataset, stamp: Stamp) -> bytes:
    """A dataset of schema EVENTS as binary table EVENTS."""
    return hdu_file([table_hdu("EVENTS", event_fields(events), _event_cards(events))], stamp)


def _band_fields(edges: NDArray[Any], number: int) -> list[Field]:
    return [
        Field("SDEC_LO", np.asarray(edges[:number], dtype=np.float64), "", "lower edge in sin(declination), ICRS"),
        Field(
            "SDEC_HI", np.asarray(edges[1 : number + 1], dtype=np.float64), "", "upper edge in sin(declination), ICRS"
        ),
    ]


def _bins(edges: NDArray[Any], rows: int, low: str, high: str, meaning: str) -> list[Field]:
    """Edges in log10(E/GeV) as TeV, the same vector in each row."""
    energy = np.broadcast_to(10.0 ** (np.asarray(edges) - 3.0), (rows, len(edges)))
    return [
        Field(low, np.ascontiguousarray(energy[:, :-1]), "TeV", f"lower edge of {meaning}", "em.energy"),
        Field(high, np.ascontiguousarray(energy[:, 1:]), "TeV", f"upper edge of {meaning}", "em.energy"),
    ]


_COVERED = {
    "effective_area", "sin_dec_edges", "log10_true_edges", "migration", "band_sin_dec_edges", "migration_true_edges",
    "migration_reco_edges", "psf_log10_true", "psf_narrow_fraction", "psf_kappa_narrow", "psf_kappa_broad",
}  # fmt: skip


def _response_tables(response: xr.Dataset) -> list[tuple[str, str, list[Field]]]:
    array = {name: np.asarray(response[name].values) for name in _COVERED}
    areas, bands = len(array["effective_area"]), len(array["migration"])
    nodes = np.ascontiguousarray(
        np.broadcast_to(10.0 ** (array["psf_log10_true"] - 3.0), (bands, len(array["psf_log10_true"])))
    )
    return [
        ("EFFECTIVE AREA", "EFF_AREA", [
            *_band_fields(array["sin_dec_edges"], areas),
            *_bins(array["log10_true_edges"], areas, "ENERG_LO", "ENERG_HI", "neutrino energy"),
            Field("EFFAREA", array["effective_area"], "cm2", "times per-flavour nu+nubar flux: all events"),
        ]),
        ("ENERGY DISPERSION", "EDISP", [
            *_band_fields(array["band_sin_dec_edges"], bands),
            *_bins(array["migration_true_edges"], bands, "ENERG_LO", "ENERG_HI", "neutrino energy"),
            *_bins(array["migration_reco_edges"], bands, "ERECO_LO", "ERECO_HI", "reconstructed energy"),
            Field("MATRIX", array["migration"], "", "P(reco bin | true bin); axes (true, reco)"),
        ]),
        ("POINT SPREAD", "PSF", [
            *_band_fields(array["band_sin_dec_edges"], bands),
            Field("ENERG", nodes, "TeV", "neutrino energy of the nodes", "em.energy"),
            Field("FRACTION", array["psf_narrow_fraction"], "", "weight of the narrow von Mises-Fisher part"),
            Field("KAPPA_N", array["psf_kappa_narrow"], "", "concentration of the narrow part"),
            Field("KAPPA_B", array["psf_kappa_broad"], "", "concentration of the broad part"),
        ]),
    ]  # fmt: skip


def response_fits(response: xr.Dataset, stamp: Stamp) -> bytes:
    """A dataset of schema RESPONSE as three binary tables, one row per declination band; the rest as images."""
    from astropy.io import fits

    shared = [
        ("HDUCLAS1", "RESPONSE", "after GADF; axis sin(dec) instead of offset"),
        ("INSTRUME", str(response.attrs["name"]), "detector sample"),
        ("FLAVOURS", str(response.attrs["flavours"]), "flavours the area is summed over"),
        ("REFERENC", str(response.attrs["reference"]), "where the numbers come from"),
        ("NOTES", str(response.attrs.get("notes", "")) or "none", "stand-ins and changes"),
    ]
    hdus = [
        table_hdu(name, fields, [("HDUCLAS2", kind, ""), *shared]) for name, kind, fields in _response_tables(response)
    ]
    for name in sorted(str(name) for name in set(response.variables) - _COVERED):
        image = fits.ImageHDU(np.asarray(response[name].values), name=name.upper())
        add_cards(image.header, [("BUNIT", str(response[name].attrs.get("units", "")), ""), *shared])
        hdus.append(image)
    return hdu_file(hdus, stamp)


def _field_of(dataset: xr.Dataset, name: str) -> Field:
    """A variable as a column: the unit and the meaning it carries."""
    about = dataset[name].attrs
    return Field(
        name.upper(), np.asarray(dataset[name].values), str(about.get("units", "")), str(about.get("description", name))
    )


def map_fits(sky: xr.Dataset, stamp: Stamp, *, title: str) -> bytes:
    """Every variable over ``pixel`` as a column of one HEALPix binary table that ``healpy.read_map`` opens."""
    nside, frame = int(sky.attrs["nside"]), str(sky.attrs["frame"]).lower()
    if sky.sizes["pixel"] != 12 * nside**2 or frame not in ("icrs", "galactic"):
        raise DataError(
            f"map '{title}' has {sky.sizes['pixel']} pixels, nside {nside}, frame {frame!r}; "
            "expected 12 nside^2 pixels in icrs or galactic"
        )
    names = sorted(sky.data_vars, key=lambda name: (name != "ts_density", str(name)))
    fields = [_field_of(sky, str(name)) for name in names]
    cards = [
        *healpix_cards(nside, "C" if frame == "icrs" else "G"),
        ("OBJECT", "FULLSKY", ""),
        ("TITLE", title, "what the map shows"),
    ]
    if frame == "icrs":
        cards.append(("RADESYS", "ICRS", "frame"))
    return hdu_file([table_hdu("HEALPIX", fields, cards)], stamp)


def trials_fits(trials: xr.Dataset, stamp: Stamp, *, title: str) -> bytes:
    """Every variable over ``trial`` as a column of one binary table."""
    names = sorted(str(name) for name in trials.data_vars if trials[name].dims == ("trial",))
    fields = [_field_of(trials, name) for name in names]
    cards = [
        ("TITLE", title, "whose trials"),
        ("FINGERPR", str(trials.attrs["fingerprint"]), "of the problem"),
        ("KIND", str(trials.attrs["kind"]), "of ensemble"),
        ("SEED", str(trials.attrs["seed"]), "of the random numbers"),
    ]
    return hdu_file([table_hdu("TRIALS", fields, cards)], stamp)


def events_ecsv_gz(events: xr.Dataset, meta: Mapping[str, Any]) -> bytes:
    """The columns of ``events_fits`` as gzipped ECSV.

    astropy writes the header, pandas the rows (twenty times faster); numbers read back exactly.
    """
    import pandas as pd

    fields = event_fields(events)
    head = ecsv({field.name: (field.values[:0], field.unit, field.meaning) for field in fields}, meta)
    rows = pd.DataFrame({field.name: field.values for field in fields}).to_csv(
        sep=" ", header=False, index=False, lineterminator="\n"
    )
    return gzip.compress(head + rows.encode("ascii"), compresslevel=6, mtime=0)
