"""Neutrinos and ultra-high-energy cosmic rays: exposures, pairs, chances, and what the verb says of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

import nuanalysis as nu
from nuanalysis.answers import _correlations as tests
from nuanalysis.answers._neutrinos import Neutrinos
from nuanalysis.answers.correlate import hot_spot
from nuanalysis.deferred import scipy
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest import uhecr
from nuanalysis.interpret import cosmic_rays
from nuanalysis.interpret.cosmic_rays import OBSERVATORIES, exposure, isotropic_declinations, pair_counts
from nuanalysis.records import Provenance
from nuanalysis.trials import smallest_p, tail
from nuanalysis.trials._pvalue import _tie_rank

WHOSE = Provenance(sample="toy", origin="synthetic", n_events=1, seed=1)


def sky(rng: np.random.Generator, n: int, least: float = -1.0) -> tuple[np.ndarray, np.ndarray]:
    return rng.uniform(0, 2 * np.pi, n), np.arcsin(rng.uniform(least, 1.0, n))


def toy(ra: np.ndarray, dec: np.ndarray) -> Neutrinos:
    one = np.ones(len(ra))
    return Neutrinos(WHOSE, ra, dec, np.arange(1.0, len(ra) + 1), one, one, one)


def rays(rng: np.random.Generator, **counts: int) -> xr.Dataset:
    """Isotropic cosmic rays as the observatories see them."""
    dec = np.concatenate([isotropic_declinations(OBSERVATORIES[name], (n,), rng) for name, n in counts.items()])
    columns = {"right_ascension": rng.uniform(0, 2 * np.pi, len(dec)), "declination": dec}
    columns["observatory"] = np.repeat(list(counts), list(counts.values()))
    return xr.Dataset({name: ("event", values) for name, values in columns.items()})


# --- exposure ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OBSERVATORIES)
def test_the_exposure_is_the_integral_over_hour_angles(name: str) -> None:
    where, hours = OBSERVATORIES[name], (np.arange(200_000) + 0.5) / 200_000 * 2 * np.pi
    dec = np.radians(np.linspace(-90, 90, 37))
    cosine = [np.sin(where.latitude) * np.sin(d) + np.cos(where.latitude) * np.cos(d) * np.cos(hours) for d in dec]
    seen = [np.where(one >= np.cos(where.most_zenith), one, 0.0).mean() * np.pi for one in cosine]
    assert exposure(dec, where) == pytest.approx(np.array(seen), abs=1e-5)


def test_declinations_follow_the_exposure() -> None:
    where, rng = OBSERVATORIES["TA"], np.random.default_rng(3)
    drawn = np.sin(isotropic_declinations(where, (20_000,), rng))

    def seen(sine: float) -> float:
        return float(exposure(np.arcsin(np.array(sine)), where))

    def share(sine: float) -> float:
        return float(scipy.integrate.quad(seen, -1, sine, limit=200)[0])

    at = np.linspace(-0.2, 0.98, 12)
    expected = np.array([share(s) for s in at]) / share(1.0)
    found = (drawn[:, None] <= at).mean(axis=0)
    assert np.abs(found - expected).max() < 4.0 * 0.5 / np.sqrt(20_000)
    assert drawn.min() > np.sin(where.latitude - where.most_zenith) - 1e-9


# --- pairs ------------------------------------------------------------------------------------------------------------


def test_pairs_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(5)
    one, two = [sky(rng, 7) for _ in range(3)], sky(rng, 11)
    one[1][0][:4], one[1][1][:4] = two[0][:4] + 0.01, two[1][:4]
    found = pair_counts(np.array([a for a, _ in one]), np.array([d for _, d in one]), *(a[None] for a in two))
    for row, (ra, dec) in zip(found, one, strict=True):
        apart = np.array([SkyCoord(a * u.rad, d * u.rad).separation(SkyCoord(*two * u.rad)).deg
                          for a, d in zip(ra, dec, strict=True)])  # fmt: skip
        assert row.tolist() == [int((apart < angle).sum()) for angle in range(1, 31)]


def test_pairs_do_not_depend_on_how_skies_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    moved, dec = rng.uniform(0, 2 * np.pi, (9, 5)), np.arcsin(rng.uniform(-1, 1, (9, 5)))
    other = [a[None] for a in sky(rng, 6)]
    whole = pair_counts(moved, dec, *other)
    assert (pair_counts(*other, moved, dec) == whole).all()
    monkeypatch.setattr(cosmic_rays, "_AT_ONCE", 61)
    assert (pair_counts(moved, dec, *other) == whole).all()


# --- chances ----------------------------------------------------------------------------------------------------------


def test_the_smallest_p_by_hand() -> None:
    """Three experiments and the data, with ties: all are ranked alike."""
    p, met = smallest_p(np.array([2.0, 1.0]), np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 5.0]]))
    assert p.tolist() == [0.5, 0.75]
    assert met.tolist() == [False, True, True]
    assert tail(met).p == 0.75


def chances(found: np.ndarray, skies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of each sky that is tested, ties divided at random: p-values of counts are discrete, a little large."""
    out = []
    for one in found:
        _, met = smallest_p(one, skies)
        ranks = np.stack([_tie_rank(column) for column in np.concatenate([one[None], skies]).T], axis=1).min(axis=1)
        assert met.tolist() == (ranks[1:] <= ranks[0]).tolist()
        out.append((np.sum(ranks < ranks[0]) + rng.random() * np.sum(ranks == ranks[0])) / len(ranks))
    return np.array(out)


def test_chances_are_uniform_for_moved_neutrinos_and_for_isotropic_cosmic_rays() -> None:
    """Skies without a signal, tested as the data are; 200 of them against 1000 others."""
    rng, n = np.random.default_rng(17), 1200
    events, lists = sky(rng, 40, -0.2), rays(rng, Auger=120, TA=60)
    ra, dec = (lists[name].values[None] for name in ("right_ascension", "declination"))
    moved = pair_counts(rng.uniform(0, 2 * np.pi, (n, 40)), np.broadcast_to(events[1], (n, 40)), ra, dec)
    drawn = np.concatenate([isotropic_declinations(OBSERVATORIES[k], (n, m), rng) for k, m in
                            (("Auger", 120), ("TA", 60))], axis=1)  # fmt: skip
    isotropic = pair_counts(*(a[None] for a in events), rng.uniform(0, 2 * np.pi, drawn.shape), drawn)
    for skies in (moved, isotropic):
        assert scipy.stats.kstest(chances(skies[:200], skies[200:], rng), "uniform").pvalue > 0.01


def test_neutrinos_at_cosmic_rays_are_found_by_both() -> None:
    rng = np.random.default_rng(8)
    lists = rays(rng, Auger=60, TA=60)
    ra, dec = sky(rng, 40, -0.2)
    ra[:25] = lists["right_ascension"].values[60:85]
    dec[:25] = np.clip(lists["declination"].values[60:85] + 0.015, -1.5, 1.5)
    rows = [row for row, _ in tests.pairs(toy(ra, dec), "all", lists, rng, 3000)]
    assert [row.null for row in rows] == [tests.SCRAMBLED, tests.ISOTROPIC]
    assert all(row.chance.p < 0.01 and row.chance.scope == "global" for row in rows)
    assert all(row.local.p <= row.chance.p and row.found > row.expected for row in rows)


# --- the lists --------------------------------------------------------------------------------------------------------


@pytest.fixture
def here(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not (mirror / "flux_points").is_dir() or not (mirror / "icecube_icecat1").is_dir():
        pytest.skip("the lists are not here")
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    return mirror / "flux_points"


def test_the_lists_and_the_hot_spot(here: Path) -> None:
    """Telescope Array 2014: 19 events, 4.5 expected; its list holds 18 within exactly 20 deg."""
    events = uhecr.read_events(here)
    names, counts = np.unique(events["observatory"].values, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {"Auger": 231, "TA": 72}
    found = hot_spot(events)
    assert found.n_events == 18
    assert found.expected == pytest.approx(4.5, abs=0.05)


@pytest.mark.parametrize("name", OBSERVATORIES)
def test_the_lists_agree_with_the_latitudes(here: Path, name: str) -> None:
    """No event was nearer to the zenith than its declination allows: |zenith| >= |dec - latitude|."""
    events, where = uhecr.read_events(here), OBSERVATORIES[name]
    mine = events.isel(event=events["observatory"].values == name)
    least = np.abs(mine["declination"].values - where.latitude)
    assert (np.degrees(mine["zenith"].values - least) > -0.15).all()
    assert np.degrees(mine["zenith"].values.max()) <= np.degrees(where.most_zenith) + 0.1


def test_a_list_without_a_row_is_refused(here: Path, tmp_path: Path) -> None:
    for file in here.glob("uhecr_*.csv"):
        (tmp_path / file.name).write_text(file.read_text())
    path = tmp_path / "uhecr_ta2014.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(DataError, match="71 rows, expected 72"):
        uhecr.read_events(tmp_path)


@pytest.mark.usefixtures("here")
def test_the_lists_as_sources() -> None:
    """Their extensions fall with energy; a Gaussian of 3 or 6 deg at 100 EeV."""
    three, six = nu.catalogue("uhecr"), nu.catalogue("uhecr", extension="sigma_6deg")
    assert len(three.sources) == 303
    found = np.array([(one.extension, other.extension) for one, other in zip(three.sources, six.sources, strict=True)])
    assert found[:, 1] == pytest.approx(2 * found[:, 0])
    assert np.degrees(found[0, 0]) == pytest.approx(3 * 100 / 62.2)
    assert len(nu.catalogue("uhecr", rule="class == 'TA'").sources) == 72


# --- the verb ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_alerts_and_cosmic_rays() -> None:
    found = nu.correlate(against=["uhecr"], trials=500)
    assert [(row.selection, row.null, row.n_events) for row in found.correlations] == [
        ("all", "moved", 75), ("all", "isotropic", 75), ("10 highest", "moved", 10), ("10 highest", "isotropic", 10),
    ]  # fmt: skip
    assert all(row.chance.p > 0.05 for row in found.correlations)  # nothing is expected: arXiv:2201.07313
    assert "2201.07313" in str(found)
    assert max(map(len, str(found).splitlines())) <= 80
    [drawn] = found.drawn()
    assert "1411.6111" in drawn.sidecar.caption
    assert nu.correlate(against=["ta"], trials=100, highest=1000).correlations[0].against == "TA"


@pytest.mark.usefixtures("here")
def test_the_verb_on_cosmic_rays(call: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, _ = call("correlate", "--against", "auger", "--trials", 200, "--json", "--output", tmp_path)
    assert code == 0
    document = json.loads(out)
    assert document["hot_spot"] is None
    assert {row["against"] for row in document["correlations"]} == {"Auger"}
    assert all(Path(path).is_file() for path in document["files"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"against": ["plane", "uhecr"]}, "against holds plane, uhecr; expected plane, one of uhecr, auger, ta"),
        ({"against": []}, "against holds nothing"),
        ({"against": ["uhecrs"]}, "uhecrs"),
        ({"against": ["template:isotropic"]}, "same density at all right ascensions"),
        ({"against": ["template:pi0", "template:pi0"]}, "named twice"),
        ({"events": "alert"}, "Did you mean 'alerts'"),
        ({"trials": 50}, "trials is 50; expected 100 or more"),
        ({"max_multipole": 0}, "max_multipole"),
    ],
)
def test_what_cannot_be_asked(settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        nu.correlate(**settings)
