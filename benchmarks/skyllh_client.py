"""SkyLLH from outside: an environment made on demand, a program of its own, CPU seconds that it takes itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measures.clock import Stopwatch

HERE = Path(__file__).resolve().parent / "skyllh"
ENVIRONMENT = HERE.parents[1] / "build" / "skyllh"


class SkyllhMissing(Exception):
    """SkyLLH could not be installed or did not answer."""


def python() -> Path:
    """The interpreter of SkyLLH's environment, made if it is not there or was made from other requirements."""
    wanted = (HERE / "requirements.txt").read_text()
    mark, interpreter = ENVIRONMENT / "made-from.txt", ENVIRONMENT / "bin" / "python"
    if not mark.exists() or mark.read_text() != wanted:
        _run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], "no environment could be made")
        _run([str(interpreter), "-m", "pip", "install", "-q", "-r", str(HERE / "requirements.txt")], "pip failed")
        mark.write_text(wanted)
    return interpreter


def _run(command: list[str], fault: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise SkyllhMissing(f"SkyLLH could not be installed: {fault} with exit code {done.returncode}")


@contextmanager
def analysis(folder: Path) -> Iterator[tuple[dict[str, Any], Stopwatch]]:
    """Start the program on exported files; gives its answer on the data, and its clock for trials."""
    command = [str(python()), str(HERE / "point_source.py"), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _answer(process), lambda first, last: _trials(process, first, last)
        finally:
            process.stdin.close()  # type: ignore[union-attr]


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    line = process.stdout.readline()  # type: ignore[union-attr]
    if not line:
        raise SkyllhMissing("the SkyLLH program ended early")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _trials(process: subprocess.Popen[str], first: int, last: int) -> float:
    print(f"{first} {last}", file=process.stdin, flush=True)
    return float(_answer(process)["cpu_s"])
