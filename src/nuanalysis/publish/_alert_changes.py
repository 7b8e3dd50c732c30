"""Revisions of alerts as lines, and what changed from one release to the next."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nuanalysis.alerts import Revision, degrees, utc_text
from nuanalysis.errors import DataError
from nuanalysis.publish._alert_tables import notice_path, region_of
from nuanalysis.sphere import cos_separation

REVISIONS = "revisions.jsonl"
_SIGMA_90 = 2.145966  # radius that holds 90 % of a round normal distribution, in sigma


def line_of(revision: Revision) -> str:
    """A revision as one line of JSON."""
    region, alert = region_of(revision), revision.alert
    document = {
        "name": revision.name, "mission": revision.mission, "id": revision.id, "revision": revision.revision,
        "alert_type": revision.alert_type, "tense": revision.tense, "sent": utc_text(revision.sent),
        "time": utc_text(revision.time), "ra": degrees(region.right_ascension), "dec": degrees(region.declination),
        "radius": None if region.radius is None else degrees(region.radius),
        "radius_definition": region.radius_definition, "containment": region.containment,
        "p_astro": alert and alert.p_astro, "notice": notice_path(revision), "sha256": revision.sha256,
        "inputs": [{"name": name, "sha256": digest} for name, digest in revision.inputs], "code": revision.code,
        "conflicts_with": revision.conflicts_with,
    }  # fmt: skip
    return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"


@dataclass(frozen=True, slots=True)
class _Told:
    """What a list of revisions says last of an event."""

    name: str
    ra: float
    dec: float
    radius: float | None
    messages: int
    retracted: bool


def _told(path: Path) -> dict[tuple[str, str], _Told]:
    """By event, from a list of revisions.  Raises DataError where it is none."""
    out: dict[tuple[str, str], _Told] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                one = json.loads(line)
                event = (one["mission"], one["id"])
                before = out.get(event)
                count = before.messages + 1 if before else 1
                gone = one["alert_type"] == "retraction"
                out[event] = _Told(one["name"], one["ra"], one["dec"], one["radius"], count, gone)
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise DataError(f"{path} is no list of revisions: {fault}; name the alerts/ folder of a release") from fault
    return out


def changes(draft: Path, since: Path | None) -> str:
    """CHANGES.md of a folder beside the one of the release before.  Raises DataError where that is none."""
    now = _told(draft / REVISIONS)
    before = {} if since is None else _told(since / REVISIONS)
    new = [one.name for event, one in now.items() if event not in before]
    moved = [
        f"- {one.name}: {_moved(before[event], one)}"
        for event, one in now.items()
        if event in before and one.messages > before[event].messages and not one.retracted
    ]
    gone = [
        f"- {one.name}" for event, one in now.items()
        if one.retracted and not (event in before and before[event].retracted)
    ]  # fmt: skip
    lost = [f"- {one.name}" for event, one in before.items() if event not in now]
    parts = [
        "# Alerts: what changed",
        "Since nothing: this is the first list." if since is None else "Since the release before.",
        f"New alerts: {len(new)}" + (f" ({', '.join(new)})" if 0 < len(new) <= 50 else ""),
        "\n".join([f"Revised: {len(moved)}", *moved]),
        "\n".join([f"Retracted: {len(gone)}", *gone]),
        *(["\n".join([f"No longer there, which a release should not have: {len(lost)}", *lost])] if lost else []),
        "A batch of alerts or a retraction raises m of DRn.m; a new selection or reconstruction raises n.",
    ]
    return "\n\n".join(parts) + "\n"


def _moved(before: _Told, now: _Told) -> str:
    at = (np.radians(value) for value in (before.ra, before.dec, now.ra, now.dec))
    shift = float(np.degrees(np.arccos(np.clip(cos_separation(*at), -1.0, 1.0))))
    if before.radius is None:
        return f"moved by {shift:.2f} deg"
    return f"moved by {shift:.2f} deg, {shift * _SIGMA_90 / before.radius:.1f} sigma of the error before"
