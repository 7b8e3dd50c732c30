"""The large datasets of answers as they are published: some as FITS for other people's programs, all as zarr."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError
from nuanalysis.publish._fits import map_fits, trials_fits
from nuanalysis.publish._results import Product
from nuanalysis.schema import TRIALS, check
from nuanalysis.store import sky_maps
from nuanalysis.store.fits import Stamp


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """The folder of a release for a dataset, the dataset as it may go out, and further files by their endings."""

    folder: str
    dataset: xr.Dataset
    files: Mapping[str, bytes]


def _title(product: Product) -> str:
    return product.path.stem.removeprefix(f"{product.kind}-")


def _map(product: Product, stamp: Stamp) -> Published:
    """Without what is not ours to pass on: only a built-in template may go out, smeared or not."""
    sky = product.dataset
    if sky.attrs.get("model_origin") != "built-in" and "signal_density" in sky:
        note = "signal_density left out: it is made from a map that may be cited but not redistributed"
        sky = sky.drop_vars("signal_density").assign_attrs(note=note)
    return Published("maps", sky, {".fits": map_fits(sky, stamp, title=_title(product))})


def _trials(product: Product, stamp: Stamp) -> Published:
    trials = check(product.dataset, TRIALS, source=str(product.path))
    return Published("trials", trials, {".fits": trials_fits(trials, stamp, title=_title(product))})


def _sky(product: Product, stamp: Stamp) -> Published:
    """A scan: maps in three forms, and the page."""
    sky = product.dataset
    forms = {
        ".fits": sky_maps.map_fits,
        ".multiorder.fits": sky_maps.multi_order_fits,
        ".plane.fits": sky_maps.plane_fits,
    }
    page = {".html": product.entry.answer.files()["sky.html"]}
    return Published("maps", sky, {**{ending: form(sky, stamp) for ending, form in forms.items()}, **page})


_FORMS: dict[str, Callable[[Product, Stamp], Published]] = {
    "map": _map, "trials": _trials, "background": _trials, "sky": _sky,
}  # fmt: skip


def published(product: Product, stamp: Stamp) -> Published:
    """The files of a dataset; of one whose kind is not known here, the zarr alone.

    Raises DataError for a dataset against its schema.
    """
    form = _FORMS.get(product.kind)
    if form is None:
        return Published("products", product.dataset, {})
    try:
        return form(product, stamp)
    except KeyError as error:
        raise DataError(
            f"{product.path} holds no '{product.kind}' ({error}); run 'nuanalysis run SPEC' again"
        ) from error
