"""The steps of a run: each takes the spec and the run folder, writes into the folder, and may be called again.

    fill_event_store -> select_samples -> fit_hypothesis (one a sample and hypothesis) -> compare_hypotheses (with the
    scans of the sky and the source lists) -> collect_results -> publish

A step reads only what an earlier one wrote.  Finished parts are found by what they were made from and kept.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Callable
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import xarray as xr

from nuanalysis import publish
from nuanalysis.answers import campaign, inference, joint, scan
from nuanalysis.engine import ensembles
from nuanalysis.engine.executors import Executor
from nuanalysis.engine.provenance import code_fingerprint
from nuanalysis.errors import DataError, StepMissing
from nuanalysis.ingest import RELEASES, find, holdings, source_catalogues, verify
from nuanalysis.interpret.contributions import ts_density
from nuanalysis.interpret.published import PUBLISHED
from nuanalysis.library import samples
from nuanalysis.library.catalogues import content_of, open_catalogue
from nuanalysis.library.hypotheses import check_name, read_hypotheses, read_hypothesis
from nuanalysis.library.samples import Samples, SampleSpec
from nuanalysis.library.templates import PI0_MAP, is_file, published_pi0
from nuanalysis.model import Hypothesis, Sample
from nuanalysis.plot import slug, standard_figures
from nuanalysis.schema import TRIALS, dataset
from nuanalysis.sky.catalogues import CATALOGUES
from nuanalysis.sky.templates import parse, sidecar
from nuanalysis.store import EventStore, atomic_write, sha256_file, write_zip
from nuanalysis.store.sky_maps import sky_product
from nuanalysis.workflow.spec import (
    EACH,
    AnalysisSpec,
    HypothesisSpec,
    JointSpec,
    ScanSpec,
    SourcesSpec,
    TogetherSpec,
)

Progress = Callable[[str], None]
STORE_TAG = "as-ingested"
_OPENED = ("events", "uptime", "effective area", "smearing", "resolution", "template")
_ASKED = ("hypothesis", "together", "joint", "scan", "sources")  # of the events; they do not decide them
_PACKAGES = ("nuanalysis", "numpy", "scipy", "numba", "astropy", "healpy", "xarray", "zarr", "icechunk", "dask")


def _json(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
    return path


def _read_json(path: Path, step: str) -> Any:
    if not path.is_file():
        raise StepMissing(f"no {path.name} in {path.parent}; run '{step}' first")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"{path} is damaged ({error}); remove it and run '{step}' again, finished parts are kept"
        ) from error


def data_fingerprint(spec: AnalysisSpec) -> str:
    """sha256 of every upstream and user file that the numbers of a run depend on."""
    digest = hashlib.sha256()
    used = {name for sample in spec.sample for name in samples.RELEASES_OF[sample.name]}
    for release in RELEASES:
        if release.name in used and holdings(release)[0]:
            for file in verify(release).files:
                digest.update(f"{release.name} {file.path} {file.sha256}".encode())
    published = published_pi0()
    digest.update(sha256_file(published).encode() if published else b"no published map")
    for name in dict.fromkeys([*(h.name for h in spec.hypothesis), *spec.compared]):
        kind, rest = ("stack", name.removeprefix(EACH)) if name.startswith(EACH) else check_name(name)
        if kind == "stack":
            digest.update(content_of(rest).encode())
        elif kind == "template" and is_file(rest):
            path = parse(rest).path
            digest.update(f"{sha256_file(path)} {sorted(sidecar(path).items())}".encode())
    for listed in spec.sources:
        digest.update(content_of(listed.catalogue).encode())
    return digest.hexdigest()


def _events_key(spec: AnalysisSpec) -> str:
    """sha256 of what the events of a run depend on."""
    content = {
        "seed": spec.seed,
        "samples": [s.model_dump(include={"name", "signal", "n_signal"}) for s in spec.sample],
        "data": data_fingerprint(spec.model_copy(update=dict.fromkeys(_ASKED, ()))),
        "version": code_fingerprint(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def refuse_other_spec(spec: AnalysisSpec, folder: Path) -> None:
    """Raise DataError for a run folder whose events were made from another spec or by another version."""
    book, key = folder / "samples.json", _events_key(spec)
    if book.is_file() and (held := str(_read_json(book, "01_event_store")["key"])) != key:
        raise DataError(
            f"the run folder {folder} was begun with other samples, signal, seed, files or code "
            f"(key {held[:12]}, now {key[:12]}); give the spec another name, or remove the folder"
        )


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
    key = _events_key(spec)
    refuse_other_spec(spec, folder)
    if not book.is_file():
        _json(book, {"key": key, "seasons": {}, "left_out": {}})  # before the first event: the store is of this spec
    elif _read_json(book, "01_event_store").get("complete"):
        return store.path
    left_out, seasons = {}, {}
    for sample in spec.sample:
        try:
            events = samples.make_events(sample, spec.seed)
        except DataError as error:
            if samples.is_synthetic(sample.name) or "is not here" not in str(error):
                raise
            left_out[sample.name] = str(error)
            progress(f"{sample.name}: left out, {error}")
            continue
        seasons[sample.name] = list(events)
        for season, data in events.items():
            if season not in _stored_seasons(store):
                store.append(season, data, f"{season}: {data.sizes['event']} events")
            _json(book, {"key": key, "seasons": seasons, "left_out": left_out})
            progress(f"{season}: {data.sizes['event']:,} {data.attrs['origin']} events stored")
    if not seasons:
        raise DataError("no sample of the spec can be made here: " + "; ".join(left_out.values()))
    if STORE_TAG not in store.tags():
        store.tag(STORE_TAG)
    _json(book, {"key": key, "seasons": seasons, "left_out": left_out, "complete": True})
    return store.path


def _book(folder: Path) -> Any:
    """What is in the event store.  Raises StepMissing before ``fill_event_store`` has ended."""
    book = _read_json(folder / "samples.json", "01_event_store")
    if not book.get("complete"):
        raise StepMissing(f"the event store in {folder} is not complete; run '01_event_store' again, it goes on")
    return book


def stored_events(spec: SampleSpec, folder: Path) -> dict[str, xr.Dataset]:
    """Events of a sample as ingested, by season.  Raises StepMissing before ``fill_event_store``."""
    book = _book(folder)
    if spec.name not in book["seasons"]:
        raise StepMissing(
            f"sample '{spec.name}' is not in the event store: {book['left_out'].get(spec.name, 'never stored')}"
        )
    store = EventStore(folder / "events.zarr")
    return {season: store.read(season, tag=STORE_TAG) for season in book["seasons"][spec.name]}


def held_samples(spec: AnalysisSpec, folder: Path) -> tuple[SampleSpec, ...]:
    """The samples of the spec that are in the event store."""
    book = _book(folder)
    return tuple(s for s in spec.sample if s.name in book["seasons"])


def selected_samples(spec: SampleSpec, folder: Path) -> Samples:
    """The sample ready for analysis."""
    kept, _ = samples.select(spec, stored_events(spec, folder))
    return samples.assemble(kept, spec)


def select_samples(spec: AnalysisSpec, folder: Path, progress: Progress) -> Path:
    """Apply the selections; write events, responses and the cut flow; returns the path of ``selection.json``."""
    flows, described = [], []
    for sample in held_samples(spec, folder):
        kept, cut_flows = samples.select(sample, stored_events(sample, folder))
        ready = samples.assemble(kept, sample)
        for season in ready.seasons:
            write_zip(_product(folder, f"events-{season.name}"), season.events)
            described_response = season.response.dataset.assign_attrs(notes="; ".join(season.response.notes))
            write_zip(_product(folder, f"response-{season.name}"), described_response)
            flow = cut_flows[season.name]
            flows += [
                {
                    "sample": sample.name,
                    "season": season.name,
                    "cut": row.label + ("" if row.applied else f" (check: {row.failed} would fail)"),
                    "events": row.kept,
                    "rate_hz": row.rate_hz,
                    "exposure_d": row.exposure_d,
                }
                for row in flow
            ]
            progress(f"{season.name}: {season.events.sizes['event']:,} events in {season.livetime / 86400:.2f} d")
        described.append(_sample_record(ready))
    return _json(folder / "selection.json", {"samples": described, "cut_flow": flows})


def _product(folder: Path, stem: str) -> Path:
    path = folder / "products" / f"{stem}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _sample_record(ready: Samples) -> dict[str, Any]:
    return {
        "sample": ready.name,
        "origin": ready.origin,
        "label": ready.label,
        "n_events": ready.n_events,
        "livetime_s": ready.livetime,
        "reference": ready.reference,
        "note": " ".join(ready.notes),
        "seasons": [
            {"name": s.name, "n_events": s.events.sizes["event"], "livetime_d": s.livetime / 86400}
            for s in ready.seasons
        ],
    }


def result_path(folder: Path, sample: str, hypothesis: str) -> Path:
    """Where the result of one hypothesis on one sample lies."""
    return folder / "results" / f"{sample}-{slug(hypothesis)}.json"


def fit_hypothesis(
    spec: AnalysisSpec,
    folder: Path,
    sample: SampleSpec,
    hypothesis: HypothesisSpec,
    executor: Executor,
    progress: Progress,
) -> dict[str, Any]:
    """Fit, p-value, limits and maps of one hypothesis on one sample; the result as in results.json.

    A finished result of the same problem, seed and trials is returned as it is.
    """
    asked = read_hypothesis(hypothesis.name, index=hypothesis.index, index_free=hypothesis.index_free)
    ready = selected_samples(sample, folder).seasons
    wanted = hypothesis.trials or spec.trials
    fingerprint = ensembles.problem_fingerprint(asked, ready)

    def make() -> dict[str, Any]:
        problem = inference.pose(asked, ready, folder, spec.seed)
        result = inference.infer(
            problem,
            sample.name,
            n_scrambles=wanted.scrambles,
            n_injections=wanted.injections,
            executor=executor,
            progress=progress,
        )
        _write_products(problem, sample.name, wanted.scrambles, folder, executor, progress, result)
        return result

    stem = f"{sample.name}-{slug(hypothesis.name)}"
    part = Part(
        result_path(folder, sample.name, hypothesis.name),
        f"{sample.name} {hypothesis.name}",
        _key(fingerprint, spec.seed, wanted.model_dump()),
        _FITS,
        tuple(_product(folder, f"{kind}-{stem}") for kind in ("trials", "map")),
    )
    result = _kept_or_made(part, make, executor, progress)
    ensembles.problem_path(folder, fingerprint).unlink(missing_ok=True)  # up to 150 MB, and made again in seconds
    return result


_FITS, _COMPARISONS = "03_template_fits and 04_stacking", "nuanalysis run SPEC"


@dataclass(frozen=True, slots=True)
class Part:
    """A finished piece of a run: its file, its name for people, what it is made from, and the step that makes it.

    products : files that are written with it; where one is gone it is made again.
    """

    path: Path
    name: str
    key: str
    step: str
    products: tuple[Path, ...] = ()


def _key(*content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _kept_or_made(
    part: Part, make: Callable[[], dict[str, Any]], executor: Executor, progress: Progress
) -> dict[str, Any]:
    """The result of a part, from its file where that was made from the same; else made, and kept with its cost."""
    if part.path.is_file():
        held: dict[str, Any] = _read_json(part.path, part.step)
        if held["key"] == part.key and all(product.is_file() for product in part.products):
            progress(f"{part.name}: unchanged, kept")
            return dict(held["result"])
    with campaign.costing(executor) as cost:
        result = make()
    _json(part.path, {"key": part.key, "result": result, "cost": cost.record()})
    return result


def compare_hypotheses(spec: AnalysisSpec, folder: Path, executor: Executor, progress: Progress) -> None:
    """P-values at published test statistics, global ones, joint fits, scans and source lists, on every sample held.

    Each is kept as it ends.  Problems are large and are not sent elsewhere faster than they are made: threads serve
    best.
    """
    if not spec.is_campaign:
        return
    published = {h.name: h for h in spec.hypothesis if h.published_ts is not None}
    names = dict.fromkeys([*published, *(n for asked in spec.together for n in asked.hypotheses)])
    read = {name: _compared(spec, name) for name in names}  # once: a map takes seconds
    for sample in held_samples(spec, folder):
        ready = selected_samples(sample, folder).seasons
        for name, hypothesis in published.items():
            [asked_for] = read[name]
            _at_published_ts(spec, folder, sample.name, hypothesis, asked_for, ready, executor, progress)
        for asked in spec.together:
            hypotheses = tuple(h for name in asked.hypotheses for h in read[name])
            _together(spec, folder, sample.name, asked, hypotheses, ready, executor, progress)
        for wanted in spec.joint:
            _joint(spec, folder, sample.name, wanted, ready, executor, progress)
        for region in spec.scan:
            _scan(spec, folder, sample.name, region, ready, executor, progress)
        for listed in spec.sources:
            _sources(spec, folder, sample.name, listed, ready, executor, progress)


def _published_ts_path(folder: Path, sample: str, hypothesis: HypothesisSpec) -> Path:
    return folder / "results" / f"published-ts-{sample}-{slug(hypothesis.name)}.json"


def _together_path(folder: Path, sample: str, asked: TogetherSpec) -> Path:
    return folder / "results" / f"together-{sample}-{asked.name}.json"


def _at_published_ts(
    spec: AnalysisSpec,
    folder: Path,
    sample: str,
    hypothesis: HypothesisSpec,
    asked: Hypothesis,
    ready: tuple[Sample, ...],
    executor: Executor,
    progress: Progress,
) -> None:
    ts = float(hypothesis.published_ts or 0.0)
    wanted = hypothesis.trials or spec.trials
    key = _key(ensembles.problem_fingerprint(asked, ready), spec.seed, ts, wanted.injections)
    part = Part(
        _published_ts_path(folder, sample, hypothesis),
        f"{sample} {hypothesis.name} at TS {ts:g}",
        key,
        _COMPARISONS,
    )

    def make() -> dict[str, Any]:
        problem = inference.pose(asked, ready, folder, spec.seed)
        return campaign.at_published_ts(problem, sample, ts, wanted.injections, executor, progress)

    _kept_or_made(part, make, executor, progress)


def _together(
    spec: AnalysisSpec,
    folder: Path,
    sample: str,
    asked: TogetherSpec,
    hypotheses: tuple[Hypothesis, ...],
    ready: tuple[Sample, ...],
    executor: Executor,
    progress: Progress,
) -> None:
    prints = [ensembles.problem_fingerprint(h, ready) for h in hypotheses]
    key = _key(prints, spec.seed, asked.model_dump(exclude={"name"}))
    part = Part(_together_path(folder, sample, asked), f"{sample} together {asked.name}", key, _COMPARISONS)

    def make() -> dict[str, Any]:
        progress(f"{part.name}: {len(hypotheses)} hypotheses")
        problems = tuple(inference.pose(h, ready, folder, spec.seed) for h in hypotheses)
        wanted = inference.Wanted(asked.precision, asked.trials, math.radians(asked.smear_declination_deg))
        found = campaign.together(problems, sample, wanted, executor, progress)
        return {"name": asked.name, "hypotheses": list(asked.hypotheses), **found}

    _kept_or_made(part, make, executor, progress)


def _joint_path(folder: Path, sample: str, asked: JointSpec) -> Path:
    return folder / "results" / f"joint-{sample}-{asked.name}.json"


def _joint(
    spec: AnalysisSpec,
    folder: Path,
    sample: str,
    asked: JointSpec,
    ready: tuple[Sample, ...],
    executor: Executor,
    progress: Progress,
) -> None:
    given = {h.name: h.index for h in spec.hypothesis}
    hypotheses = [read_hypothesis(n, index=given.get(n), index_free=asked.index_free) for n in asked.hypotheses]
    prints = [ensembles.problem_fingerprint(h, ready) for h in hypotheses]
    key = _key(prints, spec.seed, asked.model_dump(exclude={"name"}))
    part = Part(_joint_path(folder, sample, asked), f"{sample} joint fit {asked.name}", key, _COMPARISONS)

    def make() -> dict[str, Any]:
        problems = tuple(inference.pose(h, ready, folder, spec.seed) for h in hypotheses)
        return {"name": asked.name, **joint.fit_together(problems, sample, asked.trials, executor, progress)}

    _kept_or_made(part, make, executor, progress)


def _scan_path(folder: Path, sample: str, asked: ScanSpec) -> Path:
    return folder / "results" / f"scan-{sample}-{asked.name}.json"


def _sources_path(folder: Path, sample: str, asked: SourcesSpec) -> Path:
    return folder / "results" / f"sources-{sample}-{asked.name}.json"


def _without_clocks(document: dict[str, Any]) -> dict[str, Any]:
    """The document without its durations: the same run gives the same bytes, and costs are kept beside it."""
    return {key: value for key, value in document.items() if not key.startswith("seconds")}


def _scan(
    spec: AnalysisSpec,
    folder: Path,
    sample: str,
    asked: ScanSpec,
    ready: tuple[Sample, ...],
    executor: Executor,
    progress: Progress,
) -> None:
    events = ensembles.problem_fingerprint(scan.direction(0.0, 0.0), ready)
    product = _product(folder, f"sky-{sample}-{asked.name}")
    part = Part(
        _scan_path(folder, sample, asked),
        f"{sample} sky scan {asked.name}",
        _key(events, spec.seed, asked.model_dump(exclude={"name"})),
        _COMPARISONS,
        (product,),
    )

    def make() -> dict[str, Any]:
        progress(f"{part.name}: nside {asked.nside}, {asked.skies} background skies")
        document, found = scan.scan_record(
            scan.look_at(ready, folder, spec.seed),
            sample,
            asked.nside,
            asked.skies,
            executor,
            progress,
            smear=math.radians(asked.smear_declination_deg),
            local_trials=asked.local_trials,
        )
        result = {"name": asked.name, **_without_clocks(document)}
        write_zip(product, sky_product(found, scan.whose(result), json.dumps(result, sort_keys=True, allow_nan=False)))
        return result

    _kept_or_made(part, make, executor, progress)


def _sources(
    spec: AnalysisSpec,
    folder: Path,
    sample: str,
    asked: SourcesSpec,
    ready: tuple[Sample, ...],
    executor: Executor,
    progress: Progress,
) -> None:
    events = ensembles.problem_fingerprint(scan.direction(0.0, 0.0), ready)
    catalogue = open_catalogue(asked.catalogue)
    listed = [astuple(source) for source in catalogue.sources]
    part = Part(
        _sources_path(folder, sample, asked),
        f"{sample} source list {asked.name}",
        _key(events, spec.seed, listed, catalogue.reference, asked.model_dump(exclude={"name"})),
        _COMPARISONS,
    )

    def make() -> dict[str, Any]:
        progress(f"{part.name}: {len(listed)} sources of {asked.catalogue}, {asked.skies} background skies")
        document = scan.sources_record(
            scan.look_at(ready, folder, spec.seed),
            sample,
            catalogue,
            asked.skies,
            executor,
            progress,
            smear=math.radians(asked.smear_declination_deg),
            local_trials=asked.local_trials,
        )
        return {"name": asked.name, **_without_clocks(document)}

    _kept_or_made(part, make, executor, progress)


def _compared(spec: AnalysisSpec, name: str) -> tuple[Hypothesis, ...]:
    """The hypotheses of a name in a comparison, with the index of the hypothesis of the spec that has this name."""
    given = next((h for h in spec.hypothesis if h.name == name), None)
    if given is None:
        return read_hypotheses(name)
    return read_hypotheses(name, index=given.index, index_free=given.index_free)


def _write_products(
    problem: inference.Problem,
    sample: str,
    n_scrambles: int,
    folder: Path,
    executor: Executor,
    progress: Progress,
    result: dict[str, Any],
) -> None:
    """The background trials and the map of the test statistic as products."""
    stem = f"{sample}-{slug(problem.hypothesis.name)}"
    best, data = inference.fit(problem)
    reach = max(best.ts + 2.0, inference.REACH_TS)
    background = inference.scrambles(problem, n_scrambles, reach, executor, progress)
    values = {name: background[name].values for name in TRIALS.columns}
    attrs = {key: background.attrs[key] for key in ("fingerprint", "seed", "kind")}
    write_zip(
        _product(folder, f"trials-{stem}"),
        dataset(TRIALS, values, {**attrs, "origin": result["origin"], "hypothesis": problem.hypothesis.name}),
    )
    density = ts_density(problem.prepared, data, best)
    described = {"units": "sr-1", "description": "contribution to the test statistic per steradian"}
    sky = xr.Dataset(
        {"ts_density": (("pixel",), density, described)},
        attrs={
            "nside": 64,
            "ordering": "RING",
            "frame": "ICRS",
            "origin": result["origin"],
            "model_origin": result["model_origin"],
            "hypothesis": problem.hypothesis.name,
            "sample": sample,
            "ts": best.ts,
        },
    )
    write_zip(_product(folder, f"map-{stem}"), sky)


def _used(spec: AnalysisSpec, book: dict[str, Any]) -> set[str]:
    """Names of the upstream releases behind the samples, the hypotheses and the injected signal of a run."""
    used = {name for sample in book["seasons"] for name in samples.RELEASES_OF[sample]}
    models = [h.name for h in spec.hypothesis] + [s.signal for s in spec.sample]
    models += spec.compared
    sources = {n.partition(":")[2].partition("?")[0] for n in models if n.startswith(("stack:", EACH))}
    sources |= {asked.catalogue.removeprefix("stack:").partition("?")[0] for asked in spec.sources}
    if sources & set(CATALOGUES) or "template:pi0" in models:
        used |= {"cascades-2023"}
    return used | ({"source-catalogues"} if sources & set(source_catalogues.LAYOUTS) else set())


def _inputs(used: set[str]) -> list[dict[str, Any]]:
    """The upstream releases behind a run, with the checksums of the files that were opened.

    Of the cascade release that is the map alone: its tables are typed into the package.
    """
    out = []
    for release in RELEASES:
        if release.name not in used:
            continue
        try:
            report = verify(release, find(release))
        except DataError:
            opened = []
        else:
            kinds = (*_OPENED, "table") if release.name == source_catalogues.RELEASE.name else _OPENED
            opened = [f for f in report.files if f.sha256 and f.kind in kinds]
        if release.name == "cascades-2023":
            opened = [f for f in opened if f.path == PI0_MAP.as_posix()]
        out.append(
            {
                "name": release.name,
                "title": release.title,
                "doi": release.doi,
                "doi_confirmed": release.doi_confirmed,
                "licence": release.licence,
                "citation": release.citation,
                "files": [{"path": f.path, "sha256": f.sha256} for f in opened],
            }
        )
    return out


def versions() -> dict[str, str]:
    """Python and the packages that decide numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def _drop_stale_products(
    folder: Path, selection: dict[str, Any], results: list[dict[str, Any]], scans: list[dict[str, Any]]
) -> None:
    """Remove products of hypotheses and scans that are no longer in the spec: they would end up in the release."""
    seasons = [season["name"] for sample in selection["samples"] for season in sample["seasons"]]
    tested = [f"{row['sample']}-{slug(row['hypothesis'])}" for row in results]
    wanted = {f"{kind}-{name}.zip" for kind in ("events", "response") for name in seasons}
    wanted |= {f"{kind}-{name}.zip" for kind in ("trials", "map") for name in tested}
    wanted |= {f"sky-{one['sample']}-{one['name']}.zip" for one in scans}
    for path in (folder / "products").glob("*.zip"):
        if path.name not in wanted:
            path.unlink()


def _comparisons(spec: AnalysisSpec, folder: Path, fits: list[dict[str, Any]]) -> dict[str, Any]:
    """What a campaign adds to results.json; nothing for other specs."""
    out: dict[str, Any] = {"left_out_hypotheses": spec.left_out} if spec.left_out else {}
    if not spec.is_campaign:
        return out
    held = [s.name for s in held_samples(spec, folder)]
    asked = [h for h in spec.hypothesis if h.published_ts is not None]
    at_ts = [_read_json(_published_ts_path(folder, s, h), _COMPARISONS) for s in held for h in asked]
    shared = [_read_json(_together_path(folder, s, t), _COMPARISONS) for s in held for t in spec.together]
    fitted = [_read_json(_joint_path(folder, s, j), _COMPARISONS) for s in held for j in spec.joint]
    scans = [_read_json(_scan_path(folder, s, a), _COMPARISONS) for s in held for a in spec.scan]
    listed = [_read_json(_sources_path(folder, s, a), _COMPARISONS) for s in held for a in spec.sources]
    named = [("fit", one["result"]["hypothesis"], one) for one in fits]
    named += [("published ts", one["result"]["hypothesis"], one) for one in at_ts]
    named += [("together", one["result"]["name"], one) for one in shared]
    named += [("joint", one["result"]["name"], one) for one in fitted]
    named += [("scan", one["result"]["name"], one) for one in scans]
    named += [("sources", one["result"]["name"], one) for one in listed]
    costs = [
        {"part": part, "name": name, "sample": one["result"]["sample"], **one["cost"]}
        for part, name, one in named
        if "cost" in one
    ]
    return {
        **out,
        "at_published_ts": [one["result"] for one in at_ts],
        "together": [one["result"] for one in shared],
        "joint": [one["result"] for one in fitted],
        "scans": [one["result"] for one in scans],
        "source_lists": [one["result"] for one in listed],
        "costs": costs,
    }


def collect_results(spec: AnalysisSpec, folder: Path) -> Path:
    """Write results.json from the finished parts; raises StepMissing if one is not there."""
    selection = _read_json(folder / "selection.json", "02_event_selection")
    book = _book(folder)
    held = held_samples(spec, folder)
    fits = [_read_json(result_path(folder, s.name, h.name), _FITS) for s in held for h in spec.hypothesis]
    results = [one["result"] for one in fits]
    compared = _comparisons(spec, folder, fits)
    _drop_stale_products(folder, selection, results, compared.get("scans", []))
    path = folder / "results.json"
    body = {
        "schema_version": "1",
        "name": spec.name,
        "spec_fingerprint": spec.fingerprint(),
        "seed": spec.seed,
        "versions": versions(),
        "inputs": _inputs(_used(spec, book)),
        "left_out": book["left_out"],
        **selection,
        "results": results,
        **compared,
    }
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if path.is_file():
        held = json.loads(path.read_text())
        same = {k: v for k, v in held.items() if k != "created"} == json.loads(json.dumps(body))
        created = held["created"] if same else created
    return _json(path, {"created": created, **body})


def draw_and_report(folder: Path) -> Path:
    """Draw the standard figures, write the report and, for a campaign, ``campaign.ecsv``; returns the report's path."""
    standard_figures(folder, PUBLISHED)
    table = publish.campaign_table(publish.load_results(folder))
    if table:
        atomic_write(folder / "campaign.ecsv", table)
    return publish.report(folder)


def build_release(folder: Path, release_version: str = "") -> Path:
    """Build the release and check it; returns its folder."""
    built = publish.build(folder, release_version)
    found = publish.verify(built)
    if not found.ok:
        raise DataError(f"the release {built} does not verify right after it was built; the disk may be failing")
    return built


def headline(folder: Path) -> list[str]:
    """One line a result, hottest spot and source list, for the end of a run."""
    lines, results = [], _read_json(folder / "results.json", "05_data_release")
    for row in results["results"]:
        p, flux = row["p_value"], row["flux"]
        sigma = f"{p['sigma']:.2f} +- {p['sigma_error']:.2f} sigma local" if p["sigma"] is not None else f"p {p['p']}"
        limit = f"< {flux['upper_limit_90']:.3g} (90 %)" if flux["upper_limit_90"] is not None else "no limit"
        mark = " [SYNTHETIC]" if row["origin"] == "synthetic" else " [real]"
        fit = f"TS {row['fit']['ts']:6.2f}  n_s {row['fit']['n_signal']:7.1f}"
        lines.append(f"{row['sample']:<14} {row['hypothesis']:<14} {fit}  {sigma}, flux {limit} {flux['unit']}{mark}")
    for one in results.get("scans", []):
        for spot in one["hottest"]:
            what = f"hottest {spot['hemisphere']}, RA {spot['ra_deg']:.1f} dec {spot['dec_deg']:.1f} deg"
            lines.append(_of_the_best(one, f"{one['name']}: {what}", spot))
    for one in results.get("source_lists", []):
        what = f"best of {one['n_sources']} sources, {one['best']['source']}"
        lines.append(_of_the_best(one, f"{one['name']}: {what}", one["best"]))
    return lines


def _of_the_best(record: dict[str, Any], what: str, best: dict[str, Any]) -> str:
    """A line with the local and the global p-value of the best of many."""
    mark = "[SYNTHETIC]" if record["origin"] == "synthetic" else "[real]"
    found = f"{scan._p_words(best['p_local'], 'local')}, {scan._p_words(best['p_global'], 'global')}"
    return f"{record['sample']:<14} {what}: {found} {mark}"
