"""One file per question: what is asked (Question), what is found (Answer), and the function between them.

A question is a verb, a section of a spec, the parameters of a notebook and a function in Python, made from one record.
"""

from __future__ import annotations

from importlib import import_module

from nuanalysis.answers._question import Answer, Named, Question
from nuanalysis.errors import InputError, did_you_mean

#: A question is a file of this name here, which says QUESTION; imported when it is asked.
QUESTIONS = (
    "fit",
    "significance",
    "limit",
    "sensitivity",
    "bias",
    "together",
    "joint",
    "compare",
    "scan",
    "sources",
    "stack",
    "extended",
    "leak",
    "curves",
    "expect",
    "measure",
)

__all__ = ["QUESTIONS", "Answer", "Named", "Question", "question"]


def question(name: str) -> type[Question]:
    """The question of a name.  Raises InputError for an unknown one."""
    if name not in QUESTIONS:
        raise InputError(f"there is no question '{name}'.{did_you_mean(name, QUESTIONS)}")
    found: type[Question] = import_module(f"nuanalysis.answers.{name}").QUESTION
    return found
