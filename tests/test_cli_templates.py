"""``nuanalysis templates``, and the names and the cache behind it: one answer, faults with exit code 2, same bytes."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from nuanalysis import cli
from nuanalysis.errors import DataError, InputError
from nuanalysis.interpret.regions import ALL_AROUND, Region, shares
from nuanalysis.interpret.template_comparison import compare
from nuanalysis.library import templates
from nuanalysis.library.template_cards import compared
from nuanalysis.library.template_files import fits_bytes
from nuanalysis.library.templates import cache_path, open_template, recipe_of
from nuanalysis.response import acceptance, cascades_2023
from nuanalysis.schema import Spectrum
from nuanalysis.sky import templates as sky_templates
from nuanalysis.sky.records import CutOffPowerLaw, PowerLaw, TabulatedSpectrum, Template
from nuanalysis.sky.templates import BUILT_IN
from nuanalysis.sky.templates._recipe import Recipe
from nuanalysis.sphere import pixel_directions
from nuanalysis.store import read_object, write_object

Call = Callable[..., tuple[int, str, str]]
QUICK = "galactic-plane-box?nside=16"


def share(template: Template, part: Region, log10_energy: float = 5.0) -> float:
    """Share of the flux at log10(E/GeV) that comes from the region."""
    return float(shares(template.density_at(log10_energy)[None], (part,))[0, 0])


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mirror, an empty cache, a folder of our own."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the verb in this process."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main(["templates", *arguments])
        out, err = capfd.readouterr()
        return int(caught.value.code or 0), out, err

    return run


def answered(result: tuple[int, str, str]) -> dict[str, Any]:
    code, out, err = result
    assert code == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


def made(
    spectrum: Spectrum, *, nodes: tuple[float, ...] = (5.0,), flux: float = 0.0, nside: int = 16, name: str = "made"
) -> Template:
    maps = np.random.default_rng(3).uniform(0.5, 2.0, (len(nodes), 12 * nside**2))
    maps /= maps.mean(axis=1, keepdims=True) * 4 * np.pi
    return Template(name, "made", maps, np.array(nodes), spectrum, "built-in", "none", "", flux)


def built_in(monkeypatch: pytest.MonkeyPatch, template: Template) -> list[int]:
    """Make a template of its own a built-in one, named 'made'; returns the nsides that were built, in order."""
    asked: list[int] = []

    def make(_: Any, nside: int) -> Template:
        asked.append(nside)
        return template

    monkeypatch.setitem(BUILT_IN, "made", Recipe("made", "for a test", "none", type(recipe_of(QUICK).parameters), make))
    return asked


def same(one: Template, other: Template) -> bool:
    energies = np.linspace(2.0, 8.0, 61)
    words = all(
        getattr(one, key) == getattr(other, key) for key in ("name", "label", "origin", "reference", "sha256", "flux")
    )
    return (
        words
        and one.maps.tobytes() == other.maps.tobytes()
        and one.log10_energy.tobytes() == other.log10_energy.tobytes()
        and one.spectrum.shape(energies).tobytes() == other.spectrum.shape(energies).tobytes()
        and type(one.spectrum) is type(other.spectrum)
    )


# --- names -------------------------------------------------------------------------------------------------------


def test_without_the_published_map_the_stand_in_is_opened_under_its_own_name() -> None:
    assert recipe_of("pi0").recipe.name == "pi0-like"
    sky = open_template("template:pi0")
    assert (sky.name, sky.origin) == ("pi0-like", "built-in")


@pytest.mark.real_data
def test_with_the_published_map_it_is_opened(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    assert recipe_of("pi0") is None
    assert open_template("pi0").origin == "published"


@pytest.mark.parametrize(
    ("text", "message"),
    [("pi0-lik", "'pi0-like'"), ("pi0-like?gass=x&nside=17", "unknown parameter 'gass'.*\n.*nside is '17'"),
     ("pi0?nside=64", "takes no parameters"), ("nowhere.fits", "no such file"),
     ("pi0-hybrid?halo_height=99", "halo_height is 99")],
)  # fmt: skip
def test_wrong_names_are_refused_before_anything_is_made(text: str, message: str) -> None:
    for refuse in (templates.check_template, open_template):
        with pytest.raises(InputError, match=message):
            refuse(text)


def test_the_hybrid_without_its_column_says_how_to_get_it() -> None:
    with pytest.raises(DataError, match="nuanalysis data fetch galactic-templates"):
        open_template("pi0-hybrid?nside=16")


@pytest.mark.real_data
@pytest.mark.slow
def test_the_hybrid_follows_the_measured_column(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    hybrid = open_template("pi0-hybrid?nside=16")
    assert hybrid.name == "pi0-hybrid?nside=16"
    assert "HI4PI" in hybrid.reference
    assert hybrid.density.mean() * 4 * np.pi == pytest.approx(1.0)
    # The analytic model is the same north and south of the plane; the gas of our neighbourhood is not.
    quarter = float(np.pi / 2)
    north, south = (
        share(hybrid, Region(name, "", (ALL_AROUND,), (part,)))
        for name, part in (("north", (0.0, quarter)), ("south", (-quarter, 0.0)))
    )
    assert north + south == pytest.approx(1.0, abs=1e-9)
    assert abs(north - south) > 0.01


# --- the cache ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spectrum", "nodes", "flux"),
    [(PowerLaw(2.65), (5.0,), 0.0), (CutOffPowerLaw(2.0, 5.7), (5.0,), 3e-12),
     (TabulatedSpectrum(np.linspace(2, 8, 9), -2.7 * (np.linspace(2, 8, 9) - 5) - 0.1), (3.0, 5.0, 6.5), 1.1e-11)],
    ids=["power law", "cut-off", "tabulated"],
)  # fmt: skip
def test_from_the_cache_comes_what_was_built(
    monkeypatch: pytest.MonkeyPatch, spectrum: Spectrum, nodes: tuple[float, ...], flux: float
) -> None:
    asked = built_in(monkeypatch, made(spectrum, nodes=nodes, flux=flux))
    first, second = open_template("made?nside=16"), open_template("made?nside=16")
    assert asked == [16]
    assert same(first, second)
    assert first.name == "made?nside=16"
    assert first.sha256 == recipe_of("made?nside=16").sha256
    assert not first.maps.flags.writeable
    assert not second.maps.flags.writeable


def test_other_parameters_are_another_template() -> None:
    paths = {cache_path(recipe_of(text)) for text in (QUICK, "galactic-plane-box?nside=32", "isotropic?nside=16")}
    assert len(paths) == 3


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _other_content(path: Path) -> None:
    """A whole file whose maps are not the ones its digest speaks of."""
    held = read_object(path)
    path.write_bytes(path.read_bytes()[:32] + pickle.dumps(replace(held, maps=held.maps * 1.01)))


def _other_name(path: Path) -> None:
    """A sound file of another template under this name."""
    open_template("isotropic?nside=16")
    path.write_bytes(cache_path(recipe_of("isotropic?nside=16")).read_bytes())


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _not_a_cache(path: Path) -> None:
    write_object(path, np.ones(3))


@pytest.mark.parametrize("spoil", [_cut, _flip, _other_content, _other_name, _empty, _not_a_cache])
@pytest.mark.slow
def test_a_broken_file_of_the_cache_is_built_again(spoil: Callable[[Path], None]) -> None:
    sound = open_template(QUICK)
    path = cache_path(recipe_of(QUICK))
    whole = path.read_bytes()
    spoil(path)
    assert path.read_bytes() != whole
    assert same(open_template(QUICK), sound)
    assert same(read_object(path), sound)  # and it is mended


def test_a_cache_that_cannot_be_written_costs_the_time_only(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert open_template(QUICK).nside == 16


# --- ls, show ----------------------------------------------------------------------------------------------------


def test_ls_names_every_template_and_what_it_needs(call: Call) -> None:
    rows = {row["name"]: row for row in answered(call("ls", "--json"))["templates"]}
    proxies = {f"kra-gamma-compact-proxy-{cutoff}" for cutoff in (5, 50)}
    assert set(rows) == {"pi0", "pi0-hybrid", *proxies, *BUILT_IN}
    assert all((rows[one]["needs"], rows[one]["stand_in"]) == ("cascades-2023", "pi0-like") for one in proxies)
    assert rows["pi0"] | {"here": False, "needs": "cascades-2023", "stand_in": "pi0-like"} == rows["pi0"]
    assert rows["pi0-hybrid"]["needs"] == "galactic-templates"
    assert all(rows[name]["here"] and not rows[name]["needs"] for name in BUILT_IN)
    code, out, _ = call("ls")
    assert code == 0
    assert "not here), pi0-like stands in" in out
    assert all(ending in out for ending in (".fits", ".npy", ".h5", ".csv", ".ecsv"))


@pytest.mark.slow
def test_show_says_what_it_is_made_of(call: Call, tmp_path: Path) -> None:
    picture = tmp_path / "box.png"
    document = answered(call("show", QUICK, "--flux", "2e-11", "--figure", str(picture), "--json"))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert document["name"] == QUICK
    assert (document["origin"], document["nside"], document["flux_of_table"]) == ("built-in", 16, 2e-11)
    by_name = {row["name"]: row for row in document["parameters"]}
    for row in by_name.values():
        assert row["value"] == row["default"]
        assert row["help"]
    regions = {row["name"]: row for row in document["regions"]}
    assert regions["b15"]["share"] + regions["off-plane"]["share"] == pytest.approx(1.0, abs=1e-3)
    row = regions["inner"]
    assert row["e2_flux_100_tev"] == pytest.approx(2e-11 * row["share"] / row["solid_angle"], rel=1e-9, abs=0.0)


def test_show_leaves_out_intensities_where_no_flux_is_known(call: Call) -> None:
    document = answered(call("show", QUICK, "--json"))
    assert document["flux"] is None
    assert {row["e2_flux_5_tev"] for row in document["regions"]} == {None}
    code, out, _ = call("show", QUICK)
    assert (code, "at 5 TeV" in out, "share" in out) == (0, False, True)


@pytest.mark.slow
def test_show_of_a_model_that_changes_with_energy(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built_in(monkeypatch, made(CutOffPowerLaw(2.4, 6.0), nodes=(3.0, 5.0, 6.0), flux=1.3e-11))
    document = answered(call("show", "made?nside=16", "--figure", str(tmp_path / "x.png"), "--json"))
    assert document["energies_tev"] == pytest.approx([1.0, 100.0, 1000.0])
    assert document["flux"] == document["flux_of_table"] == 1.3e-11
    assert document["spectrum"] == "E^-2.4, cut off exponentially at 1000 TeV"
    assert "3 energies, 1 to 1000 TeV" in call("show", "made?nside=16")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("show", "pi0-like?gass=ferriere"), "unknown parameter 'gass'. Did you mean 'gas'?"),
     (("show", "nothing-like-it"), "no template 'nothing-like-it' and no such file"),
     (("show", QUICK, "--figure", "x.pdf"), ".png"),
     (("compare", QUICK, "isotropi"), "'isotropic'"),
     (("build", QUICK, "--output", "x.dat"), ".fits")],
)  # fmt: skip
def test_wrong_input_ends_with_exit_code_2(call: Call, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = call(*arguments, "--json")
    assert code == 2
    assert message in err
    assert message in json.loads(out)["error"]["message"]


# --- check -------------------------------------------------------------------------------------------------------


def test_check_says_what_was_understood(call: Call, tmp_path: Path) -> None:
    values = np.zeros(12 * 16**2)
    values[700:720] = 2.0
    np.save(tmp_path / "mine.npy", values)
    picture = str(tmp_path / "mine.png")
    document = answered(
        call("check", "mine.npy?frame=equatorial&ordering=ring&units=relative&index=2.2", "--figure", picture, "--json")
    )
    assert (document["name"], document["origin"], document["spectrum"]) == ("mine", "user file", "E^-2.2")
    assert Path(picture).is_file()
    assert [document["understood"][key] for key in ("frame", "ordering", "units")] == ["equatorial", "ring", "relative"]
    text = call("show", "mine.npy?frame=equatorial&ordering=ring&units=relative")[1]
    assert re.search(r"read as: format +NumPy array", text)
    assert re.search(r"read as: ordering +ring", text)


def test_check_names_all_faults_at_once(call: Call, tmp_path: Path) -> None:
    values = np.ones(12 * 16**2)
    values[:3] = np.nan
    values[5] = -1.0
    np.save(tmp_path / "bad.npy", values)
    code, out, _ = call("check", "bad.npy", "--json")
    message = json.loads(out)["error"]["message"]
    assert code == 2
    for fault in ("NaN", "negative", "frame", "ordering", "units"):
        assert fault in message


def test_check_of_a_name_says_show(call: Call) -> None:
    for name in ("pi0", "template:pi0-like?nside=16"):
        code, _, err = call("check", name)
        assert code == 2
        assert f"nuanalysis templates show {name}" in err


@pytest.mark.parametrize(
    ("energies", "units", "note"),
    [("1e3,1e4,1e5,1e6", "GeV-1 cm-2 s-1 sr-1", ""),
     ("1e3,1e4,1e5,1e6", "MeV-1 cm-2 s-1 sr-1", "whole astrophysical flux: its energies or units are probably"),
     ("1e3,1e4,1e5,1e6", "GeV cm-2 s-1 sr-1", "expected an index of 1 to 5")],
)  # fmt: skip
def test_check_doubts_what_can_hardly_be_meant(
    call: Call, tmp_path: Path, energies: str, units: str, note: str
) -> None:
    lean = 1 + 0.5 * np.linspace(-1, 1, 12 * 16**2)[:, None] * np.array([0.1, 0.2, 0.3, 0.4])
    np.save(tmp_path / "cube.npy", 3e-19 * lean * 10.0 ** (3.5 * np.array([2.0, 1.0, 0.0, -1.0])))
    words = f"frame=icrs&ordering=ring&flavour=each&energies_unit=GeV&energies={energies}&units={units}&sure=flux"
    document = answered(call("check", f"cube.npy?{words}", "--json"))
    out = call("check", f"cube.npy?{words}")[1]
    assert "at 30 TeV" in out
    assert (note in " ".join(document["doubts"])) if note else (document["doubts"] == [])
    slope = 5.5 if units.startswith("GeV cm") else 3.5
    assert document["understood"]["index"] == document["index_at_100_tev"] == pytest.approx(slope, abs=1e-6)
    assert f"E^-{slope:.2f} at 100 TeV" in document["spectrum"]
    if units.startswith("GeV-1"):
        # By hand: 4 pi 3e-19 over 4 pi 1.66e-18 at 100 TeV, and 0.3^(2.53 - 3.5) more at 30 TeV.
        assert document["share_at_30_tev"] == pytest.approx(3e-19 / 1.66e-18 * 0.3 ** (2.53 - 3.5), rel=1e-3)


# --- build -------------------------------------------------------------------------------------------------------


def test_build_writes_healpix_that_our_own_loader_reads_back(call: Call, tmp_path: Path) -> None:
    output = tmp_path / "folder" / "box.fits"
    document = answered(call("build", QUICK, "--output", str(output), "--json"))
    assert (document["from_cache"], document["energies"]) == (False, 1)
    assert document["seconds_to_build"] <= document["seconds"]
    assert document["bytes"] == output.stat().st_size
    with fits.open(output) as units:
        header = units[1].header
        assert [header[key] for key in ("PIXTYPE", "ORDERING", "COORDSYS", "NSIDE")] == ["HEALPIX", "RING", "C", 16]
        assert header["TUNIT1"] == "sr-1"
    back, asked = sky_templates.read_template(output), open_template(QUICK)
    assert back.maps == pytest.approx(asked.maps, rel=1e-12, abs=0.0)
    assert answered(call("build", QUICK, "--output", str(tmp_path / "again.fits"), "--json"))["from_cache"] is True
    assert (tmp_path / "again.fits").read_bytes() == output.read_bytes()


def test_build_overwrites_nothing(call: Call, tmp_path: Path) -> None:
    (tmp_path / "mine.fits").write_text("precious")
    code, _, err = call("build", QUICK, "--output", "mine.fits")
    assert code == 2
    assert "exists" in err
    assert (tmp_path / "mine.fits").read_text() == "precious"


def test_a_model_that_changes_with_energy_is_written_as_a_flux_at_each(tmp_path: Path) -> None:
    sky = made(CutOffPowerLaw(2.4, 6.0), nodes=(3.0, 4.0, 5.0, 6.0), flux=1.3e-11)
    path = tmp_path / "cube.fits"
    path.write_bytes(fits_bytes(sky))
    with fits.open(path) as units:
        assert units[1].header["TUNIT3"] == "GeV-1 cm-2 s-1 sr-1"
        assert units["ENERGIES"].columns["ENERGY"].unit == "GeV"
        energies, at_nodes = (units["ENERGIES"].data[name] for name in ("ENERGY", "NODE"))
        assert energies[at_nodes] == pytest.approx([1e3, 1e4, 1e5, 1e6])
        first, at_100_tev = (f"ENERGY{np.argmin(np.abs(energies - e)):03d}" for e in (1e3, 1e5))
        at_pivot = units[1].data[at_100_tev]
        # 1.3e-11 TeV = 1.3e-8 GeV of E^2 dN/dE at 1e5 GeV.
        assert at_pivot.mean() * 4 * np.pi == pytest.approx(1.3e-8 / 1e10, rel=1e-9, abs=0.0)
        assert units[1].data[first] / at_pivot == pytest.approx(
            sky.maps[0] / sky.maps[2] * float(sky.spectrum.shape(np.array(3.0)))
        )
    back = sky_templates.read_template(path)
    assert back.log10_energy == pytest.approx(sky.log10_energy)
    assert back.maps == pytest.approx(sky.maps, rel=1e-9, abs=0.0)
    assert back.flux == pytest.approx(sky.flux, rel=1e-6, abs=0.0)
    assert back.spectrum.shape(sky.log10_energy) == pytest.approx(sky.spectrum.shape(sky.log10_energy), rel=1e-6)


def events(sky: Template) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What a detector sees of a template by pixel, for the flux of the model or one."""
    response, sin_dec = cascades_2023.response(), np.sin(pixel_directions(sky.nside)[1])
    parts = sky.parts(sky.spectrum)
    return (sky.flux or 1.0) * np.sum([part * acceptance(response, own, sin_dec) for part, own in parts], axis=0)


@pytest.mark.parametrize(
    "name",
    ["kra-gamma-like-5?nside=16", "pi0-like?nside=16&spectrum=physical", "fermi-bubbles?nside=16&cutoff=50",
     "fermi-bubbles?nside=16&cutoff=1000", QUICK],
)  # fmt: skip
@pytest.mark.slow
def test_built_and_read_back_it_gives_the_same_events(tmp_path: Path, name: str) -> None:
    sky = open_template(name)
    path = tmp_path / "built.fits"
    path.write_bytes(fits_bytes(sky))
    back = sky_templates.read_template(path)
    assert len(back.maps) == len(sky.maps)
    # Tables come back exactly; a cut-off is interpolated: measured 3e-5.
    assert events(back) == pytest.approx(events(sky), rel=1e-4 if "cutoff" in name else 1e-9, abs=0.0)


def test_a_model_between_power_law_and_maps_reaches_as_far_as_it_did(tmp_path: Path) -> None:
    sky = made(PowerLaw(2.5), nodes=(4.0, 5.0, 6.0))
    (tmp_path / "m.fits").write_bytes(fits_bytes(sky))
    back = sky_templates.read_template(tmp_path / "m.fits")
    at = np.linspace(2.0, 8.0, 25)
    assert back.spectrum.shape(at) == pytest.approx(sky.spectrum.shape(at), rel=1e-9)
    assert (back.maps.shape, back.flux) == (sky.maps.shape, 0.0)


@pytest.mark.parametrize("flux", [0.0, 4e-12])
def test_one_map_whose_spectrum_no_index_names_keeps_it(tmp_path: Path, flux: float) -> None:
    sky = made(CutOffPowerLaw(2.0, 5.5), flux=flux)
    path = tmp_path / "cut.fits.gz"
    path.write_bytes(fits_bytes(sky, packed=True))
    back = sky_templates.read_template(path)
    # Between energies a fifth of a decade apart the loader interpolates; at them it is exact.
    nodes = np.linspace(3.0, 6.0, 16)
    assert back.spectrum.shape(nodes) == pytest.approx(sky.spectrum.shape(nodes), rel=1e-6)
    assert back.density == pytest.approx(sky.density, rel=1e-9)
    assert back.flux == pytest.approx(flux, rel=1e-6, abs=0.0)


def test_one_map_with_a_flux_keeps_it(tmp_path: Path) -> None:
    sky = made(PowerLaw(2.5), flux=4e-12)
    path = tmp_path / "flux.fits"
    path.write_bytes(fits_bytes(sky))
    back = sky_templates.read_template(path)
    assert back.spectrum == PowerLaw(2.5)
    assert back.flux == pytest.approx(4e-12, rel=1e-9, abs=0.0)


# --- compare -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_compare_in_one_document(call: Call, tmp_path: Path) -> None:
    picture = tmp_path / "both.png"
    document = answered(call("compare", QUICK, "isotropic?nside=32", "--figure", str(picture), "--json"))
    assert picture.is_file()
    assert document["templates"] == [QUICK, "isotropic?nside=32"]
    assert [round(row["width_deg"]) for row in document["cosine"]] == [0, 7, 15]
    assert all(0 < row["cosine"] < 1 for row in document["cosine"])
    rows = {row["name"]: row for row in document["regions"]}
    assert rows["off-plane"]["share"][1] == pytest.approx(9.314 / (4 * np.pi), abs=1e-3)
    assert rows["b2"]["share_ratio"] == pytest.approx(rows["b2"]["share"][0] / rows["b2"]["share"][1])
    along = document["longitude_profile"]
    assert (along[0]["low_deg"], along[-1]["high_deg"]) == pytest.approx((-180.0, 180.0))
    assert all(len(one["share_per_degree"]) == 2 for one in along)


@pytest.mark.slow
def test_compare_says_where_maps_and_tables_end(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    table = TabulatedSpectrum(np.array([3.0, 5.0, 6.0]), np.array([5.4, 0.0, -2.7]))
    built_in(monkeypatch, made(table, nodes=(4.0, 5.0, 6.0), flux=1e-11))
    ask = ("compare", "made?nside=16", QUICK, "--json", "--energy")
    assert answered(call(*ask, "500"))["notes"] == []
    beyond, below = (answered(call(*ask, energy))["notes"] for energy in ("5000", "2"))
    assert [("no flux" in note, "maps from 10 to 1000 TeV" in note) for note in beyond] == [
        (True, False),
        (False, True),
    ]
    assert ["maps from 10 to 1000 TeV" in note for note in below] == [True]
    assert "has maps from 10 to 1000 TeV" in call(*ask[:3], "--energy", "2")[1]


def test_two_relative_templates_have_no_ratio_of_fluxes(call: Call) -> None:
    same_twice = open_template(QUICK)
    card = compared(same_twice, same_twice, compare(same_twice, same_twice))
    assert {region.flux_ratio for region in card.regions} == {None}
    code, out, _ = call("compare", QUICK, QUICK)
    assert (code, "1.0000" in out, "flux A/B" in out) == (0, True, False)
