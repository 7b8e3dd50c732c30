"""The muon that comes with an atmospheric neutrino from above, out of the same air shower.

The hardest one alone, on the line of the neutrino, with its energy at the detector given where it comes near the hull.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.detector._event_kernels import part_keys
from nuanalysis.detector._ice import SPEED_OF_LIGHT
from nuanalysis.detector._muons import Keys
from nuanalysis.detector._shining import KEPT, Muons
from nuanalysis.detector._veto import CHARM, NUE, NUMU, leading_energy
from nuanalysis.detector._volume import Hull, chord, slant
from nuanalysis.schema import Floats, Ints

#: Yields of the neutrinos of each origin: of electron and of muon flavour.
ORIGINS = {"conventional": (NUE, NUMU), "prompt": (CHARM, CHARM)}
_PART = 1  # of the keys of an event: 0 is the muon of the interaction


def companion_energies(origin: str, pdg: Ints, energy: Floats, cos_zenith: Floats, depth: Floats, u: Floats) -> Floats:
    """Energies at the detector, (event,) GeV, of u even in [0, 1); 0 without one, for tau neutrinos, and from below.

    origin : a key of ``ORIGINS``.  depth (event,) : ice towards the zenith, m.
    """
    found = np.zeros(len(u))
    for flavour, law in zip((12, 14), ORIGINS[origin], strict=True):
        use = np.flatnonzero((np.abs(pdg) == flavour) & (cos_zenith > 0.0))
        found[use] = leading_energy(law, np.log10(energy[use]), cos_zenith[use], depth[use], u[use])
    return found


def companions(hull: Hull, event: Ints, vertex: Floats, direction: Floats, energy: Floats, keys: Keys) -> Muons:
    """Muons of ``energy`` (event,), none where it is 0, from where the line of each event comes near the hull."""
    use = np.flatnonzero(energy > 0.0)
    enter, leave = chord(hull.grown(KEPT), vertex[use], direction[use])
    use, enter = use[enter < leave], enter[enter < leave]
    place = vertex[use] + enter[:, None] * direction[use]
    key = part_keys(keys[use], np.full(len(use), _PART))
    return Muons(event[use], place, direction[use], enter / SPEED_OF_LIGHT, energy[use], key)


def overburden(hull: Hull, vertex: Floats, direction: Floats) -> Floats:
    """Ice between the surface and where lines come near the hull, (event,) m; of the vertex where they miss it."""
    enter, leave = chord(hull.grown(KEPT), vertex, direction)
    along = np.where(enter < leave, enter, 0.0)
    place = vertex + along[:, None] * direction
    place[:, 2] = np.minimum(place[:, 2], hull.high + KEPT)
    return slant(place, -direction[:, 2])
