"""Harmonic cross-correlation of events with maps: identities, scrambles, injected signal, and the question."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import healpy as hp
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

import nuanalysis as nu
from nuanalysis.answers import _correlations as tests
from nuanalysis.answers._neutrinos import Neutrinos
from nuanalysis.answers._question import pose
from nuanalysis.deferred import scipy
from nuanalysis.interpret import harmonics
from nuanalysis.library.hypotheses import hypothesis
from nuanalysis.model import terms
from nuanalysis.records import Provenance
from nuanalysis.sphere import pixel_directions, point_harmonics, vmf_density, vmf_window

LMAX, NSIDE = 15, 32
WHOSE = Provenance(sample="toy", origin="synthetic", n_events=1, seed=1)
PLANE = "template:galactic-plane-box"


def events(rng: np.random.Generator, n: int, on_plane: int = 0, error: float = 0.2) -> Neutrinos:
    """Uniform events, some of them near the plane."""
    dec, ra = np.arcsin(rng.uniform(-1, 1, n)), rng.uniform(0, 2 * np.pi, n)
    near = SkyCoord(l=rng.uniform(-180, 180, on_plane) * u.deg, b=rng.uniform(-5, 5, on_plane) * u.deg,
                    frame="galactic").icrs  # fmt: skip
    ra[:on_plane], dec[:on_plane] = near.ra.rad, near.dec.rad
    one = np.ones(n)
    return Neutrinos(WHOSE, ra, dec, one, error * rng.uniform(0.5, 1.5, n), np.nan * one, rng.uniform(0.1, 3.0, n))


def smooth_map(rng: np.random.Generator) -> np.ndarray:
    """Coefficients of a map without anything above LMAX."""
    alm = rng.standard_normal(hp.Alm.getsize(LMAX)) + 1j * rng.standard_normal(hp.Alm.getsize(LMAX))
    _, order = hp.Alm.getlm(LMAX)
    return np.where(order == 0, alm.real, alm)


def spectrum(seen: Neutrinos, alm: np.ndarray) -> np.ndarray:
    weights = seen.weight[:, None] * harmonics.windows(seen.error, LMAX)
    pixel = hp.ang2pix(128, np.pi / 2 - seen.declination, seen.right_ascension)
    return harmonics.cross_spectrum(harmonics.multipoles(alm, 128), weights, pixel)


def test_it_is_the_product_of_the_coefficients() -> None:
    """The definition: sum over m of a_lm conj(b_lm), with the coefficients of the events made elsewhere."""
    rng = np.random.default_rng(1)
    seen, alm = events(rng, 40), smooth_map(rng)
    mine = point_harmonics(seen.right_ascension, seen.declination, seen.weight, seen.error, LMAX)
    degree, order = hp.Alm.getlm(LMAX)
    product = np.where(order > 0, 2.0 * (mine * alm.conj()).real, 0.0)
    expected = np.array([product[degree == one].sum() / (2 * one + 1) for one in range(1, LMAX + 1)])
    assert spectrum(seen, alm) == pytest.approx(expected, abs=0.03 * np.abs(expected).max())


def test_the_sum_over_l_is_the_sum_over_pixels() -> None:
    """Density times map, pixel by pixel, both less their means over right ascension."""
    rng = np.random.default_rng(2)
    seen, alm = events(rng, 30, error=0.4), smooth_map(rng)
    centre = hp.pix2ang(128, hp.ang2pix(128, np.pi / 2 - seen.declination, seen.right_ascension))
    seen = replace(seen, declination=np.pi / 2 - centre[0], right_ascension=centre[1])
    ra, dec = pixel_directions(64)
    cosine = np.sin(dec)[:, None] * np.sin(seen.declination) + np.cos(dec)[:, None] * np.cos(seen.declination) * np.cos(
        ra[:, None] - seen.right_ascension
    )
    density = vmf_density(cosine, seen.error**-2) @ seen.weight
    _, order = hp.Alm.getlm(LMAX)
    moving = hp.alm2map(np.where(order > 0, alm, 0.0), 64, lmax=LMAX)
    direct = float((density * moving).sum() * 4 * np.pi / len(dec))
    assert spectrum(seen, alm) @ (2 * np.arange(1, LMAX + 1) + 1) == pytest.approx(direct, rel=1e-3)


def test_what_is_alike_at_all_right_ascensions_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    seen, alm = events(rng, 20), smooth_map(rng)
    _, order = hp.Alm.getlm(LMAX)
    assert spectrum(seen, alm + 7.0 * (order == 0)) == pytest.approx(spectrum(seen, alm), abs=1e-12)


def test_windows_are_those_of_the_kernel() -> None:
    errors = np.radians([0.3, 2.0, 9.0, 25.0])
    exact = np.array([vmf_window(LMAX, one**-2)[1:] for one in errors])
    assert harmonics.windows(errors, LMAX) == pytest.approx(exact, abs=1e-4)


def test_chances_of_skies_without_signal_are_uniform() -> None:
    """One over l, one of the sum, and the one of both maps: 150 skies tested as the data are, each with its own."""
    rng, found = np.random.default_rng(4), []
    maps = [hypothesis(PLANE), hypothesis("stack:snr")]
    parts = [harmonics.multipoles(harmonics.coefficients(one.target, 10), 16) for one in maps]
    seen = events(rng, 60)
    weights = seen.weight[:, None] * harmonics.windows(seen.error, 10)
    for _ in range(150):
        skies = tests._with_sum(harmonics.scrambled_spectra(parts, weights, seen.declination, rng, 60))
        mine, others = skies[0], skies[1:]
        rms = others.std(axis=0)
        mine, others = mine / rms, others / rms
        found.append([
            ((others[:, 0, :-1].max(axis=1) >= mine[0, :-1].max()).sum() + rng.random()) / len(skies),
            ((others[:, 0, -1] >= mine[0, -1]).sum() + rng.random()) / len(skies),
            ((others[:, :, -1].max(axis=1) >= mine[:, -1].max()).sum() + rng.random()) / len(skies),
        ])  # fmt: skip
    assert all(scipy.stats.kstest(p, "uniform").pvalue > 0.01 for p in np.transpose(found))


def test_events_of_a_map_are_found_with_it() -> None:
    rng = np.random.default_rng(5)
    maps = [hypothesis(PLANE), hypothesis("template:fermi-bubbles")]
    found = tests.spectra(events(rng, 300, on_plane=60), maps, 15, rng, 300)
    each, total, *_ = found.rows
    assert (each.chance.scope, total.chance.scope) == ("global", "local")
    assert total.chance.p < 0.01
    assert total.found > 3.0
    assert each.chance.p < 0.05
    assert found.chance.p < 0.01
    assert [one.label for one in found.curves] == [one.target.name for one in maps]


def test_weights_are_those_of_the_likelihood() -> None:
    """In the order of the sample: where a map is put on the events, weight times map less mean is x of the fit."""
    sample = nu.sample("cascades-2023", signal="none").cut(declination=(60.0, 90.0))
    problem = pose(PLANE, sample)
    data = terms(problem.prepared)
    weight = harmonics.event_weights(problem.prepared, data)
    [part] = problem.prepared.parts
    assert weight[part.active] * data.difference[0] == pytest.approx(data.x(0))
    assert len(weight) == sample.n_events


def test_a_sample_that_python_holds(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    sample = nu.sample("cascades-2023", signal="none").cut(declination=(30.0, 90.0))
    found = nu.correlate(events=sample, against=[PLANE, "stack:snr"], trials=100, max_multipole=8)
    assert found.provenance.origin == "synthetic"
    assert found.family.n_trials == 100
    assert len(found.correlations) == 4
    again = type(found).from_dict(found.to_dict())
    [drawn] = again.drawn()
    assert "SYNTHETIC" in drawn.figure.get_suptitle()
    assert drawn.sidecar.alt
    assert max(map(len, str(found).splitlines())) <= 80
