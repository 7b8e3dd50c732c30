"""The analysis spec: samples, hypotheses and questions, read from TOML as one frozen record."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SerializeAsAny, ValidationError, model_validator

from nuanalysis.answers import HYPOTHESES, QUESTIONS, Question, question
from nuanalysis.errors import InputError, printable
from nuanalysis.library.hypotheses import check_name
from nuanalysis.library.samples import SampleSpec
from nuanalysis.plot import slug
from nuanalysis.records import Settings, faults_in_words, in_short, plain, setting
from nuanalysis.store import own_tree, parse_toml, text_of
from nuanalysis.workflow import refuse_missing

EACH = "each:"  # every source of a catalogue
_NAME = r"^[a-z0-9][a-z0-9-]{0,40}$"


def _known(name: str) -> str:
    if why := _why_unknown(name):
        raise ValueError(why)
    return name


class TrialsSpec(Settings):
    """How many trials a hypothesis gets on each sample."""

    scrambles: Annotated[int, Field(ge=200, le=100_000_000)] = 4000
    injections: Annotated[int, Field(ge=100, le=10_000_000)] = 1500


class HypothesisSpec(Settings):
    """One hypothesis, measured in full: template:NAME, template:FILE, stack:NAME or point:RA,DEC (deg)."""

    name: Annotated[str, AfterValidator(_known)]
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
        return self.question.names()


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
    left_out: dict[str, str] = Field({}, exclude=True, description="optional hypotheses not known here, and why")

    @model_validator(mode="after")
    def _names_differ(self) -> AnalysisSpec:
        """Results and products of a run are found by these names, in the form they have in file names."""
        if not self.hypothesis and not self.asked:
            raise ValueError(
                "the spec asks nothing; give a [[hypothesis]] or a section of a question, such as [[scan]]"
            )
        hypotheses = [slug(h.name) for h in self.hypothesis]
        twice = _twice([s.name for s in self.sample])
        twice += [h.name for h, form in zip(self.hypothesis, hypotheses, strict=True) if hypotheses.count(form) > 1]
        twice += _twice([f"{one.section} '{one.name}'" for one in self.asked])
        twice += [one.name for one in self.asked if one.section == "measure" and slug(one.name) in hypotheses]
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
        out.append(_asked("bias", one.name, {**common, "trials": wanted.injections}))
    return tuple(out)


def _asked(section: str, name: str, values: Mapping[str, Any]) -> Asked:
    return Asked(section=section, name=name, question=question(section).of(**values))


def _twice(names: Iterable[str]) -> list[str]:
    listed = list(names)
    return [name for name in dict.fromkeys(listed) if listed.count(name) > 1]


def _sections(written: dict[str, Any], faults: list[str]) -> list[Asked]:
    """Take the sections of questions out of what was written; their faults join the others."""
    out = []
    for section in [name for name in written if name in QUESTIONS]:
        tables, kind = written.pop(section), question(section)
        for place, table in enumerate(tables if isinstance(tables, list) else [tables]):
            within = f"{section}.{place}"
            if not isinstance(table, dict):
                faults.append(f"'{within}': expected a table, [[{section}]]")
                continue
            if not re.fullmatch(_NAME, name := str(table.get("name", ""))) or name.endswith("\n"):
                found = in_short(table.get("name"))
                faults.append(f"'{within}.name': String should match pattern '{_NAME}' (found {found})")
            try:
                asked = kind.model_validate(plain(kind, {key: v for key, v in table.items() if key != "name"}))
                out.append(Asked(section=section, name=name, question=asked))
            except ValidationError as error:
                faults.append(faults_in_words(error, (kind,), ("name",), within))
    return out


def _leave_out(written: dict[str, Any]) -> dict[str, str]:
    """Take optional hypotheses that this version does not know out of what was written; names and reasons.

    They go from the comparisons too, and a comparison of which one hypothesis is left goes itself.
    """
    hypotheses = [one for one in _tables(written, "hypothesis") if one.get("optional") is True]
    left_out = {str(one.get("name")): reason for one in hypotheses if (reason := _left_out(str(one.get("name"))))}
    if not left_out:
        return {}
    written["hypothesis"] = [one for one in _tables(written, "hypothesis") if str(one.get("name")) not in left_out]
    for section in [name for name in written if name in QUESTIONS]:
        kept = []
        for table in _tables(written, section):
            shorter = {key: _without(table[key], left_out) for key in HYPOTHESES if key in table}
            lost = [key for key, value in shorter.items() if value != table[key]]
            rest = [name for key in lost for name in shorter[key]]
            if lost and len(rest) < 2:
                only = f"only {rest[0]}" if rest else "none"
                left_out[f"{section}:{table.get('name')}"] = f"{only} of its hypotheses is known to this version"
            else:
                kept.append({**table, **shorter})
        written[section] = kept
    return left_out


def _left_out(name: str) -> str:
    """Why an optional hypothesis is left out; '' for one that is known, and for a name that cannot be shown."""
    return _why_unknown(name) if printable(name) == name else ""


def _tables(written: Mapping[str, Any], section: str) -> list[dict[str, Any]]:
    tables = written.get(section, [])
    return [one for one in tables if isinstance(one, dict)] if isinstance(tables, list) else []


def _without(names: Any, unknown: Mapping[str, str]) -> Any:
    if isinstance(names, list):
        return [name for name in names if not (isinstance(name, str) and name in unknown)]
    return [] if isinstance(names, str) and names in unknown else names


def _why_unknown(name: str) -> str:
    """Why a hypothesis cannot be used; '' for a known one."""
    if printable(name) != name:
        return f"the name '{printable(name)}' holds control characters; rename the file"
    try:
        check_name(name)
    except InputError as error:
        return str(error)
    return ""


_MODELS = (AnalysisSpec, SampleSpec, HypothesisSpec, TrialsSpec)


def parse_spec(text: str, source: str = "spec") -> AnalysisSpec:
    """Read a spec from TOML text, less the optional hypotheses that this version does not know.

    Raises InputError with all faults in one message.
    """
    faults: list[str] = []
    written = parse_toml(
        text, Path(source), "the spec", f"{source} is not TOML as specs/default.toml is. Nothing was run."
    )
    try:
        for key in {"left_out", "asked"} & written.keys():
            raise InputError(f"{source}: '{key}' is found, not written; remove it. Nothing was run.")
        left_out = _leave_out(written)
        asked = _sections(written, faults)
        if left_out and not written.get("hypothesis") and not asked:
            raise InputError(f"this version knows no hypothesis of the spec: {'; '.join(left_out.values())}")
        more = {"asked": tuple(asked), "left_out": left_out}
        spec = AnalysisSpec.model_validate({**written, **more}, strict=None)
    except ValidationError as error:
        faults.append(faults_in_words(error, _MODELS, QUESTIONS))
    if faults:
        raise InputError(f"{source} is not a valid analysis spec:\n  - " + "\n  - ".join(faults) + "\nNothing was run.")
    return spec


def read_spec(path: Path) -> AnalysisSpec:
    """Read a spec file.  Raises InputError if it is missing or invalid."""
    refuse_missing(Path(path))
    return parse_spec(text_of(Path(path), "the spec"), str(path))


def fingerprint_of(path: Path) -> str:
    """sha256 of the canonical form of a spec file.  Raises InputError as ``read_spec``."""
    return read_spec(path).fingerprint()


def open_run(spec: str, run_folder: str) -> tuple[AnalysisSpec, Path]:
    """The spec and the run folder a notebook names, relative to where it runs.

    JupyterLab starts a notebook in the folder that holds it; then both are taken from the folder above.
    Raises InputError as ``read_spec``, DataError for a run folder that links lead out of.
    """
    above = not Path(spec).exists() and (Path("..") / spec).exists()
    base = Path("..") if above else Path()
    own_tree(base / run_folder, "the run folder")
    return read_spec(base / spec), base / run_folder
