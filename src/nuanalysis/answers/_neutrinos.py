"""Directions that are correlated with something: alerts of ICECAT-1, or the events of a sample."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nuanalysis.answers._question import pose, provenance_of
from nuanalysis.answers._reading import read_from
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError
from nuanalysis.ingest import find, icecat1
from nuanalysis.interpret import harmonics, latitude
from nuanalysis.library.samples import Samples
from nuanalysis.model import terms
from nuanalysis.records import Provenance
from nuanalysis.schema import Bools, Floats

ALERTS = "alerts"
_SIGMAS_90 = float(np.sqrt(-2.0 * np.log(0.1)))  # radius that holds 90 per cent of a round Gaussian, in sigma
_COLUMNS = ("right_ascension", "declination", "energy", "error", "area", "weight")
_WEIGHED = "template:galactic-plane-box"  # any map: what events are weighed with depends on the spectrum alone


@dataclass(frozen=True, slots=True, eq=False)
class Neutrinos:
    """Directions and angular errors in rad, energies in TeV as reconstructed, (event,) each.

    area : 90 % area of alerts in deg^2, NaN of others.    weight : relative, of sums over events.
    """

    provenance: Provenance
    right_ascension: Floats
    declination: Floats
    energy: Floats
    error: Floats
    area: Floats
    weight: Floats

    def __len__(self) -> int:
        return len(self.energy)

    def kept(self, which: Bools) -> Neutrinos:
        """Some of them.  Raises InputError where none is left."""
        if not which.any():
            raise InputError("no event is left to test; lower the energy or widen the area")
        return replace(self, **{name: getattr(self, name)[which] for name in _COLUMNS})

    def highest(self, n: int) -> Neutrinos:
        """The n most energetic."""
        return self.kept(np.isin(np.arange(len(self)), np.argsort(-self.energy, kind="stable")[:n]))


def areas(alerts: xr.Dataset) -> Floats:
    """90 % area of each alert, deg^2, (alert,); alerts : as ``ingest.icecat1.read_events`` returns them."""
    keys = ("right_ascension_plus", "right_ascension_minus", "declination_plus", "declination_minus", "declination")
    return latitude.box_area(*(np.asarray(alerts[key].values, dtype=np.float64) for key in keys))


def of_alerts(sources: tuple[str, ...], seed: int) -> Neutrinos:
    """The alerts of ICECAT-1, each as a Gaussian with its 90 % area and weighed with its signalness.

    Raises DataError where the release is not here.
    """
    alerts = icecat1.read_events(find(icecat1.RELEASE))
    ra, dec, energy, signal = (
        np.asarray(alerts[name].values, dtype=np.float64)
        for name in ("right_ascension", "declination", "energy", "signalness")
    )
    whose = read_from((icecat1.RELEASE.reference, *sources), seed, of=icecat1.RELEASE.name)
    area = areas(alerts)
    error = np.radians(np.sqrt(area / np.pi)) / _SIGMAS_90
    return Neutrinos(whose.model_copy(update={"n_events": len(ra)}), ra, dec, energy, error, area, signal)


def of_samples(samples: Samples, sources: tuple[str, ...]) -> Neutrinos:
    """The events of a sample, all of the same weight."""
    ra, dec, log10, error = (
        np.concatenate([season.array(name) for season in samples.seasons])
        for name in ("right_ascension", "declination", "log10_energy", "angular_error")
    )
    whose = provenance_of(samples)
    whose = whose.model_copy(update={"notes": (samples.reference, *sources, *whose.notes)})
    return Neutrinos(whose, ra, dec, 10.0 ** (log10 - 3.0), error, np.full(len(ra), np.nan), np.ones(len(ra)))


def weighed(events: Neutrinos, samples: Samples, index: float) -> Neutrinos:
    """Events of a sample with the weights of the likelihood for a power law."""
    prepared = pose(_WEIGHED, samples, index=index, index_free=False).prepared
    return replace(events, weight=harmonics.event_weights(prepared, terms(prepared)))
