"""The open detector: events drawn from a parametric simulation of a cascade selection, with the response of it.

Drawn with the livetime of the published cascades, so that sensitivities may be set beside theirs.  Signal is drawn from
the response; all else from weighted simulated events.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis import simulate
from nuanalysis.deferred import xarray as xr
from nuanalysis.detector import CANNOT_TELL, TRUTH, draw_sample
from nuanalysis.ingest import find
from nuanalysis.ingest import open_detector as release
from nuanalysis.library.samples._own import own_response
from nuanalysis.library.samples._recipe import SampleRecipe, Season, Steps
from nuanalysis.library.samples.cascades_2023 import BINNING, shape_of
from nuanalysis.model import Hypothesis
from nuanalysis.response import Response, cascades_2023
from nuanalysis.schema import EVENTS, dataset
from nuanalysis.selection import NO_RUNS, Runs
from nuanalysis.store import write_zip

NAME = release.RELEASE.name
LABEL = "open detector, parametric simulation"
LIVETIME_S = cascades_2023.LIVETIME_S
_SIGNAL = 3  # component of schema EVENTS


def write_products(folder: Path, weighted: xr.Dataset, response: Response) -> tuple[Path, Path]:
    """Write what the sample is made of into a folder: weighted events of the last level, and the response."""
    folder.mkdir(parents=True, exist_ok=True)
    return (
        write_zip(folder / release.EVENTS_FILE, weighted),
        write_zip(folder / release.RESPONSE_FILE, response.dataset),
    )


def _response() -> Response:
    found = own_response(release.read_response(find(release.RELEASE)))
    return Response(NAME, LABEL, found.reference, found.dataset, found.errors, CANNOT_TELL)


def _events(seed: int, signal: Hypothesis | None, n_signal: float) -> dict[str, xr.Dataset]:
    weighted, rng = release.read_weighted(find(release.RELEASE)), np.random.Generator(np.random.Philox(seed))
    drawn = draw_sample(weighted, livetime_s=LIVETIME_S, rng=rng).events
    left_out = str(weighted.attrs.get("left_out", ""))
    missing = f"; left out, as only an upper limit of their rate is known: {left_out}" if left_out else ""
    said = {"seed": seed, "note": f"SYNTHETIC: {TRUTH}{missing}"}
    if signal is None:
        return {NAME: drawn.assign_attrs(signal="none", **said)}
    source = simulate.emission(signal.target, _response(), signal.spectrum)
    more = simulate.signal(source, int(rng.poisson(n_signal)), rng)
    label = f"{signal.name} ({signal.target.label}), {shape_of(signal)}"
    joined = _joined(drawn, more, rng)
    return {NAME: joined.assign_attrs(signal=label, n_signal_expected=n_signal, n_signal_drawn=len(more), **said)}


def _joined(drawn: xr.Dataset, more: simulate.Drawn, rng: np.random.Generator) -> xr.Dataset:
    """The events with those of a signal among them, in the order of their times; signal has no scores."""
    values = {name: np.concatenate([drawn[name].values, getattr(more, name)]) for name in simulate.Drawn.__slots__}
    first, last = float(drawn["mjd"].min()), float(drawn["mjd"].max())
    values["mjd"] = np.concatenate([drawn["mjd"].values, rng.uniform(first, last, len(more))])
    values["zenith"] = np.clip(values["declination"] + 0.5 * np.pi, 0.0, np.pi)
    values["component"] = np.concatenate([drawn["component"].values, np.full(len(more), _SIGNAL)])
    order = np.argsort(values["mjd"], kind="stable")
    return dataset(EVENTS, {name: one[order] for name, one in values.items()}, dict(drawn.attrs))


def _steps(earlier: Runs) -> tuple[Steps, Runs]:
    return (), NO_RUNS


SAMPLE = SampleRecipe(
    name=NAME,
    title="open detector, SYNTHETIC: parametric simulation of a cascade selection, made here",
    label=LABEL,
    origin="synthetic",
    releases=(NAME,),
    binning=BINNING,
    nside=64,
    seasons=(Season(NAME, _response, lambda: LIVETIME_S, _steps),),
    events=_events,
    from_files=True,
)
