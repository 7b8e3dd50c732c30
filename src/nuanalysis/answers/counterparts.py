"""Which known sources lie in the region of an alert, and how many would by chance?

No question on a sample of events, so no entry of QUESTIONS: it is asked of an alert and of catalogues.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.metadata import version
from typing import ClassVar

import numpy as np

from nuanalysis.alerts import Alert, Origin
from nuanalysis.answers._question import Answer, position
from nuanalysis.ingest import astro_colibri
from nuanalysis.interpret import alert_counterparts as compared
from nuanalysis.interpret.alert_counterparts import Sources
from nuanalysis.interpret.alert_regions import AlertRegion, Ellipse, alert_region, area_sr, ellipse_deg, grid
from nuanalysis.interpret.time_windows import separation
from nuanalysis.library.catalogues import open_table, parse_catalogue
from nuanalysis.plot import AlertSky, AlertSource, Drawn, alert_sky_figure
from nuanalysis.records import Chance, Measured, Position, Provenance, Record, Unknown, shown
from nuanalysis.schema import Floats
from nuanalysis.sky.catalogues import SourceTable
from nuanalysis.trials.streams import Stream, seed_of

CATALOGUES = ("4fgl-dr2", "3fhl")
OpenCatalogues = tuple[tuple[str, SourceTable], ...]  # by name
LEVEL = 0.9
DEG2 = float(np.degrees(1.0) ** 2)
_MOVED = "the region moved in right ascension; declination kept"
_BANDS = "density of the catalogue in bands of |b|"
_DAYS = 5.0  # to either side of an alert, of the transients that are asked for


class Counterpart(Record):
    """A source of a catalogue near an alert; both chances are of one at least as bright (of any, without a flux)."""

    name: str = shown("source", short="source")
    source_class: str = shown("class", short="class")
    ra_deg: float = shown("right ascension, deg", form=".3f", short="RA")
    dec_deg: float = shown("declination, deg", form=".3f", short="dec")
    separation_deg: float = shown("from the best position, deg", form=".2f", short="from")
    level: float = shown("containment at which the region holds it", form=".3f", short="level")
    flux: float | None = shown("flux", None, form=".3g")
    chance_bands: float = shown(f"chance, {_BANDS}", form=".2g", short="p bands")
    chance_moved: Chance = shown(f"chance, {_MOVED}", short="p moved")


class SearchedCatalogue(Record):
    """What a catalogue has in the region of an alert.  nearest : None for a catalogue without directions."""

    catalogue: str = shown("catalogue", short="catalogue")
    title: str = shown("what it is", hidden=True)
    reference: str = shown("its reference", hidden=True)
    sources: int = shown("sources", short="sources")
    flux_unit: str = shown("unit of fluxes", "", hidden=True)
    inside: int = shown("in the 90 % region", short="inside")
    expected: float = shown(f"expected there, {_BANDS}", form=".3g", short="expected")
    chance_bands: float = shown(f"chance of any, {_BANDS}", form=".2g", short="p bands")
    chance_moved: Chance = shown(f"chance of any, {_MOVED}", short="p moved")
    nearest: str = shown("nearest source", short="nearest")
    nearest_deg: float = shown("its distance, deg", form=".2f", short="at")
    matches: tuple[Counterpart, ...] = shown("sources in the region", ())


class Transients(Record):
    """What Astro-COLIBRI said, or why it was not searched."""

    state: str = shown("Astro-COLIBRI")
    found: tuple[str, ...] = shown("transients", ())
    region: str = shown("searched in", "")

    def words(self, form: str = "") -> str:
        return f"{self.state}" + (f" ({self.region}): {'; '.join(self.found) or 'none'}" if self.region else "")


class CounterpartsAnswer(Answer):
    """Sources of catalogues in the region of an alert."""

    rows: ClassVar = "catalogues"
    alert: str = shown("alert")
    place: Position = shown("best position")
    area_deg2: float = shown("area of the 90 % region", unit="deg2", form=".2f")
    n_tried: int = shown("catalogues tried; no chance below is corrected for them")
    catalogues: tuple[SearchedCatalogue, ...] = shown("catalogues")
    transients: Transients = shown("Astro-COLIBRI")
    box_deg: tuple[float, ...] = shown("90 % errors: RA plus, RA minus, dec plus, dec minus, deg", (), hidden=True)

    def headline(self) -> tuple[str, ...]:
        return tuple(
            f"{one.catalogue}: {one.inside} sources in the 90 % region of {self.alert} ({self.area_deg2:.2f} deg2), "
            f"{one.expected:.2g} expected; any source there has p {one.chance_bands:.2g} by chance, nearest "
            f"{one.nearest} at {one.nearest_deg:.2f} deg."
            for one in self.catalogues
        )

    def drawn(self) -> tuple[Drawn, ...]:
        return (alert_sky_figure(self.sky()),)

    def sky(self) -> AlertSky:
        """What a figure of the sky around the alert shows of it; ``answers.followup`` has the events."""
        ra, dec = np.radians([self.place.ra_deg, self.place.dec_deg]).tolist()
        region = ellipse_deg(self.place.ra_deg, self.place.dec_deg, self.box_deg) if self.box_deg else None
        sources = tuple(
            AlertSource(one.name, math.radians(one.ra_deg), math.radians(one.dec_deg), True)
            for found in self.catalogues
            for one in found.matches
        )
        return AlertSky(self.alert, ra, dec, region, (), 0.0, sources, "", self.provenance.origin)


def open_catalogues(names: Sequence[str] = CATALOGUES) -> OpenCatalogues:
    """Catalogues by their names, for many alerts.  Raises as ``counterparts``."""
    return tuple((name, open_table(parse_catalogue(name))) for name in names)


def counterparts(
    alert: Alert, *, catalogues: Sequence[str] = CATALOGUES, region: AlertRegion | None = None, moved: int = 2000,
    seed: int = 1, transport: astro_colibri.Transport | None = None, opened: OpenCatalogues = (),
) -> CounterpartsAnswer:  # fmt: skip
    """Sources in the 90 % region of an alert, with the chance of each.

    catalogues : names as ``nuanalysis catalogues ls`` lists them.    region : a calibrated map; without: its ellipse.
    moved : regions moved in right ascension, of the ellipse.
    transport : of Astro-COLIBRI; None: it is not asked, and the answer says so.
    opened : of ``open_catalogues``, instead of names: to open takes far longer than to search.
    Raises InputError for an unknown catalogue, DataError for one that is not here.
    """
    ellipse = alert_region(alert.region)
    used: AlertRegion = ellipse if region is None else region
    rng = np.random.Generator(np.random.Philox(key=[seed, int(Stream.MOVED_ALERTS)]))
    turn = rng.uniform(0.0, 2.0 * np.pi, moved)
    tables = opened or open_catalogues(catalogues)
    box = alert.region.box
    sides = () if box is None else box.sides
    return CounterpartsAnswer(
        provenance=_whose(alert.name, alert.origin, seed, 1),
        alert=alert.name,
        place=position(used.right_ascension, used.declination),
        area_deg2=area_sr(used, LEVEL) * DEG2,
        n_tried=len(tables),
        catalogues=tuple(_in_catalogue(used, ellipse, name, table, turn) for name, table in tables),
        transients=_transients(alert, used, transport),
        box_deg=tuple(np.degrees(sides).tolist()),
    )


def _whose(sample: str, origin: Origin, seed: int, n_alerts: int) -> Provenance:
    return Provenance(sample=sample, origin=origin, n_events=n_alerts, seed=seed, version=version("nuanalysis"))


def _sources(table: SourceTable) -> Sources:
    placed = table.placed
    return Sources(table.right_ascension[placed], table.declination[placed], table.flux[placed])


def _in_catalogue(
    region: AlertRegion, ellipse: Ellipse, name: str, table: SourceTable, turn: Floats
) -> SearchedCatalogue:
    sources, names, classes = _sources(table), table.name[table.placed], table.classes[table.placed]
    apart = separation(sources.right_ascension, sources.declination, region.right_ascension, region.declination)
    level = region.level(sources.right_ascension, sources.declination)
    pixels = grid(region, LEVEL, _fine(region))
    brightest = compared.brightest_when_moved(ellipse, sources, turn, LEVEL)

    def bands(flux: float) -> float:
        every = sources if np.isnan(flux) else sources.brighter(flux)
        return compared.chance(compared.expected(pixels, every))

    found = compared.inside(region, sources, LEVEL)
    mean, nearest = compared.expected(pixels, sources), int(apart.argmin())
    return SearchedCatalogue(
        catalogue=name,
        title=table.title,
        reference=table.reference,
        sources=len(apart),
        flux_unit=f"{table.flux_unit}, {table.flux_band}" if table.flux_unit else "",
        inside=len(found),
        expected=mean,
        chance_bands=compared.chance(mean),
        chance_moved=_share(brightest > -np.inf),
        nearest=str(names[nearest]),
        nearest_deg=float(np.degrees(apart[nearest])),
        matches=tuple(
            Counterpart(
                name=str(names[k]),
                source_class=str(classes[k]),
                ra_deg=float(np.degrees(sources.right_ascension[k])),
                dec_deg=float(np.degrees(sources.declination[k])),
                separation_deg=float(np.degrees(apart[k])),
                level=float(level[k]),
                flux=float(sources.flux[k]) if np.isfinite(sources.flux[k]) else None,
                chance_bands=bands(float(sources.flux[k])),
                chance_moved=_share(brightest >= np.nan_to_num(sources.flux[k], nan=-1e300)),
            )
            for k in found
        ),
    )


def _fine(region: AlertRegion) -> int:
    """Nside of a grid with some thousands of pixels in the region."""
    around = 2.0 * np.pi * (1.0 - np.cos(max(region.reach(LEVEL), 1e-4)))
    return 1 << int(np.clip(np.ceil(0.5 * np.log2(4000.0 * np.pi / (3.0 * around))), 6, 13))


def _share(met: np.ndarray) -> Chance:
    n, p = len(met), float(met.mean())
    error, bound = float(np.sqrt(p * (1.0 - p) / n)), None if met.any() else 2.303 / n
    return Chance(p=p, error=error, n_trials=n, bound=bound, of="a source in the region", method=_MOVED)


def _transients(alert: Alert, region: AlertRegion, transport: astro_colibri.Transport | None) -> Transients:
    """Transients of five days to either side, in the smallest circle that holds the region."""
    if transport is None:
        return Transients(state="not searched: it was not asked for")
    from astropy.time import Time

    ends = [f"{Time(alert.time + days, format='mjd').isot[:19]}Z" for days in (-_DAYS, _DAYS)]
    place = [round(float(np.degrees(angle)), 4) for angle in (region.right_ascension, region.declination)]
    radius = round(float(np.degrees(region.reach(LEVEL))), 2)
    request = astro_colibri.Request((ends[0], ends[1]), (place[0], place[1], radius))
    said = astro_colibri.search(request, transport=transport)
    if isinstance(said, astro_colibri.NotSearched):
        return Transients(state=f"not searched: {said.reason}")
    found = tuple(" ".join(filter(None, (one.kind, one.name, one.time))) for one in said.transients)
    return Transients(state="searched", found=found, region=f"{said.region} of {radius:g} deg")


# ---- the whole catalogue of alerts ----------------------------------------------------------------------------------


class AlertPairs(Record):
    """Alerts and sources of a catalogue: found, and when every alert is moved in right ascension; both tails."""

    what: str = shown("what", short="what")
    found: int = shown("found", short="found")
    moved: Measured = shown("when moved, with the spread of one", short="moved")
    chance_more: Chance = shown("chance of as many or more", short="p more")
    chance_fewer: Chance = shown("chance of as few or fewer", short="p fewer")


class AllCounterpartsAnswer(Answer):
    """Whether alerts as a whole lie on sources of a catalogue."""

    rows: ClassVar = "counts"
    catalogue: str = shown("catalogue")
    n_alerts: int = shown("alerts")
    counts: tuple[AlertPairs, ...] = shown("alerts and sources")

    def headline(self) -> tuple[str, ...]:
        return tuple(
            f"{one.what}: {one.found} against {one.moved.value:.0f} +- {one.moved.error:.0f} by chance."
            for one in self.counts
            if not isinstance(one.moved.error, Unknown)
        )


def all_counterparts(
    alerts: Sequence[Alert], *, catalogue: str = CATALOGUES[0], moved: int = 1000, seed: int = 1
) -> AllCounterpartsAnswer:
    """Pairs of alerts and sources in their 90 % regions, against alerts moved in right ascension, each by its own."""
    regions = [alert_region(one.region) for one in alerts]
    rng = np.random.Generator(np.random.Philox(seed_of(seed, Stream.MOVED_ALERTS)))
    turns = rng.uniform(0.0, 2.0 * np.pi, (len(regions), moved))
    found = compared.pairs(regions, _sources(open_table(parse_catalogue(catalogue))), turns, LEVEL)
    counts = (
        ("pairs of an alert and a source in its region", found.pairs, found.moved_pairs),
        ("alerts with a source in their region", found.with_source, found.moved_with_source),
    )
    return AllCounterpartsAnswer(
        provenance=_whose("icecat1", "real", seed, len(regions)),
        catalogue=catalogue,
        n_alerts=len(regions),
        counts=tuple(
            AlertPairs(
                what=what,
                found=here,
                moved=Measured(value=float(there.mean()), error=float(there.std(ddof=1))),
                chance_more=_share(there >= here),
                chance_fewer=_share(there <= here),
            )
            for what, here, there in counts
        ),
    )
