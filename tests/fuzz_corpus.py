"""Small sound files of every kind that the package reads, and what reads them: the ground of the fuzz test."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import healpy as hp
import made_releases
import numpy as np
import xarray as xr
from astropy.io import fits
from astropy.table import Table

from nuanalysis.answers._question import pose  # noqa: F401  (imports the records that objects may hold)
from nuanalysis.ingest import _tracks, tracks_dr1
from nuanalysis.ingest._table import checked, count_rows, read_json, read_numbers
from nuanalysis.ingest.source_catalogues import read_table
from nuanalysis.library import catalogues, hypotheses
from nuanalysis.publish import verify
from nuanalysis.publish._results import load_results
from nuanalysis.schema import EVENTS, dataset
from nuanalysis.sky import templates
from nuanalysis.sky.catalogues._rule import parse_rule
from nuanalysis.sky.records import PowerLaw, Template, factorised
from nuanalysis.store import EventStore, ensembles, read_object, read_zip, write_object, write_zip
from nuanalysis.workflow.parameters import check_notebook, read_values, validate
from nuanalysis.workflow.spec import read_spec

NAMES = (
    "map-npy",
    "map-npy-gz",
    "cube-tuple",
    "cube-pickle",
    "map-fits",
    "cube-fits",
    "map-partial",
    "cube-hdf5",
    "points-csv",
    "sidecar",
    "list-csv",
    "list-ecsv",
    "list-fits",
    "list-votable",
    "list-any",
    "rule",
    "hypothesis",
    "reference",
    "spec",
    "parameters",
    "notebook",
    "results",
    "manifest",
    "zip",
    "object",
    "trials",
    "trials-array",
    "event-store",
    "events",
    "runs",
    "area",
    "spread",
    "numbers",
    "json-table",
    "rows",
)
NSIDE = 4
RELATIVE = {"units": "relative", "frame": "galactic", "ordering": "ring"}
TURNED = {"frame": "galactic", "ordering": "ring"}
FLUX = {"units": "GeV-1 cm-2 s-1 sr-1", "frame": "galactic", "ordering": "ring", "flavour": "per-flavour"}
SPEC = Path(__file__).parents[1] / "specs" / "default.toml"


@dataclass(frozen=True, slots=True)
class Reader:
    """A kind of file: its name, a sound example, and what reads it.

    finite : whether what it gives may hold finite numbers only; a table of others keeps the gaps it has.
    """

    name: str
    content: bytes
    read: Callable[[Path], object]
    ending: str = ""
    finite: bool = True


def _map() -> np.ndarray:
    return np.exp(-0.5 * (np.degrees(np.pi / 2 - hp.pix2ang(NSIDE, np.arange(12 * NSIDE**2))[0]) / 20) ** 2)


ENERGIES = np.array([1e3, 1e4, 1e5, 1e6])


def _cube() -> np.ndarray:
    return _map()[:, None] * 1e-20 * (ENERGIES / 1e5) ** -2.7


def _saved(array: np.ndarray, **how: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **how)
    return stream.getvalue()


def _fits(*units: Any) -> bytes:
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(stream)
    return stream.getvalue()


def _healpix(columns: dict[str, np.ndarray], **cards: object) -> Any:
    unit = fits.BinTableHDU(Table(columns))
    unit.header.update({"PIXTYPE": "HEALPIX", "ORDERING": "RING", "NSIDE": NSIDE, "COORDSYS": "G", **cards})
    return unit


def _hdf5() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["flux"], file["energies"] = _cube(), ENERGIES
        file["energies"].attrs["units"] = "GeV"
    return stream.getvalue()


def _template(path: Path, said: dict[str, str]) -> Template:
    return templates.read_template(path, **said)


def _zip(folder: Path) -> bytes:
    values = xr.Dataset({"x": ("row", np.arange(50.0), {"units": "s"})}, attrs={"origin": "synthetic"})
    return write_zip(folder / "sound.zip", values).read_bytes()


def _object(folder: Path) -> bytes:
    sound = Template("t", "a", *factorised(_map() / _map().sum() * 15), PowerLaw(2.5), "user file", "me", "0" * 64)
    write_object(folder / "sound.npz", sound)
    return (folder / "sound.npz").read_bytes()


LIST = "name,ra,dec,flux,extension\n" + "".join(f"s{k},{10 * k}.5,{-40 + 9 * k},{1 + k}e-12,0.{k}\n" for k in range(9))


def _votable(folder: Path) -> bytes:
    table = Table.read(LIST.splitlines(), format="ascii.csv")
    for name in ("ra", "dec", "extension"):
        table[name].unit = "deg"
    table.write(folder / "sound.vot", format="votable")
    return (folder / "sound.vot").read_bytes()


def _list_in(ending: str) -> bytes:
    table = Table.read(LIST.splitlines(), format="ascii.csv")
    for name in ("ra", "dec", "extension"):
        table[name].unit = "deg"
    if ending == "fits":
        return _fits(fits.BinTableHDU(table))
    stream = io.StringIO()
    table.write(stream, format="ascii.ecsv")
    return stream.getvalue().encode()


def _notebook() -> bytes:
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "seed = 1", "outputs": []}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def _in_folder(name: str, read: Callable[[Path], object]) -> Callable[[Path], object]:
    """A reader that is given the folder in which the file stands under a name of its own."""

    def of(path: Path) -> object:
        path.replace(path.parent / name)
        return read(path.parent)

    return of


def _checked(folder: Path) -> object:
    return check_notebook(folder / "03_template_fits.ipynb")


def _text(path: Path) -> str:
    return path.read_bytes()[:4000].decode("utf-8", errors="replace").replace("\0", "")


def _trials(path: Path, inside: str) -> object:
    """A trial store, one of whose files is the damaged one."""
    folder = path.parent / "trials.zarr"
    ensembles.create_ensemble(folder, fingerprint="f", columns=("ts", "n"), n_trials=20, batch=10, attrs={})
    for k in range(2):
        ensembles.write_batch(folder, k, np.full((10, 2), 0.5 + k))
    path.replace(folder / inside)
    return ensembles.read_ensemble(folder)


def _event_store(folder: Path) -> Callable[[Path], object]:
    """What a damaged file in the place of the newest snapshot makes of an event store."""
    rng, n = np.random.default_rng(1), 20
    values = {name: rng.uniform(0.1, 1.0, n) for name in ("right_ascension", "declination", "angular_error")}
    values |= {"mjd": np.linspace(55000, 55300, n), "log10_energy": rng.uniform(2, 6, n)}
    about = {"sample": "x", "origin": "real", "livetime_s": 1.0e7, "reference": "made here"}
    EventStore(folder / "events.icechunk").append("one", dataset(EVENTS, values, about), "sound")

    def of(path: Path) -> object:
        shutil.copytree(folder / "events.icechunk", path.parent / "events.icechunk")
        [newest] = list(EventStore(path.parent / "events.icechunk").path.glob("refs/branch.main/*"))
        snapshot = json.loads(newest.read_text())["snapshot"]
        path.replace(path.parent / "events.icechunk" / "snapshots" / snapshot)
        return EventStore(path.parent / "events.icechunk").read("one")

    return of


def _snapshot(folder: Path) -> bytes:
    [newest] = (folder / "events.icechunk").glob("refs/branch.main/*")
    return (folder / "events.icechunk" / "snapshots" / json.loads(newest.read_text())["snapshot"]).read_bytes()


def _values(path: Path) -> object:
    return validate("07_sky_map", read_values("07_sky_map", _text(path).splitlines()[:5]))


def readers(folder: Path) -> Iterator[Reader]:
    """Every reader with a sound example."""
    cube, flat = _cube(), _map()
    at_energies = fits.BinTableHDU(Table({"ENERGY": ENERGIES}), name="ENERGIES")
    packed = np.empty(4, dtype=object)
    packed[:] = [cube, ENERGIES * 2, ENERGIES * 3, ENERGIES]
    yield Reader("map-npy", _saved(flat), lambda p: _template(p, RELATIVE), ".npy")
    yield Reader("map-npy-gz", gzip.compress(_saved(flat)), lambda p: _template(p, RELATIVE), ".npy.gz")
    yield Reader("cube-tuple", _saved(packed, allow_pickle=True), lambda p: _template(p, TURNED), ".tuple.npy")
    yield Reader(
        "cube-pickle",
        pickle.dumps((cube, 1.0, 2.0, ENERGIES)),
        lambda p: _template(p, {**TURNED, "bins": "centres"}),
        ".npy",
    )
    yield Reader("map-fits", _fits(_healpix({"T": flat})), lambda p: _template(p, {"units": "relative"}), ".fits")
    columns = {f"E{k}": cube[:, k] for k in range(4)}
    cubed = _fits(_healpix(columns), at_energies)
    yield Reader("cube-fits", cubed, lambda p: _template(p, {**FLUX, "energies_unit": "GeV"}), ".fits")
    partial = _healpix({"PIXEL": np.arange(100), "T": flat[:100]}, INDXSCHM="EXPLICIT", OBJECT="PARTIAL")
    yield Reader("map-partial", _fits(partial), lambda p: _template(p, {"units": "relative", "fill": "0"}), ".fits")
    yield Reader("cube-hdf5", _hdf5(), lambda p: _template(p, {**FLUX, "bins": "centres"}), ".h5")
    yield Reader("points-csv", LIST.encode(), lambda p: _template(p, {"units": "relative"}), ".csv")
    yield Reader("sidecar", b'units = "relative"\nframe = "galactic"\nordering = "ring"\n', _beside(flat), ".toml")
    for ending in ("csv", "ecsv", "fits"):
        content = LIST.encode() if ending == "csv" else _list_in(ending)
        yield Reader(f"list-{ending}", content, lambda p: catalogues.open_catalogue(f"{p}?weight=flux"), f".{ending}")
    yield Reader("list-votable", _votable(folder), lambda p: catalogues.open_catalogue(f"{p}?weight=flux"), ".vot")
    yield Reader("list-any", LIST.encode(), read_table, ".csv", finite=False)
    yield Reader("rule", b"CLASS == 'SNR' and S_TEV > 0.1 or not (GLAT < 5)", lambda p: parse_rule(_text(p)))
    yield Reader("hypothesis", b"point:83.63,22.01,0.5", lambda p: hypotheses.check_name(_text(p)))
    yield Reader("reference", b"template:pi0-like?nside=64&index=2.5", lambda p: hypotheses.check_name(_text(p)))
    yield Reader("spec", SPEC.read_bytes(), read_spec, ".toml")
    yield Reader("parameters", b"nside=32\nsample=cascades-2023\nskies=200", _values)
    yield Reader("notebook", _notebook(), _in_folder("03_template_fits.ipynb", _checked), ".ipynb")
    yield Reader("results", _results(folder), _in_folder("results.json", load_results), ".json")
    yield Reader("manifest", _sums(), _in_folder("MANIFEST.sha256", verify))
    yield Reader("zip", _zip(folder), read_zip, ".zip")
    yield Reader("object", _object(folder), read_object, ".npz")
    ensembles.create_ensemble(
        folder / "sound.zarr", fingerprint="f", columns=("ts", "n"), n_trials=20, batch=10, attrs={}
    )
    yield Reader("trials", (folder / "sound.zarr" / "zarr.json").read_bytes(), lambda p: _trials(p, "zarr.json"))
    array = (folder / "sound.zarr" / "trials" / "zarr.json").read_bytes()
    yield Reader("trials-array", array, lambda p: _trials(p, "trials/zarr.json"))
    of_store = _event_store(folder)
    yield Reader("event-store", _snapshot(folder), of_store)
    released = made_releases.dr1(folder / "dr1")
    about = {"name": "x", "reference": "made here"}
    events = (released / "events" / "IC40_exp.csv").read_bytes()
    yield Reader("events", events[:4000].rpartition(b"\n")[0] + b"\n", lambda p: _tracks.read_event_table(p, rows=None))
    runs = (released / "uptime" / "IC40_exp.csv").read_bytes()
    yield Reader("runs", runs, lambda p: _tracks.read_good_runs(p, season="IC40", reference="here"))
    area = (released / "irfs" / f"{tracks_dr1.RESPONSES[0]}_effectiveArea.csv").read_bytes()
    yield Reader(
        "area", b"\n".join(area.splitlines()[:201]) + b"\n", lambda p: _tracks.read_declination_area(p, **about)
    )
    spread = (released / "irfs" / f"{tracks_dr1.RESPONSES[0]}_smearing.csv").read_bytes()
    yield Reader("spread", spread[:6000].rpartition(b"\n")[0] + b"\n", lambda p: _tracks.read_smearing(p, **about))
    yield Reader("numbers", b"# a b c\n1 2 3\n4 5 6\n", lambda p: read_numbers(p, ("a", "b")))
    yield Reader(
        "json-table",
        json.dumps({"a": [1.0, 2.0], "b": [3.0, 4.0]}).encode(),
        lambda p: checked(p, read_json(p)),
        ".json",
    )
    yield Reader("rows", gzip.compress(b"# a b\n1 2\n3 4\n"), count_rows, ".csv.gz")


def _beside(flat: np.ndarray) -> Callable[[Path], object]:
    def of(path: Path) -> object:
        np.save(path.with_suffix(".npy"), flat)
        return templates.read_template(path.with_suffix(".npy"))

    return of


def _results(folder: Path) -> bytes:
    import small_results

    run = folder / "run"
    small_results.make_run(run)
    return (run / "results.json").read_bytes()


def _sums() -> bytes:
    return b"".join(b"%064x  file-%d.zip\n" % (k, k) for k in range(5))
