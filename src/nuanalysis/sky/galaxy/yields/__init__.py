"""How many neutrinos a nucleus makes on the gas, one file per source of cross sections.

To add one: write the file, add a line to ``YIELDS``.
"""

from __future__ import annotations

from nuanalysis.sky.galaxy.yields import aafrag, kelner
from nuanalysis.sky.galaxy.yields._yield import HELIUM_PER_HYDROGEN, Yields

YIELDS: dict[str, Yields] = {"kelner": kelner.YIELDS, "aafrag": aafrag.YIELDS}
