"""One file per question: what is asked (Question), what is found (Answer), and the function between them.

A question is a verb, a section of a spec, the parameters of a notebook and a function in Python, made from one record.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nuanalysis.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from nuanalysis.answers._question import Answer, Asked, Named, Question
    from nuanalysis.answers._reading import Reading

#: A question is a file of this name here, imported when it is asked; its class is called so, with a capital letter.
QUESTIONS = (
    "fit",
    "significance",
    "limit",
    "sensitivity",
    "bias",
    "together",
    "joint",
    "compare",
    "segments",
    "transport",
    "scan",
    "sources",
    "stack",
    "extended",
    "leak",
    "curves",
    "expect",
    "measure",
    "followup",
    "model_card",
)

#: Questions that are not asked of a sample: a file and a class likewise.
READINGS = ("desert", "hadronic", "correlate", "outlook")

#: Settings of questions that name hypotheses.
HYPOTHESES = ("hypothesis", "hypotheses", "models", "diffuse")

__all__ = ["HYPOTHESES", "QUESTIONS", "READINGS", "Answer", "Named", "Question", "answer_of", "question", "reading"]


def question(name: str) -> type[Question]:
    """The question of a name.  Raises InputError for an unknown one."""
    if name not in QUESTIONS:
        raise InputError(f"there is no question '{name}'.{did_you_mean(name, QUESTIONS)}")
    found: type[Question] = getattr(import_module(f"nuanalysis.answers.{name}"), _class(name))
    return found


def reading(name: str) -> type[Reading]:
    """The question of a name that needs no events.  Raises InputError for an unknown one."""
    if name not in READINGS:
        raise InputError(f"there is no question '{name}' on printed numbers.{did_you_mean(name, READINGS)}")
    found: type[Reading] = getattr(import_module(f"nuanalysis.answers.{name}"), _class(name))
    return found


def _class(name: str) -> str:
    return name.title().replace("_", "")


def answer_of(name: str) -> type[Answer]:
    """What a question is answered with.  Raises InputError for an unknown one."""
    asked: type[Asked] = reading(name) if name in READINGS else question(name)
    found: type[Answer] = getattr(import_module(asked.__module__), f"{asked.__name__}Answer")
    return found


def __getattr__(name: str) -> Any:
    """The base classes come when they are asked for: the list of questions alone must cost nothing."""
    if name in ("Answer", "Named", "Question"):
        return getattr(import_module("nuanalysis.answers._question"), name)
    raise AttributeError(f"module 'nuanalysis.answers' has no attribute {name!r}")
