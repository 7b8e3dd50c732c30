"""The steps of a run: each takes the spec and the run folder, writes into the folder, and may be called again.

    fill_event_store -> select_samples -> ask (each question of the spec on each sample) -> collect_results -> publish

A step reads only what an earlier one wrote.  Finished parts are found by what they were made from and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nuanalysis import publish
from nuanalysis.engine import progress
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.cost import costing
from nuanalysis.engine.provenance import versions
from nuanalysis.engine.settings import EngineSettings
from nuanalysis.errors import DataError, StepMissing, refuse
from nuanalysis.ingest import RELEASES, find, source_catalogues, verify
from nuanalysis.library import samples
from nuanalysis.library.catalogues import RELEASED
from nuanalysis.library.hypotheses import content_of, read_hypothesis
from nuanalysis.library.samples import SampleSpec
from nuanalysis.library.templates import PI0_MAP
from nuanalysis.publish import Entry, Input, InputFile, Results, Spent
from nuanalysis.sky.catalogues import CATALOGUES
from nuanalysis.store import atomic_write, parsing, read_json, write_zip
from nuanalysis.workflow._documents import SELECTED, Book, Part, Selection, read
from nuanalysis.workflow._events import STORE_TAG as STORE_TAG
from nuanalysis.workflow._events import cards_of as cards_of
from nuanalysis.workflow._events import data_fingerprint as data_fingerprint
from nuanalysis.workflow._events import (
    events_key,
    fill_event_store,
    hash_of,
    held_samples,
    select_samples,
    selected_samples,
    stored,
    write_json,
)
from nuanalysis.workflow._events import refuse_other_spec as refuse_other_spec
from nuanalysis.workflow._events import stored_events as stored_events
from nuanalysis.workflow.spec import EACH, AnalysisSpec, Asked, fingerprint_of

_OPENED = ("events", "uptime", "effective area", "smearing", "resolution", "template")
_ASK = "nuanalysis run SPEC"


# --- questions --------------------------------------------------------------------------------------------------------


def part_path(folder: Path, asked: Asked, sample: str) -> Path:
    """Where the answer to a question on a sample lies."""
    return folder / "results" / f"{asked.section}-{publish.slug(sample)}-{publish.slug(asked.name)}.json"


def _sampled(asked: Asked, held: tuple[SampleSpec, ...]) -> tuple[tuple[SampleSpec, ...], ...]:
    """The samples a question is asked of: each alone, or all at once where it takes several."""
    return (held,) if asked.question.several else tuple((one,) for one in held)


def ask(spec: AnalysisSpec, folder: Path, asked: Asked, on: tuple[SampleSpec, ...], bench: Bench) -> Entry:
    """The answer to a question of the spec on samples; one made from the same is returned as it is."""
    name = " + ".join(one.name for one in on)
    path = part_path(folder, asked, name)
    given = [h.model_dump() for h in (spec.index_of(n) for n in asked.names) if h is not None]
    key = hash_of(
        events_key(spec), [s.model_dump() for s in on], asked.model_dump(exclude={"name"}), given,
        [content_of(n) for n in asked.names],
    )  # fmt: skip
    if path.is_file():
        held = read(Part, path, _ASK)
        if held.key == key and all((folder / product).is_file() for product in held.products):
            bench.progress(f"{name} {asked.section} {asked.name}: unchanged, kept")
            return _entry(asked, held, path, folder)
    bench.progress(f"{name} {asked.section} {asked.name}")
    ready = tuple(selected_samples(one, folder, spec.seed) for one in on)
    with costing(bench.executor) as cost:
        question = _with_indices(spec, asked)
        found = question.ask(ready if question.several else ready[0], bench)  # type: ignore[arg-type]
    entry = Entry(section=asked.section, name=asked.name, answer=found)
    made = list(publish.products([entry], folder))
    for one in made:
        write_zip(one.path, one.dataset)
    written = [one.path.relative_to(folder).as_posix() for one in made]
    write_json(path, {"key": key, "answer": found.to_dict(), "products": written, "cost": asdict(cost)})
    _report_so_far(spec, folder)
    return entry


def _entry(asked: Asked, held: Part, path: Path, folder: Path) -> Entry:
    """A kept answer with the large datasets that the run folder holds of it.  Raises DataError for a damaged one."""
    remedy = f"{path.name} is damaged: remove it and run '{_ASK}' again"
    with parsing(path, "the file", remedy, error=DataError):
        entry = Entry(section=asked.section, name=asked.name, answer=held.answer)
    refuse(entry.faults(), f"the file {path} holds what cannot be", remedy, error=DataError)
    return publish.with_products(entry, folder)


def _with_indices(spec: AnalysisSpec, asked: Asked) -> Any:
    """The question, its hypotheses with the indices that [[hypothesis]] says for them."""

    def opened(name: Any) -> Any:
        given = spec.index_of(name) if isinstance(name, str) and asked.section != "measure" else None
        return name if given is None else read_hypothesis(name, index=given.index, index_free=given.index_free)

    said = {key: getattr(asked.question, key) for key in ("hypotheses", "models") if hasattr(asked.question, key)}
    return asked.question.model_copy(update={key: tuple(map(opened, names)) for key, names in said.items()})


@contextmanager
def bench(given: Any, folder: Path) -> Iterator[Bench]:
    """The bench of a run folder, with the executor that the parameters of a notebook say."""
    engine = EngineSettings(**{name: getattr(given, name) for name in EngineSettings.model_fields})
    with engine.open() as executor:
        yield Bench(folder, executor, progress.here())


def ask_all(spec: AnalysisSpec, folder: Path, bench: Bench, *, only: Callable[[Asked], bool] = bool) -> list[Entry]:
    """The answers to all questions of the spec that ``only`` takes, each kept as it ends."""
    held = held_samples(spec, folder)
    wanted = [asked for asked in spec.questions() if only(asked)]
    return [ask(spec, folder, asked, on, bench) for asked in wanted for on in _sampled(asked, held)]


# --- results ----------------------------------------------------------------------------------------------------------


def _used(spec: AnalysisSpec, book: Book) -> set[str]:
    """Names of the upstream releases behind the samples, the hypotheses and the injected signal of a run."""
    used = {name for sample in book.seasons for name in samples.recipe(sample).releases}
    models = [*spec.names, *(s.signal for s in spec.sample)]
    lists = {n.partition(":")[2].partition("?")[0] for n in models if n.startswith(("stack:", EACH))}
    if lists & set(CATALOGUES) or "template:pi0" in models:
        used |= {"cascades-2023"}
    return used | {module.RELEASE.name for name, module in RELEASED.items() if name in lists}


def _inputs(used: set[str]) -> tuple[Input, ...]:
    """The upstream releases behind a run, with the checksums of the files that were opened.

    Of the cascade release that is the map alone: its tables are typed into the package.
    """
    out = []
    for release in (one for one in RELEASES if one.name in used):
        opened, kinds = [], (*_OPENED, "table") if release.name == source_catalogues.RELEASE.name else _OPENED
        with suppress(DataError):  # not here
            opened = [f for f in verify(release, find(release)).files if f.sha256 and f.kind in kinds]
        if release.name == "cascades-2023":
            opened = [f for f in opened if f.path == PI0_MAP.as_posix()]
        about = {key: getattr(release, key) for key in ("name", "title", "doi_confirmed", "licence", "citation")}
        files = tuple(InputFile(path=f.path, sha256=f.sha256) for f in opened)
        out.append(Input(doi=release.doi or "", files=files, **about))
    return tuple(out)


def _drop_stale_products(folder: Path, results: Results) -> None:
    """Remove products of questions that are no longer in the spec: they would end up in the release."""
    seasons = [season.name for sample in results.samples for season in sample.seasons]
    wanted = {f"{kind}-{name}.zip" for kind in ("events", "response") for name in seasons}
    wanted |= {product.path.name for product in publish.products(results.answers, folder)}
    for path in (folder / "products").glob("*.zip"):
        if path.name not in wanted:
            path.unlink()


def _each_part(spec: AnalysisSpec, folder: Path) -> Iterator[tuple[Asked, str, Path]]:
    """Every question of the spec on every sample, and where its answer lies or will lie."""
    for asked in spec.questions():
        for on in _sampled(asked, held_samples(spec, folder)):
            sample = " + ".join(one.name for one in on)
            yield asked, sample, part_path(folder, asked, sample)


def _part(asked: Asked, sample: str, path: Path, folder: Path) -> tuple[Entry, Spent]:
    held = read(Part, path, _ASK)
    spent = Spent(section=asked.section, name=asked.name, sample=sample, **held.cost.to_dict())
    return _entry(asked, held, path, folder), spent


def _parts(spec: AnalysisSpec, folder: Path) -> tuple[tuple[Entry, ...], tuple[Spent, ...]]:
    """The finished parts of a run and what they cost; StepMissing if one is not there."""
    found = [_part(*one, folder) for one in _each_part(spec, folder)]
    return tuple(entry for entry, _ in found), tuple(spent for _, spent in found)


def _selected(folder: Path) -> Selection:
    """What was selected.  Raises StepMissing, which names the notebook that does it."""
    return read(Selection, folder / SELECTED, f"{_ASK}', or '02_event_selection")


def _report_so_far(spec: AnalysisSpec, folder: Path) -> None:
    """Write the report of what is there: a long run can be read while it goes on.

    An answer of before, to a question that has changed since, may stand in it until it is asked anew.
    """
    if not (folder / SELECTED).is_file():  # a notebook that was opened first
        return
    here, left = [], []
    for asked, sample, path in _each_part(spec, folder):
        try:
            here.append(_part(asked, sample, path, folder))
        except (StepMissing, DataError):  # a damaged one is told when it is asked for
            left.append(f"{asked.section} {asked.name} ({sample})")
    entries, costs = tuple(entry for entry, _ in here), tuple(spent for _, spent in here)
    publish.report_so_far(folder, _results(spec, folder, entries, costs, ()), left)


def _results(
    spec: AnalysisSpec, folder: Path, entries: tuple[Entry, ...], costs: tuple[Spent, ...], inputs: tuple[Input, ...]
) -> Results:
    """The results of these parts."""
    selection = _selected(folder)
    return Results(
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        name=spec.name,
        spec_fingerprint=spec.fingerprint(),
        seed=spec.seed,
        versions=versions(),
        inputs=inputs,
        left_out=stored(folder).left_out,
        left_out_questions=spec.left_out,
        samples=selection.samples,
        cut_flow=selection.cut_flow,
        answers=entries,
        costs=costs,
    )


def collect_results(spec: AnalysisSpec, folder: Path) -> Path:
    """Write results.json from the finished parts; raises StepMissing if one is not there."""
    _selected(folder)  # first of all: it says which notebook to run
    entries, costs = _parts(spec, folder)
    path = folder / "results.json"
    results = _results(spec, folder, entries, costs, _inputs(_used(spec, stored(folder))))
    _drop_stale_products(folder, results)
    document = results.to_dict()
    with suppress(DataError):  # not there, or damaged: it is written anew
        held = read_json(path, "the results", "they are written anew")
        if {**held, "created": ""} == {**document, "created": ""}:
            document["created"] = held["created"]
    return write_json(path, document)


def draw_and_report(folder: Path) -> Path:
    """Draw the figures of all answers, write the report and the campaign table; returns the report's path."""
    results = publish.load_results(folder)
    publish.draw(results, folder)
    table = publish.campaign_table(results)
    if table:
        atomic_write(folder / "campaign.ecsv", table)
    return publish.report(folder)


def build_release(folder: Path, release_version: str = "") -> Path:
    """Build the release and check it; returns its folder."""
    built = publish.build(folder, release_version, fingerprint=fingerprint_of)
    found = publish.verify(built)
    if not found.ok:
        raise DataError(f"the release {built} does not verify right after it was built; the disk may be failing")
    return built


def headlines(folder: Path) -> list[str]:
    """A line an answer, for the end of a run."""
    lines = []
    for one in publish.load_results(folder).answers:
        mark = "[real]" if one.origin == "real" else "[SYNTHETIC]" if one.origin == "synthetic" else "[mixed]"
        lines.append(f"{mark} {one.sample}, {one.section} {one.name}: {' '.join(one.answer.headline())}")
    return lines


def everything(spec: AnalysisSpec, folder: Path, bench: Bench) -> Path:
    """All steps of a run, to report and release; returns the run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    fill_event_store(spec, folder, bench.progress)
    select_samples(spec, folder, bench.progress)
    ask_all(spec, folder, replace(bench, folder=folder))
    collect_results(spec, folder)
    draw_and_report(folder)
    build_release(folder)
    return folder
