"""Where the hydrogen of the Milky Way is, one file per model.  To add one: write the file, add a line to ``GAS``."""

from __future__ import annotations

from nuanalysis.sky.galaxy.gas import bronfman_ferriere, ferriere, nakanishi_sofue
from nuanalysis.sky.galaxy.gas._gas import Gas, Part

GAS: dict[str, Gas] = {
    "bronfman-ferriere": bronfman_ferriere.GAS,
    "nakanishi-sofue": nakanishi_sofue.GAS,
    "ferriere": ferriere.GAS,
}
