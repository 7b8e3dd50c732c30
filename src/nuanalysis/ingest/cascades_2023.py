"""The cascade release of the Galactic-plane paper (2023): response, rates, pi0 map, source lists, per-event terms.

It holds no directions and no times: `event_contributions_gp.csv` has likelihood ratios, energy and hull distance only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest._release import UpstreamRelease, files_of
from nuanalysis.ingest._table import is_number, located, read_bytes, read_numbers, spoiled, within
from nuanalysis.schema import Floats

LIVETIME_S = 304_047_105.07
TEMPLATES = ("pi0", "kra5", "kra50")
TERMS = ("SoB_space", "SoB_space_ss", "SoB_energy")
CONTRIBUTIONS = "MainResult/event_contributions_gp.csv"
STACKED = "Digitized_Tables/Table_S4.csv"

# Not required: what was made from the authors' repository, or typed from the paper's tables.
RELEASE = UpstreamRelease(
    name="cascades-2023",
    title="Observation of high-energy neutrinos from the Galactic plane: cascade data release",
    folder="icecube_gp2023_inputs",
    doi="10.21234/8v5d-rn16",
    doi_confirmed=True,
    licence="public release; licence line of the landing page not checked: link and cite, do not republish",
    citation="IceCube Collaboration 2023, Science 380, 1338, arXiv:2307.04427",
    files=files_of("cascades_2023"),
    notes="One zip of about 27 MB on the release page of icecube.wisc.edu "
    "(data-releases/2023/06/observation-of-high-energy-neutrinos-from-the-galactic-plane); its own address is not "
    "confirmed: download it there and run 'nuanalysis data import cascades-2023 THE.zip'. No event directions exist.",
)


def read_event_contributions(folder: Path) -> xr.Dataset:
    """Return the official per-event likelihood terms, dim ``event``, in the order and under the names of the release.

    index; {pi0,kra5,kra50}_{SoB_space, SoB_space_ss, SoB_energy} (signal over background); log10_energy; distance_hull
    in m (negative outside where the release says so).  TS(n) = 2 sum ln[1 + n/N (SoB_space - SoB_space_ss) SoB_energy].
    Raises DataError for a missing file or column, NaN, negative ratios or energies.
    """
    path = located(folder, RELEASE, CONTRIBUTIONS)
    ratios = tuple(f"{template}_{term}" for template in TEMPLATES for term in TERMS)
    table = read_numbers(path, ("index", *ratios, "energy", "distance_hull"))
    within(path, table, dict.fromkeys(ratios, (0.0, np.inf)) | {"energy": (1e-3, 1e12)})
    variables = {name: ("event", table[name], {"units": ""}) for name in ratios}
    return xr.Dataset(
        {
            "index": ("event", table["index"].astype(np.int64), {"units": ""}),
            **variables,
            "log10_energy": ("event", np.log10(table["energy"]), {"units": ""}),
            "distance_hull": ("event", table["distance_hull"], {"units": "m"}),
        },
        attrs={
            "sample": RELEASE.name,
            "origin": "real",
            "livetime_s": LIVETIME_S,
            "reference": RELEASE.reference,
            "note": "per-event likelihood terms only: the release holds no directions and no times",
        },
    )


def read_stacked_sources(folder: Path) -> dict[str, Floats]:
    """Return the positions that table S4 prints, by catalogue: (source, 2) right ascension and declination in deg.

    Raises DataError for a missing file and for a row that is no catalogue, source and position.
    """
    path = located(folder, RELEASE, STACKED)
    found: dict[str, list[tuple[float, float]]] = {}
    for number, line in enumerate(read_bytes(path).decode(errors="replace").splitlines()[1:], start=2):
        # The release prints one right ascension as 286.91.0.
        words = [word.strip().replace("286.91.0", "286.91") for word in line.split(",")]
        if len(words) != 4 or not (is_number(words[2]) and is_number(words[3])):
            raise spoiled(f"{path}, line {number}: expected catalogue, source, right ascension and declination")
        found.setdefault(words[0].lower(), []).append((float(words[2]), float(words[3])))
    return {name: np.array(rows) for name, rows in found.items()}
