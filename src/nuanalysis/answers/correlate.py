"""Do the most energetic neutrinos keep near the Galactic plane?"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from nuanalysis.answers._ensembles import counted
from nuanalysis.answers._question import Answer
from nuanalysis.answers._reading import Reading, read_from
from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest import find, icecat1
from nuanalysis.interpret import latitude
from nuanalysis.plot import Drawn, LatitudeSkies, Sidecar, latitude_figure, mark
from nuanalysis.records import Chance, Record, setting, shown
from nuanalysis.schema import Bools, Floats
from nuanalysis.trials import tail

PUBLISHED_TEST = "Kovalev, Plavin & Troitsky, arXiv:2208.08423: 4.1 sigma in public tracks above 200 TeV"
_BINS = 40


class Correlate(Reading):
    """Median Galactic latitude of alerts above an energy, against skies moved in right ascension."""

    example: ClassVar = {"trials": 200}
    min_energy: float = setting(200.0, low=0.0, high=1e5, unit="TeV", help="least energy of an alert")
    most_area: float = setting(
        10.0, above=0, high=41_253.0, unit="deg2", help="largest 90 % area; the test without a cut is always made too"
    )
    trials: int = setting(20_000, low=100, high=1_000_000, help="skies with uniform right ascensions")

    def ask(self) -> CorrelateAnswer:
        alerts, rng = icecat1.read_events(find(icecat1.RELEASE)), self.random()
        energetic = alerts["energy"].values >= self.min_energy
        small = energetic & (areas(alerts) < self.most_area)
        rows, skies = list[LatitudeRow](), list[tuple[float, ...]]()
        for name, kept in ((f"area < {self.most_area:g} deg²", small), ("no cut on the area", energetic)):
            row, medians = _tested(name, alerts, kept, rng, self.trials)
            rows.append(row)
            skies.append(tuple(np.histogram(medians, _BINS, (0.0, 90.0))[0].astype(float).tolist()))
        whose = read_from((icecat1.RELEASE.reference, PUBLISHED_TEST), self.seed, of=icecat1.RELEASE.name)
        return CorrelateAnswer(
            provenance=whose.model_copy(update={"n_events": alerts.sizes["alert"]}),
            min_energy=self.min_energy,
            latitude=tuple(rows),
            skies=tuple(skies),
        )


class LatitudeRow(Record):
    """The test on one selection of alerts."""

    selection: str = shown("alerts")
    n_alerts: int = shown("number", short="n")
    median: float = shown("median |b|", unit="deg", form=".1f", short="median |b|")
    expected: float = shown("median of the skies moved in right ascension", unit="deg", form=".1f", short="expected")
    chance: Chance = shown("chance of a median as small", short="p")


class CorrelateAnswer(Answer):
    """Whether energetic alerts keep near the plane."""

    rows: ClassVar = "latitude"
    min_energy: float = shown("least energy", unit="TeV", form="g")
    latitude: tuple[LatitudeRow, ...] = shown("median distance from the Galactic plane")
    published: str = shown("published test", PUBLISHED_TEST)
    skies: tuple[tuple[float, ...], ...] = shown("medians of the skies from 0 to 90 deg, counts", hidden=True)

    def headline(self) -> tuple[str, ...]:
        said = (
            f"{one.n_alerts} alerts ({one.selection}): median |b| {one.median:.1f} deg, p {one.chance.p:.2f}"
            for one in self.latitude
        )
        return (f"Above {self.min_energy:g} TeV {'; '.join(said)}.",)

    def drawn(self) -> tuple[Drawn, ...]:
        rows = [
            LatitudeSkies(f"{one.n_alerts} alerts, {one.selection}: p {one.chance.p:.2f}", np.array(counts), one.median)
            for one, counts in zip(self.latitude, self.skies, strict=True)
        ]
        figure = latitude_figure(rows, origin=self.provenance.origin)
        caption = (
            f"Median |b| of alerts of at least {self.min_energy:g} TeV (lines) and of skies with uniform right "
            f"ascensions at the same declinations (steps). {'; '.join(self.provenance.notes)}."
        )
        alt = f"Distribution of the median Galactic latitude. {self.headline()[0]}"
        origin = self.provenance.origin
        return (Drawn(figure, Sidecar(f"correlate-latitude{mark(origin)}", alt, caption, origin, "other")),)


def areas(alerts: xr.Dataset) -> Floats:
    """90 % area of each alert, deg^2, (alert,); alerts : as ``ingest.icecat1.read_events`` returns them."""
    keys = ("right_ascension_plus", "right_ascension_minus", "declination_plus", "declination_minus", "declination")
    return latitude.box_area(*(np.asarray(alerts[key].values, dtype=np.float64) for key in keys))


def _tested(name: str, alerts: xr.Dataset, kept: Bools, rng: np.random.Generator, n: int) -> tuple[LatitudeRow, Floats]:
    """The row of the alerts that are kept, and the medians of the skies, deg."""
    ra, dec = (np.asarray(alerts[key].values, dtype=np.float64)[kept] for key in ("right_ascension", "declination"))
    medians = np.degrees(latitude.scrambled_medians(dec, rng, n))
    found = float(np.degrees(np.median(latitude.distance_from_plane(ra, dec))))
    row = LatitudeRow(
        selection=name,
        n_alerts=len(ra),
        median=found,
        expected=float(np.median(medians)),
        chance=counted(tail(medians <= found), "a median |b| as small", "skies with uniform right ascensions"),
    )
    return row, medians
