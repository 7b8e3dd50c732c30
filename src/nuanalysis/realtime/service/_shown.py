"""From rows of the book and records of alerts to the documents of the service."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from nuanalysis.alerts import Alert
from nuanalysis.realtime.service._book import Row, StepRow
from nuanalysis.realtime.service._records import FINAL, AlertShown, Manifest, Progress, Status, Step
from nuanalysis.realtime.service.requests import ScanRequest


def said_time(seconds: float) -> str:
    """UTC, ISO 8601 with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _maybe(seconds: float | None) -> str | None:
    return None if seconds is None else said_time(seconds)


def status_of(row: Row, now: float) -> Status:
    """Where a scan stands."""
    return Status(
        id=row.id,
        state=row.state,
        is_final=row.state in FINAL,
        cause=row.cause,
        since=said_time(row.since),
        attempt=row.attempt,
        priority=row.priority,
        workers=row.workers,
        lease_until=_maybe(row.lease),
        progress=Progress(
            round=row.round, pixels_done=row.done, pixels_expected=row.expected, pixels_per_s=_rate(row, now)
        ),
        has_result=row.result is not None,
    )


def _rate(row: Row, now: float) -> float | None:
    if row.began is None or row.state in FINAL or row.done <= row.done_before or now <= row.began:
        return None
    return (row.done - row.done_before) / (now - row.began)


def step_of(row: StepRow) -> Step:
    """One change of state."""
    return Step(
        number=row.number,
        scan=row.scan,
        attempt=row.attempt,
        state=row.state,
        time=said_time(row.time),
        cause=row.cause,
    )


def manifest_of(row: Row, steps: Sequence[StepRow], now: float) -> Manifest:
    """All that is known of a scan but its result."""
    return Manifest(
        status=status_of(row, now),
        request=ScanRequest.model_validate_json(row.request),
        request_sha256=row.digest,
        submitted=said_time(row.submitted),
        submitted_by=row.owner,
        rescan_of=row.rescan_of,
        deleted=_maybe(row.deleted),
        steps=tuple(map(step_of, steps)),
    )


def alert_of(alert: Alert, revisions: Sequence[Alert]) -> AlertShown:
    """One revision of an alert, in degrees."""
    region = alert.region
    return AlertShown(
        name=alert.name,
        revision=alert.revision,
        revisions=tuple(one.revision for one in revisions),
        retracted=alert.retracted,
        origin=alert.origin,
        tense=alert.tense,
        run=alert.run,
        event=alert.event_id,
        mjd=alert.time,
        stream=alert.stream,
        tier=alert.tier,
        topology=alert.topology,
        energy_tev=alert.energy_tev,
        energy_kind=alert.energy_kind,
        p_astro=alert.p_astro,
        method=alert.method,
        far_per_yr=alert.far_per_yr,
        right_ascension_deg=math.degrees(region.right_ascension),
        declination_deg=math.degrees(region.declination),
        radius_deg=None if region.radius is None else math.degrees(region.radius),
        radius_definition=region.radius_definition,
        containment=region.containment,
        systematic=region.systematic,
    )
