"""From a question to a verb: its settings, those of the sample and of the executor are the options."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from nuanalysis.cli._face import answer, say
from nuanalysis.engine.settings import EngineSettings
from nuanalysis.errors import InputError
from nuanalysis.records import Settings, made, said_of

if TYPE_CHECKING:
    from nuanalysis.answers import Answer, Question

_BEGINNINGS = ("template:", "stack:", "point:", "each:")
_FIRST = "hypothesis"  # may be said without its flag


def _type(field: FieldInfo) -> tuple[Any, Any]:
    """What the command line reads for a field, and the type of its parts where it takes several."""
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    if get_origin(field.annotation) is tuple:
        return list[str] | None, kinds[0]
    kind = kinds[0] if len(kinds) == 1 or float not in kinds else float
    return (kind if kind in (int, float, bool, str) else str) | None, None


def _help(field: FieldInfo) -> str:
    """The sentence of a field with its unit, range and default."""
    ends = {key: getattr(rule, key) for rule in field.metadata for key in ("ge", "gt", "le") if hasattr(rule, key)}
    low, high = ends.get("ge", ends.get("gt")), ends.get("le")
    between = f"{low:g} to {high:g}" if low is not None and high is not None else ""
    shown = ",".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
    default = "" if field.is_required() or field.default in (None, "", ()) else f"default {shown}"
    more = ", ".join(filter(None, (said_of(field, "unit"), between, default)))
    return f"{field.description or ''}" + (f" [{more}]" if more else "")


def option(name: str, field: FieldInfo, *, required: bool | None = None) -> inspect.Parameter:
    """The option of a field.    required : without: as the field says."""
    kind, _ = _type(field)
    flag = f"--{name.replace('_', '-')}"
    names = f"{flag}/--no-{flag[2:]}" if kind == bool | None else flag
    wanted = field.is_required() if required is None else required
    return _keyword(name, kind, typer.Option(... if wanted else None, names, help=_help(field), show_default=False))


def _keyword(name: str, kind: Any, option: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind)


def split(text: str, part: Any) -> list[Any]:
    """The parts of an option that takes several, commas between.

    A name may hold commas (point:RA,DEC, FILE?sure=unit,frame): behind one with ':' or '?' a word that begins no
    hypothesis belongs to it.
    """
    if part in (int, float):
        try:
            return [part(word) for word in text.split(",")] if text.strip() else []
        except ValueError as error:
            raise typer.BadParameter(f"'{text}'; expected numbers with commas between, for example 3,5,7") from error
    if part is str:
        return [text]
    names: list[str] = []
    for word in text.split(","):
        if names and set(":?") & set(names[-1]) and not word.strip().startswith(_BEGINNINGS):
            names[-1] += f",{word}"
        elif word.strip():
            names.append(word)
    return [name.strip(" ,") for name in names]


def given(model: type[Settings], values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were said, as the record takes them."""
    out: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        value, (_, part) = values.get(name), _type(field)
        if value is None or value == []:
            continue
        out[name] = tuple(one for text in value for one in split(text, part)) if part is not None else value
    return out


def _parameters(question: type[Question], sample: type[Settings]) -> Iterator[inspect.Parameter]:
    if _FIRST in question.model_fields:
        said = "The hypothesis, in place of --hypothesis; a name or FILE without a prefix is a template."
        yield _keyword("first", str | None, typer.Argument(None, metavar=f"[{_FIRST.upper()}]", help=said))
    told, usual = sample.model_fields["name"].description or "the sample", question.default_sample
    named = typer.Option(usual or ..., "--sample", help=told)
    yield _keyword("sample", list[str] if question.several else str, named)
    rest = {n: f for n, f in sample.model_fields.items() if n != "name" and n not in question.model_fields}
    for name, field in (question.model_fields | rest).items():
        yield option(name, field, required=field.is_required() and name != _FIRST)
    seed = typer.Option(1, "--seed", min=0, max=2**63 - 1, help="Seed of the synthetic sample and of the trials.")
    yield _keyword("seed", int, seed)
    yield from (option(name, field) for name, field in EngineSettings.model_fields.items())
    yield from _ends()


def _ends() -> Iterator[inspect.Parameter]:
    """The options of every question: where its answer goes."""
    yield _keyword("output", Path | None, typer.Option(None, "--output", help="Folder for JSON, table and figures."))
    flag = typer.Option(False, "--json", help="One JSON document on stdout; progress stays on stderr.")
    yield _keyword("json", bool, flag)


def verb(name: str) -> Callable[..., None]:
    """The command of a question."""
    from nuanalysis.engine import progress

    with progress.compiling(say):
        from nuanalysis.answers import question
        from nuanalysis.library.samples import SampleSpec

        asked = question(name)

    def run(**values: Any) -> None:
        _run(name, values)

    parameters = list(_parameters(asked, SampleSpec))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__doc__ = asked.title()
    return run


def reading_verb(name: str) -> Callable[..., None]:
    """The command of a question that needs no events: its settings are the options."""
    from nuanalysis.answers import reading

    kind = reading(name)

    def run(**values: Any) -> None:
        from nuanalysis.store import refuse_folder

        started, output = time.monotonic(), values["output"]
        asked, *_ = all_or_none(
            lambda: kind.of(**given(kind, values)),
            *([partial(refuse_folder, output, "--output")] if output else []),
        )
        _told(asked.ask(), started, output, as_json=values["json"])

    parameters = [*(option(key, field) for key, field in kind.model_fields.items()), *_ends()]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__doc__ = kind.title()
    return run


def all_or_none(*makers: Callable[[], Any]) -> list[Any]:
    """What each of them makes.  Raises InputError with the faults of all."""
    out, faults = [], []
    for make in makers:
        try:
            out.append(make())
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("\n".join(faults))
    return out


def _run(name: str, values: Mapping[str, Any]) -> None:
    """Check everything, then work, then print the one answer."""
    from nuanalysis.answers import question
    from nuanalysis.engine import progress
    from nuanalysis.engine.bench import Bench
    from nuanalysis.ingest import cache_root
    from nuanalysis.library import samples
    from nuanalysis.store import refuse_folder

    started, output, kind = time.monotonic(), values["output"], question(name)
    values = {**values, _FIRST: _hypothesis(kind, values)}
    wanted = [values["sample"]] if isinstance(values["sample"], str) else values["sample"]
    cuts = given(samples.SampleSpec, {k: v for k, v in values.items() if k != "name" and k not in kind.model_fields})
    asked, engine, specs, *_ = all_or_none(
        lambda: kind.of(**given(kind, values)),
        lambda: made(EngineSettings, given(EngineSettings, values), "this executor cannot be used"),
        lambda: [samples.sample_spec(name=one, **cuts) for one in wanted],
        *([partial(refuse_folder, output, "--output")] if output else []),
    )
    samples.refuse_shared_events([samples.recipe(one) for one in wanted])
    executor = engine.open()  # refuses what cannot be; starts nothing
    all_or_none(asked.at_hand, *(partial(samples.at_hand, one) for one in specs))
    with progress.compiling(say), executor:
        ready = tuple(samples.load(spec, values["seed"]) for spec in specs)
        for one in ready:
            if one.origin == "synthetic":
                say(f"{one.name}: SYNTHETIC events, signal {one.injected}, seed {one.seed}")
        bench = Bench(cache_root() / "ensembles", executor, progress.here())
        found = asked.ask(ready if kind.several else ready[0], bench)  # type: ignore[arg-type]
    _told(found, started, output, as_json=values["json"])


def _hypothesis(kind: type[Question], values: Mapping[str, Any]) -> str | None:
    """The hypothesis, with its flag or without.  Raises InputError where it was said twice, or is missing."""
    first, flagged = values.get("first"), values.get(_FIRST)
    if first is not None and flagged is not None:
        raise InputError(f"'{first}' and --{_FIRST} {flagged} were both given; leave one out")
    if first is None and flagged is None and _FIRST in kind.model_fields and kind.model_fields[_FIRST].is_required():
        raise InputError("no hypothesis was given; give one, for example template:pi0, with or without '--hypothesis'")
    return flagged if first is None else first if first.startswith(_BEGINNINGS) else f"{_BEGINNINGS[0]}{first}"


def _told(found: Answer, started: float, output: Path | None, *, as_json: bool) -> None:
    """Write the answer where a folder was given, and print it; started : of ``time.monotonic``."""
    files = found.write(output) if output is not None else ()
    document = {**found.to_dict(), "files": [str(path) for path in files], "seconds": time.monotonic() - started}
    text = "\n".join([str(found), *(f"wrote {path}" for path in files)])
    answer(document, as_json=as_json, text=text)


def doc_of(name: str) -> str:
    """The first line of a question's file, read without importing it."""
    import ast
    from importlib.util import find_spec

    found = find_spec("nuanalysis.answers")
    places = found.submodule_search_locations if found is not None else None
    source = Path((places or [""])[0]) / f"{name}.py"
    said = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or name
    return said.partition("\n")[0]
