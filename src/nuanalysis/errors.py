"""The error tree: one class per reaction a caller can have.

Each message says what was found, what was expected, and what to do.  ``exit_code`` is what the
command line returns when the error ends a command.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class NuanalysisError(Exception):
    """Root of all errors raised on purpose by this package."""

    exit_code = 1


class InputError(NuanalysisError):
    """A name, number, spec or user file that was given is wrong: correct it and call again."""

    exit_code = 2


class DataError(NuanalysisError):
    """Data at rest are missing, damaged or against the schema: fetch or repair them."""

    exit_code = 3


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
    if close := same or get_close_matches(name, known, n=1) or get_close_matches(name.lower(), known, n=1):
        return f" Did you mean '{close[0]}'?"
    return f" Known: {', '.join(known[:20])}" + (f" and {len(known) - 20} more." if len(known) > 20 else ".")
