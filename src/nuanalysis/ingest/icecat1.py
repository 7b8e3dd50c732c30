"""ICECAT-1, version 4: 348 alert tracks with 90 % boxes and signalness, and the effective areas of the streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, InputError, did_you_mean
from nuanalysis.ingest import _tracks
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.ingest._table import (
    REPAIR,
    Table,
    checked,
    faults_named,
    located,
    read_bytes,
    read_matrix,
    read_numbers,
    read_words,
    within,
)

ROWS = 348
TABLE = "IceCube_Gold_Bronze_Tracks.csv"
AREA_SHA256 = {
    "all_streams_gold_bronze": "01ec2c05658e5ad07e67625dcd0ce41e4979068c0b4ffe8d65793a41ddfea765",
    "all_streams_gold_only": "c018e6aafe423612a16ea3475b05858aa86f4a1c15771d8f9be3bac0d4114666",
    "ehegold": "b8bcb4218231018386f0fb278039abdc28fb16f7a4814eb84ae067925bd32231",
    "gfubronze": "035c5d01ae6d8e92fe9c8c27f8e705755b2ab7e14077d513c71029731dfdfd78",
    "gfugold": "8ca88d142bcf3d5fddd339a9171a8caa62ac6583adf40674f171c522f584878d",
    "hesebronze": "dd20d16c25fc1fdd65d5228ba29d574bb4250c8a3ae60f249d2675f730159fb3",
    "hesegold": "86959d0c647120b448bc37c9a644bed951a7c1f900520969736e08bc83511b42",
}
STREAMS = tuple(AREA_SHA256)
# Declination bands of the area tables, north to south as printed, and their edges in deg, south to north.
BANDS = ("30-90", "0-30", "-5-0", "-30--5", "-90--30")
BAND_EDGES_DEG = (-90.0, -30.0, -5.0, 0.0, 30.0, 90.0)
TEXTS = {"name": "NAME", "stream": "I3TYPE", "other_streams": "OTHER_I3TYPES", "start": "START"}
NUMBERS = {
    "run": ("RUNID", ""),
    "event_id": ("EVENTID", ""),
    "mjd": ("EVENTMJD", "d"),
    "right_ascension": ("RA", "rad"),
    "declination": ("DEC", "rad"),
    "right_ascension_plus": ("RA_ERR_PLUS", "rad"),
    "right_ascension_minus": ("RA_ERR_MINUS", "rad"),
    "declination_plus": ("DEC_ERR_PLUS", "rad"),
    "declination_minus": ("DEC_ERR_MINUS", "rad"),
    "energy": ("ENERGY", "TeV"),
    "false_alarm_rate": ("FAR", "yr-1"),
    "signalness": ("SIGNAL", ""),
    "score_cascade": ("CASCADE_SCR", ""),
    "score_skimming": ("SKIMMING_SCR", ""),
    "score_starting": ("START_SCR", ""),
    "score_stopping": ("STOP_SCR", ""),
    "score_through_going": ("THRGOING_SCR", ""),
}
INTEGERS = ("run", "event_id")
LIMITS = {
    "EVENTMJD": (50000.0, 80000.0),
    "RA": (0.0, 360.0),
    "DEC": (-90.0, 90.0),
    "ENERGY": (1e-3, 1e9),
    "SIGNAL": (0.0, 1.0),
}

RELEASE = UpstreamRelease(
    name="icecat1",
    title="ICECAT-1: IceCube event catalogue of alert tracks, version 4",
    folder="icecube_icecat1",
    doi="10.7910/DVN/SCRUCD",
    doi_confirmed=True,
    licence="CC0-1.0",
    citation="IceCube Collaboration (Abbasi et al.) 2023, ApJS 269, 25, arXiv:2304.01174",
    files=(
        UpstreamFile(
            TABLE, "7d5013db3f210004b58414badcac739fc4bf6f90c5b5a495347f8a9080767e15", kind="events", rows=ROWS
        ),
        *(
            UpstreamFile(f"eff_area/Effa_{stream}.txt", sha256, kind="effective area")
            for stream, sha256 in AREA_SHA256.items()
        ),
    ),
    archive_url="https://dataverse.harvard.edu/api/access/dataset/:persistentId/"
    "?persistentId=doi:10.7910/DVN/SCRUCD&format=original",
    notes="The archive of the Dataverse also holds the likelihood maps of every alert and is large.",
)


def _numbers(path: Path, rows: list[dict[str, str]]) -> Table:
    with faults_named(path):
        table = {old: np.array([float(row[old]) for row in rows]) for old, _ in NUMBERS.values()}
    return checked(path, table, rows=ROWS)


def read_events(folder: Path) -> xr.Dataset:
    """Return the 348 alerts, dim ``alert``, sorted by time; angles in rad, energy in TeV (most probable for E^-2.19).

    right_ascension_plus ... declination_minus: 90 % box.  Not the EVENTS schema: alerts have no common exposure and
    no per-event sigma.  Raises DataError.
    """
    path = located(folder, RELEASE, TABLE)
    rows = read_words(path, [*TEXTS.values(), *(old for old, _ in NUMBERS.values()), "CR_VETO"])
    with faults_named(path):
        rows.sort(key=lambda row: float(row["EVENTMJD"]))
    table = _numbers(path, rows)
    within(path, table, LIMITS)
    variables: dict[str, object] = {new: ("alert", np.array([row[old] for row in rows])) for new, old in TEXTS.items()}
    for new, (old, unit) in NUMBERS.items():
        values = np.deg2rad(table[old]) if unit == "rad" else table[old]
        variables[new] = ("alert", values.astype(np.int64) if new in INTEGERS else values, {"units": unit})
    variables["right_ascension"] = ("alert", _tracks.wrapped(table["RA"]), {"units": "rad"})
    variables["cosmic_ray_veto"] = ("alert", np.array([row["CR_VETO"].strip().upper() == "TRUE" for row in rows]))
    attrs = {
        "sample": RELEASE.name,
        "origin": "real",
        "reference": RELEASE.reference,
        "licence": RELEASE.licence,
        "note": "alerts of several streams and thresholds: no common livetime, errors are 90 % boxes",
    }
    return xr.Dataset(variables, attrs=attrs)


def _area_table(path: Path) -> Table:
    """Return the columns E and BANDS.  Effa_ehegold.txt was published without its header line: same six columns."""
    if read_bytes(path).lstrip().startswith(b"#"):
        return read_numbers(path, ("E", *BANDS))
    values = read_matrix(path)
    if values.ndim != 2 or values.shape[1] != 1 + len(BANDS):
        raise DataError(f"{path} has shape {values.shape}, expected rows of energy and {len(BANDS)} bands. {REPAIR}")
    return dict(zip(("E", *BANDS), values.T, strict=True))


def read_effective_area(folder: Path, stream: str) -> xr.Dataset:
    """Return effective_area (sin_dec 5, energy 50) in cm^2 at log10_true (energy,), with sin_dec_edges.

    Energies are points as printed (edges or centres is not said); the files name no unit, the values are m^2.
    """
    if stream not in STREAMS:
        raise InputError(f"unknown alert stream '{stream}'.{did_you_mean(stream, STREAMS)}")
    path = located(folder, RELEASE, f"eff_area/Effa_{stream}.txt")
    table = _area_table(path)
    within(path, table, {"E": (1.0, 1e12)} | dict.fromkeys(BANDS, (0.0, np.inf)))
    area = np.stack([table[band] for band in reversed(BANDS)]) * 1e4
    return xr.Dataset(
        {
            "effective_area": (("sin_dec", "energy"), area, {"units": "cm2"}),
            "log10_true": ("energy", np.log10(table["E"]), {"units": ""}),
            "sin_dec_edges": ("sin_dec_edge", np.sin(np.deg2rad(BAND_EDGES_DEG)), {"units": ""}),
        },
        attrs={"name": f"{RELEASE.name}-{stream}", "reference": RELEASE.reference, "flavours": _tracks.MUON_FLAVOURS},
    )
