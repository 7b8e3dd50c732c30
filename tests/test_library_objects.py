"""From an object a user holds to a thing we can test: arrays, directions, tables, and what they cannot be."""

from __future__ import annotations

from dataclasses import replace

import healpy as hp
import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import Galactic, SkyCoord
from astropy.table import QTable, Table

from nuanalysis.errors import InputError
from nuanalysis.library.catalogues import catalogue
from nuanalysis.library.hypotheses import hypothesis, model_origin, point, read_hypotheses, read_hypothesis
from nuanalysis.library.templates import open_template, template
from nuanalysis.model import OWN_SPECTRUM
from nuanalysis.sky.templates import BUILT_IN, parse_recipe, read_template
from nuanalysis.store import read_object, write_object

FLUX = "GeV-1 cm-2 s-1 sr-1"
SAID = {"frame": "icrs", "ordering": "ring", "units": "relative"}


@pytest.fixture(scope="module")
def plane() -> np.ndarray:
    return parse_recipe("pi0-like?nside=32", BUILT_IN).make().density


# ---- arrays -------------------------------------------------------------------------------------------------------


def test_an_array_gives_what_its_file_gives(plane, tmp_path):
    np.save(tmp_path / "mine.npy", plane)
    said = {
        "frame": "galactic",
        "ordering": "nested",
        "units": FLUX,
        "flavour": "all",
        "energy": "100TeV",
        "index": 2.5,
    }
    said |= {"sure": "ordering,frame,flux"}
    held, read = template(plane, name="mine", **said), read_template(tmp_path / "mine.npy", **said)
    assert np.array_equal(held.maps, read.maps)
    assert (held.name, held.flux, held.spectrum, held.origin) == (read.name, read.flux, read.spectrum, read.origin)
    assert template(tmp_path / "mine.npy", **said).sha256 == read.sha256
    assert "array of the user 'mine', galactic nested" in held.reference


def test_frames_units_and_energies_may_be_those_of_astropy(plane):
    energies = np.array([10.0, 100.0, 1000.0]) * u.TeV
    cube = plane[:, None] * np.array([1e-10, 1e-15, 1e-20])
    words = {"frame": "galactic", "ordering": "ring", "flavour": "all", "energies_unit": "GeV", "sure": "frame,flux"}
    typed = template(cube, **words, units=FLUX, energies=[1e4, 1e5, 1e6])
    unit = 1 / (u.GeV * u.cm**2 * u.s * u.sr)
    del words["energies_unit"]
    for held in (
        template(cube * unit, **words | {"frame": Galactic}, energies=energies),
        template(cube.T, **words | {"frame": Galactic()}, units=unit, energies=energies),
    ):
        assert np.allclose(held.maps, typed.maps, rtol=1e-12)
        assert held.flux == pytest.approx(typed.flux, rel=1e-12)
    assert hypothesis(typed).index == OWN_SPECTRUM


def test_content_has_a_checksum(plane):
    one, other = template(plane, **SAID), template(plane * 2, **SAID)
    assert one.sha256 == template(plane.copy(), **SAID).sha256 != other.sha256
    assert np.allclose(one.density, other.density)
    assert one.density == pytest.approx(plane)


def test_all_that_an_array_does_not_say_is_asked_for_in_the_words_of_the_caller(plane):
    with pytest.raises(InputError) as caught:
        template(plane)
    message = str(caught.value)
    for fault in ("its frame is not stated", "its ordering is not stated", "its units are not stated"):
        assert fault in message
    assert "say what is missing as keywords of template, such as frame='galactic'" in message
    assert "read_template" not in message
    assert "--" not in message


@pytest.mark.parametrize(
    ("spoil", "said", "words"),
    [
        (lambda m: m[1:], {}, "it has 12287 pixels, expected 12 nside"),
        (lambda m: np.where(m == m.max(), np.nan, m), {}, "1 pixels are NaN"),
        (lambda m: np.where(m == m.max(), hp.UNSEEN, m), {}, "1 pixels are marked UNSEEN"),
        (lambda m: np.ma.array(m, mask=m == m.max()), {}, "1 pixels are marked UNSEEN"),
        (lambda m: -m, {}, "12288 pixels are negative"),
        (lambda m: m.astype(str), {}, "expected real numbers"),
        (lambda m: m, {"nside": 32}, "which NumPy array does not use"),
        (lambda m: m, {"fram": "icrs"}, "Did you mean 'frame'"),
        (lambda m: m, {"frame": "supergalactic"}, "the call says frame=supergalactic"),
        (lambda m: m, {"units": "m"}, "its units 'm' are no differential flux"),
        (lambda m: m, {"units": FLUX}, "its flavour is not stated"),
    ],
)
def test_arrays_that_are_no_map_are_refused(plane, spoil, said, words):
    with pytest.raises(InputError, match=words):
        template(spoil(plane), **{**SAID, **said})


def test_names_and_files_are_taken_as_well(plane, tmp_path, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    np.save("mine.npy", plane)
    held = template(plane, **SAID)
    assert template(held) is held
    assert template("template:isotropic?nside=16").nside == 16
    half = template("mine.npy?frame=icrs&ordering=ring", units="relative")
    assert np.array_equal(half.maps, held.maps)
    with pytest.raises(InputError, match="is said in its name and beside it"):
        template("mine.npy?frame=icrs", **SAID | {"frame": "galactic"})
    with pytest.raises(InputError, match="'isotropic' is known and takes no frame"):
        template("isotropic", frame="galactic")
    with pytest.raises(InputError, match="Did you mean 'isotropic'"):
        template("isotropc", frame="galactic")


@pytest.mark.parametrize(
    "spoil",
    [np.negative, lambda m: m * np.nan, lambda m: 2.0 * m, lambda m: m[:, :7], lambda m: m.astype(str), np.zeros_like],
)
def test_a_cache_that_holds_no_map_under_the_name_of_one_is_written_anew(spoil, tmp_path, monkeypatch):
    """A folder of caches may come with a folder of somebody else."""
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path))
    name = "galactic-plane-box?nside=16"
    made = open_template(name)
    (kept,) = (tmp_path / "templates").glob("*.npz")
    write_object(kept, replace(made, maps=spoil(made.maps)))
    assert np.array_equal(open_template(name).maps, made.maps)
    assert np.array_equal(read_object(kept).maps, made.maps)


# ---- directions ---------------------------------------------------------------------------------------------------

CRAB = SkyCoord("05h34m31.9s +22d00m52s")


def test_a_direction_in_any_frame_is_a_point():
    one, other = point(CRAB), point(CRAB.galactic)
    assert np.degrees(one.right_ascension) == pytest.approx(CRAB.ra.deg, abs=1e-12)
    assert np.degrees(one.declination) == pytest.approx(CRAB.dec.deg, abs=1e-12)
    assert (other.right_ascension, other.declination) == pytest.approx(
        (one.right_ascension, one.declination), abs=1e-12
    )
    wide = point(CRAB, extension=30 * u.arcmin)
    assert np.degrees(wide.extension) == pytest.approx(0.5)
    assert wide.name == "RA 83.6329 dec 22.0144 deg, sigma 0.5 deg"


def test_a_point_is_the_hypothesis_of_its_name():
    typed, held = read_hypothesis("point:83.63,22.01"), hypothesis(SkyCoord(83.63, 22.01, unit="deg"))
    assert (held.name, held.index, held.index_free) == (typed.name, typed.index, typed.index_free)
    [one], [other] = held.target.sources, typed.target.sources
    assert one.name == other.name
    assert (one.right_ascension, one.declination) == pytest.approx(
        (other.right_ascension, other.declination), rel=1e-15
    )
    assert (held.target.name, held.target.reference) == (typed.target.name, typed.target.reference)
    wide = hypothesis(point(CRAB, extension=0.5 * u.deg), index=2.2, index_free=False)
    assert (wide.name, wide.index, wide.index_free) == ("point:83.632917,22.014444,0.5", 2.2, False)
    again = read_hypothesis(wide.name)
    assert again.target.sources[0].extension == pytest.approx(wide.target.sources[0].extension)
    assert model_origin(wide) == "user direction"


@pytest.mark.parametrize(
    "call",
    [
        lambda: point("83.63,22.01"),
        lambda: point(CRAB, extension=0.5),
        lambda: point(CRAB, extension=1 * u.m),
        lambda: point(SkyCoord([1, 2], [3, 4], unit="deg")),
    ],
)
def test_what_is_no_direction_is_refused_with_an_example(call):
    with pytest.raises(InputError, match=r"expected one SkyCoord and an angle, as in point\(SkyCoord"):
        call()


@pytest.mark.parametrize("extension", [-1, 31, np.nan])
def test_extensions_out_of_range_are_refused(extension):
    with pytest.raises(InputError, match="expected 0 to 30"):
        point(CRAB, extension=extension * u.deg)
    with pytest.raises(InputError, match="expected 0 to 30"):
        read_hypothesis(f"point:1,2,{extension}")


@pytest.mark.parametrize("text", ["point:1", "point:1,2,3,4", "point:a,b", "point:1,2,"])
def test_points_that_cannot_be_read_are_refused(text):
    with pytest.raises(InputError, match="expected point:RA,DEC or point:RA,DEC,EXTENSION in degrees"):
        read_hypothesis(text)


# ---- tables of sources --------------------------------------------------------------------------------------------


def sources() -> Table:
    units = {"ra": "deg", "dec": "deg", "size": "deg"}
    columns = {"name": ["a", "b", "c"], "ra": [10.0, 20.0, 230.0], "dec": [1.0, 2.0, -3.0], "size": [0.1, 0.0, 0.2]}
    return Table({**columns, "bright": [1.0, 2.0, 3.0]}, units=units)


def with_directions() -> QTable:
    table = QTable(sources())
    table["where"] = SkyCoord(table["ra"], table["dec"]).galactic
    table.remove_columns(["ra", "dec"])
    return table


@pytest.mark.parametrize("table", [sources, lambda: QTable(sources()), lambda: sources().to_pandas(), with_directions])
def test_a_table_of_sources_is_a_catalogue(table):
    given = table()
    found = catalogue(given, rule="bright > 1", weight="bright", extension="size", name="mine")
    assert [s.name for s in found.sources] == ["b", "c"]
    assert found.weights == (2.0, 3.0)
    assert np.degrees([s.right_ascension for s in found.sources]) == pytest.approx([20.0, 230.0])
    assert np.degrees([s.extension for s in found.sources]) == pytest.approx([0.0, 0.2])
    assert found.name == "mine?rule=bright > 1&weight=bright"
    assert "table of the user" in found.reference
    assert list(given.columns) == list(table().columns), "what was given is not changed"
    tested = hypothesis(found)
    assert (tested.name, tested.index_free, model_origin(tested)) == (f"stack:{found.name}", True, "user file")


def test_names_and_files_take_the_same_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sources().write("mine.ecsv")
    held = catalogue(sources(), rule="dec > 0")
    read = catalogue("mine.ecsv", rule="dec > 0")
    assert held.sources == read.sources == catalogue("stack:mine.ecsv?rule=dec > 0").sources
    assert catalogue(held) is held
    assert len(catalogue("snr", rule="dec > 0").sources) < len(catalogue("snr").sources)
    near = catalogue(pd.concat([sources().to_pandas()] * 2), duplicates="first", within=0.1 * u.deg)
    assert len(near.sources) == 3


@pytest.mark.parametrize(
    ("given", "said", "words"),
    [
        (sources, {"weight": "brigth"}, "Did you mean 'bright'"),
        (sources, {"rule": "brigth > 1"}, "bright"),
        (sources, {"name": "snr"}, "'snr' is the name of a known list"),
        (sources, {"fram": "icrs"}, "unknown key 'fram'. Did you mean 'frame'"),
        (sources, {"within": 3}, "expected an angle, such as 0.1"),
        (sources, {"duplicates": "all"}, "duplicates is 'all'"),
        (lambda: 3, {}, "a int is no table of sources"),
        (lambda: Table({"x": [1.0]}), {}, "it needs columns for ra and dec"),
        (lambda: "snrs", {}, "Did you mean 'snr'"),
    ],
)
def test_what_is_no_catalogue_is_refused(given, said, words):
    with pytest.raises(InputError, match=words):
        catalogue(given(), **said)


# ---- hypotheses ---------------------------------------------------------------------------------------------------


def test_a_hypothesis_is_made_from_what_can_be_tested(plane):
    held = template(plane, **SAID, name="mine")
    assert hypothesis(held).name == "template:mine"
    assert (hypothesis(held).index, hypothesis(held).index_free) == (2.7, False)
    free = hypothesis(held, index_free=True, index=2.0)
    assert hypothesis(free).target is held
    assert (hypothesis(free).index, hypothesis(free).index_free) == (2.0, True)
    assert (hypothesis(free, index=3.0).index, hypothesis(free, index_free=False).index_free) == (3.0, False)
    assert hypothesis("stack:snr").name == "stack:snr"
    assert model_origin(hypothesis(held)) == "user file"
    assert {model_origin(one) for one in read_hypotheses("each:snr")} == {"published"}


@pytest.mark.parametrize(
    ("name", "meant"), [("pi0", "template:pi0"), ("pwn", "stack:pwn"), ("temlate:pi0", "template")]
)
def test_a_bare_name_is_answered_with_the_whole_one(name, meant):
    with pytest.raises(InputError, match=f"Did you mean '{meant}'"):
        hypothesis(name)


@pytest.mark.parametrize("given", [np.ones(12), 3, None, sources()])
def test_other_things_are_no_hypothesis(given):
    with pytest.raises(InputError, match=r"an array becomes a hypothesis by template\(...\)"):
        hypothesis(given)


def test_a_catalogue_shows_itself_as_a_card() -> None:
    said = str(catalogue("snr"))
    assert said.splitlines()[0].startswith("snr: ")
    assert "12" in said
    assert "equal" in said
    assert max(map(len, said.splitlines())) <= 80
