"""The cascade sample of 2023: reconstructed energy of at least 500 GeV, finite, with a usable angular error.

Published: 59,592 events in 304,047,105.07 s (Science 380, 1338; doi:10.21234/8v5d-rn16).  The selection levels before
the final one are not public; a synthetic twin starts at the final one and passes these cuts whole.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.selection._cuts import Cut
from nuanalysis.selection.cuts import Quality, Range

NAME = "cascades-2023"
LOWEST_LOG10_ENERGY = float(np.log10(500.0))

CUTS: tuple[Cut, ...] = (Quality(float(np.radians(0.5)), np.pi), Range("log10_energy", low=LOWEST_LOG10_ENERGY))
