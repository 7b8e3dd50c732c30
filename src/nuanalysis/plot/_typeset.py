"""Symbols as they are printed, in figures and in pages: what is typed as ASCII, or as Python prints it, in Unicode."""

from __future__ import annotations

import re

_RAISED = str.maketrans("-+0123456789.", "⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹·")
_POWER = re.compile(r"(?:(?<![\w.])([−-]?\d+(?:\.\d+)?)|(\([^()]*±[^()]*\)))e([+-])0*(\d+)\b")
_TYPED = (
    (re.compile(r"\bn_s\b"), "nₛ"),
    (re.compile(r"\bL_best\b"), "L(best)"),
    (re.compile(r"\bnu \+ nubar\b"), "ν + ν̄"),
    (re.compile(r"\bchi2(?= =)"), "χ²"),
    (re.compile(r"\b(cm|s|sr)\^?-([12])\b"), lambda m: f"{m[1]}{('-' + m[2]).translate(_RAISED)}"),
    (re.compile(r"\b(E|10)\^(-?[0-9.]*[0-9])"), lambda m: f"{m[1]}{m[2].translate(_RAISED)}"),
    (re.compile(r"(?<![:\w-])pi0\b(?! *[?=])"), "π⁰"),
    (re.compile(r" \+- "), " ± "),
    (re.compile(r" >= "), " ≥ "),
    (re.compile(r" <= "), " ≤ "),
)


def typeset(text: str) -> str:
    """The text with symbols in Unicode: 'n_s >= 5.4e-05' -> 'nₛ ≥ 5.4 × 10⁻⁵'; names as 'template:pi0' stay."""
    for typed, printed in _TYPED:
        text = typed.sub(printed, text)
    return _POWER.sub(lambda m: f"{m[1] or m[2]} × 10{(m[3].strip('+') + m[4]).translate(_RAISED)}", text)
