"""Settings: frozen, strict records whose faults are told all at once."""

import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.records._layout import said_of

S = TypeVar("S", bound=BaseModel)
MOST_ENTRIES = 1000  # of a setting that takes several: each is work of its own
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


class Settings(BaseModel):
    """A frozen record of settings; unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="after")
    def _finite_and_few(self) -> Self:
        """What no range of a field has refused: NaN and infinity, and more entries than anybody means."""
        if faults := [fault for name, value in self for fault in _beyond(name, value)]:
            raise ValueError("; ".join(faults))
        return self


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


def _beyond(name: str, value: Any) -> Iterator[str]:
    entries = value if isinstance(value, tuple) else (value,)
    if len(entries) > MOST_ENTRIES:
        yield f"{name} has {len(entries):,} entries; expected at most {MOST_ENTRIES:,}, ask in several calls"
    if any(isinstance(one, float) and not math.isfinite(one) for one in entries):
        yield f"{name} is {in_short(value)}; expected finite numbers"


@contextmanager
def faults_of_a_setting() -> Iterator[None]:
    """A fault of a setting as pydantic collects it: ValueError in place of InputError."""
    try:
        yield
    except (InputError, OSError) as error:  # OSError: a name that the file system does not take
        raise ValueError(str(error)) from error


def in_short(value: Any) -> str:
    """What was found, for a message: not longer than a line, whatever it is."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # more digits than Python writes
        return f"a number of {value.bit_length():,} bits"


def made(model: type[S], values: Mapping[str, Any], what: str) -> S:
    """A record of settings from values.  Lists serve as tuples, Quantities in the unit of their field.

    what : the thing that cannot be made, for the message.  Raises InputError with all faults in one message.
    """
    try:
        return model.model_validate(plain(model, values))
    except ValidationError as error:
        raise InputError(f"{what}:\n  - {faults_in_words(error, (model,))}\nNothing was run.") from error


def plain(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as the fields of a record take them: see ``made``."""
    return {name: _plain(model.model_fields.get(name), value) for name, value in values.items()}


def _plain(field: FieldInfo | None, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_plain(field, one) for one in value)
    if field is None:
        return value
    if hasattr(value, "to_value") and (unit := said_of(field, "unit")):
        found = value.to_value(unit)
        return tuple(found.tolist()) if getattr(found, "ndim", 0) else float(found)
    if isinstance(value, bool) or not isinstance(value, int | float) or "float" not in str(field.annotation):
        return value
    try:
        return float(value) + 0.0  # -0 is 0
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _sentence(fault: dict[str, Any], known: set[str], within: str) -> str:
    place = ".".join([*([within] if within else []), *(str(p) for p in fault["loc"])])
    if fault["type"] == "value_error":
        return f"{place}: {fault['ctx']['error']}" if place else str(fault["ctx"]["error"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key '{place}'.{did_you_mean(place.rsplit('.', 1)[-1], known)}"
    choice = fault["type"] == "literal_error"
    found = "" if fault["type"] == "missing" else f" (found {in_short(fault.get('input'))})"
    hint = did_you_mean(str(fault.get("input")), fault["ctx"]["expected"].split("'")[1::2]) if choice else ""
    return f"'{place}': {fault['msg']}{found}" + (f".{hint}" if "mean" in hint else "")


def faults_in_words(
    error: ValidationError, models: Sequence[type[BaseModel]], more: Sequence[str] = (), within: str = ""
) -> str:
    """All faults, one a line; an array that is 'too short' only because its items are bad is not one of them.

    models, more : the records whose keys a wrong key may have meant, and further keys.
    within : place of the record in a file.
    """
    known = {name for model in models for name in model.model_fields} | set(more)
    faults: list[dict[str, Any]] = [dict(fault) for fault in error.errors()]
    inside = {fault["loc"][:1] for fault in faults if len(fault["loc"]) > 1}
    faults = [fault for fault in faults if fault["type"] != "too_short" or fault["loc"] not in inside]
    # Of a value that may be Unknown, those that say why it is not even that tell nothing more.
    kept = [fault for fault in faults if "Unknown" not in fault["loc"]] or faults
    return "\n  - ".join(_sentence(fault, known, within) for fault in kept)
