"""Detectors of a projection: the samples that one adds up, how long each runs, and what is assumed of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.interpret.outlook import LEAST, Asimov, Expected, asimov, expected, together
from nuanalysis.library import outlook as detectors
from nuanalysis.model import Hypothesis
from nuanalysis.response import gen2
from nuanalysis.simulate import YEAR

ICECUBE, ARCA, GEN2 = "IceCube cascades", "ARCA", "Gen2 cascades, assumed"
_FEWEST = 0.01  # background events of a ring that tells of the index; below, tables hold zeros
LONGEST = 15.0  # years of ARCA and Gen2 that decide which rings take part


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One sample of a line: its expectation, and its livetime in years where that does not grow (0: it grows)."""

    seen: Expected
    fixed: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Samples of one detector: longest in years decides which rings take part; area and threshold (TeV) are of Gen2."""

    name: str
    parts: tuple[Part, ...]
    longest: float = LONGEST
    area: float = 1.0
    threshold: float = 0.0

    def index_error(self, years: float, flux: float) -> float:
        """Expected error of the index, the flux free, from nearly every ring.

        Those with few events have the highest energies, which tell most of it.  Fits to experiments scatter as much:
        0.088 at twice the published flux of pi0, where the rings of ``at`` say 0.133 (validation/test_outlook.py).
        """
        return self.at(years, flux, least=_FEWEST).index_error

    def at(self, years: float, flux: float, *, least: float = LEAST) -> Asimov:
        """What it is expected to see of a flux, E^2 dN/dE at 100 TeV in TeV cm^-2 s^-1, in so many years.

        least : background events of a ring that takes part.
        """
        lowest = float(np.log10(1e3 * self.threshold)) if self.threshold else 0.0
        found = []
        for part in self.parts:
            live, longest = part.fixed or years, part.fixed or max(self.longest, years)
            how = {"longest_s": longest * YEAR, "threshold": lowest, "area": self.area, "least": least}
            found.append(asimov(part.seen, flux, live * YEAR, **how))
        return together(tuple(found))


def icecube(tested: Hypothesis, longest: float) -> Line:
    """IceCube's cascades."""
    return Line(ICECUBE, (Part(expected(detectors.cascades(), tested)),), longest)


def arca(tested: Hypothesis) -> Line:
    """Tracks and showers of ARCA.  Raises DataError where its release is not here."""
    return Line(ARCA, tuple(Part(expected(detectors.arca(channel), tested)) for channel in ("tracks", "showers")))


def gen2_line(seen: Expected, threshold: float, area: float = gen2.AREA) -> Line:
    """Gen2 with these assumptions; seen : of ``library.outlook.gen2_cascades``."""
    return Line(GEN2, (Part(seen),), area=area, threshold=threshold)
