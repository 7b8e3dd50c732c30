"""The analysis spec: samples, hypotheses and questions, read from TOML as one frozen record."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SerializeAsAny, ValidationError, model_validator

from nuanalysis.answers import QUESTIONS, Question, question
from nuanalysis.errors import InputError
from nuanalysis.library.hypotheses import check_name
from nuanalysis.library.samples import SampleSpec
from nuanalysis.records import Settings, faults_in_words, setting

EACH = "each:"  # every source of a catalogue
_NAME = r"^[a-z0-9][a-z0-9-]{0,40}$"
#: Settings of questions that name hypotheses.
_HYPOTHESES = ("hypothesis", "hypotheses", "models", "diffuse")


class TrialsSpec(Settings):
    """How many trials a hypothesis gets on each sample."""

    scrambles: Annotated[int, Field(ge=200, le=100_000_000)] = 4000
    injections: Annotated[int, Field(ge=100, le=10_000_000)] = 1500


class HypothesisSpec(Settings):
    """One hypothesis, of which everything is measured: template:NAME, template:FILE, stack:NAME or point:RA,DEC (deg)."""

    name: Annotated[str, Field(min_length=3)]
    index: float | None = setting(None, low=1, high=4, help="of a power law; without: that of the hypothesis")
    index_free: bool | None = setting(None, help="without: fixed for templates, free for stacks and points")
    trials: TrialsSpec | None = setting(None, help="without: the trials of the spec")
    optional: bool = setting(False, help="left out, not refused, by a version that does not know the name")
    published_ts: Annotated[float, Field(gt=0, le=64)] | None = setting(
        None, help="test statistic at which a p-value was published; ours is computed there too"
    )


class Asked(Settings):
    """A question of a spec under a name of its own."""

    section: str
    name: str
    question: SerializeAsAny[Question]

    @property
    def names(self) -> tuple[str, ...]:
        """The hypotheses it names; catalogues as stacks."""
        out: list[str] = []
        for key, value in self.question.model_dump().items():
            words = [word for word in (value if isinstance(value, tuple | list) else (value,)) if isinstance(word, str)]
            if key in _HYPOTHESES:
                out += words
            elif key in ("catalogue", "catalogues", "sources"):
                out += [f"stack:{word.removeprefix('stack:')}" for word in words if word]
        return tuple(out)


class AnalysisSpec(Settings):
    """All that decides the numbers of a run.

    asked : the questions of the sections that are named as they are ([[scan]], [[together]], ...), in their order.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,60}$")]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    sample: Annotated[tuple[SampleSpec, ...], Field(min_length=1, strict=False)]
    hypothesis: Annotated[tuple[HypothesisSpec, ...], Field(strict=False)] = ()
    trials: TrialsSpec = TrialsSpec()
    asked: tuple[Asked, ...] = ()
    left_out: dict[str, str] = Field({}, exclude=True, description="by leave_out_unknown alone: name and reason")

    @model_validator(mode="after")
    def _names_differ(self) -> AnalysisSpec:
        """Results and products of a run are found by these names, in the form they have in file names."""
        if not self.hypothesis and not self.asked:
            raise ValueError(
                "the spec asks nothing; give a [[hypothesis]] or a section of a question, such as [[scan]]"
            )
        hypotheses = [_file_form(h.name) for h in self.hypothesis]
        twice = _twice([s.name for s in self.sample])
        twice += [h.name for h, form in zip(self.hypothesis, hypotheses, strict=True) if hypotheses.count(form) > 1]
        twice += _twice([f"{one.section} '{one.name}'" for one in self.asked])
        if twice:
            raise ValueError(f"named twice, or the same in file names: {', '.join(twice)}; give each a name of its own")
        return self

    def questions(self) -> tuple[Asked, ...]:
        """Everything the spec asks of each sample: of every hypothesis first, then the sections."""
        return (*(one for h in self.hypothesis for one in _of_hypothesis(h, self.trials)), *self.asked)

    @property
    def names(self) -> tuple[str, ...]:
        """Every hypothesis the spec names, catalogues as stacks."""
        named = (*(h.name for h in self.hypothesis), *(name for one in self.asked for name in one.names))
        return tuple(dict.fromkeys(named))

    def index_of(self, name: str) -> HypothesisSpec | None:
        """The [[hypothesis]] of this name that says an index; comparisons take it over."""
        found = next((h for h in self.hypothesis if h.name == name), None)
        return found if found is not None and (found.index, found.index_free) != (None, None) else None

    def fingerprint(self) -> str:
        """sha256 of the canonical form."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()


def _of_hypothesis(one: HypothesisSpec, trials: TrialsSpec) -> tuple[Asked, ...]:
    """What is asked of a hypothesis: everything and, where a value was published, the p-value there and its bias."""
    wanted = one.trials or trials
    common = {"hypothesis": one.name, "index": one.index, "index_free": one.index_free}
    measured = {"scrambles": wanted.scrambles, "injections": wanted.injections}
    out = [_asked("measure", one.name, {**common, **measured})]
    if one.published_ts is not None:
        out.append(_asked("significance", one.name, {**common, "ts": one.published_ts}))
        out.append(_asked("bias", one.name, {**common, "trials": max(wanted.injections, 200)}))
    return tuple(out)


def _asked(section: str, name: str, values: Mapping[str, Any]) -> Asked:
    return Asked(section=section, name=name, question=question(section).of(**values))


def _twice(names: Iterable[str]) -> list[str]:
    listed = list(names)
    return [name for name in dict.fromkeys(listed) if listed.count(name) > 1]


def _file_form(name: str) -> str:
    """What tells file names apart; a name with parameters has its checksum in them."""
    return name if "?" in name else re.sub(r"[^a-z0-9._+-]+", "-", name.lower().replace(",", "_")).strip("-.")


def _sections(written: dict[str, Any], faults: list[str]) -> list[Asked]:
    """Take the sections of questions out of what was written; their faults join the others."""
    out = []
    for section in [name for name in written if name in QUESTIONS]:
        tables = written.pop(section)
        for place, table in enumerate(tables if isinstance(tables, list) else [tables]):
            where = f"{section}.{place}"
            if not isinstance(table, dict) or not re.match(_NAME, str(table.get("name", ""))):
                faults.append(f"'{where}': expected [[{section}]] with name = \"...\" (small letters, digits, '-')")
                continue
            values = {key: value for key, value in table.items() if key != "name"}
            try:
                out.append(_asked(section, table["name"], values))
            except InputError as error:
                said = str(error).partition("\n")[2].rpartition("\n")[0]
                faults += [f"{where} '{table['name']}': {line.strip(' -')}" for line in said.splitlines()]
    return out


_MODELS = (AnalysisSpec, SampleSpec, HypothesisSpec, TrialsSpec)


def parse_spec(text: str, source: str = "spec") -> AnalysisSpec:
    """Read a spec from TOML text.  Raises InputError with all faults in one message."""
    faults: list[str] = []
    try:
        written = tomllib.loads(text)
        for key in {"left_out", "asked"} & written.keys():
            raise InputError(f"{source}: '{key}' is found, not written; remove it. Nothing was run.")
        asked = _sections(written, faults)
        spec = AnalysisSpec.model_validate({**written, "asked": tuple(asked)}, strict=None)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not TOML: {error}") from error
    except ValidationError as error:
        faults.append(faults_in_words(error, _MODELS, QUESTIONS))
    if faults:
        raise InputError(f"{source} is not a valid analysis spec:\n  - " + "\n  - ".join(faults) + "\nNothing was run.")
    return spec


def read_spec(path: Path) -> AnalysisSpec:
    """Read a spec file.  Raises InputError if it is missing or invalid."""
    try:
        return parse_spec(Path(path).read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as error:
        raise InputError(f"there is no spec at {path}; specs/default.toml is an example") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the spec {path} cannot be read ({error}); specs/default.toml is an example") from error


def leave_out_unknown(spec: AnalysisSpec) -> AnalysisSpec:
    """The spec without the optional hypotheses that this version does not know; ``left_out`` names them with reasons.

    Questions that name one of them go too.
    Raises InputError for other unknown names, with what was meant where that can be guessed.
    """
    unknown = {h.name: reason for h in spec.hypothesis if (reason := _why_unknown(h))}
    known = tuple(h for h in spec.hypothesis if h.name not in unknown)
    if unknown and not known and not spec.asked:
        raise InputError(f"this version knows no hypothesis of the spec: {'; '.join(unknown.values())}")
    lost = {one: [name for name in one.names if name in unknown] for one in spec.asked}
    gone = {f"{one.section}:{one.name}": f"it names {', '.join(names)}" for one, names in lost.items() if names}
    asked = tuple(one for one, names in lost.items() if not names)
    return spec.model_copy(update={"hypothesis": known, "asked": asked, "left_out": {**unknown, **gone}})


def _why_unknown(hypothesis: HypothesisSpec) -> str:
    """Why an optional hypothesis is left out; '' for a known one."""
    try:
        check_name(hypothesis.name)
    except InputError as error:
        if not hypothesis.optional:
            raise
        return str(error)
    return ""


def open_run(spec: str, run_folder: str) -> tuple[AnalysisSpec, Path]:
    """The spec, less what this version does not know, and the run folder a notebook names, relative to where it runs.

    JupyterLab starts a notebook in the folder that holds it; then both are taken from the folder above.
    """
    above = not Path(spec).exists() and (Path("..") / spec).exists()
    base = Path("..") if above else Path()
    return leave_out_unknown(read_spec(base / spec)), base / run_folder
