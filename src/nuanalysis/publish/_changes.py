"""What changed from one release to another: counts, positions, numbers in their errors, significances, files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nuanalysis.publish._alert_changes import REVISIONS, changes
from nuanalysis.publish._manifest import read_sums
from nuanalysis.publish._results import Results, read_results
from nuanalysis.records import Record, shown
from nuanalysis.sphere import cos_separation
from nuanalysis.store import read_json

Kind = Literal["count", "number", "significance", "position", "words", "list", "appeared", "gone"]
_CIRCUMSTANCES = ("provenance", "fingerprint")  # what an answer says of how it was made
_FEW = 3  # answers of which every number is told; of a longer list how many differ


class Change(Record):
    """One difference.  Numbers as they were and are; where that is no number, words."""

    subject: str = shown("what it is about")
    quantity: str = shown("quantity")
    kind: Kind = shown("kind")
    before: float | str | None = shown("before")
    after: float | str | None = shown("after")
    difference: float | None = shown("difference; of positions the angle in deg", None)
    sigma: float | None = shown("difference in standard errors of both together; of significances in sigma", None)

    def words(self, form: str = "") -> str:
        """The difference as a phrase."""
        if self.kind in ("appeared", "gone"):
            return f"{self.quantity} {'is new' if self.kind == 'appeared' else 'is no longer there'}"
        if self.kind == "position":
            return f"{self.quantity} moved by {self.difference:.2f} deg, from {self.before} to {self.after}"
        told = f"{self.quantity} {_told(self.before)} → {_told(self.after)}"
        if self.sigma is not None:
            return f"{told} ({self.sigma:+.2f} {'σ' if self.kind == 'significance' else 'standard errors'})"
        return told if self.difference is None else f"{told} ({self.difference:+.4g})"


class FileChanges(Record):
    """Files of two releases by their bytes."""

    same: int = shown("files alike")
    changed: tuple[str, ...] = shown("files that differ")
    appeared: tuple[str, ...] = shown("new files")
    gone: tuple[str, ...] = shown("files that are no longer there")


class ReleaseChanges(Record):
    """What changed from one release to another."""

    before: str = shown("earlier release")
    after: str = shown("later release")
    changes: tuple[Change, ...] = shown("changes")
    files: FileChanges = shown("files")
    alerts: str = shown("alerts: what changed", "", hidden=True)

    def prose(self) -> str:
        """All of it as text in Markdown."""
        lines = [f"# {self.after} against {self.before}", ""]
        subjects = dict.fromkeys(one.subject for one in self.changes)
        for subject in subjects:
            lines += [f"**{subject}**", *(f"- {one}" for one in self.changes if one.subject == subject), ""]
        if not subjects:
            lines += ["No count, position, number or significance changed.", ""]
        of = self.files
        lines += [
            f"Files: {of.same} alike, {len(of.changed)} changed, {len(of.appeared)} new, "
            f"{len(of.gone)} no longer there."
        ]
        for title, names in (("New", of.appeared), ("No longer there", of.gone)):
            lines += [f"{title}: {', '.join(names)}."] if names else []
        return "\n".join([*lines, *(["", self.alerts] if self.alerts else [])]).rstrip() + "\n"


def _told(value: float | str | None) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:,.0f}" if float(value).is_integer() else f"{value:.6g}"


def _results(folder: Path) -> Results:
    remedy = "fetch the release again"
    return read_results(read_json(folder / "results.json", "the results", remedy), source=str(folder / "results.json"))


def release_changes(before: Path, after: Path) -> ReleaseChanges:
    """What changed from release ``before`` to ``after``, two folders.

    Both are taken at their word: check them with ``verify``.  Raises DataError where one is no release, or its results
    have another layout than this version reads.
    """
    one, other = _results(before), _results(after)
    found = [*_samples(one, other), *_inputs(one, other), *_versions(one, other), *_answers(one, other)]
    return ReleaseChanges(
        before=before.resolve().name,
        after=after.resolve().name,
        changes=tuple(found),
        files=_files(read_sums(before), read_sums(after)),
        alerts=_alerts(before / "alerts", after / "alerts"),
    )


def _files(before: Mapping[str, str], after: Mapping[str, str]) -> FileChanges:
    both = before.keys() & after.keys()
    return FileChanges(
        same=sum(before[name] == after[name] for name in both),
        changed=tuple(sorted(name for name in both if before[name] != after[name])),
        appeared=tuple(sorted(after.keys() - before.keys())),
        gone=tuple(sorted(before.keys() - after.keys())),
    )


def _alerts(before: Path, after: Path) -> str:
    if not (after / REVISIONS).is_file():
        return ""
    return changes(after, before if (before / REVISIONS).is_file() else None)


# --- counts and causes ------------------------------------------------------------------------------------------------


def _matched(subject: str, what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """What only one of two has."""
    for name in before.keys() - after.keys():
        yield Change(subject=subject, quantity=f"{what} {name}", kind="gone", before=name, after=None)
    for name in after.keys() - before.keys():
        yield Change(subject=subject, quantity=f"{what} {name}", kind="appeared", before=None, after=name)


def _samples(one: Results, other: Results) -> Iterator[Change]:
    before, after = ({card.sample: card for card in run.samples} for run in (one, other))
    yield from _matched("Samples", "sample", before, after)
    for name in before.keys() & after.keys():
        was, now = before[name], after[name]
        seasons = [{f"{name}, season {s.name}": s.n_events for s in card.seasons} for card in (was, now)]
        yield from _matched("Samples", "season", *seasons)
        for what, a, b in (("events", was.n_events, now.n_events), ("livetime in s", was.livetime_s, now.livetime_s)):
            yield from _number("Samples", f"{what} of {name}", a, b)
        yield from _words("Samples", f"origin of {name}", was.origin, now.origin)


def _inputs(one: Results, other: Results) -> Iterator[Change]:
    before, after = (
        {f"{item.name}/{file.path}": file.sha256 for item in run.inputs for file in item.files} for run in (one, other)
    )
    yield from _matched("Inputs", "file", before, after)
    for name in sorted(before.keys() & after.keys()):
        yield from _words("Inputs", f"sha256 of {name}", before[name], after[name])


def _versions(one: Results, other: Results) -> Iterator[Change]:
    for name in sorted(one.versions.keys() | other.versions.keys()):
        yield from _words("Software", name, one.versions.get(name, "–"), other.versions.get(name, "–"))
    yield from _number("Software", "seed", one.seed, other.seed)


# --- answers ----------------------------------------------------------------------------------------------------------


def _answers(one: Results, other: Results) -> Iterator[Change]:
    before, after = (
        {f"{entry.sample}, {entry.section} {entry.name}": entry.answer.to_dict() for entry in run.answers}
        for run in (one, other)
    )
    yield from _matched("Answers", "answer", before, after)
    for subject in [name for name in before if name in after]:
        yield from _compared(subject, "", before[subject], after[subject])


def _number(subject: str, quantity: str, a: float, b: float, sigma: float | None = None) -> Iterator[Change]:
    if a != b:
        kind: Kind = "count" if isinstance(a, int) and isinstance(b, int) else "number"
        yield Change(subject=subject, quantity=quantity, kind=kind, before=a, after=b, difference=b - a, sigma=sigma)


def _words(subject: str, quantity: str, a: object, b: object) -> Iterator[Change]:
    if a != b:
        yield Change(subject=subject, quantity=quantity, kind="words", before=_said(a), after=_said(b))


def _said(value: object) -> str | None:
    """A value of which the other is of another kind: the reason of an unknown one, and numbers as words."""
    if isinstance(value, Mapping):
        return f"unknown ({value['reason']})" if "reason" in value else str(value.get("value", value.get("p", "–")))
    return None if value is None else str(value)


def _is_number(*values: object) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _compared(subject: str, place: str, a: Any, b: Any) -> Iterator[Change]:
    """Differences of two parts of answers; a number with its error, a chance and a position are one thing each."""
    if a == b:
        return
    if isinstance(a, Mapping) and isinstance(b, Mapping) and not ("reason" in a) ^ ("reason" in b):
        yield from _records(subject, place, a, b)
    elif isinstance(a, Sequence) and isinstance(b, Sequence) and not isinstance(a, str):
        yield from _lists(subject, place, a, b)
    elif _is_number(a, b):
        yield from _number(subject, place, a, b)
    else:
        yield from _words(subject, place, a, b)


def _records(subject: str, place: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Change]:
    if {"ra_deg", "dec_deg"} <= a.keys() & b.keys():
        yield from _moved(subject, place or "position", a, b)
    elif {"value", "error"} <= a.keys() & b.keys() and _is_number(a["value"], b["value"]):
        errors = math.hypot(*(one["error"] if _is_number(one["error"]) else 0.0 for one in (a, b)))
        gap = b["value"] - a["value"]
        yield from _number(subject, place, a["value"], b["value"], gap / errors if errors > 0 else None)
    elif {"p", "sigma"} <= a.keys() & b.keys() and _is_number(a["sigma"], b["sigma"]):
        if a["sigma"] != b["sigma"]:
            gap, what = b["sigma"] - a["sigma"], f"{place or 'chance'} (significance in sigma)"
            yield Change(
                subject=subject, quantity=what, kind="significance", before=a["sigma"], after=b["sigma"],
                difference=gap, sigma=gap,
            )  # fmt: skip
    else:
        for key in [key for key in {**a, **b} if key not in _CIRCUMSTANCES]:
            yield from _compared(subject, f"{place}.{key}" if place else key, a.get(key), b.get(key))


def _moved(subject: str, place: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Change]:
    at = [np.radians(one[key]) for one in (a, b) for key in ("ra_deg", "dec_deg")]
    shift = float(np.degrees(np.arccos(np.clip(cos_separation(*at), -1.0, 1.0))))
    was, now = (f"({one['ra_deg']:.2f}, {one['dec_deg']:+.2f})" for one in (a, b))
    if shift > 0.0:
        yield Change(subject=subject, quantity=place, kind="position", before=was, after=now, difference=shift)


def _lists(subject: str, place: str, a: Sequence[Any], b: Sequence[Any]) -> Iterator[Change]:
    """Lists of records one by one where they are as long and no longer than a few; else how many differ."""
    if len(a) == len(b) and len(a) <= _FEW:
        for number, (one, other) in enumerate(zip(a, b, strict=True), 1):
            yield from _compared(subject, f"{place}[{number}]", one, other)
        return
    differ = sum(one != other for one, other in zip(a, b, strict=False)) + abs(len(a) - len(b))
    what = f"{place} ({differ} of {max(len(a), len(b))} entries differ)"
    yield Change(subject=subject, quantity=what, kind="list", before=len(a), after=len(b))
