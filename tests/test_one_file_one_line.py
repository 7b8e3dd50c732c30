"""A template, a list of sources and a sample each come in by one file and one line, tried in a copy of the package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nuanalysis

PACKAGE = Path(nuanalysis.__file__).parent
TEMPLATE = '''"""A band of latitude."""

from dataclasses import dataclass

import numpy as np

from nuanalysis.sky.records import GEV_PIVOT_LOG10, PowerLaw, Template, factorised
from nuanalysis.sky.templates._healpix import normalised
from nuanalysis.sky.templates._recipe import Recipe, index_parameter


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of the band."""

    index: float = index_parameter(2.5)


def make(parameters, nside):
    density = np.zeros(12 * nside**2)
    density[: len(density) // 2] = 1.0
    maps = factorised(normalised(density))
    return Template("half", "northern half", *maps, PowerLaw(parameters.index), "built-in", "by hand", "", 0.0)


RECIPE = Recipe("half", "the northern half of the sky", "by hand", Parameters, make)
'''
CATALOGUE = '''"""Two sources."""

from nuanalysis.sky.records import Catalogue, PointSource

PAIR = Catalogue("pair", "two sources", (PointSource("a", 1.0, 0.1), PointSource("b", 2.0, 0.2)), (1.0, 3.0), "by hand")
'''
SAMPLE = '''"""The northern half of the twin."""

from dataclasses import replace

from nuanalysis.library.samples import cascades_2023
from nuanalysis.library.samples._recipe import Season
from nuanalysis.selection import Range

WHOLE = cascades_2023.SAMPLE


def _events(seed, signal, n_signal):
    [events] = WHOLE.events(seed, signal, n_signal).values()
    return {"north": events.assign_attrs(sample="north")}


def _steps(earlier):
    return (Range("declination", low=0.0),), earlier


SAMPLE = replace(
    WHOLE,
    name="north",
    title="northern cascades, SYNTHETIC",
    label="northern cascades",
    seasons=(replace(WHOLE.seasons[0], name="north", steps=_steps),),
    events=_events,
)
'''
# The new file, its text, the file that gets the line, what the line follows, the line, and the import it needs.
PLUG_INS = (
    ("sky/templates/half.py", TEMPLATE, "sky/templates/__init__.py", "BUILT_IN: dict[str, Recipe] = {",
     '    "half": half.RECIPE,', "from nuanalysis.sky.templates import half"),
    ("sky/catalogues/pair.py", CATALOGUE, "sky/catalogues/__init__.py", "CATALOGUES: dict[str, Catalogue] = {",
     '    "pair": PAIR,', "from nuanalysis.sky.catalogues.pair import PAIR"),
    ("library/samples/north.py", SAMPLE, "library/samples/__init__.py", "SAMPLES: tuple[SampleRecipe, ...] = (",
     "    north.SAMPLE,", "from nuanalysis.library.samples import north"),
)  # fmt: skip
ASK = """
import json
import numpy as np
from nuanalysis.library import catalogues, samples, templates
from nuanalysis.library.hypotheses import read_hypothesis
from nuanalysis.likelihood import maximise
from nuanalysis.model import prepare, terms

events = samples.load(samples.sample_spec(name="north", signal="none"), 1)
fits = {}
for name in ("template:half?nside=16", "stack:pair"):
    asked = read_hypothesis(name)
    fits[name] = maximise(terms(prepare(asked, events.seasons))).converged
print(json.dumps({
    "known": [
        "half" in templates.names(), "pair" in catalogues.names(), "north" in samples.names(),
        any(one.name == "half" for one in templates.known_templates()),
        any(one.name == "pair" for one in catalogues.known_catalogues()),
    ],
    "weights": read_hypothesis("stack:pair").target.weights,
    "lowest": float(np.degrees(events.seasons[0].array("declination").min())),
    "origin": events.origin,
    "fits": fits,
}))
"""


def test_each_comes_in_by_one_file_and_one_line(tmp_path):
    copy = tmp_path / "src" / "nuanalysis"
    shutil.copytree(PACKAGE, copy)  # with the machine code that numba keeps beside the sources
    for path, text, tuple_file, after, line, needed in PLUG_INS:
        (copy / path).write_text(text)
        source = (copy / tuple_file).read_text()
        assert source.count(after) == 1
        first_import = source.index("\nfrom nuanalysis")
        source = f"{source[:first_import]}\n{needed}{source[first_import:]}".replace(after, f"{after}\n{line}")
        (copy / tuple_file).write_text(source)
    here = {**os.environ, "PYTHONPATH": str(tmp_path / "src"), "NUANALYSIS_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", ASK]
    done = subprocess.run(command, env=here, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(found["known"])
    assert all(found["fits"].values())
    assert found["weights"] == [1.0, 3.0]
    assert found["origin"] == "synthetic"
    assert found["lowest"] >= 0
