"""The analysis spec: a frozen, validated record read from TOML."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nuanalysis.errors import InputError, did_you_mean

SAMPLE_NAMES = ("cascades-2023", "tracks")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SampleSpec(_Record):
    """One sample and the user's cuts on it; signal and n_signal belong to the synthetic sample alone."""

    name: Literal["cascades-2023", "tracks"]
    signal: str = Field("template:pi0", description="hypothesis injected into the synthetic sample, or 'none'")
    n_signal: Annotated[float, Field(ge=0, le=10000)] = 671.1
    min_log10_energy: Annotated[float, Field(ge=0, le=10)] = 0.0
    max_log10_energy: Annotated[float, Field(ge=0, le=10)] = 10.0
    min_declination_deg: Annotated[float, Field(ge=-90, le=90)] = -90.0
    max_declination_deg: Annotated[float, Field(ge=-90, le=90)] = 90.0


class TrialsSpec(_Record):
    """How many trials a hypothesis gets on each sample."""

    scrambles: Annotated[int, Field(ge=200, le=100_000_000)] = 4000
    injections: Annotated[int, Field(ge=100, le=10_000_000)] = 1500


class HypothesisSpec(_Record):
    """One hypothesis: template:NAME, template:FILE, stack:NAME or point:RA,DEC (deg)."""

    name: Annotated[str, Field(min_length=3)]
    index: Annotated[float, Field(ge=1, le=4)] = 2.7
    index_free: bool | None = Field(None, description="default: fixed for templates, free for stacks and points")
    trials: TrialsSpec | None = Field(None, description="default: the trials of the spec")


class AnalysisSpec(_Record):
    """All that decides the numbers of a run."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,60}$")]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    sample: Annotated[tuple[SampleSpec, ...], Field(min_length=1, strict=False)]
    hypothesis: Annotated[tuple[HypothesisSpec, ...], Field(min_length=1, strict=False)]
    trials: TrialsSpec = TrialsSpec()

    def fingerprint(self) -> str:
        """sha256 of the canonical form."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()


def _sentence(fault: dict[str, object]) -> str:
    place = ".".join(str(p) for p in fault["loc"])  # type: ignore[attr-defined]
    if fault["type"] == "extra_forbidden":
        models = (AnalysisSpec, SampleSpec, HypothesisSpec, TrialsSpec)
        known = {name for model in models for name in model.model_fields}
        return f"unknown key '{place}'.{did_you_mean(place.rsplit('.', 1)[-1], known)}"
    return f"'{place}': {fault['msg']} (found {fault.get('input')!r})"


def parse_spec(text: str, source: str = "spec") -> AnalysisSpec:
    """Read a spec from TOML text.  Raises InputError with all faults in one message."""
    try:
        return AnalysisSpec.model_validate(tomllib.loads(text), strict=None)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not TOML: {error}") from error
    except ValidationError as error:
        lines = "\n  - ".join(_sentence(dict(fault)) for fault in error.errors())
        raise InputError(f"{source} is not a valid analysis spec:\n  - {lines}\nNothing was run.") from error


def read_spec(path: Path) -> AnalysisSpec:
    """Read a spec file.  Raises InputError if it is missing or invalid."""
    try:
        return parse_spec(Path(path).read_text(), str(path))
    except FileNotFoundError as error:
        raise InputError(f"there is no spec at {path}; specs/default.toml is an example") from error
