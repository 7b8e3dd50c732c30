"""Events of a run: the event store, and the selected samples with their cards.

A step reads only what an earlier one wrote.  Finished parts are found by what they were made from and kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.provenance import code_fingerprint
from nuanalysis.errors import DataError, InputError, NotHereError, StepMissing, did_you_mean
from nuanalysis.ingest import RELEASES, holdings, verify
from nuanalysis.library import samples
from nuanalysis.library.hypotheses import content_of
from nuanalysis.library.samples import Samples, SampleSpec
from nuanalysis.library.templates import published_pi0
from nuanalysis.publish import CutRow, SampleCard, Season
from nuanalysis.store import EventStore, atomic_write, sha256_file, write_zip
from nuanalysis.workflow._documents import SELECTED, Book, Selection, read
from nuanalysis.workflow.spec import AnalysisSpec

Progress = Callable[[str], None]
STORE_TAG = "as-ingested"
STORING = "01_event_store"


def write_json(path: Path, document: Any) -> Path:
    atomic_write(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
    return path


def hash_of(*content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# --- what the numbers depend on ---------------------------------------------------------------------------------------


def _release_digest(spec: AnalysisSpec) -> str:
    """sha256 of every upstream file behind the samples."""
    digest = hashlib.sha256()
    used = {name for sample in spec.sample for name in samples.recipe(sample.name).releases}
    for release in RELEASES:
        if release.name in used and holdings(release)[0]:
            for file in verify(release).files:
                digest.update(f"{release.name} {file.path} {file.sha256}".encode())
    published = published_pi0()
    digest.update(sha256_file(published).encode() if published else b"no published map")
    return digest.hexdigest()


def data_fingerprint(spec: AnalysisSpec) -> str:
    """sha256 of every upstream and user file that the numbers of a run depend on."""
    return hash_of(_release_digest(spec), [content_of(name) for name in spec.names])


def events_key(spec: AnalysisSpec) -> str:
    """sha256 of what the events of a run depend on."""
    about = [s.model_dump(include={"name", "signal", "n_signal"}) for s in spec.sample]
    signals = [content_of(s.signal) for s in spec.sample if s.signal != "none"]
    return hash_of(spec.seed, about, signals, _release_digest(spec), code_fingerprint())


def refuse_other_spec(spec: AnalysisSpec, folder: Path) -> None:
    """Raise DataError for a run folder whose events were made from another spec or by another version."""
    book, key = folder / "samples.json", events_key(spec)
    if book.is_file() and (held := read(Book, book, STORING).key) != key:
        raise DataError(
            f"the run folder {folder} was begun with other samples, signal, seed, files or code "
            f"(key {held[:12]}, now {key[:12]}); give the spec another name, or remove the folder"
        )


# --- events -----------------------------------------------------------------------------------------------------------


def _stored_seasons(store: EventStore) -> tuple[str, ...]:
    try:
        return store.seasons()
    except StepMissing:  # nothing was ever stored
        return ()


def fill_event_store(spec: AnalysisSpec, folder: Path, progress: Progress) -> Path:
    """Simulate or read every sample into the event store and tag it; returns the path of the store.

    A sample whose upstream files are not here is left out, and ``samples.json`` says why.  Raises DataError for a
    store begun by another spec.
    """
    store, book = EventStore(folder / "events.zarr"), folder / "samples.json"
    key = events_key(spec)
    refuse_other_spec(spec, folder)
    if not book.is_file():  # written before the first event: the store is of this spec
        write_json(book, {"key": key, "seasons": {}, "left_out": {}})
    elif read(Book, book, STORING).complete:
        return store.path
    left_out, seasons = {}, {}
    for sample in spec.sample:
        try:
            events = samples.make_events(sample, spec.seed)
        except NotHereError as error:
            if samples.recipe(sample.name).origin == "synthetic":
                raise
            left_out[sample.name] = error.reason
            progress(f"{sample.name}: left out, {error}")
            continue
        seasons[sample.name] = list(events)
        for season, data in events.items():
            if season not in _stored_seasons(store):
                store.append(season, data, f"{season}: {data.sizes['event']} events")
            write_json(book, {"key": key, "seasons": seasons, "left_out": left_out})
            progress(f"{season}: {data.sizes['event']:,} {data.attrs['origin']} events stored")
    if not seasons:
        raise DataError("no sample of the spec can be made here: " + "; ".join(left_out.values()))
    if STORE_TAG not in store.tags():
        store.tag(STORE_TAG)
    write_json(book, {"key": key, "seasons": seasons, "left_out": left_out, "complete": True})
    return store.path


def stored(folder: Path) -> Book:
    """What is in the event store.  Raises StepMissing before ``fill_event_store`` has ended."""
    book = read(Book, folder / "samples.json", STORING)
    if not book.complete:
        raise StepMissing(f"the event store in {folder} is not complete; run '{STORING}' again, it goes on")
    return book


def stored_events(spec: SampleSpec, folder: Path) -> dict[str, xr.Dataset]:
    """Events of a sample as ingested, by season.  Raises StepMissing before ``fill_event_store``."""
    book = stored(folder)
    if spec.name not in book.seasons:
        raise StepMissing(
            f"sample '{spec.name}' is not in the event store: {book.left_out.get(spec.name, 'never stored')}"
        )
    store = EventStore(folder / "events.zarr")
    return {season: store.read(season, tag=STORE_TAG) for season in book.seasons[spec.name]}


def held_samples(spec: AnalysisSpec, folder: Path) -> tuple[SampleSpec, ...]:
    """The samples of the spec that are in the event store.  Raises DataError where the book names not all of them."""
    book = stored(folder)
    if lost := [s.name for s in spec.sample if s.name not in {**book.seasons, **book.left_out}]:
        raise DataError(
            f"{folder / 'samples.json'} says nothing of {', '.join(lost)}; it is damaged, or of another spec: give the "
            "spec another name, or remove the folder"
        )
    return tuple(s for s in spec.sample if s.name in book.seasons)


def selected_samples(spec: SampleSpec, folder: Path, seed: int) -> Samples:
    """A sample of the run ready for analysis."""
    kept, _ = samples.select(spec, stored_events(spec, folder))
    return samples.assemble(kept, spec, seed)


def select_samples(
    spec: AnalysisSpec, folder: Path, progress: Progress
) -> tuple[tuple[SampleCard, ...], tuple[CutRow, ...]]:
    """Apply the selections; write events, responses and ``selection.json``; returns samples and cut flow."""
    cards: list[SampleCard] = []
    flows: list[CutRow] = []
    for sample in held_samples(spec, folder):
        kept, cut_flows = samples.select(sample, stored_events(sample, folder))
        ready = samples.assemble(kept, sample, spec.seed)
        for season in ready.seasons:
            described = season.response.dataset.assign_attrs(notes="; ".join(season.response.notes))
            for kind, dataset in (("events", season.events), ("response", described)):
                write_zip(folder / "products" / f"{kind}-{season.name}.zip", dataset)
            flows += [
                CutRow(
                    sample=sample.name,
                    season=season.name,
                    cut=row.label + ("" if row.applied else f" (check: {row.failed} would fail)"),
                    events=row.kept,
                    rate_hz=row.rate_hz,
                    exposure_d=row.exposure_d,
                )
                for row in cut_flows[season.name]
            ]
            progress(f"{season.name}: {season.events.sizes['event']:,} events in {season.livetime / 86400:.2f} d")
        cards.append(_card(ready))
    made = Selection(samples=tuple(cards), cut_flow=tuple(flows))
    write_json(folder / SELECTED, made.to_dict())
    return made.samples, made.cut_flow


def cards_of(cards: Sequence[SampleCard], sample: str) -> tuple[SampleCard, ...]:
    """The cards of one sample of a run, or of 'all'.  Raises InputError for one that the run does not hold."""
    found = tuple(card for card in cards if sample in ("all", card.sample))
    if not found:
        held = ["all", *(card.sample for card in cards)]
        raise InputError(f"the run holds no sample '{sample}'.{did_you_mean(sample, held)}")
    return found


def _card(ready: Samples) -> SampleCard:
    return SampleCard(
        sample=ready.name,
        origin="synthetic" if ready.origin == "synthetic" else "real",
        label=ready.label,
        n_events=ready.n_events,
        livetime_s=ready.livetime,
        reference=ready.reference,
        note=" ".join(ready.notes),
        seasons=tuple(
            Season(name=s.name, n_events=s.events.sizes["event"], livetime_d=s.livetime / 86400) for s in ready.seasons
        ),
    )
