"""KM3NeT/ARCA230: the reader, the response against published numbers, and the projected samples."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest import arca230 as release
from nuanalysis.interpret.fluxes import model_flux
from nuanalysis.library import samples
from nuanalysis.library.hypotheses import read_hypothesis
from nuanalysis.library.samples import arca230 as sample
from nuanalysis.library.samples import sample_spec
from nuanalysis.model import expected_rate
from nuanalysis.response import acceptance, arca230, cascades_2023, gen2, true_given_seen
from nuanalysis.simulate import YEAR, projected
from nuanalysis.sky.records import PowerLaw
from nuanalysis.sphere import vmf_cumulative

pytestmark = pytest.mark.real_data
CHANNELS = tuple(release.CHANNELS)
BEST_FIT = 2.18e-11 / 1e7  # dN/dE at 100 TeV of the published pi0 fit, GeV^-1 cm^-2 s^-1
TABLES = {}


@pytest.fixture(params=CHANNELS)
def channel(request) -> str:
    return request.param


@pytest.fixture
def tables(mirror, channel):
    """The tables of a channel, read once."""
    if channel not in TABLES:
        TABLES[channel] = release.read_tables(mirror / release.RELEASE.folder, channel)
    return TABLES[channel]


def test_background_rates_are_the_published_ones(tables, channel):
    assert (
        round(float(tables["rate"].sum()) * YEAR, {"tracks": -1, "showers": 0}[channel])
        == {
            "tracks": 86_190,
            "showers": 398,
        }[channel]
    )


def test_rates_smoothed_in_energy_keep_those_of_each_declination(tables, channel):
    table, released = arca230.background_rate(tables), tables["rate"].values
    assert table.rate.sum(axis=1) == pytest.approx(released.sum(axis=1))
    high = table.log10_energy_edges[:-1] > 5.8
    assert table.rate[:, ~high] == pytest.approx(released[:, ~high])
    if channel == "showers":
        total = table.rate[:, high].sum(axis=0)
        assert (np.diff(total) < 0).all(), "falls with energy"
        assert np.diff(released[:, high].sum(axis=0)).max() > 0, "which the released one does not"


def test_areas_are_averaged_over_the_day(tables):
    sin_dec = np.array([-0.9, 0.1, 0.475])
    found = arca230.daily_area(tables, sin_dec)
    rng = np.random.default_rng(1)
    hours = rng.uniform(0.0, 2 * np.pi, 40_000)
    for area, s in zip(found, sin_dec, strict=True):
        cosine = np.sin(arca230.LATITUDE) * s + np.cos(arca230.LATITUDE) * np.sqrt(1 - s**2) * np.cos(hours)
        row = np.minimum(((cosine + 1.0) / 0.05).astype(int), 39)
        assert area == pytest.approx(tables["area"].values[row].mean(axis=0), rel=0.03)
    bands = arca230.area_by_declination(tables)
    assert bands.mean(axis=0) == pytest.approx(tables["area"].values.mean(axis=0), rel=2e-3), (
        "the sphere keeps its mean"
    )


@pytest.mark.parametrize("channel", ["tracks"], indirect=True)
def test_the_published_anchor(tables):
    """E^-2 with 5e-5 GeV^-1 s^-1 m^-2 at sin(dec) = 0.475: 5.660 events in 365 days, 4.98 within a degree."""
    response = arca230.response(tables, "tracks")
    found = float(acceptance(response, PowerLaw(2.0), np.array([0.475]))[0]) * 5e-9 * 1e-10 * 365 * 86400
    assert found == pytest.approx(5.660, rel=0.005)
    edges = tables["area_edges"].values
    events = arca230.daily_area(tables, np.array([0.475]))[0] * (10.0 ** -edges[:-1] - 10.0 ** -edges[1:])
    nodes, spread = arca230.point_spread_of(tables)
    assert nodes == pytest.approx(0.5 * (edges[1:] + edges[:-1]))
    inside = sum(
        w * vmf_cumulative(np.radians(1.0), k) for w, k in ((spread[0], spread[1]), (1 - spread[0], spread[2]))
    )
    assert float((events * inside).sum()) * 5e-5 * 365 * 86400 == pytest.approx(4.98, rel=0.02)


PSF = {"tracks": {3.301: 0.54, 4.0: 0.25, 5.0: 0.12, 6.0: 0.08}, "showers": {4.0: 3.1, 5.0: 2.0, 5.699: 1.8}}


def test_the_point_spread_has_its_medians_and_its_tail(tables, channel):
    nodes, angle, inside = arca230.cumulative_spread(tables)
    _, spread = arca230.point_spread_of(tables)
    fitted = spread[0, :, None] * vmf_cumulative(angle, spread[1, :, None])
    fitted += (1 - spread[0, :, None]) * vmf_cumulative(angle, spread[2, :, None])
    for curves in (inside, fitted):
        half = np.degrees([np.interp(0.5, row, angle) for row in curves])
        for log10_energy, median in PSF[channel].items():
            assert np.interp(log10_energy, nodes, half) == pytest.approx(median, rel=0.1)
    far = [np.degrees([np.interp(0.9, row, angle) for row in curves]) for curves in (inside, fitted)]
    assert far[1] == pytest.approx(far[0], rel=0.02)
    if channel == "tracks":
        assert np.interp(4.0, nodes, far[0]) == pytest.approx(1.5, rel=0.1)


def test_migration_is_normalised_and_the_way_back_too(tables, channel):
    response = arca230.response(tables, channel)
    assert response.array("migration").sum(axis=2) == pytest.approx(1.0)
    back = true_given_seen(response, PowerLaw(3.7))
    assert back.sum(axis=1) == pytest.approx(1.0)
    assert response.dataset.attrs["flavours"].endswith("charged current")


def test_signal_of_the_published_fit(tables, channel, mirror):
    """151 tracks and 8.7 showers a year for pi0 at its best fit."""
    pi0 = read_hypothesis("template:pi0")
    a_year = BEST_FIT * expected_rate(pi0, arca230.response(tables, channel), pi0.spectrum) * YEAR
    assert a_year == pytest.approx({"tracks": 151.0, "showers": 8.7}[channel], rel=0.03)


def test_signal_of_kra_gamma(tables, channel, mirror):
    """0.55 of KRA-gamma-5 on the compact proxy: 61.5 tracks and 4.66 showers a year.

    The plan has 55 and 4.4, to 3 per cent: not met, by 12 and 6 per cent.  Its numbers are those of a spectrum whose
    extent on the sky is the same at all energies (0.122 sr); ours has the published one, wider at low energies.
    """
    made, fluxes = {}, {}
    for spectrum in ("published", "inner-plane"):
        kra = read_hypothesis(f"template:kra-gamma-compact-proxy-5?spectrum={spectrum}")
        each = expected_rate(kra, arca230.response(tables, channel), kra.spectrum) * YEAR
        fluxes[spectrum] = model_flux(kra)
        made[spectrum] = 0.55 * fluxes[spectrum] / 1e7 * each
    assert made["published"] == pytest.approx({"tracks": 61.5, "showers": 4.66}[channel], rel=0.01)
    extent = 0.1144 * fluxes["inner-plane"] / fluxes["published"]  # sr per flavour, the same at all energies
    plan = {"tracks": 55.0, "showers": 4.4}[channel]
    assert made["inner-plane"] * 0.122 / extent == pytest.approx(plan, rel=0.03)


@pytest.mark.parametrize("channel", ["showers"], indirect=True)
def test_a_projection_is_drawn_from_its_tables(tables):
    response, table = arca230.response(tables, "showers"), arca230.background_rate(tables)
    drawn = projected(response, table, 3, 10.0 * YEAR)
    component = drawn["component"].values
    for k, expected in ((0, table.rate.sum() * 10.0 * YEAR), (2, 600.0)):
        assert np.count_nonzero(component == k) == pytest.approx(expected, abs=4.0 * np.sqrt(expected))
    sin_dec = np.sin(drawn["declination"].values[component == 0])
    counts = np.histogram(sin_dec, table.sin_dec_edges)[0]
    wanted = table.rate.sum(axis=1) * 10.0 * YEAR
    assert ((counts - wanted) ** 2 / wanted).sum() < 40 + 5 * np.sqrt(80)
    assert abs(np.exp(1j * drawn["right_ascension"].values).mean()) < 4.0 / np.sqrt(len(component))
    assert "PROJECTION" in drawn.attrs["note"]
    assert drawn.attrs["origin"] == "synthetic"
    assert np.histogram(drawn["mjd"].values, 3)[0].min() > 0


# ---- samples and their livetime -----------------------------------------------------------------------------------


def test_years_are_a_setting_of_synthetic_samples(mirror):
    one, five = (samples.load(sample_spec(name="arca230-showers", years=y, signal="none"), 1) for y in (0.0, 5.0))
    assert five.livetime == pytest.approx(5.0 * one.livetime)
    assert five.n_events == pytest.approx(5.0 * one.n_events, rel=0.2)
    assert "PROJECTION" in five.label
    assert any("PROJECTION" in note for note in five.notes)
    with pytest.raises(InputError, match="years is 3; expected 0, as 'tracks' has the livetime it has"):
        sample_spec(name="tracks", years=3.0)


def test_a_spec_without_years_is_written_as_before():
    assert "years" not in sample_spec(name="cascades-2023").model_dump()
    assert sample_spec(name="cascades-2023", years=12.0).model_dump()["years"] == 12.0


def test_longer_cascades_have_more_of_everything():
    plain, longer = (samples.load(sample_spec(name="cascades-2023", years=y, signal="none"), 4) for y in (0.0, 20.0))
    factor = 20.0 * YEAR / cascades_2023.LIVETIME_S
    assert (plain.n_events, longer.n_events) == (59_592, round(59_592 * factor))
    assert longer.livetime == pytest.approx(20.0 * YEAR)
    for column, edges in (("declination", np.linspace(-1.4, 1.4, 9)), ("log10_energy", np.linspace(2.7, 5.0, 9))):
        few, many = (np.histogram(s.seasons[0].array(column), edges)[0] for s in (plain, longer))
        assert ((many - factor * few) ** 2 / (many + factor**2 * few)).sum() < 8 + 4 * np.sqrt(16)
    reused = np.intersect1d(plain.seasons[0].array("right_ascension"), longer.seasons[0].array("right_ascension"))
    assert len(reused) < 10, "drawn anew"


def test_one_flux_is_injected_into_every_detector(mirror):
    pi0 = read_hypothesis("template:pi0-like")
    flux = 671.1 / (expected_rate(pi0, cascades_2023.response(), pi0.spectrum) * cascades_2023.LIVETIME_S)
    for name, response in (("tracks", sample.tables("tracks")[0]), ("showers", sample.tables("showers")[0])):
        found = sample.signal_events(pi0, response, 2.0 * YEAR, 671.1)
        assert found == pytest.approx(flux * expected_rate(pi0, response, pi0.spectrum) * 2.0 * YEAR), name


def test_gen2_is_a_scaled_copy_that_says_so():
    known, larger = cascades_2023.response(), gen2.response(8.0, 0.5)
    assert larger.array("effective_area") == pytest.approx(8.0 * known.array("effective_area"))
    assert larger.array("psf_kappa_broad") == pytest.approx(4.0 * known.array("psf_kappa_broad"))
    assert larger.errors.edges == pytest.approx(0.5 * known.errors.edges)
    assert any("ASSUMED" in note and "8 times" in note for note in larger.notes)
    drawn = samples.load(sample_spec(name="gen2-cascades", years=1.0, signal="none"), 1)
    assert drawn.seasons[0].array("log10_energy").min() >= np.log10(5e3)
    assert drawn.seasons[0].log10_energy_range[0] == pytest.approx(np.log10(5e3)), "signal is cut likewise"


# ---- the reader ---------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(mirror, tmp_path) -> Path:
    for path in (mirror / release.RELEASE.folder).glob("*shower.csv.gz"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_plain_files_are_read_as_well(copied):
    packed = copied / "bkg_shower.csv.gz"
    (copied / "bkg_shower.csv").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    assert release.read_tables(copied, "showers")["rate"].values.sum() * YEAR == pytest.approx(398.47, abs=0.01)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[:-1], "holds 799 rows, expected 800"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "no full grid"),
        (lambda lines: [*lines[:-1], lines[-1].rsplit(",", 1)[0] + ",-1.0"], "outside"),
    ],
)
def test_a_spoiled_table_is_refused(copied, change, said):
    packed = copied / "bkg_shower.csv.gz"
    lines = gzip.decompress(packed.read_bytes()).decode().splitlines()
    packed.write_bytes(gzip.compress("\n".join(change(lines)).encode()))
    with pytest.raises(DataError, match=said):
        release.read_tables(copied, "showers")


def test_another_channel_is_answered_with_the_nearest(copied):
    with pytest.raises(InputError, match="tracks"):
        release.read_tables(copied, "track")
