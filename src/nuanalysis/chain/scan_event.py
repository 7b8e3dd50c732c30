"""Scan the sky for one event: contours with calibrated containment, a map of probability, and their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from nuanalysis import plot
from nuanalysis.alerts import Alert
from nuanalysis.chain._plane import near_plane
from nuanalysis.chain.scan_products import (
    contours_json,
    degrees,
    leaves_ecsv,
    map_fits,
    map_name,
    moc_fits,
    square_degrees,
)
from nuanalysis.chain.scanned_events import EventToScan, event_to_scan
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.sky_scans import scan_rounds
from nuanalysis.errors import StepMissing
from nuanalysis.plot.canvas import Figure
from nuanalysis.reconstruct import (
    SHARES,
    Contour,
    Leaves,
    ScanState,
    borders_of,
    contour,
    covering,
    leaves_of,
    outlines,
    probability_density,
)
from nuanalysis.records import Measured, Record, Settings, Unknown, made, setting, shown
from nuanalysis.store import atomic_write

_NO_BOX = "the region holds a pole, or goes about one, where right ascension says nothing"
Watch = Callable[["EventToScan", ScanState], None]


class BoxRow(Record):
    """Errors to each side of the best position; right ascension as such, not times cos dec."""

    ra_plus: float = shown("RA +", unit="deg", form=".3f")
    ra_minus: float = shown("RA -", unit="deg", form=".3f")
    dec_plus: float = shown("dec +", unit="deg", form=".3f")
    dec_minus: float = shown("dec -", unit="deg", form=".3f")

    def words(self, form: str = "") -> str:
        """As catalogues print it."""
        return f"RA +{self.ra_plus:.2f} -{self.ra_minus:.2f}, dec +{self.dec_plus:.2f} -{self.dec_minus:.2f} deg"


class ContourRow(Record):
    """One contour."""

    share: float = shown("to hold", form=".2f")
    levels: str = shown("levels")
    critical: Measured = shown("critical TS")
    area_deg2: float = shown("area", unit="deg2", form=".4g")
    low_deg2: float = shown("at least", unit="deg2", form=".4g")
    high_deg2: float = shown("at most", unit="deg2", form=".4g")
    box: BoxRow | Unknown = shown("box")
    radius_deg: float | Unknown = shown("radius", unit="deg", form=".3f")


class EventScanAnswer(Record):
    """What a scan of one event found."""

    event: str = shown("event")
    origin: str = shown("real or synthetic")
    what: str = shown("what it is")
    ra_deg: float = shown("best fit, right ascension, ICRS", unit="deg", form=".3f")
    dec_deg: float = shown("best fit, declination, ICRS", unit="deg", form=".3f")
    true_distance_deg: float | None = shown("true direction, distance from the best fit", None, unit="deg")
    contours: tuple[ContourRow, ...] = shown("contours, those of the files first")
    near_plane: float | None = shown("probability of |b| < 5 deg", None, form=".3f")
    note: str = shown("on the levels", "")
    complete: bool = shown("no leaf at the contour is left to divide")
    ended: str = shown("why the scan ended")
    fitted: int = shown("pixels fitted")
    leaves: int = shown("leaves")
    failed: int = shown("leaves without a fit")
    cpu_s: float = shown("processor time of the fits", unit="s", form=".1f")
    files: tuple[str, ...] = shown("files")


class ScanEvent(Settings):
    """Scan the sky for one event: a published scan by its name or file, or a simulated cascade."""

    event: str = setting(help="IC220524A, IC220624A, FILE.npz?declination=mirrored, or simulated:SEED?energy=TEV")
    max_order: int = setting(0, low=0, high=10, help="HEALPix order of the finest pixels; 0: what suits the event")
    most_pixels: int = setting(5000, low=768, high=200_000, help="pixels fitted at most; then areas are bounds")

    @classmethod
    def of(cls, **values: object) -> ScanEvent:
        """The scan with these settings.  Raises InputError with all faults in one message."""
        return made(cls, values, "the event cannot be scanned so")

    def take(
        self,
        bench: Bench,
        watch: Watch = lambda event, state: None,
        stop: Callable[[], bool] = lambda: False,
        *,
        alert: Alert | None = None,
    ) -> EventScanAnswer:
        """Scan, and write the files of the event under the folder of the bench.

        watch : called after each whole round, with what ``partial_result`` takes.  stop : True ends the scan early with
        what whole rounds have found.  alert : that announced the event, for the headers.  Raises StepMissing where it
        was stopped before the first round.
        """
        event = event_to_scan(self.event, bench, max_order=self.max_order, most=self.most_pixels)
        event = replace(event, alert=alert or event.alert)
        cpu_s, state, stopped = 0.0, None, False
        for at in scan_rounds(event.scan, bench, stop):
            cpu_s, stopped = at.cpu_s, at.stopped
            if at.whole:
                state = at.state
                watch(event, state)
        if state is None:
            raise StepMissing(f"the scan of {event.name} was stopped in its first round; call again to go on")
        leaves = leaves_of(state)
        files = write_products(event, leaves, bench.folder / event.name)
        return answer_of(event, state, cpu_s, files, "stopped" if stopped else "")


def contours_of(event: EventToScan, leaves: Leaves) -> tuple[Contour, ...]:
    """Contours of 50 and 90 % at the levels that are used for an event."""
    levels = event.levels[0]
    return tuple(contour(leaves, at, share) for at, share in zip((levels.half, levels.ninety), SHARES, strict=True))


def answer_of(
    event: EventToScan, state: ScanState, cpu_s: float, files: tuple[Path, ...] = (), ended: str = ""
) -> EventScanAnswer:
    """What a state says of an event, whether the scan has ended or not."""
    leaves = leaves_of(state)
    best = leaves.best
    away = None
    if event.truth is not None:
        away = float(np.degrees(_distance(event.truth, (best.right_ascension, best.declination))))
    return EventScanAnswer(
        event=event.name,
        origin=event.origin,
        what=event.what,
        ra_deg=degrees(best.right_ascension),
        dec_deg=degrees(best.declination),
        true_distance_deg=away,
        contours=_rows(event, leaves),
        near_plane=near_plane(leaves.pixels, probability_density(leaves.ts, leaves.pixels.area, event.levels[0])),
        note=event.note,
        complete=leaves.complete,
        ended=ended or state.ended or "not yet",
        fitted=state.fitted,
        leaves=len(leaves.pixels),
        failed=leaves.failed,
        cpu_s=cpu_s,
        files=tuple(map(str, files)),
    )


def _distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    from nuanalysis.sphere import cos_separation

    return float(np.arccos(np.clip(cos_separation(*map(np.asarray, (*one, *other))), -1.0, 1.0)))


def _rows(event: EventToScan, leaves: Leaves) -> tuple[ContourRow, ...]:
    rows = []
    for levels in event.levels:
        for at, error, share in zip((levels.half, levels.ninety), levels.errors, SHARES, strict=True):
            one = contour(leaves, at, share)
            box: BoxRow | Unknown = Unknown(reason=_NO_BOX)
            if one.box is not None:
                box = BoxRow(
                    ra_plus=degrees(one.box.right_ascension_plus),
                    ra_minus=degrees(one.box.right_ascension_minus),
                    dec_plus=degrees(one.box.declination_plus),
                    dec_minus=degrees(one.box.declination_minus),
                )
            rows.append(
                ContourRow(
                    share=share,
                    levels=levels.name,
                    critical=Measured(value=at, error=error),
                    area_deg2=square_degrees(one.area),
                    low_deg2=square_degrees(one.low),
                    high_deg2=square_degrees(one.high),
                    box=box,
                    radius_deg=Unknown(reason=_NO_BOX) if one.radius is None else degrees(one.radius),
                )
            )
    return tuple(rows)


def write_products(event: EventToScan, leaves: Leaves, folder: Path) -> tuple[Path, ...]:
    """Map, contours, region and leaves of a scan, and its figure, in a folder; the same leaves give the same bytes."""
    contours = contours_of(event, leaves)
    made_files = {
        map_name(event): map_fits(event, leaves, contours),
        "contours.json": contours_json(event, leaves, contours),
        "region90.moc.fits": moc_fits(event, leaves, contours[1]),
        "leaves.ecsv": leaves_ecsv(event, leaves),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in made_files.items():
        atomic_write(folder / name, content)
    words = (
        f"Sky scan of {event.name}: TS of {len(leaves.pixels)} leaves over the sky and about the best fit, with the "
        f"contours of 50 and 90 % ({event.levels[0].name}); {event.what}."
    )
    sidecar = plot.Sidecar(slug=f"scan{plot.mark(event.origin)}", alt=words, caption=words, origin=event.origin,
                           section="maps")  # fmt: skip
    figure = plot.save(figure_of(event, leaves, contours), folder / "figures", sidecar)
    return (*(folder / name for name in made_files), figure)


def figure_of(event: EventToScan, leaves: Leaves, contours: tuple[Contour, ...]) -> Figure:
    """The leaves with their contours."""
    best = leaves.best
    named = tuple(
        (f"{100 * one.share:.0f} %: {square_degrees(one.area):.4g} deg²", borders_of(one.pixels)) for one in contours
    )
    dec, ra = np.meshgrid(
        np.radians(np.arange(-89.75, 90.0, 0.5)), np.radians(np.arange(0.25, 360.0, 0.5)), indexing="ij"
    )
    rows = covering(leaves.pixels.uniq, ra.ravel(), dec.ravel())
    view = plot.ScanView(
        corners=outlines(leaves.pixels),
        ts=leaves.ts,
        whole=leaves.ts[rows].reshape(ra.shape),
        contours=named,
        ninety=contours[1].critical,
        best=(best.right_ascension, best.declination),
        truth=event.truth,
    )
    return plot.scan_figure(
        view, label=f"sky scan of {event.name}, levels: {event.levels[0].name}", origin=event.origin
    )
