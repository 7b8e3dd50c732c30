"""A parametric simulation of light in ice: particles, photons, modules, pulses.  It is nobody's official simulation.

Plain functions on frozen records; events are pure functions of (seed, stream, number).  What leaves this room for the
analysis leaves as EVENTS and RESPONSE datasets, like any release.
"""

from nuanalysis.detector._records import (
    SUMMARY,
    Detector,
    Hits,
    Ice,
    Kind,
    Light,
    Particles,
    Pulses,
    Singles,
    Truth,
)
