"""The samples of the package: one file each, and one line in SAMPLES.

A sample is made or read (``make_events``), selected (``select``) and assembled (``assemble``); ``load`` does all three.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Self

import numpy as np
from pydantic import SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from nuanalysis.deferred import units as u
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest import find, release
from nuanalysis.library.hypotheses import at_hand as hypothesis_at_hand
from nuanalysis.library.hypotheses import check_name, read_hypothesis
from nuanalysis.library.samples import (
    arca230,
    cascades_2023,
    gen2,
    hese75,
    open_detector,
    tracks,
    tracks_dr1,
    tracks_dr2,
)
from nuanalysis.library.samples._own import Detector, EventTable, own_events, own_response
from nuanalysis.library.samples._recipe import SampleRecipe, Samples, Season, joined, refuse_shared_events
from nuanalysis.likelihood import statistics
from nuanalysis.model import Sample
from nuanalysis.records import Settings, faults_of_a_setting, made, setting
from nuanalysis.response import Response, acceptance
from nuanalysis.schema import Floats
from nuanalysis.selection import NO_RUNS, CutFlow, Range, apply
from nuanalysis.sky.catalogues import Selection, seen_shares
from nuanalysis.sky.records import PowerLaw
from nuanalysis.trials.streams import seed_of
from nuanalysis.trials.streams import twin as twin_stream

SAMPLES: tuple[SampleRecipe, ...] = (
    cascades_2023.SAMPLE,
    tracks.SAMPLE,
    tracks_dr1.SAMPLE,
    tracks_dr2.SAMPLE,
    hese75.SAMPLE,
    open_detector.SAMPLE,
    *arca230.SAMPLES,
    gen2.SAMPLE,
)

MOST_YEARS = 100.0
_WIDE = float(np.radians(3.0))  # the narrow part of the point spread of cascades is wider, that of tracks narrower
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]*")


def names() -> tuple[str, ...]:
    """Every sample that has a name."""
    return tuple(sample.name for sample in SAMPLES)


def recipe(name: str) -> SampleRecipe:
    """How a sample is made.  Raises InputError for an unknown one, with its nearest name, and for a refused one."""
    found = next((sample for sample in SAMPLES if sample.name == name), None)
    if found is None:
        raise InputError(f"there is no sample '{name}'.{did_you_mean(name, names())}")
    if found.refusal:
        raise InputError(f"the sample '{name}' cannot be analysed: {found.refusal}")
    return found


class SampleSpec(Settings):
    """One sample, the cuts on it and its statistic; signal and n_signal belong to the synthetic samples alone."""

    name: str = setting(help="sample: " + ", ".join(f"{one.name} ({one.title})" for one in SAMPLES if not one.refusal))
    signal: str = setting("template:pi0", help="hypothesis injected into a synthetic sample, or 'none'")
    n_signal: float = setting(
        671.1, low=0, high=10000, help="its expected events; of a projection: those in the cascades of 2023"
    )
    years: float = setting(
        0.0, low=0, high=MOST_YEARS, unit="yr", help="livetime of a synthetic sample, drawn anew; 0: its own"
    )
    min_log10_energy: float = setting(0.0, low=0, high=10, help="lowest log10 of the reconstructed energy in GeV")
    max_log10_energy: float = setting(10.0, low=0, high=10, help="highest log10 of the reconstructed energy in GeV")
    min_declination_deg: float = setting(-90.0, low=-90, high=90, help="lowest declination, in degrees")
    max_declination_deg: float = setting(90.0, low=-90, high=90, help="highest declination, in degrees")
    statistic: str = setting(
        "published", help="statistic: " + ", ".join(f"{one.name} ({one.title})" for one in statistics.STATISTICS)
    )

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        with faults_of_a_setting():
            return recipe(name).name

    @field_validator("signal")
    @classmethod
    def _known_signal(cls, name: str) -> str:
        with faults_of_a_setting():
            if name != "none":
                check_name(name)
        return name

    @field_validator("statistic")
    @classmethod
    def _known_statistic(cls, name: str) -> str:
        with faults_of_a_setting():
            return statistics.statistic(name).name

    @model_serializer(mode="wrap")
    def _as_ever(self, handler: SerializerFunctionWrapHandler) -> dict[str, str | float]:
        """Its own livetime goes without saying: a spec keeps the fingerprint it had before there were others."""
        written: dict[str, str | float] = handler(self)
        return written if self.years else {key: value for key, value in written.items() if key != "years"}

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
        if self.years and recipe(self.name).longer is None:
            faults.append(f"years is {self.years:g}; expected 0, as '{self.name}' has the livetime it has")
        if faults:
            raise ValueError("; ".join(faults))
        return self


def recipe_of(spec: SampleSpec) -> SampleRecipe:
    """How a sample with these settings is made, with the livetime that is asked for."""
    sample = recipe(spec.name)
    return sample.longer(spec.years) if spec.years and sample.longer is not None else sample


def sample_spec(**values: object) -> SampleSpec:
    """One sample from options.  Raises InputError with all faults in one message."""
    return made(SampleSpec, values, "the sample cannot be made as asked")


def at_hand(spec: SampleSpec) -> None:
    """Raise InputError or DataError where the releases of a sample, or the files of its signal, are not here."""
    sample = recipe(spec.name)
    if sample.origin == "real" or sample.from_files:
        for name in sample.releases:
            find(release(name))
    if sample.origin == "synthetic" and spec.signal != "none":
        hypothesis_at_hand(spec.signal)


def make_events(spec: SampleSpec, seed: int) -> dict[str, xr.Dataset]:
    """Events by season, before selection: simulated, or read from the upstream releases.

    Raises DataError that names the fetch command where a release is not here.
    """
    sample = recipe_of(spec)
    signal = None if sample.origin == "real" or spec.signal == "none" else read_hypothesis(spec.signal)
    return sample.events(seed, signal, spec.n_signal)


def _ranges(spec: SampleSpec) -> tuple[Range, Range]:
    low, high = np.radians([spec.min_declination_deg, spec.max_declination_deg]).tolist()
    least = max(spec.min_log10_energy, recipe(spec.name).least_log10_energy)
    return Range("log10_energy", least, spec.max_log10_energy), Range("declination", low, high)


def select(spec: SampleSpec, events: dict[str, xr.Dataset]) -> tuple[dict[str, xr.Dataset], dict[str, CutFlow]]:
    """Apply the selection of the sample and the user's cuts; returns events and cut flow by season."""
    everything = _ranges(SampleSpec(name=spec.name))
    cuts = [one for one, whole in zip(_ranges(spec), everything, strict=True) if one != whole]
    kept, flows, earlier = {}, {}, NO_RUNS
    for season, dataset in events.items():
        steps, runs = recipe(spec.name).season(season).steps(earlier)
        kept[season], flows[season] = apply(dataset, (*steps, *cuts), runs=runs)
        earlier = runs
    return kept, flows


def assemble(events: dict[str, xr.Dataset], spec: SampleSpec, seed: int = 1) -> Samples:
    """The sample ready for analysis; the events, one dataset a season, have passed ``select``."""
    sample, seasons = recipe_of(spec), []
    ranges = [(one.low, one.high) for one in _ranges(spec)]
    for name, dataset in events.items():
        response = sample.season(name).response()
        about = (sample.binning, sample.nside, statistics.statistic(spec.statistic))
        seasons.append(Sample(name, response.label, dataset, response, *about, *ranges))
    said = seasons[0].events.attrs
    return Samples(
        sample.name,
        sample.label,
        tuple(seasons),
        seed=seed,
        signal="" if said.get("signal", "none") == "none" else str(said["signal"]),
        releases=sample.releases,
        holds=sample.holds,
        systematics=sample.systematics,
        spec=spec,
    )


def load(spec: SampleSpec, seed: int) -> Samples:
    """Make or read, select and assemble in one go, without a run folder."""
    kept, _ = select(spec, make_events(spec, seed))
    return assemble(kept, spec, seed)


def refuse_twins(samples: Samples) -> None:
    """Raise InputError for a sample of which no further skies can be drawn."""
    if samples.origin != "synthetic":
        raise InputError(
            f"the sample '{samples.name}' holds real events, of which there is one sky: no twin can be drawn of it; "
            "ask without twins"
        )
    if not isinstance(samples.spec, SampleSpec):
        raise InputError(
            f"'{samples.name}' is a table of events, and nothing says how to draw another: twins are those of samples "
            f"of the package that are synthetic; ask without twins"
        )


def twin(samples: Samples, k: int) -> Samples:
    """A synthetic sample drawn anew, with its signal and cuts: twin k, from 0, which has a seed of its own.

    Raises InputError, see ``refuse_twins``.
    """
    refuse_twins(samples)
    assert isinstance(samples.spec, SampleSpec)
    return load(samples.spec, seed_of(samples.seed, twin_stream(k))).cut_like(samples)


def detector(response: str | Response | xr.Dataset) -> Detector:
    """The response, bins and maps that a name of a sample or season, a Response or a RESPONSE dataset stands for.

    Bins of a response without a name are those of tracks, or those of cascades where it is as wide.
    Raises InputError for unknown names and for samples of several seasons, DataError for a dataset against the schema.
    """
    if isinstance(response, str):
        named = [(sample, season) for sample in SAMPLES for season in sample.seasons if season.name == response]
        found = named or [(sample, season) for sample in (recipe(response),) for season in sample.seasons]
        if len(found) > 1:
            seasons = ", ".join(season.name for _, season in found)
            raise InputError(f"the sample '{response}' has a response for each season; expected one of {seasons}")
        [(sample, season)] = found
        return Detector(season.response(), sample.binning, sample.nside, sample.systematics)
    known = own_response(response) if isinstance(response, xr.Dataset) else response
    width = float(np.median(known.array("psf_kappa_narrow"))) ** -0.5
    alike = cascades_2023.SAMPLE if width > _WIDE else tracks.SAMPLE
    return Detector(known, alike.binning, alike.nside)


def own(
    table: EventTable,
    *,
    response: str | Response | xr.Dataset,
    livetime: u.Quantity | None = None,
    origin: str = "",
    name: str = "own",
    units: Mapping[str, str] | None = None,
    reference: str = "events of the user",
    seed: int = 1,
    statistic: str = "published",
) -> Samples:
    """A user's own events as a sample of one season.

    table : astropy Table or QTable, pandas DataFrame, xarray Dataset or mapping.  Columns: mjd (or time),
        right_ascension (ra), declination (dec), log10_energy or energy (reconstructed), angular_error (sigma), and, if
        there, azimuth, zenith, run, event_id; others are left alone.  A column brings its unit (a Quantity, ``unit``,
        attribute ``units``), or ``units`` says it by column; mjd is in d and log10_energy in log10(E/GeV).
    response : see ``detector``.    livetime : with a unit.    origin : 'real' or 'synthetic'; never assumed.
    seed : of the trials on it.    statistic : name of the statistic of its analysis.
    Raises InputError with every fault of the table in one message.
    """
    if name in names() or not _PLAIN.fullmatch(name):
        raise InputError(f"name is '{name}'; expected one of its own, of small letters, digits, '.', '_' and '-'")
    seen_by = detector(response)
    events = own_events(table, units or {}, livetime, {"sample": name, "origin": origin, "reference": reference})
    label = f"{name}, seen as {seen_by.response.label}"
    about = (seen_by.response, seen_by.binning, seen_by.nside, statistics.statistic(statistic))
    season = Sample(name, label, events, *about)
    return Samples(name, label, (season,), seed, systematics=seen_by.systematics)


def event_shares(name: str, selection: Selection, *, index: float = 2.7) -> Floats:
    """Shares of the events of a sample that the sources of a selection are expected to bring, (source,).

    index : of the power law of every source.  Seasons are added by their livetimes.
    Raises InputError for an unknown sample, DataError where its response is not here.
    """
    sin_dec = np.sin([source.declination for source in selection.catalogue.sources])
    total = np.zeros(len(sin_dec))
    for season in recipe(name).seasons:
        total += season.livetime() * acceptance(season.response(), PowerLaw(index), sin_dec)
    return seen_shares(np.array(selection.catalogue.weights), total)
