"""Settings: frozen, strict records whose faults are told all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nuanalysis.errors import did_you_mean


class Settings(BaseModel):
    """A frozen record of settings; unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def setting(
    default: Any = ...,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    unit: str = "",
    help: str = "",
) -> Any:
    """One setting: default, range with its ends (above: without it), unit, and a sentence of help.

    The same field is a key of the spec, an option of the verb, a parameter of the notebook and a keyword in Python.
    """
    return Field(default, ge=low, le=high, gt=above, description=help, json_schema_extra={"unit": unit})


def _sentence(fault: dict[str, Any], models: Sequence[type[BaseModel]]) -> str:
    place = ".".join(str(p) for p in fault["loc"])
    if fault["type"] == "value_error":
        return f"{place or 'the spec'}: {fault['ctx']['error']}"
    if fault["type"] == "extra_forbidden":
        known = {name for model in models for name in model.model_fields}
        return f"unknown key '{place}'.{did_you_mean(place.rsplit('.', 1)[-1], known)}"
    found = "" if fault["type"] == "missing" else f" (found {fault.get('input')!r})"
    return f"'{place}': {fault['msg']}{found}"


def faults_in_words(error: ValidationError, models: Sequence[type[BaseModel]]) -> str:
    """All faults, one a line; an array that is 'too short' only because its items are bad is not one of them.

    models : the records whose keys a wrong key may have meant.
    """
    faults: list[dict[str, Any]] = [dict(fault) for fault in error.errors()]
    inside = {fault["loc"][:1] for fault in faults if len(fault["loc"]) > 1}
    kept = [fault for fault in faults if fault["type"] != "too_short" or fault["loc"] not in inside]
    return "\n  - ".join(_sentence(fault, models) for fault in kept)
