"""The line in the header of a notebook that says when it was last run whole: how it begins, and what it was run of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

LEAD = "**Last verified** "


def fingerprint(path: Path) -> str:
    """Of all cells of a notebook file but its header, without outputs."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"][1:]
    said = json.dumps([[cell["cell_type"], "".join(cell["source"])] for cell in cells])
    return hashlib.sha256(said.encode()).hexdigest()[:8]
