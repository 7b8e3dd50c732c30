"""The steps of a watch: scan, revision, counterparts, follow-ups, circular.  A further one is a class and a line."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nuanalysis.alerts import Alert, Box, Region, circular, notice_json, notice_of, read_message
from nuanalysis.answers.counterparts import CounterpartsAnswer, OpenCatalogues, counterparts
from nuanalysis.answers.followup import Followup
from nuanalysis.answers.followup_text import follow_up_text
from nuanalysis.chain.scan_event import EventScanAnswer, ScanEvent
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import DataError, InputError, did_you_mean
from nuanalysis.ingest import astro_colibri, realtime_scans
from nuanalysis.library import samples
from nuanalysis.realtime.sources import SIMULATED_EVENT
from nuanalysis.realtime.watch import Case, Impossible, Step
from nuanalysis.records import Record, Unknown
from nuanalysis.store import atomic_write, read_json

DAY = 1.0
SHORT_D = 500.0 / 86_400.0  # half of the window of 1000 s
FOLLOW_UP, MAPS, CONTOURS, SCANS = "followup", "maps", "contours", "scans"
METHOD = "sky scan of this package"


def _alert(case: Case) -> Alert:
    """What is known of the event.  Raises Impossible where its messages say too little."""
    found = next((one.alert for one in reversed(case.revisions) if one.alert is not None), None)
    if found is None:
        raise Impossible("its messages do not say enough of it: no energy, no place, or no probability")
    return found


def _scanned(case: Case) -> EventScanAnswer | None:
    """The answer of the scan, where it was done."""
    path = case.folder / SCANS / f"{case.slug}.json"
    if not path.exists():
        return None
    return EventScanAnswer.from_dict(read_json(path, "the answer of a scan", "delete it", error=DataError))


@dataclass(frozen=True, slots=True)
class Scan:
    """The sky scan of an event whose light is at hand: simulated by us, or one of the published scans."""

    bench: Bench
    name: str = "scan"

    def event_of(self, case: Case) -> str | None:
        """The words that name the event to a scan; None where nothing public holds its light."""
        named = next((digest for name, digest in case.latest.inputs if name == SIMULATED_EVENT), None)
        named = named or next(
            (digest for one in case.revisions for name, digest in one.inputs if name == SIMULATED_EVENT), None
        )
        short = case.slug.removeprefix("IceCube-")
        published = next((name for name in realtime_scans.EVENTS if name.removeprefix("IC") in short), None)
        return named or published

    def due(self, case: Case) -> float | None:
        return case.now if self.event_of(case) else None

    def make(self, case: Case) -> str:
        event = self.event_of(case)
        assert event is not None
        known = next((one.alert for one in case.revisions if one.alert is not None), None)
        found = ScanEvent.of(event=event).take(replace(self.bench, folder=case.folder / SCANS), alert=known)
        for file in map(Path, found.files):
            if file.name.endswith(".fits.gz"):
                _copied(file, case.store.path / MAPS / _map_name(case))
            elif file.name == "contours.json":
                _copied(file, case.store.path / CONTOURS / f"{case.slug}.json")
        atomic_write(case.folder / SCANS / f"{case.slug}.json", _json(found))
        ninety = next(row for row in found.contours if row.share == 0.9)
        return f"90 % within {ninety.area_deg2:.4g} deg2 ({ninety.levels}), {found.fitted:,} pixels"


def _map_name(case: Case) -> str:
    return f"{case.slug}_skymap_probdensity_multiorder.fits.gz"


def _copied(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}")
    shutil.copyfile(source, draft)
    draft.rename(target)


@dataclass(frozen=True, slots=True)
class Revise:
    """Revision 1 of an event that was scanned: the place, region and map of the scan, the first energy."""

    name: str = "revision"

    def due(self, case: Case) -> float | None:
        return case.now if _scanned(case) is not None else None

    def make(self, case: Case) -> str:
        found, first = _scanned(case), _alert(case)
        assert found is not None
        if any(one.revision >= 1 for one in case.revisions):
            return "a revision was here already"
        if first.origin == "real":
            raise Impossible("a notice of IceCube is IceCube's to revise")
        ninety = next(row for row in found.contours if row.share == 0.9)
        box = None
        if not isinstance(ninety.box, Unknown):
            sides = (ninety.box.ra_plus, ninety.box.ra_minus, ninety.box.dec_plus, ninety.box.dec_minus)
            box = Box(*np.radians(sides).tolist())
        radius = None if isinstance(ninety.radius_deg, Unknown) else float(np.radians(ninety.radius_deg))
        region = Region(
            right_ascension=float(np.radians(found.ra_deg)),
            declination=float(np.radians(found.dec_deg)),
            radius=radius or first.region.radius,
            radius_definition=f"circle as large as the contour of the scan ({ninety.levels})",
            box=box,
            map=f"{MAPS}/{_map_name(case)}",
            systematic=False,
        )
        alert = replace(first, region=region, revision=1, near_plane=found.near_plane)
        content = (case.store.path / MAPS / _map_name(case)).read_bytes()
        data = notice_json(notice_of(alert, sent=max(case.now, first.time), map_file=content))
        receipt = case.store.append(read_message(data), alert=alert, inputs=case.latest.inputs)
        return f"revision 1: {receipt.outcome}"


@dataclass(frozen=True, slots=True)
class Counterparts:
    """Known sources in the region, with the chance of each."""

    transport: astro_colibri.Transport | None = None
    opened: OpenCatalogues = ()  # opened before, for many events; without: for each
    name: str = "counterparts"

    def due(self, case: Case) -> float | None:
        return case.now

    def make(self, case: Case) -> str:
        alert = _alert(case)
        found = counterparts(alert, transport=self.transport, opened=self.opened)
        _kept(case, "counterparts.json", _json(found).decode())
        return f"{sum(len(one.matches) for one in found.catalogues)} sources in {len(found.catalogues)} catalogues"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """More neutrinos around the event: once its short window has passed, and again when two days are full."""

    bench: Bench
    name: str
    after_d: float
    windows_s: tuple[float, ...]
    sample: str = "tracks"

    def due(self, case: Case) -> float | None:
        return case.latest.time + self.after_d

    def make(self, case: Case) -> str:
        alert = _alert(case)
        region, box = alert.region, alert.region.box
        sides = () if box is None else box.sides
        asked = Followup.of(
            ra_deg=float(np.degrees(region.right_ascension)),
            dec_deg=float(np.degrees(region.declination)),
            mjd=alert.time,
            alert=alert.name,
            windows_s=self.windows_s,
            box_deg=tuple(np.degrees(sides).tolist()),
        )
        try:
            found = asked.ask(samples.load(samples.sample_spec(name=self.sample), 1), self.bench)
        except (InputError, DataError) as reason:
            raise Impossible(f"no public events to search: {reason}") from reason
        _kept(case, f"{self.name}.json", _json(found).decode())
        _kept(case, f"{self.name}.txt", follow_up_text(found) + "\n")
        return str(found).partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Draft:
    """The draft of a circular, for a person to read, mend and send."""

    name: str = "circular"

    def due(self, case: Case) -> float | None:
        return case.now

    def make(self, case: Case) -> str:
        _kept(case, "circular-draft.txt", circular(_alert(case), sources=_sources(case)))
        return "draft written"


def _sources(case: Case) -> tuple[str, ...] | None:
    """A line for each catalogue that was searched; None where none was."""
    path = case.store.path / FOLLOW_UP / f"{case.slug}-counterparts.json"
    if not path.exists():
        return None
    found = CounterpartsAnswer.from_dict(read_json(path, "the counterparts", "delete it", error=DataError))
    return tuple(
        f"{one.catalogue}: {one.inside} in the 90 % region, {one.expected:.1f} expected by chance; nearest "
        f"{one.nearest}, {one.nearest_deg:.2f} deg"
        for one in found.catalogues
    )


def _json(record: Record) -> bytes:
    return (json.dumps(record.to_dict(), indent=1) + "\n").encode()


def _kept(case: Case, name: str, text: str) -> None:
    path = case.store.path / FOLLOW_UP / f"{case.slug}-{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, text.encode())


def all_steps(bench: Bench, *, colibri: bool = False) -> tuple[Step, ...]:
    """Every step, in order."""
    return (
        Scan(bench),
        Revise(),
        Counterparts(astro_colibri.over_network if colibri else None),
        FollowUp(bench, "followup-now", SHORT_D, (1000.0,)),
        FollowUp(bench, "followup-late", DAY, (172_800.0,)),
        Draft(),
    )


def chosen(steps: tuple[Step, ...], names: str) -> tuple[Step, ...]:
    """Some of the steps by their names, with commas between; all for ''.  Raises InputError for an unknown one."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = [step.name for step in steps]
    if unknown := [name for name in wanted if name not in known]:
        raise InputError(f"no step '{unknown[0]}'.{did_you_mean(unknown[0], known)}")
    return tuple(step for step in steps if not wanted or step.name in wanted)
