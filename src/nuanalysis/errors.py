"""The error tree: one class per reaction a caller can have.

Each message says what was found, what was expected, and what to do.  ``exit_code`` is what the
command line returns when the error ends a command.
"""

import unicodedata
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")  # controls, directions of writing, halves of letters, separators


def printable(text: str) -> str:
    """The text with every control character but line feed and tab written out, as in ``\\x1b``.

    Names from files of others go through it before a terminal, a table or a log shows them: an escape sequence could
    move the cursor, change the title of a window or hide what stands before it.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        one if one in "\n\t" or unicodedata.category(one) not in _INVISIBLE else ascii(one)[1:-1] for one in text
    )


LONGEST = 6000  # letters of a message


class NuanalysisError(Exception):
    """Root of all errors raised on purpose by this package.  Its text is fit for a terminal, see ``printable``."""

    exit_code = 1

    def __str__(self) -> str:
        text = super().__str__()
        if len(text) > LONGEST:  # a name of a thousand letters, or a thousand faults: what is wrong and the remedy stay
            left_out = len(text) - LONGEST
            text = f"{text[: LONGEST * 3 // 4]} [.. {left_out:,} letters ..] {text[-LONGEST // 4 :]}"
        return printable(text)

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of a traceback: its reader needs the sentence, not our files."""
        return [f"{type(self).__name__}: {self}"]


class InputError(NuanalysisError):
    """A name, number, spec or user file that was given is wrong: correct it and call again."""

    exit_code = 2


class DataError(NuanalysisError):
    """Data at rest are missing, damaged or against the schema: fetch or repair them."""

    exit_code = 3


class NotHereError(DataError):
    """A public release is not on this machine.

    reason : that, and how to bring it, without a folder of this machine: it may stand in what is published.
    """

    def __init__(self, reason: str, looked: str = "") -> None:
        super().__init__(f"{reason} {looked}".rstrip())
        self.reason = reason


class DownloadError(DataError):
    """A download failed for good: check the network or bring the file by hand."""


class EnvironmentFault(NuanalysisError):
    """The machine is short of something (disk, memory, a library): make room or install it."""

    exit_code = 4


class StoreLocked(NuanalysisError):
    """Another process is writing to the same store: wait for it, or stop it."""

    exit_code = 5


class StepMissing(NuanalysisError):
    """A step reads what an earlier step has not written yet: run that step first."""

    exit_code = 6


class PrecisionError(NuanalysisError):
    """The estimate asked for would be worth less than its stated bound: use more trials."""

    exit_code = 7


def refuse(faults: Iterable[str], what: str, remedy: str = "", *, error: type[NuanalysisError] = InputError) -> None:
    """Raise one error that lists every fault once, between what cannot be and what to do; nothing without faults."""
    if found := list(dict.fromkeys(faults)):
        raise error(f"{what}:\n  - " + "\n  - ".join(found) + (f"\n{remedy}" if remedy else ""))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint at the name that was meant: one that differs in capitals, a close one, or the first twenty there are."""
    known = sorted(known)
    same = [one for one in known if one.lower() == name.lower()]
    if close := same or get_close_matches(name, known) or get_close_matches(name.lower(), known):
        # Of names that are as close, one that begins alike.
        best = max(close, key=lambda one: (SequenceMatcher(None, one, name).ratio(), one[:1] == name[:1]))
        return f" Did you mean '{best}'?"
    return f" Known: {', '.join(known[:20])}" + (f" and {len(known) - 20} more." if len(known) > 20 else ".")
