"""A response as FITS: in the layout of gamma-ray astronomy that gammapy reads, and as it is, one row a band.

That layout knows an angle THETA from the pointing where we have the declination.  Ours is the angle from the south
celestial pole, declination + 90 deg: exact, as if the telescope always pointed there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import xarray as xr
from nuanalysis.publish._fits import in_tev
from nuanalysis.schema import RESPONSE, Floats
from nuanalysis.sphere import vmf_cumulative
from nuanalysis.store.fits import GADF, Card, Field, Stamp, add_cards, hdu_file, table_hdu

#: Edges of the point spread function, deg: from a tenth of what any sample resolves to the whole sphere.
RADII = np.concatenate([[0.0], np.geomspace(0.01, 180.0, 120)])
_STEPS = 2  # of the migration axis within the narrowest bin of reconstructed energy
_TRUE, _RECO = "neutrino energy", "reconstructed energy"


def _edges(stem: str, edges: Floats, unit: str, meaning: str, ucd: str = "", *, rows: int = 1) -> list[Field]:
    """Both edges of every bin, the same vector in each row."""
    values = np.broadcast_to(edges, (rows, len(edges)))
    return [
        Field(f"{stem}_{end}", np.ascontiguousarray(part), unit, f"{side} edge of {meaning}", ucd)
        for end, side, part in (("LO", "lower", values[:, :-1]), ("HI", "upper", values[:, 1:]))
    ]


def _theta(sin_dec: Floats) -> list[Field]:
    """Bands as angles from the south celestial pole, deg, and as they are."""
    theta = np.degrees(np.arcsin(sin_dec)) + 90.0
    return [*_edges("THETA", theta, "deg", "declination + 90 deg"), *_edges("SDEC", sin_dec, "", "sin(declination)")]


def _bands(sin_dec: Floats) -> list[Field]:
    """Bands as scalars, one a row."""
    return [
        Field("SDEC_LO", np.array(sin_dec[:-1]), "", "lower edge in sin(declination), ICRS"),
        Field("SDEC_HI", np.array(sin_dec[1:]), "", "upper edge in sin(declination), ICRS"),
    ]


def dispersion(migration: Floats, true_edges: Floats, reco_edges: Floats) -> tuple[Floats, Floats]:
    """Edges of E_reco / E_true, and the density in it, (band, ratio, true); its integral is 1 for each true bin.

    migration : P(reco bin | true bin), (band, true, reco); edges in log10.  Probability is taken as even in log10 of
    the reconstructed energy within a bin, and the true energy as the middle of its bin; none is lost.
    """
    shifted = reco_edges - 0.5 * (true_edges[1:] + true_edges[:-1])[:, None]
    low, high = float(shifted.min()), float(shifted.max())
    grid = np.linspace(low, high, 1 + int(np.ceil(_STEPS * (high - low) / np.diff(reco_edges).min())))
    below = np.concatenate([np.zeros((*migration.shape[:2], 1)), np.cumsum(migration, axis=2)], axis=2)
    inside = np.array(
        [[np.interp(grid, shifted[k], band[k]) for k in range(len(shifted))] for band in below]
    )  # (band, true, edge of the grid)
    ratio = 10.0**grid
    return ratio, np.swapaxes(np.diff(inside, axis=2) / np.diff(ratio), 1, 2)


def point_spread(narrow_fraction: Floats, narrow: Floats, broad: Floats) -> Floats:
    """Mean density between RADII, sr^-1, (radius, band, node) from a fraction and concentrations (band, node)."""
    radii, share = np.radians(RADII), narrow_fraction[..., None]
    inner, outer = (vmf_cumulative(radii, np.maximum(kappa, 1e-9)[..., None]) for kappa in (narrow, broad))  # 0: even
    within = share * inner + (1.0 - share) * outer
    return np.moveaxis(np.diff(within, axis=-1) / (-2.0 * np.pi * np.diff(np.cos(radii))), -1, 0)


def _gadf_tables(array: dict[str, NDArray[Any]]) -> list[tuple[str, str, str, list[Field]]]:
    """Name, class, layout and columns of what gammapy reads; arrays in rows are (radius or ratio, THETA, energy)."""
    area_energy = _edges("ENERG", in_tev(array["log10_true_edges"]), "TeV", _TRUE, "em.energy")
    energy = _edges("ENERG", in_tev(array["migration_true_edges"]), "TeV", _TRUE, "em.energy")
    nodes = in_tev(array["psf_log10_true"])[None, :]
    ratio, density = dispersion(array["migration"], array["migration_true_edges"], array["migration_reco_edges"])
    spread = point_spread(array["psf_narrow_fraction"], array["psf_kappa_narrow"], array["psf_kappa_broad"])
    bands, area = _theta(array["band_sin_dec_edges"]), array["effective_area"]
    return [
        ("EFFECTIVE AREA", "EFF_AREA", "AEFF_2D", [
            *area_energy, *_theta(array["sin_dec_edges"]),
            Field("EFFAREA", area[None], "cm2", "times per-flavour nu+nubar flux: all events"),
        ]),
        ("ENERGY DISPERSION", "EDISP", "EDISP_2D", [
            *energy, *_edges("MIGRA", ratio, "", "E_reco / E_true"), *bands,
            Field("MATRIX", density[None], "", "density in E_reco / E_true, from MIGRATION"),
        ]),
        ("PSF_2D_TABLE", "RPSF", "PSF_TABLE", [
            Field("ENERG_LO", nodes, "TeV", "neutrino energy of the nodes", "em.energy"),
            Field("ENERG_HI", nodes, "TeV", "neutrino energy of the nodes", "em.energy"),
            *bands, *_edges("RAD", RADII, "deg", "angle from the source"),
            Field("RPSF", spread[None], "sr-1", "mean density, from POINT SPREAD"),
        ]),
    ]  # fmt: skip


def _own_tables(array: dict[str, NDArray[Any]]) -> list[tuple[str, list[Field]]]:
    """Name and columns of what that layout cannot hold without loss: one row a band."""
    bands, rows = _bands(array["band_sin_dec_edges"]), len(array["migration"])
    true, reco = in_tev(array["migration_true_edges"]), in_tev(array["migration_reco_edges"])
    nodes = np.broadcast_to(in_tev(array["psf_log10_true"]), array["psf_narrow_fraction"].shape)
    tables = [
        ("MIGRATION", [
            *bands,
            *_edges("ENERG", true, "TeV", _TRUE, "em.energy", rows=rows),
            *_edges("ERECO", reco, "TeV", _RECO, "em.energy", rows=rows),
            Field("MATRIX", array["migration"], "", "P(reco bin | true bin); axes (true, reco)"),
        ]),
        ("POINT SPREAD", [
            *bands,
            Field("ENERG", np.ascontiguousarray(nodes), "TeV", "neutrino energy of the nodes", "em.energy"),
            Field("FRACTION", array["psf_narrow_fraction"], "", "weight of the narrow von Mises-Fisher part"),
            Field("KAPPA_N", array["psf_kappa_narrow"], "", "concentration of the narrow part"),
            Field("KAPPA_B", array["psf_kappa_broad"], "", "concentration of the broad part"),
        ]),
    ]  # fmt: skip
    return [*tables, *_error_tables(array)] if "error_share" in array else tables


def _error_tables(array: dict[str, NDArray[Any]]) -> list[tuple[str, list[Field]]]:
    """Name and columns of the law of the per-event errors: one row a true energy, and one a part of the kernel."""
    ends, rows = np.degrees(array["error_edges"]), len(array["error_share"])
    about = "of the bins of the error"
    return [
        ("ANGULAR ERROR", [
            Field("ENERG", in_tev(array["error_log10_true"]), "TeV", "neutrino energy of the nodes", "em.energy"),
            Field("ERROR_LO", np.tile(ends[:-1], (rows, 1)), "deg", f"lower ends {about}", "stat.error;pos"),
            Field("ERROR_HI", np.tile(ends[1:], (rows, 1)), "deg", f"upper ends {about}", "stat.error;pos"),
            Field("SHARE", array["error_share"], "", "P(error bin | neutrino energy)"),
        ]),
        ("KERNEL", [
            Field("WEIGHT", array["kernel_weight"], "", "weight of a von Mises-Fisher part at a given error"),
            Field("SCALE", array["kernel_scale"], "", "its width over the error"),
        ]),
    ]  # fmt: skip


def _hdus(array: dict[str, NDArray[Any]], shared: list[Card]) -> list[Any]:
    """Binary tables: those that gammapy reads, then ours."""
    kinds = [("HDUCLAS1", "RESPONSE", ""), ("HDUCLAS3", "FULL-ENCLOSURE", "no cut on the angle")]
    angle: Card = ("POINTING", "south celestial pole", "THETA is declination + 90 deg")
    return [
        *(
            table_hdu(name, fields, [*GADF, *kinds, ("HDUCLAS2", kind, ""), ("HDUCLAS4", layout, ""), angle, *shared])
            for name, kind, layout, fields in _gadf_tables(array)
        ),
        *(
            table_hdu(name, fields, [("HDUCLASS", "NUANALYSIS", "as computed with, one row a band"), *shared])
            for name, fields in _own_tables(array)
        ),
    ]


def response_fits(response: xr.Dataset, stamp: Stamp) -> bytes:
    """A dataset of schema RESPONSE as binary tables; what it holds besides the schema as images."""
    from astropy.io import fits

    shared: list[Card] = [
        ("INSTRUME", str(response.attrs["name"]), "detector sample"),
        ("FLAVOURS", str(response.attrs["flavours"]), "flavours the area is summed over"),
        ("REFERENC", str(response.attrs["reference"]), "where the numbers come from"),
        ("NOTES", str(response.attrs.get("notes", "")) or "none", "stand-ins and changes"),
    ]
    hdus = _hdus({name: np.asarray(response[name].values) for name in RESPONSE.columns if name in response}, shared)
    for name in sorted(str(name) for name in set(response.variables) - set(RESPONSE.columns)):
        image = fits.ImageHDU(np.asarray(response[name].values), name=name.upper())
        add_cards(image.header, [("BUNIT", str(response[name].attrs.get("units", "")), ""), *shared])
        hdus.append(image)
    return hdu_file(hdus, stamp)
