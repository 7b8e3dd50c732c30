"""What an optimal statistic could reach on the cascade twin: all densities known, nothing estimated from the sample.

    python validation/statistics_bound.py [--twins 6] [--statistics published complete] [HYPOTHESIS ...]

Densities of signal and background are those the twin is drawn from: migration, law of the errors and point spread of
the response, released rates of the background.  By Neyman and Pearson no test of known strength does better than
their ratio.  Two forms of it: ``true`` compares right ascensions alone, as every statistic here must, since the
background is estimated from the sample itself; ``absolute`` knows the rate of the background in every declination,
energy and error too, which no experiment does.  The statistics of the package are given the background of the drawn
twins as if it were known, so a ratio says what better densities could bring, and nothing of what estimating costs.

An experiment is Poisson counts in bins of x = signal over background less 1: TS needs no more of an event, and weights
of tilted experiments are exact.  Sensitivity and 5 sigma potential by the recipe of ``statistics_table.py``.
Checked by an identity of true densities, which is printed: of events with s/b between two values, signal over
background is the mean of s/b of background there: the ratio of both, 1, for s/b of 0.3 to 3, to 30 and to 300.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm
from statistics_table import ALL, STRENGTHS, hypothesis

from nuanalysis import simulate, trials
from nuanalysis.library import samples
from nuanalysis.likelihood.statistics import statistic
from nuanalysis.model import Hypothesis, place, prepare
from nuanalysis.response import (
    Response,
    acceptance,
    band_of,
    cascades_2023,
    detected,
    energy_densities,
    error_shares,
)
from nuanalysis.response._records import true_to_migration
from nuanalysis.schema import Floats, Spectrum
from nuanalysis.sky.records import Template
from nuanalysis.sphere import (
    cos_separation,
    harmonics,
    pixel_directions,
    regrade,
    rings,
    smoothed,
    vmf_density,
    vmf_ra_mean,
)

N = cascades_2023.N_EVENTS
BINS, NULL, TILTED, INJECTED = 300, 20_000, 12_000, 26_000
TURNS = 3  # right ascensions of every background event
NSIDE, CLASS_RATIO, STRIPS = 32, 1.12, np.linspace(-1.0, 1.0, 41)
ERRORS = cascades_2023.error_edges()


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Columns (event,): right ascension, declination, log10 E, error."""

    ra: Floats
    dec: Floats
    log10_energy: Floats
    error: Floats


def signal_law(response: Response, spectrum: Spectrum, sin_dec: Floats) -> Floats:
    """Detected events by energy bin of the migration and bin of the error, (place, energy, error), arbitrary norm.

    Densities in log10 E, inside the bins of both flat, as they are drawn."""
    true, reco = response.array("log10_true_edges"), response.array("migration_reco_edges")
    law = response.errors.at(0.5 * (true[1:] + true[:-1]))
    found = detected(response, spectrum)[band_of(sin_dec, response.array("sin_dec_edges"))]
    spread = np.einsum("tm,bmr->btr", true_to_migration(response), response.array("migration")) / np.diff(reco)
    band = band_of(sin_dec, response.array("band_sin_dec_edges"))
    return np.array([np.einsum("t,tr,te->re", f, spread[b], law) for f, b in zip(found, band, strict=True)])


@dataclass(frozen=True, slots=True, eq=False)
class BackgroundLaw:
    """density (row, energy, error) per sr, log10 E and bin of the error; edges of sin(dec) and log10 E."""

    sin_dec: Floats
    log10_energy: Floats
    density: Floats

    def at(self, events: Events) -> Floats:
        row, column = band_of(np.sin(events.dec), self.sin_dec), band_of(events.log10_energy, self.log10_energy)
        return np.asarray(self.density[row, column, band_of(events.error, ERRORS)])


def background_law(rng: np.random.Generator) -> BackgroundLaw:
    """What the background of a twin is drawn from, see ``simulate``; isotropic events with their mean number."""
    response, table, iso = cascades_2023.response(), cascades_2023.marginals(), simulate.ISOTROPIC_SPECTRUM
    edges, n_astro = table.sin_dec_edges, float(cascades_2023.EXPECTED_ASTROPHYSICAL)
    low = np.maximum(table.log10_energy_edges, cascades_2023.THRESHOLD_LOG10)
    seen = np.diff(low) > 0
    fine = edges[:-1, None] + np.diff(edges)[:, None] * (np.arange(8) + 0.5) / 8
    rows = acceptance(response, iso, fine).mean(axis=1) * np.diff(edges)
    wide = np.append(low[:-1][seen], low[-1])
    astro = energy_densities(response, (iso,), edges, wide)[0][:, :, None]
    astro = astro * error_shares(response, (iso,), edges, wide, ERRORS)[0]
    astro *= (n_astro * rows / rows.sum())[:, None, None]
    wanted = np.maximum(table.sin_dec[:, 0] - astro.sum(axis=(1, 2)), 0.0)
    counts = np.where(seen, table.energy[:, 0], 0.0)
    joint = simulate._energy_by_declination(table, wanted, counts * wanted.sum() / counts.sum())
    muon = table.sin_dec[:, 2] / (table.sin_dec[:, 1] + table.sin_dec[:, 2])
    true = response.array("log10_true_edges")
    muons = np.tensordot(muon, joint, axes=(0, 0)).sum(axis=1)
    taken = simulate._isotropic(response, int(n_astro), rng).angular_error
    energies = joint.sum(axis=(0, 2)) - muons, muons
    laws = simulate._background_errors(response, table, taken, energies, 0.5 * (true[1:] + true[:-1]))
    parts = [np.einsum("r,rtc,te->rce", part, joint[:, :, seen], law, optimize=True)
             for part, law in zip((1.0 - muon, muon), laws, strict=True)]  # fmt: skip
    total = (N - n_astro) * sum(parts) / joint.sum() + astro
    total /= total.sum() * (2 * np.pi * np.diff(edges))[:, None, None] * np.diff(wide)[:, None]
    return BackgroundLaw(edges, wide, total)


def from_sources(asked: Hypothesis, lists: list[Events]) -> list[tuple[Floats, Floats]]:
    """Density of signal at the events of each list and its mean over right ascension, (event,), as a BackgroundLaw."""
    response, catalogue = cascades_2023.response(), asked.target
    at = np.array([(s.right_ascension, s.declination, s.extension) for s in catalogue.sources])
    law = signal_law(response, asked.spectrum, np.sin(at[:, 1])) * np.array(catalogue.weights)[:, None, None]
    law /= (law * np.diff(response.array("migration_reco_edges"))[:, None]).sum()
    kernel, out = response.errors.kernel, []
    for events in lists:
        e, k = band_of(events.log10_energy, response.array("migration_reco_edges")), band_of(events.error, ERRORS)
        found = np.zeros((2, len(e)))
        for (ra, dec, extension), mine in zip(at, law, strict=True):
            cosine, many = cos_separation(events.ra, events.dec, ra, dec), mine[e, k]
            for weight, scale in zip(kernel.weight, kernel.scale, strict=True):
                kappa = 1.0 / ((scale * events.error) ** 2 + extension**2)
                found[0] += many * weight * vmf_density(cosine, kappa)
                found[1] += many * weight * vmf_ra_mean(events.dec, np.full(1, dec), kappa)
        out.append((found[0], found[1]))
    return out


def from_template(asked: Hypothesis, lists: list[Events]) -> list[tuple[Floats, Floats]]:
    """``from_sources`` of a template: one map for each energy bin and class of error, 1.8 deg wide pixels."""
    response = cascades_2023.response()
    reco = response.array("migration_reco_edges")
    _, dec = pixel_directions(NSIDE)
    strip = band_of(np.sin(dec), STRIPS)
    parts = asked.target.parts(asked.spectrum)
    maps = [regrade(density, NSIDE) for density, _ in parts]
    laws = [signal_law(response, part, 0.5 * (STRIPS[1:] + STRIPS[:-1])) for _, part in parts]
    many = [np.bincount(strip, weights=m, minlength=len(STRIPS) - 1) for m in maps]
    whole = sum(np.tensordot(w, law, axes=(0, 0)) for w, law in zip(many, laws, strict=True))  # (energy, error)
    total = float((whole * np.diff(reco)[:, None]).sum()) * 4 * np.pi / len(dec)
    top = np.arange(np.log(ERRORS[1]), np.log(ERRORS[-1]), np.log(CLASS_RATIO))
    ring, kernel = rings(NSIDE), response.errors.kernel
    out = [(np.zeros(len(one.dec)), np.zeros(len(one.dec))) for one in lists]
    where = [(band_of(o.log10_energy, reco), np.searchsorted(top, np.log(o.error)), band_of(o.error, ERRORS))
             for o in lists]  # fmt: skip
    for e, c in np.unique(np.concatenate([np.column_stack(w[:2]) for w in where]), axis=0):
        width = np.exp((top[0] if c == 0 else top[c - 1]) + 0.5 * np.log(CLASS_RATIO) * (c > 0))
        k = int(band_of(np.array([width]), ERRORS)[0])
        signal = sum(m * law[strip, e, k] for m, law in zip(maps, laws, strict=True))
        alm = harmonics(signal / total, 3 * NSIDE - 1)
        seen = smoothed(alm, NSIDE, (kernel.scale * width)[None, :] ** -2.0, kernel.weight)
        mean, factor = ring.mean(seen)[0], whole[e] / max(whole[e, k], 1e-300)
        for one, events, w in zip(out, lists, where, strict=True):
            rows = np.flatnonzero((w[0] == e) & (w[1] == c))
            r = ring.of(events.dec[rows])
            own = factor[w[2][rows]]
            one[0][rows] = seen[0, ring.start[r] + ring.column(events.ra[rows], r)] * own
            one[1][rows] = mean[r] * own
    return out


# --- experiments in bins of x --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Binned:
    """x of each bin, and the probability of background and signal events in it, (bin,)."""

    x: Floats
    background: Floats
    signal: Floats


def binned(x: Floats, background: Floats, signal: Floats) -> Binned:
    """Bins of x that hold alike of signal and background; of events with the weights of both, (event,).

    The mean of x under background is 0 by construction, which some hundred thousand events do not hold well enough
    where a few of them have nearly all of x: their weights are those of the empirical likelihood under it (Owen 1988).
    """
    order = np.argsort(x)
    part = np.cumsum(background[order] / background.sum() + signal[order] / signal.sum())
    number = np.empty(len(x), dtype=np.int64)
    number[order] = np.minimum((part / part[-1] * BINS).astype(np.int64), BINS - 1)
    both = [np.bincount(number, weights=w, minlength=BINS) for w in (background, signal, background + signal)]
    used = both[2] > 0
    middle = np.bincount(number, weights=(background + signal) * x, minlength=BINS)[used] / both[2][used]
    b = both[0][used] / both[0].sum()
    pull = brentq(
        lambda v: float((b * middle / (1.0 + v * middle)).sum()), -0.999 / middle.max(), -0.999 / middle.min()
    )
    return Binned(middle, b / (1.0 + pull * middle), both[1][used] / both[1].sum())


def test_statistic(counts: Floats, x: Floats) -> Floats:
    """2 max over c >= 0 of sum k ln(1 + c x), (experiment,), by halving: the slope falls with c."""
    least = x[(counts > 0).argmax(axis=1)]  # x rises: the smallest that an event of this experiment has
    low, high = np.zeros(len(counts)), np.minimum(0.1, 0.999 / np.maximum(-least, 1e-12))
    for _ in range(24):
        middle = 0.5 * (low + high)
        with np.errstate(divide="ignore", invalid="ignore"):
            up = np.where(counts > 0, counts * x / (1.0 + middle[:, None] * x), 0.0).sum(axis=1) > 0
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(2.0 * np.where(counts > 0, counts * np.log1p(low[:, None] * x), 0.0).sum(axis=1))


def reached(of: Binned, scale: float, seed: int) -> tuple[trials.Strength, trials.Strength]:
    """Sensitivity and 5 sigma discovery potential in events; scale : expected deviation of n_s."""
    rng = np.random.default_rng(seed)
    of = replace(of, background=of.background / of.background.sum())
    null = test_statistic(rng.multinomial(N, of.background, NULL).astype(float), of.x)
    tilts = np.array([of.background * np.maximum(1.0 + c * scale / N * of.x, 1e-9) for c in (0.0, 2.0, 4.0, 5.5)])
    tilts /= tilts.sum(axis=1, keepdims=True)
    counts = np.concatenate([rng.multinomial(N, t, TILTED // len(tilts)) for t in tilts]).astype(float)
    ratios = counts @ np.log(tilts / of.background).T
    log_weight = trials.mixture_log_weight(ratios, np.full(len(tilts), 1.0 / len(tilts)))
    strengths = np.tile(np.array(STRENGTHS) * scale, INJECTED // len(STRENGTHS))
    many = rng.poisson(strengths)
    injected = rng.multinomial(N - many, of.background) + rng.multinomial(many, of.signal / of.signal.sum())
    ts = test_statistic(injected.astype(float), of.x)
    far = trials.weighted_quantile(test_statistic(counts, of.x), log_weight, float(norm.sf(5.0)))
    thresholds = ((float(np.median(null)), 0.9), (far, 0.5))
    low, five = (trials.strength_for(strengths, ts, threshold=trials.known_threshold(t), fraction=f)
                 for t, f in thresholds)  # fmt: skip
    return low, five


# --- the table ------------------------------------------------------------------------------------------------------


def of_statistic(asked: Hypothesis, which: str, some: object, background: Events, signal: Events) -> list[Floats]:
    """x of background and signal events by a statistic of the package, its background estimate from ``background``."""
    problem = prepare(asked, (replace(some, statistic=statistic(which)),))
    part, node = problem.parts[0], trials.flux_node(problem)
    columns = [(o.dec, o.log10_energy, o.error) for o in (background, signal)]
    known = part.densities.background(part.densities.counted(part.densities.where(*columns[0])))
    out = []
    for events, (dec, log10_energy, error) in zip((background, signal), columns, strict=True):
        where = part.densities.where(dec, log10_energy, error)
        there = place(part.space, part.seen(dec, error, where))
        difference = problem.mixing[node] @ there.difference_at(there.position(events.ra))
        out.append(difference * part.densities.terms(where, known).at(node))
    return out


def balance(background: Floats, signal: Floats) -> str:
    """Signal events over what s/b of background events says, between values of s/b, with errors."""
    said = []
    for low, high in ((0.3, 3.0), (3.0, 30.0), (30.0, 300.0)):
        mine = background[(background >= low) & (background < high)]
        share = ((signal >= low) & (signal < high)).mean()
        if len(mine) > 20 and share > 0:
            wanted = mine.sum() / len(background)
            error = np.hypot(1.0 / np.sqrt(share * len(signal)), np.sqrt((mine**2).sum()) / mine.sum())
            said.append(f"{share / wanted:.3f}({1e3 * share / wanted * error:.0f})")
    return " ".join(said)


def bound(names: tuple[str, ...], statistics: list[str], twins: int) -> None:
    columns = ("declination", "log10_energy", "angular_error")
    skies = [samples.load(samples.sample_spec(name="cascades-2023", signal="none"), 2000 + k) for k in range(twins)]
    pool = np.tile(np.concatenate([[s.seasons[0].array(c) for c in columns] for s in skies], axis=1), TURNS)
    rng = np.random.default_rng(11)
    background, law = Events(rng.uniform(0, 2 * np.pi, pool.shape[1]), *pool), background_law(rng)
    some = skies[0].seasons[0]
    print(f"{'hypothesis':44} {'densities':12} {'sensitivity':>14} {'ratio':>8} {'5 sigma':>15} {'ratio':>8}   "
          f"identity, s/b of 0.3, 3, 30, 300")  # fmt: skip
    for name in names:
        asked = hypothesis(name)
        source = simulate.emission(asked.target, some.response, asked.spectrum)
        drawn = simulate.signal(source, 100_000, np.random.default_rng(4))
        signal = Events(drawn.right_ascension, drawn.declination, drawn.log10_energy, drawn.angular_error)
        problem = prepare(asked, (some,))
        scale = max(float(problem.spread[trials.flux_node(problem)]), 1.0)
        found = {which: of_statistic(asked, which, some, background, signal) for which in statistics}
        make = from_template if isinstance(asked.target, Template) else from_sources
        density, b = make(asked, [background, signal]), [law.at(background), law.at(signal)]
        found["true"] = [(s - mean) / one for (s, mean), one in zip(density, b, strict=True)]
        found["absolute"] = [s / one - 1.0 for (s, _), one in zip(density, b, strict=True)]
        ratios = density[0][0] / b[0], density[1][0] / b[1]
        checks, ratio = balance(*ratios), np.concatenate(ratios)
        # Both kinds of event tell of both densities, since their ratio is known: the balance heuristic.
        of_background = 1.0 / (len(background.dec) + len(signal.dec) * ratio)
        weights = of_background, of_background * ratio
        base = None
        for which, x in found.items():
            low, five = reached(binned(np.concatenate(x), *weights), scale, 21)
            base = (low, five) if base is None else base
            said = [f"{one.n_signal:8.2f}({one.error:.2f}) {one.n_signal / first.n_signal:8.3f}"
                    for one, first in zip((low, five), base, strict=True)]  # fmt: skip
            print(f"{name:44} {which:12} {'  '.join(said)}   "
                  + (checks if which == "absolute" else ""), flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hypotheses", nargs="*", default=list(ALL))
    parser.add_argument("--twins", type=int, default=6)
    parser.add_argument("--statistics", nargs="+", default=["published", "complete"])
    asked = parser.parse_args()
    bound(tuple(asked.hypotheses), asked.statistics, asked.twins)


if __name__ == "__main__":
    main()
