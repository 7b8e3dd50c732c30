"""The page of a model: what is compared, what is refused, what is marked."""

import json

import healpy as hp
import numpy as np
import pytest

import nuanalysis as nu
from nuanalysis.errors import InputError
from nuanalysis.library.samples import sample_spec
from nuanalysis.records import Unknown
from nuanalysis.response import cascades_2023
from nuanalysis.simulate import YEAR

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def card(mirror, tmp_path_factory):
    """A model of half the published pi0 flux, on events that hold none."""
    events = nu.sample("cascades-2023", signal="none", min_log10_energy=3.5)
    bench = nu.Bench(tmp_path_factory.mktemp("ensembles"))
    return nu.model_card(events, "template:kra-gamma-like-5", injections=300, precision=0.3, bench=bench)


def test_a_card_says_flux_limit_gamma_rays_and_what_comes(card):
    assert card.flux.in_models is not None
    assert card.verdict.startswith(("excluded at 90 %", "allowed at 90 %"))
    assert {(one.whose, one.data) for one in card.gamma_rays} >= {("model", "lhaaso-inner"), ("model", "tibet-inner")}
    names = [one.detector for one in card.outlook]
    assert len(names) == len(set(names)) == 5
    sigma = {one.detector: one.model for one in card.outlook}
    years = [sigma["IceCube cascades until May 2021"], sigma["IceCube cascades until the end of 2030"]]
    assert years[1] / years[0] == pytest.approx(np.sqrt(18.87 / 9.635), rel=0.1)  # less rings drop out


def test_the_verdict_follows_the_limit(card):
    known = card.flux.in_models

    def said(value):
        limit = known.upper_limit_90.model_copy(update={"value": value})
        flux = card.flux.model_copy(update={"in_models": known.model_copy(update={"upper_limit_90": limit})})
        return card.model_copy(update={"flux": flux}).verdict

    assert said(0.7).startswith("excluded at 90 %: at most 0.70")
    assert said(1.3).startswith("allowed at 90 %: up to 1.30")
    relative = card.model_copy(update={"flux": card.flux.model_copy(update={"in_models": None})})
    assert "no absolute flux" in relative.verdict
    assert "not known" in card.model_copy(update={"flux": Unknown(reason="asked without injections")}).verdict


def test_the_page_is_one_file_that_asks_nothing_and_marks_what_is_not_measured(card, tmp_path):
    paths = {path.name: path for path in card.write(tmp_path)}
    page = paths["model-card-synthetic.html"].read_text(encoding="utf-8")
    assert "http" not in page
    assert "<script" not in page
    assert "SYNTHETIC" in page
    assert "PROJECTION" in page
    assert "not what it found" in page
    assert type(card).from_dict(card.to_dict()).outlook == card.outlook


def test_a_map_with_a_spectrum_of_ones_own_has_a_card(mirror, tmp_path):
    """The same fit as with the spectrum of the map, where both are the same; the flux of the table is the unit."""
    energies = np.logspace(2.0, 7.0, 51)
    path = tmp_path / "mine.csv"
    path.write_text("".join(f"{e},{1e-18 * (e / 1e5) ** -2.7}\n" for e in energies))
    events = nu.sample("cascades-2023", min_log10_energy=3.5)
    bench = nu.Bench(tmp_path / "ensembles")
    found = nu.model_card(events, "template:pi0-like", spectrum=str(path), injections=300, precision=0.3, bench=bench)
    assert found.fitted.ts == pytest.approx(nu.fit(events, "template:pi0-like", injections=0).fitted.ts, rel=0.01)
    assert found.flux.in_models.model_flux == pytest.approx(1e-11)
    assert found.flux.in_models.model == "map of pi0-like with the spectrum of mine.csv"
    with pytest.raises(InputError, match="a spectrum was given and an index too"):
        nu.model_card(events, "template:pi0-like", spectrum=str(path), index=2.5)


def test_only_maps_have_a_card():
    events = nu.sample("cascades-2023", signal="none", min_log10_energy=4.0)
    with pytest.raises(InputError, match=r"'stack:snr' is no map of the sky; a model card is of template:NAME or FILE"):
        nu.model_card(events, "stack:snr", injections=300)


def test_a_card_needs_no_sample_to_be_said():
    from nuanalysis.answers.model_card import ModelCard

    assert sample_spec(name=ModelCard.default_sample).name == "cascades-2023"


FLUX = 1e-11  # E^2 dN/dE of the cube at 100 TeV, TeV cm^-2 s^-1 per flavour, whole sky
CUBE_NSIDE = 64


def theorists_cube(path):
    """E^-2.6 of all flavours at 28 energies; the disc is narrower towards the centre of the Galaxy at high energies."""
    from astropy.io import fits

    energies = np.logspace(2.0, 6.5, 28)  # GeV
    longitude, latitude = hp.pix2ang(CUBE_NSIDE, np.arange(12 * CUBE_NSIDE**2), lonlat=True)
    longitude = (longitude + 180.0) % 360.0 - 180.0
    columns = []
    for k, energy in enumerate(energies):
        shape = np.exp(-np.abs(latitude) / 4.0) * (0.2 + np.exp(-np.abs(longitude) / (60.0 - 2.0 * k)))
        shape /= shape.sum() * hp.nside2pixarea(CUBE_NSIDE)
        at = 3.0 * FLUX * 1e3 / 1e10 * (energy / 1e5) ** -2.6  # GeV^-1 cm^-2 s^-1, three flavours
        columns.append(fits.Column(f"E{k}", "E", unit="GeV-1 cm-2 s-1 sr-1", array=shape * at))
    maps = fits.BinTableHDU.from_columns(columns, name="SKYMAP")
    maps.header.update({"PIXTYPE": "HEALPIX", "ORDERING": "RING", "NSIDE": CUBE_NSIDE, "COORDSYS": "G"})
    table = fits.BinTableHDU.from_columns([fits.Column("energy", "D", array=energies, unit="GeV")], name="ENERGIES")
    fits.HDUList([fits.PrimaryHDU(), maps, table]).writeto(path)
    return path


def test_the_cube_of_a_theorist_has_a_card(mirror, call, tmp_path):
    """The command with an absolute cube: its own flux is the unit, and more exposure sees more of it."""
    path = theorists_cube(tmp_path / "cube.fits")
    code, out, err = call(
        "model-card", f"{path}?flavour=all&bins=centres", "--signal", "none", "--min-log10-energy", "3.5",
        "--injections", "300", "--precision", "0.3", "--json", "--output", tmp_path / "card",
    )  # fmt: skip
    assert code == 0, err
    document = json.loads(out)
    assert document["flux"]["in_models"]["model_flux"] == pytest.approx(FLUX, rel=2e-3)
    assert {one["whose"] for one in document["gamma_rays"]} >= {"model"}
    sigma = {one["detector"]: one["model"] for one in document["outlook"]}
    growth = sigma["IceCube cascades until the end of 2030"] / sigma["IceCube cascades until May 2021"]
    assert growth == pytest.approx(np.sqrt(18.87 * YEAR / cascades_2023.LIVETIME_S), rel=0.1)  # less rings drop out
    page = (tmp_path / "card" / "model-card-synthetic.html").read_text(encoding="utf-8")
    assert "cube" in page
    assert ("excluded at 90 %" in page) or ("allowed at 90 %" in page)
