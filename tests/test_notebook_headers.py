"""Headers of the notebooks: level, and what the last run from the first cell to the last took.

The line is written by ``python validation/verify_notebooks.py --write``, which runs each notebook alone.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from small_headers import LEAD, fingerprint

from nuanalysis.store import read_json
from nuanalysis.workflow.parameters import PARAMETERS

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
TIME = r"([\d.]+) (s|min)"
VERIFIED = re.compile(
    rf"\*\*Last verified\*\* (?P<day>\S+) with the code of \w+ \(cells (?P<cells>\w+)\) on "
    r"(?P<cores>one core|\d+ cores): "
    rf"(first figure after (?P<first>{TIME}), )?all cells after (?P<all>{TIME}), (?P<memory>[\d.]+) GB at most\."
)
FIRST_FIGURE_S, START_HERE_S, START_HERE_GB = 30.0, 60.0, 1.0


def header(name: str) -> list[str]:
    return "".join(read_json(NOTEBOOKS / f"{name}.ipynb", "the notebook", "")["cells"][0]["source"]).splitlines()


def verified(name: str) -> re.Match[str]:
    (line,) = [line for line in header(name) if line.startswith(LEAD)]
    found = VERIFIED.fullmatch(line)
    assert found, line
    return found


def seconds(said: str) -> float:
    number, unit = said.split()
    return float(number) * (60.0 if unit == "min" else 1.0)


@pytest.mark.parametrize("name", PARAMETERS)
def test_header_says_level_and_when_it_was_verified(name):
    found = verified(name)
    assert date.fromisoformat(found["day"])
    assert found["cells"] == fingerprint(NOTEBOOKS / f"{name}.ipynb"), "changed since: verify it again"
    (level,) = re.findall(r"\*\*Level\*\* (\d+)\.", "\n".join(header(name)))
    assert level in {"100", "200", "300", "400"}


@pytest.mark.parametrize("name", PARAMETERS)
def test_first_figure_stands_within_half_a_minute(name):
    found = verified(name)
    assert found["first"], "no figure was seen"
    assert seconds(found["first"]) <= FIRST_FIGURE_S


def test_start_here_fits_a_small_machine():
    found = verified("START_HERE")
    assert found["cores"] == "one core"
    assert seconds(found["all"]) <= START_HERE_S
    assert float(found["memory"]) <= START_HERE_GB
