"""Notebook parameters: one strict model per notebook, so that a typing error stops a run before anything is run."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from nuanalysis.answers import question, reading
from nuanalysis.engine.settings import EngineSettings
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.library import samples
from nuanalysis.library.templates import check_template
from nuanalysis.records import Record, Settings, faults_of_a_setting, in_short, said_of, shown
from nuanalysis.store import parsing, read_json


class Parameters(Settings):
    """What every notebook takes.  Unknown names and values of another type are refused; a model never changes."""

    model_config = ConfigDict(validate_default=True)

    spec: str = Field("specs/default.toml", min_length=1, description="path of the analysis spec (TOML)")
    run_folder: str = Field("runs/default", min_length=1, description="folder of the run: events, trials, results")


def _text(default: str, said: str, check: Callable[[str], object] = str) -> tuple[Any, Any]:
    """A parameter that is a word; check raises InputError for one that names nothing."""

    def known(word: str) -> str:
        with faults_of_a_setting():
            check(word)
        return word

    return Annotated[str, AfterValidator(known)], Field(default, min_length=1, description=said)


def _all_or_sample(word: str) -> None:
    if word != "all":
        samples.recipe(word)


def _templates(words: str) -> None:
    names = words.split()
    if not names or len(set(names)) < len(names):
        raise InputError("expected one or more templates, all different, with blanks between")
    for name in names:
        check_template(name)


def _with(said: str, **fields: tuple[Any, ...]) -> type[Parameters]:
    """A model with further fields: type and field, or a record, its field and the default in the notebook."""
    taken = {}
    for name, (kind, field, *default) in fields.items():
        if default:
            info = kind.model_fields[field]
            kind, field = info.annotation, FieldInfo.merge_field_infos(info, default=default[0])
        taken[name] = (kind, field)
    return create_model("NotebookParameters", __base__=Parameters, __doc__=said, **taken)  # type: ignore[call-overload, no-any-return]


def _models() -> dict[str, type[BaseModel]]:
    fit, compare, leak = question("fit"), question("compare"), question("leak")
    scan, sources, extended = question("scan"), question("sources"), question("extended")
    sample = _text("cascades-2023", "sample of the spec that is asked", samples.recipe)
    executor = {
        "executor": (EngineSettings, "executor", "processes"), "workers": (EngineSettings, "workers", 2),
        "scheduler": (EngineSettings, "scheduler", ""), "cluster": (EngineSettings, "cluster", ""),
    }  # fmt: skip
    return {
        "START_HERE": _with(
            "START HERE: one question in three cells.",
            template=_text("pi0", "map of the sky that is asked about", check_template),
        ),
        "00_ask_the_sky": _with("00: one question, one answer.", injections=(fit, "injections", 600)),
        "01_event_store": _with("01: fill the event store."),
        "02_event_selection": _with(
            "02: cuts, cut-flow table, data against published marginals.",
            sample=_text("all", "sample that is shown, or 'all'", _all_or_sample),
            open_events=(
                int, Field(0, ge=0, le=10_000_000, description="events of the open simulation; 0 leaves it out")
            ),
        ),
        "03_template_fits": _with("03: Galactic templates.", **executor),
        "04_stacking": _with(
            "04: source catalogues, and what a diffuse component alone does to them.", **executor,
            diffuse=(leak, "diffuse", "template:pi0"), skies=(leak, "skies", 100),
        ),
        "05_data_release": _with(
            "05: products and report.",
            build_release=(
                bool, Field(True, description="write the release folder; otherwise only look at what is there")
            ),
        ),
        "06_templates": _with(
            "06: templates built, compared, and what each does to the fit; not part of a run.",
            templates=_text(
                "pi0 pi0-like kra-gamma-like-5 kra-gamma-like-50",
                "names or files with blanks between, the first is the one that others are compared with",
                _templates,
            ),
            sample=_text("cascades-2023", "sample of the spec that is fitted", samples.recipe),
            injections=(fit, "injections", 600), trials=(compare, "trials", 200),
        ),
        "07_sky_map": _with(
            "07: the whole sky and a list of sources; not part of a run.", sample=sample,
            nside=(scan, "nside", 32), skies=(scan, "skies", 40), local_trials=(scan, "local_trials", 1000),
            catalogue=(sources, "catalogue", "list-109"), list_skies=(sources, "skies", 200),
        ),
        "08_extended_sources": _with(
            "08: extended sources along the plane and of a list; not part of a run.", sample=sample,
            extensions=(extended, "extensions", (0.5, 1.0, 1.5, 2.0)), width=(extended, "width", 3.0),
            declination=(extended, "declination", ()), catalogue=(extended, "catalogue", "extended-tev"),
            skies=(extended, "skies", 40),
        ),
        "09_interpretation": _with(
            "09: luminosity, gamma rays, alerts at the plane, transport, projections; not part of a run.",
            flux=(reading("desert"), "flux", "pi0"), sample=sample,
            template=_text("pi0", "map whose future and whose card are shown", check_template),
            trials=(question("transport"), "trials", 100),
        ),
        "10_realtime": _with(
            "10: from a simulated event to a circular, and the catalogue of alerts; not part of a run.",
            energy_tev=(float, Field(100.0, ge=1.0, le=5000.0, description="energy of the simulated neutrino, TeV")),
            seed=(int, Field(1, ge=0, le=10**9, description="of the simulated event")),
        ),
    }  # fmt: skip


PARAMETERS: dict[str, type[BaseModel]] = _models()


def model_of(notebook: str) -> type[BaseModel]:
    """Return the parameter model of a notebook, named as its file without ``.ipynb``."""
    if notebook not in PARAMETERS:
        raise InputError(f"no notebook is called {notebook!r}.{did_you_mean(notebook, PARAMETERS)}")
    return PARAMETERS[notebook]


def read_values(notebook: str, words: list[str]) -> dict[str, Any]:
    """Parameters from NAME=VALUE words of a command line, each read as the type of its default.

    Raises InputError for a word without '=' or a value that is not of the type; ``validate`` does the rest.
    """
    known = model_of(notebook).model_fields
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"'{word}' is not of the form NAME=VALUE")
        default = known[name].default if name in known else ""
        values[name] = text if isinstance(default, str) else _read_as(default, name, text)
    return values


def _read_as(default: Any, name: str, text: str) -> Any:
    """A number, numbers with commas between or a truth value; whether it is that of the parameter, its model says."""
    said = f"[{text.strip('[]()')}]" if isinstance(default, tuple) else text.lower()
    try:
        found = json.loads(said)
    except (ValueError, RecursionError) as error:
        example = in_short(default)
        raise InputError(
            f"'{name}' is {in_short(text)}; expected {type(default).__name__}, for example {example}"
        ) from error
    return tuple(found) if isinstance(found, list) else found


def injected(cells: Iterable[str]) -> tuple[str, ...]:
    """Names that papermill assigned, from the cells that a kernel has run; () where none is papermill's."""
    *_, last = "", *(cell for cell in cells if cell.startswith("# Parameters\n"))
    assigned = (statement for statement in ast.parse(last).body if isinstance(statement, ast.Assign))
    return tuple(target.id for one in assigned for target in one.targets if isinstance(target, ast.Name))


def _cells_run() -> list[str]:
    """Cells that this kernel has run; [] outside one."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return [] if shell is None else list(shell.user_ns.get("In", ()))


def validate(notebook: str, values: Mapping[str, Any]) -> BaseModel:
    """Return the full set of parameters, or raise one InputError that names every fault.  Lists serve as tuples.

    In a notebook that papermill runs, a name that it injected and the notebook does not have is a fault too: papermill
    itself only warns of it, and the run would go on with the default.
    """
    model = model_of(notebook)
    asked = dict.fromkeys(injected(_cells_run())) | dict(values)
    try:
        return model.model_validate({k: tuple(v) if isinstance(v, list) else v for k, v in asked.items()})
    except ValidationError as error:
        faults = [_fault(notebook, model, dict(detail)) for detail in error.errors()]
    raise InputError("\n".join(f"parameter error: {fault}" for fault in faults) + " Nothing was run.")


class ParameterCard(Record):
    """A parameter of a notebook."""

    name: str = shown("name")
    type: str = shown("type")
    unit: str = shown("unit", "")
    range: str = shown("range", "")
    default: Any = shown("default", None)
    description: str = shown("what it is")

    def words(self, form: str = "") -> str:
        """For one line."""
        kind = ", ".join(filter(None, (self.type, self.unit, self.range)))
        return f"{self.name} = {self.default!r}  ({kind})  {self.description}"


def describe(notebook: str) -> tuple[ParameterCard, ...]:
    """Every parameter of a notebook."""
    return tuple(
        ParameterCard(
            name=name,
            type=_type(info),
            unit=said_of(info, "unit"),
            range=_range(info),
            default=info.default,
            description=info.description or "",
        )
        for name, info in model_of(notebook).model_fields.items()
    )


class NotebookCard(Record):
    """A notebook, and whether its file is there."""

    name: str = shown("notebook")
    about: str = shown("what it does")
    present: bool = shown("whether its file is here")

    def words(self, form: str = "") -> str:
        """For one line."""
        return f"{self.name:<20}  {self.about}{'' if self.present else '  (file is missing)'}"


def notebooks_in(folder: Path) -> tuple[NotebookCard, ...]:
    """The notebooks in the order in which they run."""
    return tuple(
        NotebookCard(name=name, about=(model.__doc__ or "").strip(), present=(folder / f"{name}.ipynb").is_file())
        for name, model in PARAMETERS.items()
    )


def check_notebook(path: Path) -> list[str]:
    """Return what is wrong with a notebook's parameters cell against its model: names, types, defaults."""
    model = model_of(path.stem)
    cells = [cell for cell in code_cells(path) if "parameters" in cell.tags]
    if len(cells) != 1:
        return [f"{path.name}: {len(cells)} cells tagged 'parameters', expected 1"]
    try:
        found = dict(_assignments(cells[0].source))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last two: brackets without end
        return [f"{path.name}, cell {cells[0].number}: {error}"]
    return [f"{path.name}, cell {cells[0].number}: {fault}" for fault in _differences(found, model)]


class CodeCell(NamedTuple):
    """A code cell of a notebook file; ``number`` counts all its cells from 1."""

    number: int
    source: str
    tags: tuple[str, ...]
    has_output: bool


def code_cells(path: Path) -> list[CodeCell]:
    """Read the code cells of a notebook file."""
    if not path.exists():
        raise InputError(f"no notebook at {path}")
    what, remedy = "the notebook", "it is no notebook of format 4; save it again in JupyterLab, or bring the file anew"
    document = read_json(path, what, remedy, error=InputError)
    with parsing(path, what, remedy):
        return [
            CodeCell(
                number=number,
                source="".join(cell["source"]),
                tags=tuple(cell.get("metadata", {}).get("tags", ())),
                has_output=bool(cell.get("outputs")) or cell.get("execution_count") is not None,
            )
            for number, cell in enumerate(document["cells"], start=1)
            if cell["cell_type"] == "code"
        ]


# --- in words ---------------------------------------------------------------------------------------------------------


def _fault(notebook: str, model: type[BaseModel], detail: dict[str, Any]) -> str:
    name = str(detail["loc"][0]) if detail["loc"] else ""
    if detail["type"] == "extra_forbidden":
        return f"{notebook} has no parameter '{name}'.{_nearest(name, model)}"
    if detail["type"] == "value_error":
        return f"{notebook}: '{name}': {detail['ctx']['error']}"
    found = f"{in_short(detail['input'])} ({type(detail['input']).__name__})"
    return f"{notebook}: '{name}' is {found}, expected {_in_words(model.model_fields[name])}."


def _nearest(name: str, model: type[BaseModel]) -> str:
    hint = did_you_mean(name, model.model_fields)
    near = next((known for known in model.model_fields if hint == f" Did you mean '{known}'?"), None)
    return hint if near is None else f" Did you mean '{near}' ({_in_words(model.model_fields[near])})?"


def _in_words(info: FieldInfo) -> str:
    return ", ".join(filter(None, (_type(info), _range(info), f"default {info.default!r}")))


def _type(info: FieldInfo) -> str:
    kind = info.annotation
    return "str" if get_origin(kind) is Literal else getattr(kind, "__name__", str(kind))


def _range(info: FieldInfo) -> str:
    if get_origin(info.annotation) is Literal:
        return " | ".join(map(str, get_args(info.annotation)))
    bounds = {
        name: getattr(rule, name)
        for rule in info.metadata
        for name in ("ge", "le", "min_length")
        if hasattr(rule, name)
    }
    if "ge" in bounds or "le" in bounds:
        return f"{bounds.get('ge', '')}..{bounds.get('le', '')}"
    return "not empty" if bounds.get("min_length") else ""


# --- the cell ---------------------------------------------------------------------------------------------------------


def _assignments(source: str) -> Iterator[tuple[str, Any]]:
    """Yield (name, literal) for every statement of a parameters cell; anything else is a ValueError."""
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, _literal(name, value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, _literal(name, value)
            case _:
                raise ValueError(f"'{ast.unparse(statement)}' is not of the form name = literal")


def _literal(name: str, value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except ValueError as error:
        raise ValueError(f"'{name} = {ast.unparse(value)}' is not a literal") from error


def _differences(found: Mapping[str, Any], model: type[BaseModel]) -> Iterator[str]:
    fields = model.model_fields
    for name in sorted(found.keys() - fields.keys()):
        yield f"'{name}' is no parameter.{_nearest(name, model)}"
    for name, info in fields.items():
        if name not in found:
            yield f"'{name}' is missing, expected {name} = {info.default!r}"
        elif type(found[name]) is not type(info.default) or found[name] != info.default:
            yield f"{name} = {found[name]!r}, expected {name} = {info.default!r}"
