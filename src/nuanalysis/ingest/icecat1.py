"""ICECAT-1, version 4: 348 alert tracks with 90 % boxes and signalness, and the effective areas of the streams."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest._release import UpstreamRelease, files_of
from nuanalysis.ingest._table import all_there, checked, faults_named, located, read_bytes, within
from nuanalysis.ingest._tracks import wrapped

ROWS = 348
TABLE = "IceCube_Gold_Bronze_Tracks.csv"
# Declination bands of the area tables, north to south as printed, and their edges in deg, south to north.
BANDS = ("30-90", "0-30", "-5-0", "-30--5", "-90--30")
BAND_EDGES_DEG = (-90.0, -30.0, -5.0, 0.0, 30.0, 90.0)
TEXTS = {"name": "NAME", "stream": "I3TYPE", "other_streams": "OTHER_I3TYPES", "start": "START"}
NUMBERS = {
    "run": ("RUNID", ""), "event_id": ("EVENTID", ""), "mjd": ("EVENTMJD", "d"),
    "right_ascension": ("RA", "rad"), "declination": ("DEC", "rad"),
    "right_ascension_plus": ("RA_ERR_PLUS", "rad"), "right_ascension_minus": ("RA_ERR_MINUS", "rad"),
    "declination_plus": ("DEC_ERR_PLUS", "rad"), "declination_minus": ("DEC_ERR_MINUS", "rad"),
    "energy": ("ENERGY", "TeV"), "false_alarm_rate": ("FAR", "yr-1"), "signalness": ("SIGNAL", ""),
    "score_cascade": ("CASCADE_SCR", ""), "score_skimming": ("SKIMMING_SCR", ""), "score_starting": ("START_SCR", ""),
    "score_stopping": ("STOP_SCR", ""), "score_through_going": ("THRGOING_SCR", ""),
}  # fmt: skip
LIMITS = {
    "EVENTMJD": (50000.0, 80000.0), "RA": (0.0, 360.0), "DEC": (-90.0, 90.0), "ENERGY": (1e-3, 1e9),
    "SIGNAL": (0.0, 1.0),
}  # fmt: skip

RELEASE = UpstreamRelease(
    name="icecat1",
    title="ICECAT-1: IceCube event catalogue of alert tracks, version 4",
    folder="icecube_icecat1",
    doi="10.7910/DVN/SCRUCD",
    doi_confirmed=True,
    licence="CC0-1.0",
    citation="IceCube Collaboration (Abbasi et al.) 2023, ApJS 269, 25, arXiv:2304.01174",
    files=files_of("icecat1"),
    archive_url="https://dataverse.harvard.edu/api/access/dataset/:persistentId/"
    "?persistentId=doi:10.7910/DVN/SCRUCD&format=original",
    notes="The archive of the Dataverse also holds the likelihood maps of every alert and is large.",
)
STREAMS = tuple(file.path[len("eff_area/Effa_") : -len(".txt")] for file in RELEASE.files if "Effa_" in file.path)


def read_events(folder: Path) -> xr.Dataset:
    """Return the 348 alerts, dim ``alert``, sorted by time; angles in rad, energy in TeV (most probable for E^-2.19).

    right_ascension_plus ... declination_minus: 90 % box.  Not the EVENTS schema: alerts have no common exposure and
    no per-event sigma.  Raises DataError.
    """
    import pandas as pd

    path = located(folder, RELEASE, TABLE)
    content = read_bytes(path)
    with faults_named(path):
        rows = pd.read_csv(io.BytesIO(content), keep_default_na=False, dtype=str, float_precision="round_trip")
    all_there(path, [*TEXTS.values(), *(old for old, _ in NUMBERS.values()), "CR_VETO"], rows.columns)
    with faults_named(path):
        table = {old: rows[old].to_numpy().astype(np.float64) for old, _ in NUMBERS.values()}
    table = checked(path, table, rows=ROWS)
    within(path, table, LIMITS)
    variables: dict[str, object] = {new: ("alert", rows[old].to_numpy(dtype=str)) for new, old in TEXTS.items()}
    for new, (old, unit) in NUMBERS.items():
        values = wrapped(table[old]) if old == "RA" else np.deg2rad(table[old]) if unit == "rad" else table[old]
        variables[new] = ("alert", values.astype(np.int64) if old in ("RUNID", "EVENTID") else values, {"units": unit})
    variables["cosmic_ray_veto"] = ("alert", (rows["CR_VETO"].str.strip().str.upper() == "TRUE").to_numpy())
    about = {"sample": RELEASE.name, "origin": "real", "reference": RELEASE.reference, "licence": RELEASE.licence}
    note = "alerts of several streams and thresholds: no common livetime, errors are 90 % boxes"
    return xr.Dataset(variables, attrs={**about, "note": note}).sortby("mjd")


def read_effective_area(folder: Path, stream: str) -> xr.Dataset:
    """Return effective_area (sin_dec 5, energy 50) in cm^2 at log10_true (energy,), with sin_dec_edges.

    Energies are points as printed (edges or centres is not said); the files name no unit, the values are m^2.  One of
    them (ehegold) was published without its header line: the same six columns.
    """
    if stream not in STREAMS:
        raise InputError(f"unknown alert stream '{stream}'.{did_you_mean(stream, STREAMS)}")
    path = located(folder, RELEASE, f"eff_area/Effa_{stream}.txt")
    content = read_bytes(path)
    with faults_named(path):
        values = np.loadtxt(content.decode().splitlines(), comments="#", ndmin=2)
        columns = ("E", *BANDS)
        table = checked(path, dict(zip(columns, values.T, strict=True)))
    within(path, table, {"E": (1.0, 1e12)} | dict.fromkeys(BANDS, (0.0, np.inf)))
    area = np.stack([table[band] for band in reversed(BANDS)]) * 1e4
    return xr.Dataset(
        {
            "effective_area": (("sin_dec", "energy"), area, {"units": "cm2"}),
            "log10_true": ("energy", np.log10(table["E"]), {"units": ""}),
            "sin_dec_edges": ("sin_dec_edge", np.sin(np.deg2rad(BAND_EDGES_DEG)), {"units": ""}),
        },
        attrs={
            "name": f"{RELEASE.name}-{stream}",
            "reference": RELEASE.reference,
            "flavours": "muon neutrinos, nu and nubar averaged",
        },
    )
