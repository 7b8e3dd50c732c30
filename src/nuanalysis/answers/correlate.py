"""Do neutrinos lie near the Galactic plane or ultra-high-energy cosmic rays, or do they follow a map?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import BeforeValidator, PlainSerializer

from nuanalysis.answers import _correlations as tests
from nuanalysis.answers import _neutrinos as neutrinos
from nuanalysis.answers._correlations import Correlation, Curve
from nuanalysis.answers._neutrinos import ALERTS, Neutrinos
from nuanalysis.answers._question import Answer, checked_one, name_of, repeated
from nuanalysis.answers._reading import Reading
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import did_you_mean
from nuanalysis.ingest import find, uhecr
from nuanalysis.interpret import cosmic_rays
from nuanalysis.library import samples
from nuanalysis.library.hypotheses import at_hand, hypothesis
from nuanalysis.library.samples import Samples
from nuanalysis.plot import (
    BandSeries,
    Drawn,
    LatitudeSkies,
    Sidecar,
    latitude_figure,
    mark,
    multipole_figure,
    pairs_figure,
)
from nuanalysis.records import Chance, Record, setting, shown
from nuanalysis.sphere import cos_separation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLANE = "plane"
#: What the lists of cosmic rays are called, and whose events each is.
LISTS = {"uhecr": ("Auger", "TA"), "auger": ("Auger",), "ta": ("TA",)}
PUBLISHED = {
    PLANE: "Kovalev, Plavin & Troitsky, arXiv:2208.08423: 4.1 sigma in public tracks above 200 TeV",
    "uhecr": "ANTARES, IceCube, Auger and TA, arXiv:2201.07313: no significant correlation; before, p ~ 0.01, "
    "arXiv:1905.03997",
}
_LATITUDES = "latitudes of the observatories follow from the lists; no printed number was read"
HOT_SPOT = (np.radians(146.7), np.radians(43.2), np.radians(20.0))  # right ascension, declination, radius
_TRIALS = {PLANE: 20_000, "uhecr": 5_000, "maps": 1_000}
_SKIES = {tests.SCRAMBLED: "neutrinos moved", tests.ISOTROPIC: "isotropic cosmic rays"}
_BINS = 40


def _known_events(given: object) -> object:
    """Alerts, the name of a sample, or a sample that Python holds."""
    if isinstance(given, Samples) or given in (ALERTS, *samples.names()):
        return given
    raise ValueError(
        f"events is {given!r}; expected one of them.{did_you_mean(str(given), (ALERTS, *samples.names()))}"
    )


def _known_partner(given: object) -> object:
    return given if given in (PLANE, *LISTS) else checked_one(given)


Events = Annotated[Any, BeforeValidator(_known_events), PlainSerializer(name_of)]
Partner = Annotated[Any, BeforeValidator(_known_partner), PlainSerializer(name_of)]


class Correlate(Reading):
    """Neutrinos against the Galactic plane, ultra-high-energy cosmic rays or maps, with scrambles as the null."""

    example: ClassVar = {"trials": 200}
    against: tuple[Partner, ...] = setting(
        (PLANE,), help="plane, uhecr (or auger, ta), or maps: template:NAME or FILE, stack:CATALOGUE, one or more"
    )
    events: Events = setting(ALERTS, help="alerts (those of ICECAT-1), or a sample such as tracks or cascades-2023")
    min_energy: float | None = setting(
        None, low=0.0, high=1e5, unit="TeV", help="least energy of an event; without: 200, or 0 for maps"
    )
    min_declination: float = setting(-90.0, low=-90, high=89, unit="deg", help="least declination of an event")
    most_area: float = setting(
        10.0,
        above=0,
        high=41_253.0,
        unit="deg2",
        help="largest 90 % area of an alert; plane tests without a cut too",
    )
    highest: int = setting(10, low=1, high=100_000, help="number of most energetic events that are also tested alone")
    max_multipole: int = setting(29, low=1, high=96, help="largest l of maps; cascades resolve no more than 29")
    index: float = setting(2.7, low=1, high=4, help="of the power law by which events are weighted, for maps")
    trials: int = setting(0, low=0, high=1_000_000, help="skies; 0: 20000 for the plane, 5000 for uhecr, 1000 for maps")

    def model_post_init(self, context: object) -> None:
        names = [name_of(one) for one in self.against]
        faults = repeated(names, "maps")
        if not names or (len(names) > 1 and {PLANE, *LISTS} & set(names)):
            faults.append(f"against holds {', '.join(names) or 'nothing'}; expected {PLANE}, one of "
                          f"{', '.join(LISTS)}, or one or more maps")  # fmt: skip
        if 0 < self.trials < 100:
            faults.append(f"trials is {self.trials}; expected 100 or more, or 0 for the usual number")
        if faults:
            raise ValueError("; ".join(faults))

    @property
    def kind(self) -> str:
        """'plane', 'uhecr' or 'maps'."""
        first = name_of(self.against[0])
        return PLANE if first == PLANE else "uhecr" if first in LISTS else "maps"

    def ask(self) -> CorrelateAnswer:
        asked = {PLANE: self._plane, "uhecr": self._cosmic_rays, "maps": self._maps}[self.kind]
        if self.kind == "maps":
            for name in filter(lambda one: isinstance(one, str), self.against):
                at_hand(name)
        return asked(self._sample(), self.random(), self.trials or _TRIALS[self.kind])

    def _sample(self) -> Samples | None:
        """The sample; None for alerts.  Raises DataError where its releases are not here."""
        if isinstance(self.events, Samples):
            return self.events
        if self.events == ALERTS:
            return None
        spec = samples.sample_spec(name=self.events)
        samples.at_hand(spec)
        return samples.load(spec, self.seed)

    def _neutrinos(self, sample: Samples | None, *sources: str) -> Neutrinos:
        return neutrinos.of_samples(sample, sources) if sample is not None else neutrinos.of_alerts(sources, self.seed)

    @property
    def _least(self) -> float:
        """TeV."""
        return self.min_energy if self.min_energy is not None else 0.0 if self.kind == "maps" else 200.0

    def _energetic(self, events: Neutrinos) -> Neutrinos:
        return events.kept((events.energy >= self._least) & (events.declination >= np.radians(self.min_declination)))

    def _small(self, events: Neutrinos) -> Neutrinos:
        """Alerts with a small area; of samples, all."""
        return events.kept(~(events.area >= self.most_area))

    def _plane(self, sample: Samples | None, rng: np.random.Generator, n: int) -> CorrelateAnswer:
        events = self._neutrinos(sample, PUBLISHED[PLANE])
        every = self._energetic(events)
        chosen = [("all", every)]
        if sample is None:
            chosen = [(f"area < {self.most_area:g} deg²", self._small(every)), ("no cut on the area", every)]
        tested = [tests.near_plane(one, name, rng, n) for name, one in chosen]
        skies = [np.histogram(medians, _BINS, (0.0, 90.0))[0].astype(float).tolist() for _, medians in tested]
        rows = tuple(row for row, _ in tested)
        return self._answer(events, rows, skies=tuple(map(tuple, skies)), published=PUBLISHED[PLANE])

    def _cosmic_rays(self, sample: Samples | None, rng: np.random.Generator, n: int) -> CorrelateAnswer:
        rays = uhecr.read_events(find(uhecr.RELEASE))
        rays = rays.isel(event=np.isin(rays["observatory"].values, LISTS[name_of(self.against[0])]))
        events = self._neutrinos(sample, uhecr.RELEASE.reference, PUBLISHED["uhecr"], _LATITUDES)
        every = self._small(self._energetic(events))
        chosen = [("all", every)]
        if self.highest < len(every):
            chosen.append((f"{self.highest} highest", every.highest(self.highest)))
        found = [pair for name, one in chosen for pair in tests.pairs(one, name, rays, rng, n)]
        rows, curves = tuple(row for row, _ in found), tuple(curve for _, curve in found)
        spot = hot_spot(rays) if "TA" in rays["observatory"].values else None
        return self._answer(events, rows, curves=curves, hot_spot=spot, published=PUBLISHED["uhecr"])

    def _maps(self, sample: Samples | None, rng: np.random.Generator, n: int) -> CorrelateAnswer:
        maps = [hypothesis(one) for one in self.against]
        events = self._neutrinos(sample, *(one.target.reference for one in maps))
        events = neutrinos.weighed(events, sample, self.index) if sample is not None else events
        found = tests.spectra(self._energetic(events), maps, self.max_multipole, rng, n)
        family = found.chance if len(maps) > 1 else None
        return self._answer(events, found.rows, curves=found.curves, family=family)

    def _answer(self, events: Neutrinos, rows: tuple[Correlation, ...], **more: Any) -> CorrelateAnswer:
        return CorrelateAnswer(
            provenance=events.provenance, kind=self.kind, min_energy=self._least, correlations=rows, **more
        )


class HotSpot(Record):
    """Cosmic rays of Telescope Array around the centre of its hot spot."""

    n_events: int = shown("events of the list within 20 deg of RA 146.7, dec 43.2")
    expected: float = shown("expected of isotropic cosmic rays", form=".2f")
    published: str = shown("published", "19 events, 4.5 expected (Telescope Array 2014, as quoted beside the list)")

    def words(self, form: str = "") -> str:
        return f"{self.n_events} events within 20 deg, {self.expected:.2f} expected if isotropic; {self.published}"


class CorrelateAnswer(Answer):
    """Whether neutrinos keep near something."""

    rows: ClassVar = "correlations"
    kind: str = shown("kind of test", hidden=True)
    min_energy: float = shown("least energy", unit="TeV", form="g")
    correlations: tuple[Correlation, ...] = shown("tests")
    family: Chance | None = shown("chance of as large a sum in any of the maps", None)
    hot_spot: HotSpot | None = shown("hot spot of Telescope Array", None)
    published: str = shown("published", "")
    curves: tuple[Curve, ...] = shown("found and skies against angle or l", (), hidden=True)
    skies: tuple[tuple[float, ...], ...] = shown("medians of the skies from 0 to 90 deg, counts", (), hidden=True)

    def headline(self) -> tuple[str, ...]:
        return tuple(
            f"{one.n_events:,} {self._events} ({one.selection}): {one.statistic} {one.found:.4g}, {one.expected:.3g} "
            f"expected with {_SKIES[one.null]}, p {one.chance.cell()}."
            for one in self.correlations
        )

    @property
    def _events(self) -> str:
        return "alerts" if self.provenance.sample == "icecat1" else "events"

    def drawn(self) -> tuple[Drawn, ...]:
        origin = self.provenance.origin
        figure, caption = {PLANE: self._plane, "uhecr": self._pairs, "maps": self._multipoles}[self.kind](origin)
        said = "; ".join(self.provenance.notes)
        alt = f"{caption[0]} {' '.join(self.headline())}"
        sidecar = Sidecar(f"correlate-{self.kind}{mark(origin)}", alt, f"{' '.join(caption)} {said}.", origin, "other")
        return (Drawn(figure, sidecar),)

    def _plane(self, origin: str) -> tuple[Figure, tuple[str, ...]]:
        rows = [
            LatitudeSkies(f"{one.n_events} {self._events}, {one.selection}: p {one.chance.p:.2f}", np.array(counts),
                          one.found)
            for one, counts in zip(self.correlations, self.skies, strict=True)
        ]  # fmt: skip
        return latitude_figure(rows, origin=origin), (
            "Distribution of the median Galactic latitude.",
            f"Median |b| of {self._events} of at least {self.min_energy:g} TeV (lines) and of skies with uniform right "
            "ascensions at the same declinations (steps).",
        )

    def _pairs(self, origin: str) -> tuple[Figure, tuple[str, ...]]:
        return pairs_figure(self._series(), origin=origin), (
            "Pairs of neutrinos and cosmic rays over the mean of the skies, against the angle within which they lie.",
            f"{self._events.capitalize()} of at least {self.min_energy:g} TeV; bands hold 68 and 95 % of the skies: "
            "neutrinos moved in right ascension (left), isotropic cosmic rays with the exposure of each observatory "
            "(right).",
        )

    def _multipoles(self, origin: str) -> tuple[Figure, tuple[str, ...]]:
        return multipole_figure(self._series(), origin=origin), (
            "Harmonic cross-correlation of events and maps against the multipole.",
            "C_l in standard deviations of skies with uniform right ascensions; bands hold 68 and 95 % of them.",
        )

    def _series(self) -> list[BandSeries]:
        """The curves with the p-values of their rows: one a curve for pairs, the first of two for maps."""
        rows = self.correlations if self.kind == "uhecr" else self.correlations[::2]
        return [
            BandSeries(f"{curve.label}, {_SKIES[curve.null]}" if self.kind == "uhecr" else curve.label,
                       f"p {row.chance.cell()}", *(np.array(one) for one in (curve.at, curve.found, curve.skies)))
            for row, curve in zip(rows, self.curves, strict=True)
        ]  # fmt: skip


def hot_spot(rays: xr.Dataset) -> HotSpot:
    """Events of Telescope Array within its hot spot.  rays : of ``ingest.uhecr.read_events``."""
    ra, dec, radius = HOT_SPOT
    mine = rays.isel(event=rays["observatory"].values == "TA")
    cosine = cos_separation(ra, dec, mine["right_ascension"].values, mine["declination"].values)
    share = cosmic_rays.share_within(cosmic_rays.OBSERVATORIES["TA"], *HOT_SPOT)
    return HotSpot(n_events=int((cosine >= np.cos(radius)).sum()), expected=share * len(cosine))
