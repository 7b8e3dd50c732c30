"""Ultra-high-energy cosmic rays: 231 events of the Pierre Auger Observatory and 72 of Telescope Array.

As a list of sources, ``uhecr``: each direction with a Gaussian sigma that falls with its energy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest._release import UpstreamRelease, files_of
from nuanalysis.ingest._source_tables import Layout
from nuanalysis.ingest._table import located, present, read_numbers, within
from nuanalysis.ingest._tracks import wrapped
from nuanalysis.store import sha256_file

if TYPE_CHECKING:
    from astropy.table import Table

#: Of each observatory: its file, its events and the least energy of the list in EeV.
OBSERVATORIES = {"Auger": ("uhecr_auger2014.csv", 231, 52.0), "TA": ("uhecr_ta2014.csv", 72, 57.0)}
DEFLECTIONS = (3, 6)  # deg at 100 EeV
_COLUMNS = ("zenith_deg", "energy_EeV", "ra_deg", "dec_deg")

RELEASE = UpstreamRelease(
    name="uhecr",
    title="Ultra-high-energy cosmic rays: Pierre Auger Observatory 2004 to 2014, Telescope Array 2008 to 2013",
    folder="flux_points",
    licence="CC BY-SA 4.0 (Auger); none stated (TA): cite, do not publish again",
    citation=(
        "Pierre Auger Collaboration 2015, ApJ 804, 15, arXiv:1411.6111; Telescope Array Collaboration 2014, ApJ 790, "
        "L21, table 1"
    ),
    files=files_of("uhecr"),
    notes="Two printed lists as CSV files, no archive: bring them by hand.",
)


def read_events(folder: Path) -> xr.Dataset:
    """Both lists, dim ``event``: observatory, energy in EeV, zenith, right_ascension, declination in rad (J2000).

    Above 52 EeV (Auger) and 57 EeV (TA), each on its observatory's own energy scale.  Raises DataError.
    """
    parts = [_read(folder, *OBSERVATORIES[name]) for name in OBSERVATORIES]
    energy, zenith, ra, dec = (np.concatenate([one[name] for one in parts]) for name in
                               ("energy_EeV", "zenith_deg", "ra_deg", "dec_deg"))  # fmt: skip
    whose = np.repeat(list(OBSERVATORIES), [len(one["ra_deg"]) for one in parts])
    about = {"origin": "real", "reference": RELEASE.reference, "licence": RELEASE.licence}
    return xr.Dataset(
        {
            "observatory": ("event", whose),
            "energy": ("event", energy, {"units": "EeV"}),
            "zenith": ("event", np.deg2rad(zenith), {"units": "rad"}),
            "right_ascension": ("event", wrapped(ra), {"units": "rad"}),
            "declination": ("event", np.deg2rad(dec), {"units": "rad"}),
        },
        attrs=about,
    )


def _read(folder: Path, file: str, rows: int, least: float) -> dict[str, np.ndarray]:
    path = located(folder, RELEASE, file)
    table = read_numbers(path, _COLUMNS, rows=rows)
    within(path, table, {"zenith_deg": (0.0, 90.0), "energy_EeV": (least, 1e3), "ra_deg": (0.0, 360.0),
                         "dec_deg": (-90.0, 90.0)})  # fmt: skip
    return table


# --- as a list of sources ---------------------------------------------------------------------------------------------

_LAYOUT = Layout(
    "uhecr",
    "directions of ultra-high-energy cosmic rays",
    tuple(file for file, _, _ in OBSERVATORIES.values()),
    "",
    sum(rows for _, rows, _ in OBSERVATORIES.values()),
    {"name": "name", "ra": "ra", "dec": "dec", "frame": "icrs", "class": "observatory", "extension": "sigma_3deg"},
    frozenset(),
    RELEASE.reference,
    lambda table, other: [],
)
LAYOUTS = {_LAYOUT.name: _LAYOUT}


def lying(folder: Path, name: str) -> tuple[Path, ...]:
    """Where the files of the list lie; empty unless both are there."""
    paths = [present(folder, file) for file in RELEASE.files]
    return tuple(path for path in paths if path is not None) if all(paths) else ()


def read_catalogue(folder: Path, name: str) -> Table:
    """The directions with sigma_3deg and sigma_6deg, deg: 3 or 6 deg x (100 EeV / E), what magnetic fields may do.

    Raises DataError.
    """
    from astropy.table import Table

    events = read_events(folder)
    whose, energy = events["observatory"].values, events["energy"].values
    number = np.concatenate([np.arange(1, 1 + rows) for _, rows, _ in OBSERVATORIES.values()])
    table = Table({"name": [f"{who} {k}" for who, k in zip(whose, number, strict=True)], "observatory": whose})
    for new, old in (("ra", "right_ascension"), ("dec", "declination")):
        table[new] = np.degrees(events[old].values)
    table["energy"] = energy
    for degrees in DEFLECTIONS:
        table[f"sigma_{degrees}deg"] = degrees * 100.0 / energy
    for column in table.colnames[2:]:
        table[column].unit = "EeV" if column == "energy" else "deg"
    sha256 = " ".join(sha256_file(path) for path in lying(folder, name))
    table.meta = {"file": "uhecr", "sha256": sha256, "title": _LAYOUT.title, "reference": _LAYOUT.reference}
    table.meta |= {"table": "", "format": "CSV", "layout": name, "columns": dict(_LAYOUT.columns), "frame": "icrs"}
    table.meta["notes"] = ["the sigma at 100 EeV is a choice: extension=sigma_6deg takes twice as much"]
    return table
