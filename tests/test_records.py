"""Records: what is shown of them is fit for a terminal, and settings take finite numbers in range and few of them."""

from __future__ import annotations

import json
import math
from typing import Annotated, get_args

import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nuanalysis import cli
from nuanalysis.answers import QUESTIONS, question
from nuanalysis.engine.progress import Spoken
from nuanalysis.engine.settings import EngineSettings
from nuanalysis.errors import InputError
from nuanalysis.library.samples import SampleSpec
from nuanalysis.records import Card, Provenance, Record, Settings, in_short, made, setting, shown, table
from nuanalysis.workflow.parameters import PARAMETERS
from nuanalysis.workflow.spec import AnalysisSpec, HypothesisSpec, TrialsSpec

NAMED = "a\x1b]0;owned\x07\u202eb\nc\td"


def hostile(text: str) -> bool:
    return any(one in text for one in "\x1b\x07\u202e")


# --- shown ------------------------------------------------------------------------------------------------------------


class Source(Record):
    """A line of a grid."""

    name: str = shown("source")
    flux: float = shown("flux")


class Listed(Record):
    """A record with everything that a name can stand in."""

    title: str = shown("title")
    sources: tuple[Source, ...] = shown("sources")
    words_of: dict[str, str] = shown("more")
    provenance: Provenance = shown("whose")

    def headline(self) -> tuple[str, ...]:
        return (f"{self.title} is the best.",)


class Line(Record):
    """A record in one line."""

    name: str = shown("name")

    def words(self, form: str = "") -> str:
        return self.name


class Noun(Card):
    """A noun with a hostile name."""

    name, label = NAMED, NAMED

    def rows(self) -> list[tuple[str, str]]:
        return [(NAMED, NAMED)]


def listed() -> Listed:
    whose = Provenance(sample=NAMED, origin="synthetic", n_events=3, seed=1, injected=NAMED, remarks=(NAMED,))
    return Listed(
        title=NAMED, sources=(Source(name=NAMED, flux=1.0), Source(name="b", flux=2.0)), words_of={NAMED: NAMED},
        provenance=whose,
    )  # fmt: skip


@pytest.mark.parametrize("one", [listed(), Line(name=NAMED), Noun()], ids=["grid", "line", "card"])
def test_no_name_brings_an_escape_to_a_terminal_or_a_page(one: Record | Card) -> None:
    for text in (str(one), one._repr_html_()):
        assert not hostile(text)
        assert r"\x1b]0;owned\x07\u202e" in text


def test_a_name_of_two_lines_is_one_cell() -> None:
    [line] = [line for line in str(listed()).splitlines() if "\\x1b" in line and line.rstrip().endswith(" 1")]
    assert line.lstrip().startswith("a\\x1b")


def test_tables_and_json_carry_no_escape() -> None:
    found = table(listed().sources, listed().provenance)
    assert not hostile(str(found["name"][0]))
    assert not hostile(json.dumps(listed().to_dict()))
    assert listed().to_dict()["title"] == NAMED  # what programs read is what was there


def test_progress_carries_no_escape() -> None:
    said: list[str] = []
    spoken = Spoken(said.append, lambda words, share: said.append(words), 0.0)
    spoken(NAMED)
    spoken.move(NAMED, 1, 1, NAMED)
    assert len(said) == 2
    assert not any(map(hostile, said))


# --- settings ---------------------------------------------------------------------------------------------------------


class Few(Settings):
    """Settings without a range of their own."""

    number: float = 1.0
    numbers: tuple[float, ...] = ()
    bounded: float = setting(1.0, low=0, high=9)
    whole: int = setting(1, low=0, high=9)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"number": math.nan}, "number is nan; expected finite numbers"),
        ({"number": math.inf}, "number is inf; expected finite numbers"),
        ({"number": 10**400}, "number is inf; expected finite numbers"),
        ({"numbers": [1.0, -math.inf]}, r"numbers is \(1.0, -inf\); expected finite numbers"),
        ({"numbers": [0.0] * 1001}, "numbers has 1,001 entries; expected at most 1,000"),
        ({"bounded": 10**400}, "'bounded': Input should be less than or equal to 9"),
        ({"whole": 10**5000}, r"'whole': Input should be less than or equal to 9 \(found a number of 16,610 bits\)"),
        ({"whole": "9" * 5000}, r"'whole': .* \(found '9+\.\.\.9+'\)"),
    ],
)
def test_no_setting_takes_what_is_not_finite_or_without_end(values: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        made(Few, values, "it cannot be so")
    assert len(str(caught.value)) < 400


def test_a_minus_before_zero_is_left_out() -> None:
    assert math.copysign(1.0, made(Few, {"bounded": -0.0}, "it cannot be so").bounded) == 1.0


def test_what_was_found_is_told_in_a_line() -> None:
    assert in_short("x") == "'x'"
    assert all(len(in_short(one)) < 200 for one in ("x" * 10**6, 10**4000, list(range(10**5)), {"a": "b" * 10**6}))


MODELS = (
    *map(question, QUESTIONS), SampleSpec, EngineSettings, HypothesisSpec, TrialsSpec, AnalysisSpec,
    *PARAMETERS.values(),
)  # fmt: skip


def numeric(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """The fields of one number."""
    out = []
    for name, field in model.model_fields.items():
        kinds = set(get_args(field.annotation) or (field.annotation,)) - {type(None)}
        if kinds & {int, float} and not kinds - {int, float}:
            out.append((name, field))
    return out


def ends(field: FieldInfo) -> tuple[bool, bool]:
    rules = field.metadata
    return any(isinstance(one, Ge | Gt) for one in rules), any(isinstance(one, Le | Lt) for one in rules)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_number_of_every_question_spec_and_notebook_has_both_ends(model: type[BaseModel]) -> None:
    open_ended = {name for name, field in numeric(model) if ends(field) != (True, True)}
    assert open_ended - {"nside"} == set()  # one of nine powers of two, see the next test


def test_the_guard_sees_an_open_end() -> None:
    class Open(Settings):
        high: Annotated[int, setting(low=0)] = 1

    [(_, field)] = numeric(Open)
    assert ends(field) == (True, False)


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, -1e300, 10**30])
def test_no_question_takes_a_number_that_is_none(name: str, value: float) -> None:
    kind = question(name)
    fields = [
        (key, "tuple" in str(field.annotation))
        for key, field in kind.model_fields.items()
        if "float" in str(field.annotation) or "int" in str(field.annotation)
    ]
    for key, several in fields:
        with pytest.raises(InputError) as caught:
            kind.of(**{**kind.example, key: (value,) if several else value})
        assert key in str(caught.value)


TYPED = (
    ("templates", "show", "pi0-like", "--flux"),
    ("templates", "check", "map.npy", "--flux"),
    ("templates", "compare", "pi0-like", "isotropic", "--energy"),
    ("catalogues", "show", "snr", "--index"),
    ("catalogues", "match", "snr", "pwn", "--within"),
    ("run", "x.toml", "--workers"),
    ("fit", "--sample", "cascades-2023", "--hypothesis", "stack:snr", "--workers"),
    ("fit", "--sample", "cascades-2023", "--hypothesis", "stack:snr", "--seed"),
)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "1e300", "9" * 30, "9" * 5000])
@pytest.mark.parametrize("words", TYPED, ids=lambda words: f"{words[0]} {words[-1]}")
@pytest.mark.slow
def test_no_verb_takes_a_number_that_is_none(
    words: tuple[str, ...], value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([*words[:-1], f"{words[-1]}={value}"])
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(("UsageError: ", "InputError: "))
