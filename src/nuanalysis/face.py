"""What a notebook imports: nouns in, nouns out; see ``nuanalysis`` itself."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nuanalysis import answers
from nuanalysis.answers import Answer, question
from nuanalysis.engine import progress
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import InputError
from nuanalysis.library import samples
from nuanalysis.library.catalogues import catalogue
from nuanalysis.library.hypotheses import hypothesis, point
from nuanalysis.library.samples import Samples
from nuanalysis.library.templates import template
from nuanalysis.records import Settings

__all__ = ["Bench", "ask", "catalogue", "hypothesis", "point", "run", "sample", "template", "verb"]


def sample(source: Any, *, seed: int = 1, **settings: Any) -> Samples:
    """A sample: one of the package by name, or a user's own events.

    source : a name ('cascades-2023', a SYNTHETIC twin; 'tracks', real), or a table of events (astropy Table, pandas
        DataFrame, xarray Dataset) with units.
    seed : of a synthetic sample, and of the trials on any.
    settings : of a named sample: ``signal``, ``n_signal``, ``min_declination_deg`` and the other cuts; of own events:
        ``response``, ``livetime``, ``origin`` and more, see ``library.samples.own``.
    Raises InputError for what cannot be read, with all faults; DataError where a release is not here.

    >>> events = nu.sample("cascades-2023", signal="none")
    >>> events.origin, events.n_events
    ('synthetic', 59592)
    """
    if isinstance(source, Samples):
        return source
    if isinstance(source, str):
        return samples.load(samples.sample_spec(name=source, **settings), seed)
    return samples.own(source, seed=seed, **settings)


def default_bench() -> Bench:
    """Trials on the cores of this machine, kept in the user's cache; a Ctrl-C returns what is finished."""
    from nuanalysis.engine.cost import usable_cores
    from nuanalysis.engine.executors import Threads
    from nuanalysis.ingest import cache_root

    return Bench(cache_root() / "ensembles", Threads(usable_cores()), progress.here(), patient=False)


def ask(name: str, events: Any, *first: Any, bench: Bench | None = None, **settings: Any) -> Answer:
    """Ask a question by its name.

    events : Samples or the name of a sample; several in a list where the question takes several; or an answer of
        ``fit``, whose sample and hypothesis are asked again.
    first : the question's first setting, such as the hypothesis.
    """
    kind = question(name)
    fields = list(kind.model_fields)
    if len(first) > 1:
        raise InputError(f"'{name}' takes the sample and {fields[0]}; everything else by its name")
    if first and fields[0] in settings:
        raise InputError(f"{fields[0]} was given twice")
    settings = {**dict(zip(fields, first, strict=False)), **settings}
    if isinstance(events, Answer):
        posed, events = getattr(events, "problem", None), getattr(events, "samples", None)
        if posed is None or events is None:
            raise InputError(
                "this answer was read from a file or is of another question; give the sample and hypothesis"
            )
        settings = {"hypothesis": posed.hypothesis, **settings}
    several = list(events) if isinstance(events, list | tuple) else [events]
    if len(several) != 1 and not kind.several:
        raise InputError(f"'{name}' is asked of one sample; found {len(several)}")
    asked = kind.of(**settings)
    asked.at_hand()
    for one in several:
        if isinstance(one, str):
            samples.at_hand(samples.sample_spec(name=one))
    ready = tuple(sample(one) for one in several)
    samples.refuse_shared_events(ready)
    where = bench or default_bench()
    with where.executor, progress.compiling(where.progress):
        return asked.ask(ready if kind.several else ready[0], where)  # type: ignore[arg-type]


def reading(name: str) -> Callable[..., Answer]:
    """The function of a question that needs no events, with its settings as keywords."""
    kind = answers.reading(name)

    def asking(**settings: Any) -> Answer:
        return kind.of(**settings).ask()

    head, _, rest = inspect.cleandoc(kind.__doc__ or "").partition("\n")
    parameters, said = zip(*_settings_of(kind), strict=True)
    asking.__signature__ = inspect.Signature(list(parameters))  # type: ignore[attr-defined]
    asking.__name__ = asking.__qualname__ = name
    asking.__doc__ = "\n".join([head, "", *said, rest]).rstrip() + "\n"
    return asking


def _settings_of(kind: type[Settings]) -> Iterator[tuple[inspect.Parameter, str]]:
    """Each setting as a keyword, and what is said of it."""
    for key, field in kind.model_fields.items():
        default = inspect.Parameter.empty if field.is_required() else field.default
        extra = field.json_schema_extra
        unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
        otherwise = "" if field.is_required() or default is None else f"; default {default!r}"
        words = f"{key} : {field.description or ''}" + (f", {unit}" if unit else "") + otherwise
        yield inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default), words


def verb(name: str) -> Callable[..., Answer]:
    """The function of a question, with its settings as keywords."""
    kind = question(name)

    def asking(events: Any, *first: Any, bench: Bench | None = None, **settings: Any) -> Answer:
        return ask(name, events, *first, bench=bench, **settings)

    keyword, anywhere = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter("events", anywhere)]
    head, _, rest = inspect.cleandoc(kind.__doc__ or "").partition("\n")
    said = [head, "", "events : a sample, its name, or (for one hypothesis) an answer of fit."]
    for place, (parameter, words) in enumerate(_settings_of(kind)):
        parameters.append(parameter if place else parameter.replace(kind=anywhere))
        said.append(words)
    said += ["bench : where trials run and are kept; without: on this machine's cores, in the user's cache.", rest]
    parameters.append(inspect.Parameter("bench", keyword, default=None))
    asking.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    asking.__name__ = asking.__qualname__ = name
    asking.__doc__ = "\n".join(said).rstrip() + "\n"
    return asking


def run(spec: str | Path, *, runs: str | Path = "runs", bench: Bench | None = None) -> Path:
    """Ask everything that a spec asks, into the run folder RUNS/NAME; returns the folder.

    Without notebooks: ``nuanalysis run`` executes those too.  A killed run goes on where it was.
    """
    from nuanalysis.workflow import steps
    from nuanalysis.workflow.run import checked

    asked = checked(Path(spec), Path(runs))
    where = bench or default_bench()
    folder = Path(runs) / asked.name
    with where.executor, progress.compiling(where.progress):
        steps.everything(asked, folder, where)
    return folder
