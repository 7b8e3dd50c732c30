"""The public table of IceCube's Gold and Bronze notices at GCN, every revision a line.

No release of its own: whoever has the table names its path.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.ingest._table import spoiled
from nuanalysis.store import TABLE, text_of

_LINE = re.compile(
    r"(\d+)\s+(\d+)\s+(\d+)\s+(\d\d/\d\d/\d\d)\s+(\d\d:\d\d:\d\d\.\d+)\s+(GOLD|BRONZE)\s+"
    r"(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)(?:\s.*)?"
)
_NUMBERS = {
    "right_ascension": (6, "rad"), "declination": (7, "rad"), "radius_90": (8, "rad"), "radius_50": (9, "rad"),
    "energy": (10, "TeV"), "signalness": (11, ""), "false_alarm_rate": (12, "yr-1"),
}  # fmt: skip


def read_gcn_table(path: Path) -> xr.Dataset:
    """Return the notices, dim ``notice``, as printed: run, event_id, revision, date, tier and numbers.

    radius_90, radius_50 : rad, printed in arcmin.  A notice of energy 0 took its alert back.  Raises DataError.
    """
    lines = [line.strip() for line in text_of(path, "the table of notices", most=TABLE).splitlines()]
    rows = []
    for number, line in enumerate(lines, start=1):
        if line and not line.startswith("#"):
            found = _LINE.fullmatch(line)
            if found is None:
                raise spoiled(f"{path}, line {number}, is no notice: {line[:80]!r}")
            rows.append(found.groups())
    if not rows:
        raise spoiled(f"{path} holds no notice")
    columns = list(zip(*rows, strict=True))
    variables: dict[str, object] = {
        name: ("notice", np.array(columns[k], dtype=np.int64)) for k, name in enumerate(("run", "event_id", "revision"))
    }
    variables["date"] = ("notice", np.array(columns[3]))
    variables["tier"] = ("notice", np.array([one.lower() for one in columns[5]]))
    for name, (k, unit) in _NUMBERS.items():
        try:
            values = np.array(columns[k], dtype=np.float64)
        except ValueError as fault:
            raise spoiled(f"{path} holds words where the {name} should stand: {fault}") from fault
        scale = 1.0 / 60.0 if name.startswith("radius") else 1.0
        variables[name] = ("notice", np.radians(values * scale) if unit == "rad" else values, {"units": unit})
    return xr.Dataset(variables, attrs={"origin": "real", "reference": "GCN, table of AMON notices Gold and Bronze"})
