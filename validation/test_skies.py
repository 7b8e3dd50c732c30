"""Background skies: the search against whole scans, local p-values against their share, global ones against chance.

About twenty minutes on two cores.  Skies of the synthetic cascade twin and of the three seasons of real tracks.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import healpy as hp
import numpy as np
import pytest
from scipy.stats import ks_2samp

from nuanalysis import trials
from nuanalysis.answers import _sky
from nuanalysis.answers._question import direction
from nuanalysis.library import samples
from nuanalysis.library.samples import SampleSpec
from nuanalysis.likelihood import fit_directions, maximise, sky_events, turned
from nuanalysis.model import prepare, terms

NSIDE = {"cascades-2023": 64, "tracks": 128}
N_WHOLE = 20  # skies that are scanned as a whole too
N_SKIES = 300
N_DIRECTIONS = 60
BANDS = ((-82, -60), (-60, -30), (-30, 0), (0, 30), (30, 60), (60, 82))
NAMES = tuple(NSIDE)


@pytest.fixture(autouse=True)
def _public(mirror, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))


@lru_cache
def ready(name):
    return samples.load(SampleSpec(name=name, signal="none"), 1).seasons


@lru_cache
def events(name):
    return sky_events(prepare(direction(0.0, 0.0), ready(name)))


@lru_cache
def table(name):
    def ensemble(dec):
        prepared = prepare(direction(0.0, float(dec)), ready(name))
        rows = trials.scramble_trials(prepared, 5, 0, 2000, trials.choose_tilts(prepared, 36.0, 5))
        return rows[:, 0], rows[:, 3]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(ensemble, _sky.TABLE_DECLINATIONS))
    return trials.local_p(_sky.TABLE_DECLINATIONS, found, _sky.MOST_TS)


@lru_cache
def whole(name):
    """Fits of all pixels of the first skies, [(pixel, column)]."""
    pixels = trials._skies.in_reach(NSIDE[name])
    skies = [trials.draw_sky(events(name), 5, k) for k in range(N_WHOLE)]

    def part(mine):
        return trials.fit_pixels(events(name), skies, NSIDE[name], [mine] * N_WHOLE)

    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(part, np.array_split(pixels, 8)))
    return pixels, [np.concatenate(rows) for rows in zip(*parts, strict=True)]


@pytest.mark.parametrize("name", NAMES)
def test_directions_are_stand_alone_fits(name, capsys):
    """Random directions, a twentieth of a degree from the poles, and the brightest pixel of the data."""
    rng = np.random.default_rng(1)
    ra = rng.uniform(0, 2 * np.pi, N_DIRECTIONS)
    dec = np.arcsin(rng.uniform(-1, 1, N_DIRECTIONS))
    dec[:4] = np.radians([89.95, -89.95, 88.0, -88.0])
    sky = turned(events(name).right_ascension())
    pixels = trials._skies.in_reach(32)
    fits = trials.fit_pixels(events(name), [sky], 32, [pixels])[0]
    theta, phi = hp.pix2ang(32, pixels[fits[:, 0].argmax()])
    ra[4], dec[4] = phi, np.pi / 2 - theta
    found = fit_directions(events(name), sky, ra, dec)[:, 0]
    alone = [maximise(terms(prepare(direction(*at), ready(name)))).ts for at in zip(ra, dec, strict=True)]
    with capsys.disabled():
        print(f"\n{name}: largest difference in TS {np.abs(found - alone).max():.2g}, TS up to {found.max():.1f}")
    assert np.abs(found - alone).max() < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_the_search_finds_what_a_whole_scan_finds(name, capsys):
    """The same pixel in nearly every hemisphere of every sky, and never half a decade less."""
    pixels, fits = whole(name)
    skies = [trials.draw_sky(events(name), 5, k) for k in range(N_WHOLE)]
    found = trials.hottest_spots(events(name), table(name), trials.search_for(events(name), NSIDE[name]), skies)
    expected = []
    for rows in fits:
        log_p = trials.log_p_map(table(name), NSIDE[name], pixels, rows[:, 0])
        expected.append(trials.hottest(NSIDE[name], pixels, log_p, rows))
    lost = (found[:, :, 0] - np.array(expected)[:, :, 0]) / np.log(10)
    with capsys.disabled():
        print(
            f"\n{name}: {(lost < 1e-9).mean():.1%} of {lost.size} spots the same, most lost {lost.max():.3f} in log10 p"
        )
    assert (lost < 1e-9).mean() >= 0.95
    assert lost.max() < 0.5


@pytest.mark.parametrize("name", NAMES)
def test_local_p_values_are_as_frequent_as_they_say(name, capsys):
    """Share of pixels of background skies with local p below 0.1, 0.01, 0.001, by declination."""
    pixels, fits = whole(name)
    theta, _ = hp.pix2ang(NSIDE[name], pixels)
    dec = np.degrees(np.pi / 2 - theta)
    log_p = np.array([trials.log_p_map(table(name), NSIDE[name], pixels, rows[:, 0]) for rows in fits])
    lines = []
    for low, high in BANDS:
        mine = log_p[:, (dec >= low) & (dec < high)]
        for p in (0.1, 0.01, 0.001):
            each = (mine <= np.log(p)).mean(axis=1) / p
            error = each.std(ddof=1) / np.sqrt(len(each))
            lines.append(f"dec {low:4d} to {high:3d}, p {p:g}: {each.mean():.3f} +- {error:.3f}")
            # The table has 7 per cent a node; pixels of a sky are correlated, so its errors are those over skies.
            assert abs(each.mean() - 1.0) < 0.15 + 3.5 * error
    with capsys.disabled():
        print(f"\n{name}: share of pixels over p\n" + "\n".join(lines))


@pytest.mark.parametrize("name", NAMES)
def test_global_p_values_are_uniform(name, capsys):
    """The hottest spots of one half of the skies, judged by the other half: two samples of the same law."""
    search = trials.search_for(events(name), NSIDE[name])

    def some(first):
        return trials.sky_trials(events(name), table(name), search, 77, first, first + 20)

    with ThreadPoolExecutor(2) as pool:
        rows = np.concatenate(list(pool.map(some, range(0, N_SKIES, 20))))
    for which in trials.HEMISPHERES:
        log_p = rows[:, trials.SKY_COLUMNS.index(f"log_p_{which}")]
        reference, judged = log_p[: N_SKIES // 2], log_p[N_SKIES // 2 :]
        p = ((reference[:, None] <= judged).sum(axis=0) + 1) / (len(reference) + 1)
        # Ranks among few skies carry the error of these: a test of two samples holds it, one against the uniform not.
        ks = ks_2samp(reference, judged).pvalue
        with capsys.disabled():
            print(f"\n{name}, {which}: KS p {ks:.3f}, mean global p {p.mean():.3f}, expected 0.5")
        assert ks > 0.01
