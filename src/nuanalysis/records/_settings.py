"""Settings: frozen, strict records whose faults are told all at once."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.records._layout import said_of

S = TypeVar("S", bound=BaseModel)


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
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and "float" in str(field.annotation) else value


def _sentence(fault: dict[str, Any], known: set[str], within: str) -> str:
    place = ".".join([*([within] if within else []), *(str(p) for p in fault["loc"])])
    if fault["type"] == "value_error":
        return f"{place}: {fault['ctx']['error']}" if place else str(fault["ctx"]["error"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key '{place}'.{did_you_mean(place.rsplit('.', 1)[-1], known)}"
    choice = fault["type"] == "literal_error"
    found = "" if fault["type"] == "missing" else f" (found {fault.get('input')!r})"
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
