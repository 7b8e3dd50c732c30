"""Records that leave a room: frozen, finite, and able to show themselves from the labels and units of their fields."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from nuanalysis.errors import printable
from nuanalysis.records._layout import html, text

T = TypeVar("T")
if TYPE_CHECKING:
    Carried = Annotated[T | None, "carried"]
else:

    class Carried:
        """Type of a field that goes with a record in memory: not validated, no part of its JSON; see ``carried``."""

        def __class_getitem__(cls, kind: object) -> object:
            return Annotated[Any, SkipJsonSchema()]


class Record(BaseModel):
    """A frozen record of named, labelled values; no number in it is NaN or infinite.

    What could not be computed is an ``Unknown`` with its reason.  ``to_dict`` holds what JSON can; ``from_dict`` reads
    it back.  A record with ``words(form)`` is shown in one line, one with ``cell(form)`` in a column; ``headline()``
    are the sentences before all others.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True, ignored_types=(property,)
    )

    @model_validator(mode="before")
    @classmethod
    def _without_computed(cls, values: Any) -> Any:
        """What ``to_dict`` adds can be worked out again."""
        if isinstance(values, Mapping) and cls.model_computed_fields:
            return {key: value for key, value in values.items() if key not in cls.model_computed_fields}
        return values

    @classmethod
    def taken_from(cls, source: object, /, **values: Any) -> Self:
        """A record of these values, and otherwise of what the source calls by the names of the fields."""
        taken = {key: getattr(source, key) for key in cls.model_fields if key not in values and hasattr(source, key)}
        return cls(**taken, **values)

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON can hold it."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The record of ``to_dict``.  Raises pydantic's ValidationError for anything else."""
        return cls.model_validate(document)

    def __str__(self) -> str:
        return printable(str(self.words())) if hasattr(self, "words") else text(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return html(self)


def shown(
    label: str, default: Any = ..., *, unit: str = "", form: str = ".4g", short: str = "", hidden: bool = False
) -> Any:
    """A field with what people read of it.

    label : in words; '' where the values of a record inside speak for themselves.  unit : of the numbers.
    form : format of floats.  short : head of a column, by default the name.
    hidden : in JSON and tables, but not on the screen.
    """
    return Field(
        default,
        description=label,
        repr=not hidden,
        json_schema_extra={"unit": unit, "form": form, "short": short},
    )


def carried() -> Any:
    """A field of type ``Carried[...]``, such as a large array; None in a record that was read from JSON."""
    return Field(None, exclude=True, repr=False)
