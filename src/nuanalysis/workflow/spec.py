"""The analysis spec: a frozen, validated record read from TOML."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from nuanalysis.answers.scan import DEFAULT_SKIES, LOCAL_TRIALS, NSIDES, SOURCE_TRIALS
from nuanalysis.errors import InputError
from nuanalysis.library.catalogues import check_catalogue
from nuanalysis.library.hypotheses import check_name
from nuanalysis.library.samples import SampleSpec
from nuanalysis.records import Settings, faults_in_words

EACH = "each:"  # every source of a catalogue, see hypotheses.read_hypotheses


class TrialsSpec(Settings):
    """How many trials a hypothesis gets on each sample."""

    scrambles: Annotated[int, Field(ge=200, le=100_000_000)] = 4000
    injections: Annotated[int, Field(ge=100, le=10_000_000)] = 1500


class HypothesisSpec(Settings):
    """One hypothesis: template:NAME, template:FILE, stack:NAME or point:RA,DEC (deg)."""

    name: Annotated[str, Field(min_length=3)]
    index: Annotated[float, Field(ge=1, le=4)] | None = Field(
        None, description="of a power law; default: the spectrum of the template, 2.7 for stacks and points"
    )
    index_free: bool | None = Field(None, description="default: fixed for templates, free for stacks and points")
    trials: TrialsSpec | None = Field(None, description="default: the trials of the spec")
    optional: bool = Field(False, description="left out, not refused, by a version that does not know the name")
    published_ts: Annotated[float, Field(gt=0, le=64)] | None = Field(
        None, description="test statistic at which a p-value was published; ours is computed there too"
    )


class TogetherSpec(Settings):
    """Hypotheses whose best one gets a global p-value, from scrambles that all of them share.

    hypotheses : names, with the index of the [[hypothesis]] of that name if there is one; each:NAME stands for every
    source of a catalogue.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    hypotheses: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    precision: Annotated[float, Field(ge=0.005, le=0.3)] = 0.05
    trials: Annotated[int, Field(ge=0, le=100_000_000)] = Field(0, description="0: as many as the precision takes")
    smear_declination_deg: Annotated[float, Field(ge=0, le=10)] = 0.0

    @model_validator(mode="after")
    def _several_different(self) -> Self:
        twice = [n for n in dict.fromkeys(self.hypotheses) if self.hypotheses.count(n) > 1]
        if twice:
            raise ValueError(f"{', '.join(twice)} named twice in together '{self.name}'")
        if len(self.hypotheses) == 1 and not self.hypotheses[0].startswith(EACH):
            raise ValueError(f"together '{self.name}' holds one hypothesis; a global p-value is of two or more")
        if 0 < self.trials < 200:
            raise ValueError(f"trials of together '{self.name}' are {self.trials}; expected 0 or at least 200")
        return self


class JointSpec(Settings):
    """Hypotheses that are fitted together: a norm each, all of them free at once.

    trials : pseudo-experiments of each kind.  index_free : of every hypothesis.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    hypotheses: Annotated[tuple[str, ...], Field(min_length=2, strict=False)]
    trials: Annotated[int, Field(ge=100, le=10_000_000)] = 1000
    index_free: bool = False

    @model_validator(mode="after")
    def _different(self) -> Self:
        twice = [n for n in dict.fromkeys(self.hypotheses) if self.hypotheses.count(n) > 1]
        if twice:
            raise ValueError(f"{', '.join(twice)} named twice in joint '{self.name}'")
        return self


class ScanSpec(Settings):
    """A point source fitted in every direction: a map, and the hottest spot of each hemisphere.

    skies : background skies for its global p-value, 0 for local ones alone.  local_trials : at each declination of the
    table of local p-values.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    nside: int = 64
    skies: Annotated[int, Field(ge=0, le=10_000_000)] = DEFAULT_SKIES
    smear_declination_deg: Annotated[float, Field(ge=0, le=10)] = 0.0
    local_trials: Annotated[int, Field(ge=200, le=10_000_000)] = LOCAL_TRIALS

    @model_validator(mode="after")
    def _a_resolution(self) -> Self:
        if self.nside not in NSIDES:
            raise ValueError(
                f"nside of scan '{self.name}' is {self.nside}; expected one of {', '.join(map(str, NSIDES))}"
            )
        return self


class SourcesSpec(Settings):
    """Every source of a catalogue fitted alone: local p-values, the best's global one, and the population test.

    catalogue : as after 'stack:' of a hypothesis.  local_trials : at each source.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    catalogue: Annotated[str, Field(min_length=1)]
    skies: Annotated[int, Field(ge=0, le=10_000_000)] = 1000
    smear_declination_deg: Annotated[float, Field(ge=0, le=10)] = 0.0
    local_trials: Annotated[int, Field(ge=200, le=10_000_000)] = SOURCE_TRIALS


class AnalysisSpec(Settings):
    """All that decides the numbers of a run."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,60}$")]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    sample: Annotated[tuple[SampleSpec, ...], Field(min_length=1, strict=False)]
    hypothesis: Annotated[tuple[HypothesisSpec, ...], Field(min_length=1, strict=False)]
    trials: TrialsSpec = TrialsSpec()
    together: Annotated[tuple[TogetherSpec, ...], Field(strict=False)] = ()
    joint: Annotated[tuple[JointSpec, ...], Field(strict=False)] = ()
    scan: Annotated[tuple[ScanSpec, ...], Field(strict=False)] = ()
    sources: Annotated[tuple[SourcesSpec, ...], Field(strict=False)] = ()
    left_out: dict[str, str] = Field({}, exclude=True, description="by leave_out_unknown alone: name and reason")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        """Results and products of a run are found by these names, in the form they have in file names."""
        samples: list[str] = [s.name for s in self.sample]
        hypotheses = [_file_form(h.name) for h in self.hypothesis]
        twice = [n for n in dict.fromkeys(samples) if samples.count(n) > 1]
        twice += [h.name for h, form in zip(self.hypothesis, hypotheses, strict=True) if hypotheses.count(form) > 1]
        for asked in (self.together, self.joint, self.scan, self.sources):
            names = [one.name for one in asked]
            twice += [n for n in dict.fromkeys(names) if names.count(n) > 1]
        if twice:
            raise ValueError(f"named twice, or the same in file names: {', '.join(twice)}; give each a spec of its own")
        return self

    @property
    def is_campaign(self) -> bool:
        """Whether hypotheses are compared with each other or with published values beyond their own fits."""
        asked = (*self.together, *self.joint, *self.scan, *self.sources)
        return bool(asked) or any(h.published_ts is not None for h in self.hypothesis)

    @property
    def compared(self) -> tuple[str, ...]:
        """Hypotheses of comparisons and joint fits, as written."""
        together = [name for asked in self.together for name in asked.hypotheses]
        return (*together, *(name for asked in self.joint for name in asked.hypotheses))

    def fingerprint(self) -> str:
        """sha256 of the canonical form."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()


_MODELS = (
    AnalysisSpec, SampleSpec, HypothesisSpec, TrialsSpec, TogetherSpec, JointSpec, ScanSpec, SourcesSpec,
)  # fmt: skip


def _file_form(name: str) -> str:
    """What tells file names apart; a name with parameters has its checksum in them."""
    return name if "?" in name else re.sub(r"[^a-z0-9._+-]+", "-", name.lower().replace(",", "_")).strip("-.")


def parse_spec(text: str, source: str = "spec") -> AnalysisSpec:
    """Read a spec from TOML text.  Raises InputError with all faults in one message."""
    try:
        written = tomllib.loads(text)
        if "left_out" in written:
            raise InputError(f"{source}: what is left out is found, not written; remove 'left_out'. Nothing was run.")
        return AnalysisSpec.model_validate(written, strict=None)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not TOML: {error}") from error
    except ValidationError as error:
        raise InputError(
            f"{source} is not a valid analysis spec:\n  - {faults_in_words(error, _MODELS)}\nNothing was run."
        ) from error


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

    They go from the comparisons too, and a comparison of which one hypothesis is left goes itself.
    Raises InputError for other unknown names, with what was meant where that can be guessed.
    """
    unknown = {h.name: reason for h in spec.hypothesis if (reason := _why_unknown(h))}
    known = tuple(h for h in spec.hypothesis if h.name not in unknown)
    if not known:
        raise InputError(f"this version knows no hypothesis of the spec: {'; '.join(unknown.values())}")
    together, alone = [], {}
    for asked in spec.together:
        names = tuple(n for n in asked.hypotheses if n not in unknown)
        for name in names:
            check_catalogue(name.removeprefix(EACH)) if name.startswith(EACH) else check_name(name)
        if len(names) > 1 or (names and names[0].startswith(EACH)):
            together.append(asked.model_copy(update={"hypotheses": names}))
        else:
            rest = f"only {names[0]}" if names else "none"
            alone[f"together:{asked.name}"] = f"{rest} of its hypotheses is known to this version"
    for fitted in spec.joint:
        for name in fitted.hypotheses:
            check_name(name)
    for listed in spec.sources:
        check_catalogue(listed.catalogue)
    return spec.model_copy(update={"hypothesis": known, "together": tuple(together), "left_out": {**unknown, **alone}})


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
