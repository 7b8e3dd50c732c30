"""The figures every run has, drawn from its results.json and products, with alt texts that carry the numbers."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from nuanalysis.errors import StepMissing
from nuanalysis.plot._page import Sidecar, save
from nuanalysis.plot._results import (
    FLUX_SCALE,
    Published,
    flux_comparison,
    half_chi2,
    likelihood_scan,
    number,
    origin_of,
    stacking,
    survival,
    ts_distribution,
    ts_grid,
)
from nuanalysis.plot._samples import cut_flow
from nuanalysis.plot._sky import Mark, plane_crop, sky_map

Row = Mapping[str, Any]
Drawn = tuple[Figure, Sidecar, Any]


def slug(hypothesis: str) -> str:
    """File-name form of a hypothesis: 'template:pi0' -> 'template-pi0', 'point:83.6,-22' -> 'point-83.6_-22'."""
    short = re.sub(r"[^a-z0-9._+-]+", "-", hypothesis.lower().replace(",", "_")).strip("-.")
    if "?" not in hypothesis:
        return short
    # Rules and parameters may be long, and differ in what a file name cannot hold.
    return f"{short[:60].rstrip('-.')}-{hashlib.sha256(hypothesis.encode()).hexdigest()[:8]}"


def _table(columns: Mapping[str, Any], *, origin: str, description: str) -> Any:
    from astropy.table import Table

    return Table(dict(columns), meta={"ORIGIN": origin, "DESCRIPTION": description})


def _mark(origin: str) -> str:
    """Ending of a file name: anything synthetic inside is named."""
    return {"real": "", "synthetic": "-synthetic", "mixed": "-real-and-synthetic"}[origin]


def _tag(row: Row) -> str:
    """Name of the row in file names; a synthetic one says so."""
    return f"{row['sample']}-{slug(row['hypothesis'])}" + _mark(row["origin"])


def _said(row: Row) -> str:
    return f"{row['label']}, {row['origin']} sample {row['sample']}"


def _map_figures(row: Row, path: Path) -> Iterator[Drawn]:
    from nuanalysis.store import read_zip

    values = np.asarray(read_zip(path)["ts_density"].values, dtype=np.float64)
    nside = int(math.sqrt(len(values) / 12))
    total = float(values.mean() * 4 * np.pi)
    unit = "contribution to TS (sr⁻¹)"
    where = "Galactic coordinates, Galactic Centre in the middle, longitude grows to the left"
    alt = (
        f"Map of where the test statistic comes from, {_said(row)}: values from {values.min():.3g} to "
        f"{values.max():.3g} per steradian, {total:.2f} over the whole sky"
    )
    flat = " It is zero everywhere: no signal was fitted." if not np.any(values) else ""
    caption = f"{_said(row)}: test statistic per steradian, HEALPix nside {nside}; {where}.{flat}"
    label = f"{row['label']}, {row['sample']}"
    whole = sky_map(values, label=label, unit=unit, origin=row["origin"])
    yield whole, Sidecar(f"map-{_tag(row)}", alt, caption, row["origin"], "maps"), None
    if row["hypothesis"].startswith("template:"):
        crop = plane_crop(values, label=label, unit=unit, origin=row["origin"])
        caption = f"{caption} The plane alone, |b| < 15°, plate carrée with b stretched."
        yield (
            crop,
            Sidecar(f"plane-{_tag(row)}", "The Galactic plane of this map. " + alt, caption, row["origin"], "maps"),
            None,
        )


def _chance_words(spot: Row) -> str:
    p, of_all = spot["p_local"], spot["p_global"]
    local = f"local p {p['p']:.2g}" + (" (extrapolated)" if p["extrapolated"] else f" ± {p['p_error']:.1g}")
    if of_all is None:
        return f"{local}, no global p asked for"
    bound = of_all["upper_bound_90"]
    found = f"below {bound:.2g} (90 %)" if bound is not None else f"{of_all['p']:.2g} ± {of_all['p_error']:.1g}"
    return f"{local}, global p {found} from {of_all['n_skies']:,} background skies"


_SPOT_COLUMNS = ("hemisphere", "ra_deg", "dec_deg", "l_deg", "b_deg", "n_s", "ts")


def _sky_figure(one: Row, path: Path) -> Drawn:
    """The map of a scan, the hottest spot of each hemisphere marked."""
    from nuanalysis.store import read_zip

    log10_p = np.asarray(read_zip(path)["log10_p"].values, dtype=np.float64)
    what = f"{'SYNTHETIC' if one['origin'] == 'synthetic' else 'real'} sample {one['sample']}"
    spots = "; ".join(
        f"hottest spot of the {spot['hemisphere']} at RA {spot['ra_deg']:.1f}°, dec {spot['dec_deg']:.1f}° "
        f"(l {spot['l_deg']:.1f}°, b {spot['b_deg']:.1f}°), TS {spot['ts']:.2f}, {_chance_words(spot)}"
        for spot in one["hottest"]
    )
    caption = (
        f"Point-source scan of the {what}, {one['n_events']:,} events: −log₁₀ of the local p-value of every direction, "
        f"not corrected for the number of directions; HEALPix nside {one['nside']}; Galactic coordinates, Galactic "
        "Centre in the middle, longitude grows to the left; white: within 8° of a celestial pole, no p-value; dashed: "
        f"celestial equator. {spots[0].upper()}{spots[1:]}. Seed {one['seed']}."
    )
    alt = f"All-sky map of −log₁₀ local p, {what}: up to {np.nanmax(log10_p):.2f}; {spots}"
    marks = [
        Mark(f"hottest, {spot['hemisphere']}", *map(math.radians, (spot["ra_deg"], spot["dec_deg"])))
        for spot in one["hottest"]
    ]
    drawn = sky_map(
        log10_p,
        label=f"Point-source scan, {one['sample']}",
        unit="−log₁₀ of the local p-value",
        origin=one["origin"],
        low=0.0,
        marks=marks,
    )
    columns: dict[str, Any] = {key: [spot[key] for spot in one["hottest"]] for key in _SPOT_COLUMNS}
    columns |= {
        f"p_{kind}{end}": [number(spot, f"p_{kind}", f"p{end}") for spot in one["hottest"]]
        for kind in ("local", "global")
        for end in ("", "_error")
    }
    table = _table(columns, origin=one["origin"], description=caption)
    return (
        drawn,
        Sidecar(f"sky-{one['sample']}-{one['name']}{_mark(one['origin'])}", alt, caption, one["origin"], "maps"),
        table,
    )


def _sky_figures(document: Row, folder: Path) -> Iterator[Drawn]:
    for one in document.get("scans", ()):
        path = folder / "products" / f"sky-{one['sample']}-{one['name']}.zip"
        if path.is_file():
            yield _sky_figure(one, path)


def _trials_figure(row: Row, path: Path) -> Drawn:
    from nuanalysis.store import read_zip

    trials = read_zip(path)
    ts = number(row, "fit", "ts")
    at = ts_grid(trials, ts)
    probability, error = survival(trials["ts"].values, trials["log_weight"].values, at)
    failed = int(np.count_nonzero(trials["converged"].values == 0))
    p, sigma = number(row, "p_value", "p"), number(row, "p_value", "sigma")
    local = f"local p = {p:.3g} ({_worded(sigma, '.2f')} σ)" if math.isfinite(p) else "no p-value was computed"
    free = bool(row["fit"]["index_free"])
    figure = ts_distribution(
        trials, observed_ts=ts, label=f"{row['label']}, {row['sample']}", origin=row["origin"], free_index=free
    )
    said = f"{trials.sizes['trial']:,} background trials, {failed} of them not converged; {local}"
    alt = f"Probability to reach each test statistic under background, {_said(row)}. Observed {ts:.2f}; {said}"
    caption = f"{_said(row)}: distribution of the test statistic under background with its statistical error; {said}."
    table = _table(
        {"ts": at, "probability": probability, "probability_error": error, "half_chi2": half_chi2(at)},
        origin=row["origin"], description=f"P(TS >= ts | background), {_said(row)}",
    )  # fmt: skip
    return figure, Sidecar(f"ts-{_tag(row)}", alt, caption, row["origin"], "trials"), table


def _scan_figure(row: Row) -> Drawn:
    n_signal, ts = (np.asarray(row["scan"][key], dtype=np.float64) for key in ("n_signal", "ts"))
    best = n_signal[int(np.argmax(ts))]
    figure = likelihood_scan(n_signal, ts, label=f"{row['label']}, {row['sample']}", origin=row["origin"])
    held = "the index fitted anew at each" if row["fit"]["index_free"] else "the index held"
    caption = f"{_said(row)}: likelihood along the number of signal events, {held}."
    alt = f"{caption} Lowest at n_s = {best:.1f}, scanned from {n_signal[0]:.0f} to {n_signal[-1]:.0f}"
    table = _table({"n_signal": n_signal, "ts": ts}, origin=row["origin"], description=caption)
    return figure, Sidecar(f"scan-{_tag(row)}", alt, caption, row["origin"], "other"), table


def _result_figures(row: Row, folder: Path) -> Iterator[Drawn]:
    name = f"{row['sample']}-{slug(row['hypothesis'])}.zip"
    sky, trials = folder / "products" / f"map-{name}", folder / "products" / f"trials-{name}"
    if sky.is_file():
        yield from _map_figures(row, sky)
    if trials.is_file():
        yield _trials_figure(row, trials)
    if row.get("scan", {}).get("n_signal"):
        yield _scan_figure(row)


def _flux_words(row: Row) -> str:
    best, limit = (_worded(number(row, "flux", key) / FLUX_SCALE, ".3g") for key in ("best", "upper_limit_90"))
    return f"{row['label']} on {row['sample']} ({row['origin']}): best fit {best}, 90 % limit {limit}"


def _worded(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "not computed"


_FLUX_COLUMNS = {
    "flux_best": ("flux", "best"), "flux_low_68": ("flux", "low_68"), "flux_high_68": ("flux", "high_68"),
    "flux_upper_limit_90": ("flux", "upper_limit_90"), "flux_sensitivity": ("sensitivity", "flux"),
    "ts": ("fit", "ts"), "n_signal": ("fit", "n_signal"), "index": ("fit", "index"),
    "sigma_local": ("p_value", "sigma"),
}  # fmt: skip


def _overview(results: list[Row], published: Mapping[str, Published]) -> Iterator[Drawn]:
    origin, mark = origin_of(results), _mark(origin_of(results))
    names = {key: [row[key] for row in results] for key in ("hypothesis", "sample", "origin")}
    numbers = {name: [number(row, *path) for row in results] for name, path in _FLUX_COLUMNS.items()}
    table = _table(
        {**names, **numbers}, origin="see column origin", description="fluxes in TeV cm^-2 s^-1, E^2 dN/dE at 100 TeV"
    )
    words = "; ".join(_flux_words(row) for row in results)
    caption = (
        "Best-fit fluxes with 68 % intervals, 90 % upper limits and sensitivities of this run beside the published "
        "values of the cascade analysis. The unit of the published stacking fluxes is not confirmed. Synthetic samples "
        "hold an injected signal: agreement of the injected hypothesis with the published value is by construction."
    )
    alt = f"Fluxes in 10^-12 TeV cm^-2 s^-1: {words}"
    yield flux_comparison(results, published), Sidecar(f"fluxes{mark}", alt, caption, origin, "headline"), table
    stacks = [row for row in results if row["hypothesis"].startswith("stack:")]
    if stacks:
        words = "; ".join(
            f"{row['label']} on {row['sample']} ({row['origin']}): n_s {number(row, 'fit', 'n_signal'):.1f}, "
            f"local significance {_worded(number(row, 'p_value', 'sigma'), '.2f')}" for row in stacks
        )  # fmt: skip
        caption = (
            "Stacked source classes of twelve sources each, equal weight at Earth: fitted signal events, spectral "
            "index and local significance beside the published values. The classes lie on the plane and also "
            "collect diffuse emission."
        )
        origin, mark = origin_of(stacks), _mark(origin_of(stacks))
        stacked = Sidecar(f"stacking{mark}", f"Stacking results: {words}", caption, origin, "stacking")
        yield stacking(results, published), stacked, None


def _sample_figures(document: Row) -> Iterator[Drawn]:
    for sample in document["samples"]:
        rows = [row for row in document["cut_flow"] if row["sample"] == sample["sample"]]
        if not rows:
            continue
        origin = sample["origin"]
        words = "; ".join(f"{row['season']} after {row['cut']}: {row['events']}" for row in rows)
        caption = f"Events left after each cut, {origin} sample {sample['sample']}."
        keys = ("season", "cut", "events", "rate_hz", "exposure_d")
        table = _table({key: [row[key] for row in rows] for key in keys}, origin=origin, description=caption)
        drawn = cut_flow(rows, label=f"Cut flow, {sample['sample']}", origin=origin)
        yield (
            drawn,
            Sidecar(f"cut-flow-{sample['sample']}{_mark(origin)}", f"Cut flow. {words}", caption, origin, "samples"),
            table,
        )


def _clear_others(folder: Path, slugs: set[str]) -> None:
    """Remove standard figures (rank above 0) of results that the run no longer has; those of notebooks stay."""
    for sidecar in sorted(folder.glob("*.json")):
        if json.loads(sidecar.read_text(encoding="utf-8")).get("rank", 0) > 0 and sidecar.stem not in slugs:
            for ending in (".json", ".ecsv", ".png"):  # the sidecar first: a picture without one is not published
                sidecar.with_suffix(ending).unlink(missing_ok=True)


def standard_figures(run_folder: Path, published: Mapping[str, Published]) -> list[Path]:
    """Draw every standard figure of the run into ``figures/``; return the PNG paths, in the order of the report.

    Reads results.json and products/ only; figures of results that are gone go too.
    published : {hypothesis: row}, such as ``interpret.published.PUBLISHED``.
    """
    file = run_folder / "results.json"
    if not file.is_file():
        raise StepMissing(f"no results.json in {run_folder}; run 'nuanalysis run' first")
    document = json.loads(file.read_text(encoding="utf-8"))
    results = document["results"]
    drawn = [
        *(_overview(results, published) if results else ()),
        *_sky_figures(document, run_folder),
        *(figure for row in results for figure in _result_figures(row, run_folder)),
        *_sample_figures(document),
    ]
    _clear_others(run_folder / "figures", {sidecar.slug for _, sidecar, _ in drawn})
    return [
        save(figure, run_folder / "figures", replace(sidecar, rank=rank), table=table)
        for rank, (figure, sidecar, table) in enumerate(drawn, start=1)
    ]
