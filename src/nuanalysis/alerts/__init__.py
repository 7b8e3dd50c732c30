"""Alerts: what is worth telling of a single event, how it is said, and how probable it is that it came from the sky.

Nothing here waits, listens or sends.
"""

from nuanalysis.alerts._records import JULIAN_YEAR_S, TIERS, Alert, Box, Origin, Region, Tense, Tier, Topology
