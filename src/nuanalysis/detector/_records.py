"""What the simulation of the detector speaks in: the array and its ice, light, particles, pulses.

Lengths in m, times in ns, energies in GeV, angles in rad.  The origin is the centre of the detector, z points up, and a
``direction`` is the unit vector of *motion*: what comes from (zenith, azimuth) moves along
-(sin zenith cos azimuth, sin zenith sin azimuth, cos zenith).  Records of many events are flat, with ``start`` (event
+ 1,): what belongs to event i stands from start[i] to start[i + 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from nuanalysis.schema import Bools, Floats, Ints

Singles = NDArray[np.float32]


class Kind(IntEnum):
    """What an event is by the way it was made; a number that is stored."""

    ELECTRON_CHARGED = 0
    NEUTRAL = 1  # of any flavour
    TAU_CHARGED = 2
    MUON_STARTING = 3  # charged current of a muon neutrino, vertex inside the hull of the strings
    MUON_ENTERING = 4  # the same with the vertex outside: a through-going muon
    BUNDLE = 5  # of one or more atmospheric muons
    GLASHOW = 6


@dataclass(frozen=True, slots=True, eq=False)
class Ice:
    """Optical properties in layers at 400 nm; constant beyond the first and the last.

    height (layer,) : z of the middle of each layer, rising.  scattering, absorption (layer,) : *effective* scattering
    length and absorption length, m.  label, reference : whose model it is.
    """

    label: str
    reference: str
    height: Floats
    scattering: Floats
    absorption: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """An array of optical modules in ice.

    string, number (module,) : as they are counted, from 1.  position (module, 3).  efficiency (module,) : relative to
    a module of the usual kind, 0 where a module is dead.  Modules are known by their index: at IceCube
    60 (string - 1) + number - 1.
    """

    name: str
    string: Ints
    number: Ints
    position: Floats
    efficiency: Floats
    ice: Ice

    @property
    def alive(self) -> Bools:
        """Modules that see light, (module,)."""
        return np.asarray(self.efficiency > 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """Sources of light of a batch of events, flat.

    position (source, 3), direction (source, 3) of the axis, time (source,).  photons (source,) : *accepted* photons,
    those that a module of efficiency 1 would count if each met it face on.  cone (source,) : True for the bare
    Cherenkov cone of a track, False for the broad emission of a cascade.  start (event + 1,).
    """

    position: Floats
    direction: Floats
    time: Floats
    photons: Floats
    cone: Bools
    start: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What happened in each event of a batch, (event,) each, vectors (event, 3).

    kind : ``Kind``.  pdg : of the neutrino, signed; 0 for bundles.  energy : of the neutrino, or of the leading muon
    where the bundle enters the cylinder of generation.  inelasticity : 0 for bundles.  vertex, time, direction : of
    the interaction, or of the entry into that cylinder.  deposited : light inside the hull + 150 m as energy of an
    electromagnetic cascade.  brightest : largest share of ``deposited`` in one place (a sphere of 30 m).
    muon_energy : of the leading muon at the hull, 0 without one.  muons : their number at the entry.
    maximum : the place of the largest emission, a few m from the vertex of a cascade.
    weight : m2 sr GeV for neutrinos, so that a rate is the sum of flux x weight, flux of nu and nubar apart, per
    m2 s sr GeV; Hz for bundles.  number : of the event in its stream; everything follows from it and the seed.
    """

    kind: Ints
    pdg: Ints
    energy: Floats
    inelasticity: Floats
    vertex: Floats
    time: Floats
    direction: Floats
    deposited: Floats
    brightest: Floats
    muon_energy: Floats
    muons: Ints
    maximum: Floats
    weight: Floats
    number: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Particles:
    """A batch before its light has travelled: the truth, and where light is made."""

    truth: Truth
    light: Light


@dataclass(frozen=True, slots=True, eq=False)
class Pulses:
    """What the modules record, flat, in each event by module and then time.

    module (pulse,), time (pulse,) since the ``time`` 0 of the event, charge (pulse,) in photoelectrons.
    saturated (pulse,) : True where the module was beyond its linear range.  start (event + 1,).
    triggered (event,) : whether the simple majority trigger was met; trigger_time (event,), NaN without it.
    """

    module: Ints
    time: Singles
    charge: Singles
    saturated: Bools
    start: Ints
    triggered: Bools
    trigger_time: Floats


#: Columns of ``Hits.values``: charge, charge in the first 500 and 100 ns, first time, times at which 20 and 50 % of the
#: charge are in, last time, mean and standard deviation of times weighted by charge.
SUMMARY = ("charge", "charge_500", "charge_100", "first", "t20", "t50", "last", "mean", "spread")


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Pulses of each module summed up, flat, in each event by module: what a network sees.

    module (hit,).  values (hit, 9) : ``SUMMARY``; times since the start of the 6 us window with the largest charge.
    saturated (hit,).  start (event + 1,).  window (event,) : start of that window since ``time`` 0 of the event.
    """

    module: Ints
    values: Singles
    saturated: Bools
    start: Ints
    window: Floats
