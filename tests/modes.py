"""Commands that obey the modes of folders, which root passes over."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def obeying(code: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """A few lines of Python, run by somebody to whom a closed folder is closed (root needs setpriv)."""
    command = [sys.executable, "-c", f"import sys; from pathlib import Path; {code}", *map(str, arguments)]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", *command]
    return subprocess.run(command, capture_output=True, text=True)
