"""'pi0-hybrid': a published gas column with the cosmic rays of the built-in model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nuanalysis.errors import DataError
from nuanalysis.ingest import find, galactic_templates
from nuanalysis.sky.galaxy import GAS, SOURCES
from nuanalysis.sky.records import Template
from nuanalysis.sky.templates import Recipe, index_parameter, parameter, pi0_hybrid

HYBRID = "pi0-hybrid"
HYBRID_COLUMN = "hi4pi_nh"


@dataclass(frozen=True, slots=True)
class HybridParameters:
    """Parameters of the hybrid of a measured gas column and the analytic model; as for pi0-like."""

    gas: str = parameter("bronfman-ferriere", "gas model of distances and molecules", choices=tuple(GAS))
    sources: str = parameter("case-1998", "where cosmic rays come from", choices=tuple(SOURCES))
    halo_height: float = parameter(4.0, "half-height of the halo of cosmic rays, kpc", low=1.0, high=20.0)
    index: float = index_parameter(2.7)


def hybrid_recipe() -> Recipe:
    """The recipe of 'pi0-hybrid'; making it reads the HI4PI column of the release galactic-templates."""
    return Recipe(
        HYBRID,
        "pi0-like emission of the measured HI4PI gas column, cosmic rays and molecular gas from the analytic model",
        galactic_templates.GAS[HYBRID_COLUMN][1],
        HybridParameters,
        _make_hybrid,
    )


def _make_hybrid(parameters: HybridParameters, nside: int) -> Template:
    column = galactic_templates.read_gas_map(find(galactic_templates.RELEASE), HYBRID_COLUMN)
    values = np.asarray(column["density"].values, dtype=np.float64)
    reference = f"{column.attrs['reference']}, Magellanic Clouds replaced by their surroundings"
    return pi0_hybrid.make(pi0_hybrid.without_magellanic_clouds(values), reference, nside, **asdict(parameters))


def column_path() -> Path | None:
    """Where the gas column lies; None where it is not here."""
    try:
        path = find(galactic_templates.RELEASE) / f"{HYBRID_COLUMN}_nside64.fits"
    except DataError:
        return None
    return next((p for p in (path, path.with_name(path.name + ".gz")) if p.is_file()), None)
