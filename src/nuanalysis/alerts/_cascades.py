"""A stream of cascade alerts, from what is published of the cascade sample of 2023.

The selection of IceCube's own cascade alerts is not public: this is what a cut on the reconstructed energy would give.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.alerts._records import JULIAN_YEAR_S
from nuanalysis.errors import InputError
from nuanalysis.response import cascades_2023
from nuanalysis.schema import Floats


@dataclass(frozen=True, slots=True)
class CascadeStream:
    """Cascades above a reconstructed energy: events per year, the share that is astrophysical, background per year.

    Without atmospheric muons, of which no energies were released (7 % of the sample at all energies).
    """

    above_tev: float
    per_year: float
    purity: float
    far_per_yr: float


def cascade_stream(above_tev: float) -> CascadeStream:
    """The stream above an energy between 0.5 and 500 TeV, flat in log E within the bins of figure S1 of the release.

    ``purity`` is also p_astro of a cascade of just that energy, as it is defined for alerts: of all events at least
    as energetic.  For the diffuse flux of that release, E^-2.53.  Raises InputError outside.
    """
    if not 0.5 <= above_tev <= 500.0:
        raise InputError(
            f"an energy of {above_tev:g} TeV; expected 0.5 to 500 TeV: below is the threshold of the sample, above are "
            "fewer than two events in ten years"
        )
    table = cascades_2023.marginals()
    background, signal = (_above(column, table.log10_energy_edges, above_tev) for column in table.energy.T)
    years = cascades_2023.LIVETIME_S / JULIAN_YEAR_S
    return CascadeStream(above_tev, (background + signal) / years, signal / (background + signal), background / years)


def _above(counts: Floats, edges: Floats, above_tev: float) -> float:
    beyond = np.append(np.cumsum(counts[::-1])[::-1], 0.0)
    return float(np.interp(np.log10(above_tev) + 3.0, edges, beyond))
