"""Built-in templates: a name, parameters with defaults, and a function that makes the map."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import Field, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import nuanalysis.sky
from nuanalysis.errors import InputError, did_you_mean, refuse
from nuanalysis.schema import Floats, Spectrum
from nuanalysis.sky.records import Template

NSIDES = (16, 32, 64, 128, 256, 512)
INDEX_RANGE = (1.0, 4.0)  # of a power law: what a hypothesis may be fitted with
DEFAULT_NSIDE = 128


def parameter(
    default: Any, help: str, *, low: float = float("-inf"), high: float = float("inf"), choices: tuple[str, ...] = ()
) -> Any:
    """A field of a recipe's parameters: a number within [low, high], or one of several words."""
    return field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


def index_parameter(default: float) -> Any:
    """A field of a recipe's parameters: the index of its power law."""
    low, high = INDEX_RANGE
    return parameter(default, f"index of the power law; fits hold {low:g} to {high:g}", low=low, high=high)


def pairs(query: str, *, strict: bool = False) -> list[tuple[str, str]]:
    """The (key, value) of 'key=value&key=value'; + is a blank, but not in a number such as 1e+05.

    strict : raise ValueError for what is not of this form, rather than leave it out.
    """
    return parse_qsl(re.sub(r"(?<=[\d.][eE])\+(?=\d)", "%2B", query), strict_parsing=strict, keep_blank_values=True)


def built_in(
    name: str, label: str, maps: tuple[Floats, Floats], spectrum: Spectrum, reference: str, *, flux: float = 0.0
) -> Template:
    """The template that a recipe makes; maps (node, pixel) and the energies of the nodes as in ``Template``."""
    return Template(name, label, *maps, spectrum, "built-in", reference, sha256="", flux=flux)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to build a template.

    parameters : a frozen dataclass whose fields all are ``parameter(...)``.
    make : (parameters, nside) -> Template, see ``built_in``; its sha256 is ``Built.sha256``.
    """

    name: str
    summary: str
    reference: str
    parameters: type[Any]
    make: Callable[[Any, int], Template]


@dataclass(frozen=True, slots=True)
class Built:
    """A recipe with its parameters: what 'NAME?key=value' stands for."""

    recipe: Recipe
    parameters: Any
    nside: int = DEFAULT_NSIDE

    @property
    def name(self) -> str:
        """The name with what differs from the defaults, in the order of the fields."""
        given = [
            f"{f.name}={_exactly(value) if isinstance(value, float) else value}"
            for f in fields(self.recipe.parameters)
            if (value := getattr(self.parameters, f.name)) != f.default
        ]
        given += [f"nside={self.nside}"] if self.nside != DEFAULT_NSIDE else []
        return self.recipe.name + ("?" + "&".join(given) if given else "")

    @property
    def sha256(self) -> str:
        """Of the sources and tables of this room and the parameters: what the map depends on."""
        digest = hashlib.sha256(repr((self.recipe.name, sorted(asdict(self.parameters).items()), self.nside)).encode())
        sources = Path(nuanalysis.sky.__path__[0]).rglob("*")
        for source in sorted(path for path in sources if path.suffix in (".py", ".csv")):
            digest.update(source.read_bytes())
        return digest.hexdigest()

    def make(self) -> Template:
        """Build the map; seconds."""
        return replace(self.recipe.make(self.parameters, self.nside), sha256=self.sha256)


def parse_recipe(text: str, known: dict[str, Recipe]) -> Built:
    """The built-in template that 'NAME?key=value&key=value' names.

    Raises InputError with all faults: an unknown name or key, a value that is no number, out of range or no choice.
    """
    name, _, query = text.partition("?")
    if name not in known:
        raise InputError(f"there is no built-in template '{name}'.{did_you_mean(name, known)}")
    recipe = known[name]
    kinds: dict[str, Field[Any]] = {f.name: f for f in fields(recipe.parameters)}
    values: dict[str, Any] = {}
    faults: list[str] = []
    for key, word in pairs(query):
        if key in values:
            faults.append(f"'{key}' is given twice")
        elif key == "nside":
            values[key] = _nside(word, faults)
        elif key not in kinds:
            faults.append(f"unknown parameter '{key}'.{did_you_mean(key, [*kinds, 'nside'])}")
        else:
            values[key] = _value(kinds[key], word, faults)
    if query and not values and not faults:
        faults.append(f"'{query}' is not of the form key=value&key=value")
    refuse(faults, f"the template '{text}' cannot be built")
    nside = values.pop("nside", DEFAULT_NSIDE)
    return Built(recipe, recipe.parameters(**values), nside)


def _exactly(value: float) -> str:
    """The shortest text that is read back as this number, without a + that a query would take for a blank."""
    short = f"{value:g}"
    return (short if float(short) == value else repr(value)).replace("e+", "e")


def _nside(word: str, faults: list[str]) -> int:
    if word not in map(str, NSIDES):
        faults.append(f"nside is '{word}'; expected one of {NSIDES}")
        return DEFAULT_NSIDE
    return int(word)


def _value(kind: Field[Any], word: str, faults: list[str]) -> Any:
    choices, low, high = (kind.metadata[name] for name in ("choices", "low", "high"))
    if isinstance(kind.default, str):
        if word not in choices:
            faults.append(f"{kind.name} is '{word}'.{did_you_mean(word, choices)}")
        return word
    try:
        value = float(word)
    except ValueError:
        faults.append(f"{kind.name} is '{word}', not a number")
        return kind.default
    if not low <= value <= high:
        faults.append(f"{kind.name} is {value:g}; expected {low:g} to {high:g}")
    return value
