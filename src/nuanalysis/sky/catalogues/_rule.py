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
    """A rule that can be applied: its text, its parsed form, and the column that each placeholder stands for."""

    text: str
    tree: ast.expr
    columns: Mapping[str, str]


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
    bare = _QUOTED_WHOLE.sub("''", text)
    for sign, remedy in (("\\", "put words with a ' between \""), ("#", "a rule has no comments")):
        if sign in (text if sign == "\\" else bare):
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
    faults: list[str] = []
    _check_condition(tree, columns, faults)
    refuse(faults, f"the rule {text!r} cannot be used")
    return Rule(text, tree, columns)


def _with_placeholders(text: str) -> tuple[str, dict[str, str]]:
    """The text with column names that Python would not read (reserved words, `quoted` ones) replaced by words."""
    columns: dict[str, str] = {}
    parts = []
    for part in _QUOTED.findall(text):
        quoted = len(part) > 1 and part.startswith("`")
        if quoted or (keyword.iskeyword(part) and part not in _OPERATORS):
            placeholder = f"column_{len(columns)}_of_the_rule"
            columns[placeholder] = part.strip("`")
            parts.append(placeholder)
        else:
            parts.append(part)
    return "".join(parts), columns


def _in_words(error: BaseException, text: str) -> str:
    bare = _QUOTED_WHOLE.sub("''", text)
    if re.search(r"(?<![<>=!])=(?!=)", bare):
        return "equality is written =="
    if re.search(r"&&|\|\||!(?!=)", bare) or re.search(r"\b(AND|OR|NOT|IN)\b", bare):
        return "'and', 'or', 'not' and 'in' are written as words in small letters"
    if text.count("'") % 2 or text.count('"') % 2 or text.count("`") % 2:
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


def _name(node: ast.Name, columns: Mapping[str, str]) -> str:
    return columns.get(node.id, node.id)


def _said(node: ast.AST, columns: Mapping[str, str]) -> str:
    """A part of the rule as it was written, more or less."""
    text = ast.unparse(node)
    for placeholder, name in columns.items():
        text = text.replace(placeholder, name)
    return text if len(text) <= 60 else text[:57] + "..."


def _check_condition(node: ast.expr, columns: Mapping[str, str], faults: list[str]) -> None:
    match node:
        case ast.BoolOp(values=values):
            for value in values:
                _check_condition(value, columns, faults)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            _check_condition(operand, columns, faults)
        case ast.Compare():
            _check_comparison(node, columns, faults)
        case ast.Name():
            faults.append(f"'{_name(node, columns)}' stands alone; compare it with something")
        case ast.Constant():
            faults.append(f"{_said(node, columns)} stands alone; expected a comparison of a column")
        case _:
            faults.append(_refusal(node, columns))


def _check_comparison(node: ast.Compare, columns: Mapping[str, str], faults: list[str]) -> None:
    sides = [node.left, *node.comparators]
    for kind, left, right in zip(node.ops, sides[:-1], sides[1:], strict=True):
        match kind:
            case ast.In() | ast.NotIn() if isinstance(right, ast.Name):
                if not isinstance(_constant(left), str):
                    faults.append(f"'{_said(node, columns)}': what stands in a column is a 'word', between quotes")
            case ast.In() | ast.NotIn():
                _check_operand(left, columns, faults)
                for one in _members(right):
                    _check_operand(one, columns, faults, constant=True)
            case ast.Is() | ast.IsNot():
                if not (isinstance(left, ast.Name) and isinstance(right, ast.Constant) and right.value is None):
                    faults.append(f"'{_said(node, columns)}': 'is' goes with a column and None only")
            case _:
                for one in (left, right):
                    _check_operand(one, columns, faults)
    if not any(isinstance(one, ast.Name) for one in sides) and not faults:
        faults.append(f"'{_said(node, columns)}' compares no column")


def _members(node: ast.expr) -> list[ast.expr]:
    """What stands after 'in': the members of a tuple, list or set, or the one value in round brackets."""
    return list(node.elts) if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]


def _check_operand(node: ast.expr, columns: Mapping[str, str], faults: list[str], *, constant: bool = False) -> None:
    """A column, a number (with a sign) or a word."""
    if isinstance(node, ast.Name):
        if constant:
            faults.append(f"'{_name(node, columns)}' is a column, expected numbers or 'words' after 'in'")
        return
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd) and _is_number(node.operand):
        node = node.operand
    if _is_number(node):
        if not np.isfinite(_as_float(_constant(node))):
            faults.append("a number is too large")
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        if not node.value.strip():
            faults.append("an empty word is a missing value; say COLUMN is None")
    elif isinstance(node, ast.Constant):
        hint = "; say COLUMN is None" if node.value is None else "; say 1 or 0" if isinstance(node.value, bool) else ""
        faults.append(f"{node.value!r} is neither a number nor a word{hint}")
    else:
        faults.append(_refusal(node, columns))


def _refusal(node: ast.expr, columns: Mapping[str, str]) -> str:
    why = next((words for kind, words in _REFUSED.items() if isinstance(node, kind)), "knows no such thing")
    return f"'{_said(node, columns)}' is not allowed: a rule {why}"


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


def _constant(node: ast.expr) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


# ---- applying -----------------------------------------------------------------------------------------------------


def apply_rule(rule: Rule, columns: Callable[[str], Values | None], known: Iterable[str]) -> Outcome:
    """What the rule says of each source.

    columns : name -> (source,) numbers (NaN missing) or words ('' missing), None for an unknown name; ``known`` names
        are offered in its place.
    Raises InputError with every unknown column and every comparison of a number with a word.
    """
    found: dict[str, Values] = {}
    faults: list[str] = []
    for node in ast.walk(rule.tree):
        if isinstance(node, ast.Name) and _name(node, rule.columns) not in found:
            name = _name(node, rule.columns)
            values = columns(name)
            if values is None:
                faults.append(f"there is no column '{name}'.{did_you_mean(name, known)}")
            else:
                found[name] = values
    evaluation = _Evaluation(rule, found)
    if not faults or found:
        evaluation.check(rule.tree, faults)
    refuse(faults, f"the rule {rule.text!r} does not fit the catalogue")
    true, false = evaluation.condition(rule.tree)
    return Outcome(true, ~(true | false), tuple(dict.fromkeys(evaluation.notes)))


class _Evaluation:
    """One rule with the columns it names."""

    def __init__(self, rule: Rule, found: Mapping[str, Values]) -> None:
        self.rule = rule
        self.found = found
        self.notes: list[str] = []

    def kind(self, node: ast.expr) -> str:
        """'number', 'word', or '' for a column that is not there."""
        if isinstance(node, ast.Name):
            values = self.found.get(_name(node, self.rule.columns))
            return "" if values is None else "word" if values.dtype.kind == "U" else "number"
        return "word" if isinstance(_constant(node), str) else "number"

    def check(self, tree: ast.expr, faults: list[str]) -> None:
        """Faults of all comparisons of things that are not alike."""
        for node in ast.walk(tree):
            if not isinstance(node, ast.Compare):
                continue
            sides = [node.left, *node.comparators]
            for kind, left, right in zip(node.ops, sides[:-1], sides[1:], strict=True):
                if isinstance(kind, ast.Is | ast.IsNot):
                    continue
                pairs = [(left, one) for one in (_members(right) if isinstance(kind, ast.In | ast.NotIn) else [right])]
                for pair in pairs:
                    faults += self._unlike(kind, *pair)

    def _unlike(self, sign: ast.cmpop, left: ast.expr, right: ast.expr) -> list[str]:
        kinds = {self.kind(left), self.kind(right)} - {""}
        names = [_said(one, self.rule.columns) for one in (left, right)]
        if len(kinds) > 1:
            column = next((k for k, one in enumerate((left, right)) if isinstance(one, ast.Name)), 0)
            return [
                f"'{names[column]}' holds {self.kind((left, right)[column])}s and is compared with the "
                f"{self.kind((left, right)[1 - column])} {names[1 - column]}"
            ]
        if kinds == {"word"} and type(sign) in _SIGNS:
            return [f"{names[0]} {_SIGNS[type(sign)]} {names[1]}: words are compared with ==, != and in only"]
        return []

    def condition(self, node: ast.expr) -> tuple[Bools, Bools]:
        """Where it is true and where it is false, (source,); neither where a missing value decides."""
        match node:
            case ast.BoolOp(op=op, values=values):
                parts = [self.condition(value) for value in values]
                return _all(parts) if isinstance(op, ast.And) else _all([part[::-1] for part in parts])[::-1]
            case ast.UnaryOp(operand=operand):
                true, false = self.condition(operand)
                return false, true
            case ast.Compare():
                return self._comparison(node)
        raise TypeError(f"{type(node).__name__} passed the check of rules")

    def _comparison(self, node: ast.Compare) -> tuple[Bools, Bools]:
        sides = [node.left, *node.comparators]
        return _all([self._pair(*three) for three in zip(node.ops, sides[:-1], sides[1:], strict=True)])

    def _pair(self, sign: ast.cmpop, left: ast.expr, right: ast.expr) -> tuple[Bools, Bools]:
        if isinstance(sign, ast.Is | ast.IsNot):
            gone = _missing(self._operand(left))
            return (gone, ~gone) if isinstance(sign, ast.Is) else (~gone, gone)
        if isinstance(sign, ast.In | ast.NotIn) and isinstance(right, ast.Name):
            values, word = self._operand(right), _constant(left)
            true = np.array(
                [word in [one.strip() for one in value.split(",")] for value in values.tolist()], dtype=bool
            )
            true = true if isinstance(sign, ast.In) else ~true
            known = ~_missing(values)
        elif isinstance(sign, ast.In | ast.NotIn):
            values = self._operand(left)
            members = [self._operand(one, beside=left) for one in _members(right)]
            true = np.any([values == one for one in members], axis=0) if members else np.zeros(values.shape, dtype=bool)
            true = true if isinstance(sign, ast.In) else ~true
            known = ~_missing(values)
        else:
            sides = self._operand(left, beside=right), self._operand(right, beside=left)
            with np.errstate(invalid="ignore"):
                true = _COMPARISONS[type(sign)](*sides)
            known = ~(_missing(sides[0]) | _missing(sides[1]))
        shape = np.shape(next(iter(self.found.values())))
        true, known = np.broadcast_to(true, shape), np.broadcast_to(known, shape)
        return true & known, ~true & known

    def _operand(self, node: ast.expr, beside: ast.expr | None = None) -> Values:
        """A column, or a value; a word that its column never holds is noted."""
        match node:
            case ast.Name():
                return self.found[_name(node, self.rule.columns)]
            case ast.UnaryOp(op=op, operand=operand):
                value = _as_float(_constant(operand))
                return np.array(-value if isinstance(op, ast.USub) else value)
        value = _constant(node)
        if not isinstance(value, str):
            return np.array(_as_float(value))
        if isinstance(beside, ast.Name):
            column = self.found[_name(beside, self.rule.columns)]
            if not (column == value).any():
                name = _name(beside, self.rule.columns)
                there = sorted(set(column.tolist()) - {""})
                self.notes.append(f"no source has the {name} '{value}'.{did_you_mean(value, there)}")
        return np.array(value)


def _all(parts: list[tuple[Bools, Bools]]) -> tuple[Bools, Bools]:
    """Where all parts are true, and where any is false."""
    return np.logical_and.reduce([true for true, _ in parts]), np.logical_or.reduce([false for _, false in parts])


def _missing(values: Values) -> Bools:
    return np.asarray(values == "" if values.dtype.kind == "U" else np.isnan(values))
