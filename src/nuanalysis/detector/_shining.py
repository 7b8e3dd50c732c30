"""Light of the muons and cascades of a batch of events, and what it says about each event.

A muon shines as the bare cone of its track, one source a segment, and broadly: secondaries, small radiation and losses
below 1 TeV of a segment are one source at their mean place.  A larger loss is a cascade like any other.  The cost of
what follows grows with the number of sources.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.detector._emission import (
    ACCEPTED_PER_METRE,
    Cascades,
    cascade_light,
    em_length,
    hadronic_fraction,
    muon_secondaries,
    shower_maximum,
)
from nuanalysis.detector._event_kernels import brightest_places, part_keys, uniforms
from nuanalysis.detector._ice import SPEED_OF_LIGHT
from nuanalysis.detector._muons import NUCLEAR, STEP, Keys, Tracks, propagate, soft_radiation
from nuanalysis.detector._records import Light
from nuanalysis.detector._volume import Hull, chord, inside
from nuanalysis.schema import Floats, Ints

KEPT = 250.0  # m around the hull: sources beyond it are left out
COUNTED = 150.0  # m around the hull: light in it is ``deposited``
_OWN_CASCADE = 1000.0  # GeV
_ONE_PLACE = 30.0  # m


@dataclass(frozen=True, slots=True, eq=False)
class Muons:
    """Muons of a batch, flat: event, position (muon, 3), direction (muon, 3), time (ns), energy (GeV), key."""

    event: Ints
    position: Floats
    direction: Floats
    time: Floats
    energy: Floats
    key: Keys


@dataclass(frozen=True, slots=True, eq=False)
class Showers:
    """Cascades of a batch, flat, with the event of each and a standard normal number for its light."""

    event: Ints
    cascades: Cascades
    normal: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Sources of light, flat, with the event of each; the rest as in ``Light``."""

    event: Ints
    position: Floats
    direction: Floats
    time: Floats
    photons: Floats
    cone: bool


def _merged(tracks: Tracks) -> tuple[Floats, Floats]:
    """Broad light of each segment, in metres of bare track, and its mean place along the muon, (segment,) each."""
    own = muon_secondaries(tracks.energy) * tracks.length + em_length(soft_radiation(tracks.energy) * tracks.length)
    small = tracks.loss < _OWN_CASCADE
    loss, segment, hadronic = tracks.loss[small], tracks.loss_segment[small], tracks.process[small] == NUCLEAR
    metres = em_length(loss) * np.where(hadronic, hadronic_fraction(np.maximum(loss, 1.0)), 1.0)
    place = tracks.place[small] + shower_maximum(loss, hadronic)
    n = len(own)
    total = own + np.bincount(segment, metres, n)
    return total, (own * tracks.middle + np.bincount(segment, metres * place, n)) / np.maximum(total, 1e-300)


def _along(muons: Muons, which: Ints, place: Floats, metres: Floats, *, cone: bool) -> _Part:
    direction = muons.direction[which]
    return _Part(
        muons.event[which],
        muons.position[which] + place[:, None] * direction,
        direction,
        muons.time[which] + place / SPEED_OF_LIGHT,
        ACCEPTED_PER_METRE * metres,
        cone,
    )


def _large_losses(muons: Muons, tracks: Tracks) -> Showers:
    large = np.flatnonzero(tracks.loss >= _OWN_CASCADE)
    which, place = tracks.loss_muon[large], tracks.place[large]
    of, first = np.unique(which, return_index=True)
    number = np.arange(len(which)) - first[np.searchsorted(of, which)] if len(which) else which
    normal = scipy.special.ndtri(np.clip(uniforms(part_keys(muons.key[which], number), 1)[0], 1e-15, None))
    direction = muons.direction[which]
    return Showers(
        muons.event[which],
        Cascades(
            tracks.loss[large],
            tracks.process[large] == NUCLEAR,
            muons.position[which] + place[:, None] * direction,
            direction,
            muons.time[which] + place / SPEED_OF_LIGHT,
        ),
        normal,
    )


def _energy_at(tracks: Tracks, place: Floats) -> Floats:
    """Energy of muons at a place of each, (muon,): the mean of its segment; 0 of those that do not come so far."""
    beyond = np.flatnonzero(tracks.middle + 0.5 * tracks.length > place[tracks.segment_muon])
    muon, first = np.unique(tracks.segment_muon[beyond], return_index=True)
    found = np.zeros(len(place))
    found[muon] = tracks.energy[beyond[first]]
    return found


def _muon_parts(muons: Muons, hull: Hull, step: float) -> tuple[list[_Part], Showers, Floats]:
    """Light of muons, their large losses, and the energy of each where it is in the hull or nearest to it, (muon,)."""
    enter, leave = chord(hull.grown(KEPT), muons.position, muons.direction)
    first, stop = np.maximum(enter, 0.0), np.where(leave > enter, np.maximum(leave, 0.0), 0.0)
    tracks = propagate(muons.key, muons.energy, first=first, stop=stop, step=step)
    metres, place = _merged(tracks)
    into, out = chord(hull, muons.position, muons.direction)
    nearest = np.clip(np.where(into <= out, into, 0.5 * (into + out)), first, None)
    parts = [
        _along(muons, tracks.segment_muon, tracks.middle, tracks.length, cone=True),
        _along(muons, tracks.segment_muon, place, metres, cone=False),
    ]
    return parts, _large_losses(muons, tracks), _energy_at(tracks, nearest)


def _shower_part(showers: Showers, hull: Hull) -> _Part:
    near = np.flatnonzero(inside(hull.grown(KEPT), showers.cascades.position) & (showers.cascades.energy > 0.0))
    one = showers.cascades
    chosen = Cascades(one.energy[near], one.hadronic[near], one.position[near], one.direction[near], one.time[near])
    found = cascade_light(chosen, showers.normal[near])
    event = np.repeat(showers.event[near], found.count)
    return _Part(event, found.position, found.direction, found.time, found.photons, False)


def _joined(parts: list[_Part], events: int) -> Light:
    """All sources in the order of their events."""
    event = np.concatenate([p.event for p in parts])
    order = np.argsort(event, kind="stable")
    return Light(
        np.concatenate([p.position for p in parts])[order],
        np.concatenate([p.direction for p in parts])[order],
        np.concatenate([p.time for p in parts])[order],
        np.concatenate([p.photons for p in parts])[order],
        np.concatenate([np.full(len(p.event), p.cone) for p in parts])[order],
        np.searchsorted(event[order], np.arange(events + 1)),
    )


def shine(muons: Muons, showers: Showers, events: int, hull: Hull, *, step: float = STEP) -> tuple[Light, Floats]:
    """Light of a batch within ``KEPT`` m of the hull, and the energy of its leading muon at the hull, (event,)."""
    parts, losses, energy = _muon_parts(muons, hull, step)
    leading = np.zeros(events)
    np.maximum.at(leading, muons.event, energy)
    parts += [_shower_part(showers, hull), _shower_part(losses, hull)]
    return _joined(parts, events), leading


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """Of each event: ``deposited``, ``brightest`` and ``maximum`` as in ``Truth``; the place is NaN without light."""

    deposited: Floats
    brightest: Floats
    maximum: Floats


def summary(light: Light, hull: Hull) -> Summary:
    """What the light of events within ``COUNTED`` m of the hull adds up to."""
    counted = np.where(inside(hull.grown(COUNTED), light.position), light.photons, 0.0)
    event = np.repeat(np.arange(len(light.start) - 1), np.diff(light.start))
    total = np.bincount(event, counted, len(light.start) - 1)
    place = brightest_places(light.position, counted, light.start, _ONE_PLACE)
    lit = total > 0.0
    return Summary(
        total / (ACCEPTED_PER_METRE * float(em_length(1.0))),
        np.where(lit, place[:, 3] / np.where(lit, total, 1.0), 0.0),
        np.where(lit[:, None], place[:, :3], np.nan),
    )
