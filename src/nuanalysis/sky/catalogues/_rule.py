"""A rule that selects sources: comparisons of columns with values, joined by and, or, not.

    class == 'SNR' and flux > 1e-12 and (extension < 0.5 or extension is None) and -60 < dec < 20
    class in ('SNR', 'PWN') and not `Object Name` == 'Vela X'
    'snr' in classes

The last asks for one of several words with commas between.
A column whose name is no word goes between backquotes.  Words are compared as they are written, capitals included.
Nothing is ever executed: the rule is parsed, and every part that is not one of these is refused by name.

A missing value (NaN, masked, an empty word) is neither true nor false: the comparison is unknown, 'not' leaves it
unknown, and a source is taken only where the rule is true whatever the missing value might be.  How many sources were
left out for that is part of the answer.  ``COLUMN is None`` asks for missing values.
"""

from __future__ import annotations

import ast
import keyword
import operator
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuanalysis.errors import InputError, did_you_mean, refuse
from nuanalysis.schema import Bools

Values = NDArray[Any]

LONGEST = 2000  # characters
DEEPEST = 60  # brackets and operators within one another
_OPERATORS = ("and", "or", "not", "in", "is", "None", "True", "False")
_QUOTED_WHOLE = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|[A-Za-z_][A-Za-z_0-9]*|.", flags=re.DOTALL)
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_SIGNS: dict[type[ast.cmpop], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_REFUSED: dict[type[ast.AST], str] = {
    ast.Call: "calls nothing",
    ast.Attribute: "has no dots",
    ast.Subscript: "has no square brackets",
    ast.BinOp: "does no arithmetic ('and' and 'or' are written as words)",
    ast.Lambda: "defines nothing",
    ast.IfExp: "has no 'if'",
    ast.NamedExpr: "sets nothing (equality is ==)",
    ast.JoinedStr: "has no f-strings",
    ast.Starred: "has no stars",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that can be applied: its text and its parsed form, in which columns have their own names."""

    text: str
    tree: ast.expr


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a rule says of each source, (source,): true, or unknown because of a missing value; and notes on words
    that no source has.
    """

    chosen: Bools
    unknown: Bools
    notes: tuple[str, ...]


# ---- parsing ------------------------------------------------------------------------------------------------------


def parse_rule(text: str) -> Rule:
    """The rule a text stands for.  Raises InputError with every part of it that is not allowed."""
    if len(text) > LONGEST:
        raise InputError(f"the rule has {len(text)} characters, expected {LONGEST} or fewer")
    for sign, where, remedy in (
        ("\\", text, "put words with a ' between \""),
        ("#", _QUOTED_WHOLE.sub("''", text), "a rule has no comments"),
    ):
        if sign in where:
            raise InputError(f"the rule {text!r} holds a {sign}: {remedy}")
    plain, columns = _with_placeholders(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in words; they are compared as they are
            tree = ast.parse(plain.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"the rule {text!r} cannot be read: {_in_words(error, text)}") from error
    if _depth(tree) > DEEPEST:
        raise InputError(f"the rule is nested deeper than {DEEPEST} times; write it with fewer brackets")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = columns.get(node.id, node.id)
    faults: list[str] = []
    _check_condition(tree, faults)
    refuse(faults, f"the rule {text!r} cannot be used")
    return Rule(text, tree)


def _with_placeholders(text: str) -> tuple[str, dict[str, str]]:
    """The text with column names that Python would not read (reserved words, `quoted` ones) replaced by words."""
    columns: dict[str, str] = {}

    def readable(part: str) -> str:
        quoted = len(part) > 1 and part.startswith("`")
        if not quoted and (not keyword.iskeyword(part) or part in _OPERATORS):
            return part
        placeholder = f"column_{len(columns)}_of_the_rule"
        columns[placeholder] = part.strip("`")
        return placeholder

    return "".join(map(readable, _QUOTED.findall(text))), columns


def _in_words(error: BaseException, text: str) -> str:
    bare = _QUOTED_WHOLE.sub("''", text)
    if re.search(r"(?<![<>=!])=(?!=)", bare):
        return "equality is written =="
    if re.search(r"&&|\|\||!(?!=)", bare) or re.search(r"\b(AND|OR|NOT|IN)\b", bare):
        return "'and', 'or', 'not' and 'in' are written as words in small letters"
    if any(text.count(mark) % 2 for mark in "'\"`"):
        return "a quotation mark is not closed"
    if not text.strip():
        return "it is empty; leave it out to take every source"
    said = str(getattr(error, "msg", "") or error)
    return f"{said}; expected such as class == 'SNR' and flux > 1e-12"


def _depth(tree: ast.AST) -> int:
    """How many parts lie within one another; found without recursion, a parsed rule may be deep."""
    deepest, level = 0, [tree]
    while level:
        deepest += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return deepest


def _said(node: ast.AST) -> str:
    """A part of the rule as it was written, more or less."""
    text = ast.unparse(node)
    return text if len(text) <= 60 else text[:57] + "..."


def _check_condition(node: ast.expr, faults: list[str]) -> None:
    match node:
        case ast.BoolOp(values=values):
            for value in values:
                _check_condition(value, faults)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            _check_condition(operand, faults)
        case ast.Compare():
            _check_comparison(node, faults)
        case ast.Name():
            faults.append(f"'{node.id}' stands alone; compare it with something")
        case ast.Constant():
            faults.append(f"{_said(node)} stands alone; expected a comparison of a column")
        case _:
            faults.append(_refusal(node))


def _pairs(node: ast.Compare) -> list[tuple[ast.cmpop, ast.expr, ast.expr]]:
    """The signs of a chain of comparisons, each with what stands on its left and right."""
    return list(zip(node.ops, [node.left, *node.comparators[:-1]], node.comparators, strict=True))


def _check_comparison(node: ast.Compare, faults: list[str]) -> None:
    for kind, left, right in _pairs(node):
        match kind:
            case ast.In() | ast.NotIn() if isinstance(right, ast.Name):
                if not isinstance(_constant(left), str):
                    faults.append(f"'{_said(node)}': what stands in a column is a 'word', between quotes")
            case ast.In() | ast.NotIn():
                _check_operand(left, faults)
                for one in _members(right):
                    _check_operand(one, faults, constant=True)
            case ast.Is() | ast.IsNot():
                if not (isinstance(left, ast.Name) and isinstance(right, ast.Constant) and right.value is None):
                    faults.append(f"'{_said(node)}': 'is' goes with a column and None only")
            case _:
                _check_operand(left, faults)
                _check_operand(right, faults)
    if not any(isinstance(one, ast.Name) for one in (node.left, *node.comparators)) and not faults:
        faults.append(f"'{_said(node)}' compares no column")


def _members(node: ast.expr) -> list[ast.expr]:
    """What stands after 'in': the members of a tuple, list or set, or the one value in round brackets."""
    return list(node.elts) if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]


def _check_operand(node: ast.expr, faults: list[str], *, constant: bool = False) -> None:
    """A column, a number (with a sign) or a word."""
    match node:
        case ast.Name():
            if constant:
                faults.append(f"'{node.id}' is a column, expected numbers or 'words' after 'in'")
        case ast.Constant(value=str(word)):
            if not word.strip():
                faults.append("an empty word is a missing value; say COLUMN is None")
        case ast.Constant() | ast.UnaryOp() if (number := _number(node)) is not None:
            if not np.isfinite(number):
                faults.append("a number is too large")
        case ast.Constant(value=value):
            hint = "; say COLUMN is None" if value is None else "; say 1 or 0" if isinstance(value, bool) else ""
            faults.append(f"{value!r} is neither a number nor a word{hint}")
        case _:
            faults.append(_refusal(node))


def _refusal(node: ast.expr) -> str:
    why = next((words for kind, words in _REFUSED.items() if isinstance(node, kind)), "knows no such thing")
    return f"'{_said(node)}' is not allowed: a rule {why}"


def _number(node: ast.expr) -> float | None:
    """The number, with its sign, that a part of the rule stands for; infinite where it is too large."""
    match node:
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant() as operand):
            number = _number(operand)
            return -number if number is not None and isinstance(sign, ast.USub) else number
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float() as value):
            try:
                return float(value)
            except OverflowError:
                return float("inf")
    return None


def _constant(node: ast.expr) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


# ---- applying -----------------------------------------------------------------------------------------------------


def apply_rule(rule: Rule, columns: Callable[[str], Values | None], known: Iterable[str]) -> Outcome:
    """What the rule says of each source.

    columns : name -> (source,) numbers (NaN missing) or words ('' missing), None for an unknown name; ``known`` names
        are offered in its place.
    Raises InputError with every unknown column and every comparison of a number with a word.
    """
    names = dict.fromkeys(node.id for node in ast.walk(rule.tree) if isinstance(node, ast.Name))
    read = {name: columns(name) for name in names}
    found = {name: values for name, values in read.items() if values is not None}
    faults = [f"there is no column '{name}'.{did_you_mean(name, known)}" for name in names if name not in found]
    evaluation = _Evaluation(found)
    if found:
        faults += evaluation.unlike(rule.tree)
    refuse(faults, f"the rule {rule.text!r} does not fit the catalogue")
    true, false = evaluation.condition(rule.tree)
    return Outcome(true, ~(true | false), tuple(dict.fromkeys(evaluation.notes)))


class _Evaluation:
    """The columns that a rule names, and notes on the way."""

    def __init__(self, found: Mapping[str, Values]) -> None:
        self.found = found
        self.notes: list[str] = []

    def kind(self, node: ast.expr) -> str:
        """'number', 'word', or '' for a column that is not there."""
        if isinstance(node, ast.Name):
            values = self.found.get(node.id)
            return "" if values is None else "word" if values.dtype.kind == "U" else "number"
        return "word" if isinstance(_constant(node), str) else "number"

    def unlike(self, tree: ast.expr) -> list[str]:
        """Faults of all comparisons of things that are not alike."""
        return [
            fault
            for node in ast.walk(tree)
            if isinstance(node, ast.Compare)
            for sign, left, right in _pairs(node)
            if not isinstance(sign, ast.Is | ast.IsNot)
            for one in (_members(right) if isinstance(sign, ast.In | ast.NotIn) else [right])
            for fault in self._unlike(sign, left, one)
        ]

    def _unlike(self, sign: ast.cmpop, left: ast.expr, right: ast.expr) -> list[str]:
        kinds = {self.kind(left), self.kind(right)} - {""}
        if len(kinds) > 1:
            column, other = sorted((left, right), key=lambda one: not isinstance(one, ast.Name))
            unlike = f"{self.kind(column)}s and is compared with the {self.kind(other)} {_said(other)}"
            return [f"'{_said(column)}' holds {unlike}"]
        if kinds == {"word"} and type(sign) in _SIGNS:
            written = f"{_said(left)} {_SIGNS[type(sign)]} {_said(right)}"
            return [f"{written}: words are compared with ==, != and in only"]
        return []

    def condition(self, node: ast.expr) -> tuple[Bools, Bools]:
        """Where it is true and where it is false, (source,); neither where a missing value decides."""
        match node:
            case ast.BoolOp(op=op, values=values):
                parts = [self.condition(value) for value in values]
                return _all(parts) if isinstance(op, ast.And) else _all([part[::-1] for part in parts])[::-1]
            case ast.UnaryOp(operand=operand):
                return self.condition(operand)[::-1]
            case ast.Compare():
                return _all([self._pair(*pair) for pair in _pairs(node)])
        raise TypeError(f"{type(node).__name__} passed the check of rules")

    def _pair(self, sign: ast.cmpop, left: ast.expr, right: ast.expr) -> tuple[Bools, Bools]:
        missing: Values = np.zeros((), dtype=bool)
        match sign:
            case ast.Is() | ast.IsNot():
                true = _missing(self._operand(left))
            case ast.In() | ast.NotIn() if isinstance(right, ast.Name):
                values, word = self._operand(right), _constant(left)
                true = np.array([word in map(str.strip, one.split(",")) for one in values.tolist()], dtype=bool)
                missing = _missing(values)
            case ast.In() | ast.NotIn():
                values = self._operand(left)
                members = [values == self._operand(one, beside=left) for one in _members(right)]
                true = np.any(members, axis=0) if members else np.zeros(values.shape, dtype=bool)
                missing = _missing(values)
            case _:
                sides = self._operand(left, beside=right), self._operand(right, beside=left)
                with np.errstate(invalid="ignore"):
                    true = _COMPARISONS[type(sign)](*sides)
                missing = _missing(sides[0]) | _missing(sides[1])
        true = ~true if isinstance(sign, ast.IsNot | ast.NotIn) else true
        shape = np.shape(next(iter(self.found.values())))
        true, known = np.broadcast_to(true, shape), np.broadcast_to(~missing, shape)
        return true & known, ~true & known

    def _operand(self, node: ast.expr, beside: ast.expr | None = None) -> Values:
        """A column, or a value; a word that its column never holds is noted."""
        if isinstance(node, ast.Name):
            return self.found[node.id]
        value = _constant(node)
        if not isinstance(value, str):
            return np.array(_number(node))
        if isinstance(beside, ast.Name) and not (self.found[beside.id] == value).any():
            there = sorted(set(self.found[beside.id].tolist()) - {""})
            self.notes.append(f"no source has the {beside.id} '{value}'.{did_you_mean(value, there)}")
        return np.array(value)


def _all(parts: list[tuple[Bools, Bools]]) -> tuple[Bools, Bools]:
    """Where all parts are true, and where any is false."""
    return np.logical_and.reduce([true for true, _ in parts]), np.logical_or.reduce([false for _, false in parts])


def _missing(values: Values) -> Bools:
    return np.asarray(values == "" if values.dtype.kind == "U" else np.isnan(values))
