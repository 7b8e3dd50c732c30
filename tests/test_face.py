"""The door: the public names, what README promises, and the mistakes a user makes there."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

import nuanalysis as nu
from nuanalysis import face
from nuanalysis.answers import QUESTIONS, question
from nuanalysis.library import hypotheses
from nuanalysis.library.templates import template

README = Path(__file__).parents[1] / "README.md"
NAMES = [
    "Bench", "Chance", "Interval", "Measured", "Provenance", "Unknown", "__version__", "bias", "catalogue", "compare",
    "correlate", "curves", "desert", "errors", "expect", "extended", "fit", "followup", "hadronic", "hypothesis",
    "joint", "leak", "limit", "measure", "model_card", "outlook", "point", "run", "sample", "scan", "segments",
    "sensitivity", "significance", "sources", "stack", "template", "together", "transport",
]  # fmt: skip


def test_the_public_list() -> None:
    assert sorted(nu.__all__) == NAMES == dir(nu)
    assert all(getattr(nu, name) is not None for name in NAMES)


def lines_of_readme() -> str:
    found = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_readme_and_help_say_the_same_lines() -> None:
    assert textwrap.indent(lines_of_readme(), "    ").strip() in (nu.__doc__ or "")


@pytest.mark.slow
def test_the_lines_of_readme_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path))
    plt.switch_backend("agg")
    names: dict[str, Any] = {}
    exec(compile(lines_of_readme(), str(README), "exec"), names)
    assert "SYNTHETIC" in str(names["events"])
    assert names["found"].fitted.ts < 30.0
    assert names["chance"].chance.p < 1e-4  # with the analytic map, which stands in without public data, too
    assert len(names["chance"].to_table()) == 1


@pytest.mark.parametrize("function", [face.sample, hypotheses.point, hypotheses.hypothesis, template])
def test_the_examples_of_nouns(function: Callable[..., Any]) -> None:
    globs = {"nu": nu, "np": np, "u": u, "SkyCoord": SkyCoord}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for example in doctest.DocTestFinder().find(function, function.__name__, globs=globs):
        runner.run(example)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_verb_says_its_settings(name: str) -> None:
    said = getattr(nu, name).__doc__
    assert all(f"{key} : " in said for key in question(name).model_fields)


def test_mistakes_are_named_in_the_words_of_the_caller() -> None:
    array = np.ones(12 * 32**2)
    for mistake in (
        lambda: nu.template(array),
        lambda: nu.fit("cascades-2023", array),
        lambda: nu.fit("cascades-2023", "template:pi0-like", injection=3),
        lambda: nu.sample("cascade"),
    ):
        with pytest.raises(nu.errors.InputError) as raised:
            mistake()
        assert not re.search(r"(^| )--\w", str(raised.value))


def test_the_folder_of_a_bench_may_be_text(tmp_path):
    assert nu.Bench(str(tmp_path)).folder == tmp_path


COMPILES = """
import nuanalysis as nu
events = nu.sample("cascades-2023", signal="none", min_log10_energy=4.5)
nu.fit(events, "point:83.6,22", injections=0)
"""


@pytest.mark.slow
def test_the_first_call_that_compiles_says_so_and_how_long_it_took(tmp_path):
    here = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "NUANALYSIS_CACHE": str(tmp_path / "cache")}
    said = [
        subprocess.run([sys.executable, "-c", COMPILES], env=here, capture_output=True, text=True, check=True).stderr
        for _ in range(2)
    ]
    assert "compiling kernels" in said[0]
    assert re.search(r"kernels compiled in [\d.]+ s", said[0])
    assert "compil" not in said[1]
