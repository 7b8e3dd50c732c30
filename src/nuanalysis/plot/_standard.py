"""The figures every run has, drawn from its results.json and products, with alt texts that carry the numbers."""

from __future__ import annotations

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
    number,
    origin_of,
    stacking,
    survival,
    ts_distribution,
    ts_grid,
)
from nuanalysis.plot._samples import cut_flow
from nuanalysis.plot._sky import plane_crop, sky_map

Row = Mapping[str, Any]
Drawn = tuple[Figure, Sidecar, Any]


def slug(hypothesis: str) -> str:
    """File-name form of a hypothesis: 'template:pi0' -> 'template-pi0', 'point:83.6,-22' -> 'point-83.6_-22'."""
    return re.sub(r"[^a-z0-9._+-]+", "-", hypothesis.lower().replace(",", "_")).strip("-.")


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


def _trials_figure(row: Row, path: Path) -> Drawn:
    from nuanalysis.store import read_zip

    trials = read_zip(path)
    ts = number(row, "fit", "ts")
    at = ts_grid(trials, ts)
    probability, error = survival(trials["ts"].values, trials["log_weight"].values, at)
    failed = int(np.count_nonzero(trials["converged"].values == 0))
    p, sigma = number(row, "p_value", "p"), number(row, "p_value", "sigma")
    local = f"local p = {p:.3g} ({sigma:.2f}σ)" if math.isfinite(p) else "no p-value was computed"
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


def _result_figures(row: Row, folder: Path) -> Iterator[Drawn]:
    name = f"{row['sample']}-{slug(row['hypothesis'])}.zip"
    sky, trials = folder / "products" / f"map-{name}", folder / "products" / f"trials-{name}"
    if sky.is_file():
        yield from _map_figures(row, sky)
    if trials.is_file():
        yield _trials_figure(row, trials)


def _flux_words(row: Row) -> str:
    best, limit = number(row, "flux", "best") / FLUX_SCALE, number(row, "flux", "upper_limit_90") / FLUX_SCALE
    return f"{row['label']} on {row['sample']} ({row['origin']}): best fit {best:.3g}, 90 % limit {limit:.3g}"


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
        "hold an injected signal: their agreement with the published value is by construction."
    )
    alt = f"Fluxes in 10^-12 TeV cm^-2 s^-1: {words}"
    yield flux_comparison(results, published), Sidecar(f"fluxes{mark}", alt, caption, origin, "headline"), table
    stacks = [row for row in results if row["hypothesis"].startswith("stack:")]
    if stacks:
        words = "; ".join(
            f"{row['label']} on {row['sample']} ({row['origin']}): n_s {number(row, 'fit', 'n_signal'):.1f}, "
            f"{number(row, 'p_value', 'sigma'):.2f} sigma local" for row in stacks
        )  # fmt: skip
        caption = (
            "Stacked source classes of twelve sources each, equal weight at Earth: fitted signal events, spectral index "
            "and local significance beside the published values. The classes lie on the plane and also collect "
            "diffuse emission."
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


def standard_figures(run_folder: Path, published: Mapping[str, Published]) -> list[Path]:
    """Draw every standard figure of the run into ``figures/``; return the PNG paths, in the order of the report.

    Reads results.json and products/ only.  published : {hypothesis: row}, such as ``publish.PUBLISHED``.
    """
    file = run_folder / "results.json"
    if not file.is_file():
        raise StepMissing(f"no results.json in {run_folder}; run 'nuanalysis run' first")
    document = json.loads(file.read_text(encoding="utf-8"))
    results = document["results"]
    drawn = [
        *(_overview(results, published) if results else ()),
        *(figure for row in results for figure in _result_figures(row, run_folder)),
        *_sample_figures(document),
    ]
    return [
        save(figure, run_folder / "figures", replace(sidecar, rank=rank), table=table)
        for rank, (figure, sidecar, table) in enumerate(drawn, start=1)
    ]
