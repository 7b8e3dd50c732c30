"""The samples of the package: which seasons they have, with which responses and bins they are analysed."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
import xarray as xr
from pydantic import Field, ValidationError, model_validator

from nuanalysis import simulate
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest import find, irf_plenum, tracks_ic40, tracks_ic79, tracks_ic86_2011
from nuanalysis.library.hypotheses import read_hypothesis
from nuanalysis.library.samples._samples import Samples
from nuanalysis.model import OWN_SPECTRUM, Binning, Sample
from nuanalysis.records import Settings, faults_in_words
from nuanalysis.response import NONE, Response, cascades_2023
from nuanalysis.response import tracks as track_response
from nuanalysis.selection import NO_RUNS, Check, Cut, CutFlow, Range, Runs, apply
from nuanalysis.selection import cascades_2023 as select_cascades
from nuanalysis.selection import tracks as select_tracks
from nuanalysis.sky.records import PowerLaw

__all__ = [
    "CASCADE_BINNING",
    "RELEASES_OF",
    "SAMPLE_NAMES",
    "TRACK_BINNING",
    "SampleSpec",
    "Samples",
    "assemble",
    "is_synthetic",
    "load",
    "make_events",
    "response_of",
    "sample_spec",
    "seasons",
    "select",
    "user_cuts",
]

SAMPLE_NAMES = ("cascades-2023", "tracks")
_TRACKS = {"tracks-ic40": tracks_ic40, "tracks-ic79": tracks_ic79, "tracks-ic86-2011": tracks_ic86_2011}
_LABELS = {"tracks-ic40": "IC40 tracks", "tracks-ic79": "IC79 tracks", "tracks-ic86-2011": "IC86-2011 tracks"}
RELEASES_OF = {
    "cascades-2023": ("cascades-2023",),
    "tracks": ("tracks-ic40", "tracks-ic79", "tracks-ic86-2011", "irf-plenum"),
}

CASCADE_BINNING = Binning(
    np.linspace(-1, 1, 20), np.linspace(np.log10(500.0), 8.001, 20), float(np.radians(5.0)), min_count=3
)
# Edges between the 0.1 steps in which the IC86-2011 energies are released.
TRACK_BINNING = Binning(np.linspace(-1, 1, 21), np.arange(0.95, 8.0, 0.2), float(np.radians(2.0)), min_count=10)


class SampleSpec(Settings):
    """One sample and the user's cuts on it; signal and n_signal belong to the synthetic sample alone."""

    name: Literal["cascades-2023", "tracks"]
    signal: str = Field("template:pi0", description="hypothesis injected into the synthetic sample, or 'none'")
    n_signal: Annotated[float, Field(ge=0, le=10000)] = 671.1
    min_log10_energy: Annotated[float, Field(ge=0, le=10)] = 0.0
    max_log10_energy: Annotated[float, Field(ge=0, le=10)] = 10.0
    min_declination_deg: Annotated[float, Field(ge=-90, le=90)] = -90.0
    max_declination_deg: Annotated[float, Field(ge=-90, le=90)] = 90.0

    @model_validator(mode="after")
    def _ranges_hold_something(self) -> Self:
        faults = [
            f"min_{what} is {low:g} and max_{what} {high:g}; expected min below max"
            for what, low, high in (
                ("log10_energy", self.min_log10_energy, self.max_log10_energy),
                ("declination_deg", self.min_declination_deg, self.max_declination_deg),
            )
            if low >= high
        ]
        if faults:
            raise ValueError("; ".join(faults))
        return self


def sample_spec(**values: object) -> SampleSpec:
    """One sample from options.  Raises InputError with all faults in one message."""
    try:
        return SampleSpec.model_validate(values)
    except ValidationError as error:
        raise InputError(
            f"the sample cannot be made as asked:\n  - {faults_in_words(error, (SampleSpec,))}\nNothing was run."
        ) from error


def seasons(name: str) -> tuple[str, ...]:
    """The seasons of a sample.  Raises InputError for an unknown sample."""
    if name not in SAMPLE_NAMES:
        raise InputError(f"there is no sample '{name}'.{did_you_mean(name, SAMPLE_NAMES)}")
    return (cascades_2023.NAME,) if name == "cascades-2023" else tuple(_TRACKS)


def is_synthetic(name: str) -> bool:
    """Whether the events of a sample are simulated."""
    return name == "cascades-2023"


def make_events(spec: SampleSpec, seed: int) -> dict[str, xr.Dataset]:
    """Events by season, before selection: simulated, or read from the upstream releases.

    Raises DataError that names the fetch command where a release is not here.
    """
    if not is_synthetic(spec.name):
        return {season: reader.read_events(find(reader.RELEASE)) for season, reader in _TRACKS.items()}
    if spec.signal == "none":
        return {cascades_2023.NAME: simulate.cascades(seed, None, 0.0, spectrum=PowerLaw(2.7))}
    hypothesis = read_hypothesis(spec.signal)
    spectrum = hypothesis.spectrum
    shape = "its own spectrum" if hypothesis.index == OWN_SPECTRUM else f"E^-{hypothesis.index:g}"
    label = f"{spec.signal} ({hypothesis.target.label}), {shape}"
    return {
        cascades_2023.NAME: simulate.cascades(seed, hypothesis.target, spec.n_signal, spectrum=spectrum, label=label)
    }


def response_of(season: str) -> Response:
    """The response of a season."""
    if season == cascades_2023.NAME:
        return cascades_2023.response()
    reader = _TRACKS[season]
    tables = irf_plenum.read_tables(find(irf_plenum.RELEASE))
    area = reader.read_effective_area(find(reader.RELEASE))
    return track_response.response(season, _LABELS[season], reader.RELEASE.reference, area, tables)


def user_cuts(spec: SampleSpec) -> tuple[Range, ...]:
    """The cuts of the spec that remove something."""
    cuts = []
    if (spec.min_log10_energy, spec.max_log10_energy) != (0.0, 10.0):
        cuts.append(Range("log10_energy", low=spec.min_log10_energy, high=spec.max_log10_energy))
    if (spec.min_declination_deg, spec.max_declination_deg) != (-90.0, 90.0):
        low, high = np.radians([spec.min_declination_deg, spec.max_declination_deg])
        cuts.append(Range("declination", low=float(low), high=float(high)))
    return tuple(cuts)


def _checks(spec: SampleSpec, season: str, earlier: Runs) -> tuple[tuple[Cut | Check, ...], Runs]:
    """The cuts and checks of the sample itself, and the good runs where they are known."""
    if season == cascades_2023.NAME:
        return select_cascades.CUTS, NO_RUNS
    uptime = _TRACKS[season].read_uptime(find(_TRACKS[season].RELEASE))
    runs = Runs(uptime["start"].values, uptime["stop"].values)
    return select_tracks.RECIPES[season].checks(runs, earlier=earlier), runs


def select(spec: SampleSpec, events: dict[str, xr.Dataset]) -> tuple[dict[str, xr.Dataset], dict[str, CutFlow]]:
    """Apply the selection of the sample and the user's cuts; returns events and cut flow by season."""
    kept, flows, earlier = {}, {}, NO_RUNS
    for season, dataset in events.items():
        checks, runs = _checks(spec, season, earlier)
        kept[season], flows[season] = apply(dataset, (*checks, *user_cuts(spec)), runs=runs)
        earlier = runs
    return kept, flows


def assemble(events: dict[str, xr.Dataset], spec: SampleSpec, seed: int = 1) -> Samples:
    """The sample ready for analysis; the events, one dataset a season, have passed ``select``."""
    out = []
    energy = (spec.min_log10_energy, spec.max_log10_energy)
    declination = (float(np.radians(spec.min_declination_deg)), float(np.radians(spec.max_declination_deg)))
    for season, dataset in events.items():
        response = response_of(season)
        cascade = season == cascades_2023.NAME
        binning, nside = (CASCADE_BINNING, 64) if cascade else (TRACK_BINNING, 128)
        out.append(Sample(season, response.label, dataset, response, binning, nside, energy, declination))
    synthetic, signal = is_synthetic(spec.name), str(out[0].events.attrs.get("signal", ""))
    return Samples(
        spec.name,
        "cascades 2023, synthetic twin" if synthetic else "IceCube tracks, three seasons",
        tuple(out),
        seed=seed,
        signal="" if signal == "none" else signal,
        releases=RELEASES_OF[spec.name],
        systematics=cascades_2023.SYSTEMATICS if synthetic else NONE,
    )


def load(spec: SampleSpec, seed: int) -> Samples:
    """Make or read, select and assemble in one go, without a run folder."""
    kept, _ = select(spec, make_events(spec, seed))
    return assemble(kept, spec, seed)
