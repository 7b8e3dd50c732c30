"""Each plug-in comes in by one file and one line, tried in a copy; the files are those that docs/howto prints."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nuanalysis

PACKAGE = Path(nuanalysis.__file__).parent
HOWTO = Path(__file__).parents[1] / "docs" / "howto"
PAGES = "".join(page.read_text(encoding="utf-8") for page in sorted(HOWTO.glob("new-*.md")))


def printed(path: str) -> str:
    """The file that a page prints after its path."""
    found = re.search(rf"`{re.escape(path)}`:\n\n```python\n(.*?)```", PAGES, re.DOTALL)
    assert found, f"no page of docs/howto prints {path}"
    return found[1]


# The new file, the file that gets the line, what the line follows, the line, and the import it needs.
PLUG_INS = (
    ("sky/templates/half.py", "sky/templates/__init__.py", "BUILT_IN: dict[str, Recipe] = {",
     '    "half": half.RECIPE,', "from nuanalysis.sky.templates import half"),
    ("sky/catalogues/pair.py", "sky/catalogues/__init__.py", "CATALOGUES: dict[str, Catalogue] = {",
     '    "pair": PAIR,', "from nuanalysis.sky.catalogues.pair import PAIR"),
    ("ingest/mine.py", "ingest/__init__.py", "RELEASES = (",
     "    mine.RELEASE,", "from nuanalysis.ingest import mine"),
    ("library/samples/north.py", "library/samples/__init__.py", "SAMPLES: tuple[SampleRecipe, ...] = (",
     "    north.SAMPLE,", "from nuanalysis.library.samples import north"),
    ("likelihood/statistics/coarse.py", "likelihood/statistics/__init__.py",
     "STATISTICS: tuple[Statistic, ...] = (\n    PUBLISHED,",
     "    coarse.STATISTIC,", "from nuanalysis.likelihood.statistics import coarse"),
    ("answers/above.py", "answers/__init__.py", "QUESTIONS = (", '    "above",', ""),
)  # fmt: skip
SPEC = """
name = "scratch"

[[sample]]
name = "north"
signal = "none"
statistic = "coarse"

[[above]]
name = "energetic"
log10_energy = 4.5
"""
ASK = """
import json
import sys
from pathlib import Path

import astropy.units as u
import numpy as np
import nuanalysis as nu
from nuanalysis import ingest
from nuanalysis.library import catalogues, samples, templates
from nuanalysis.library.hypotheses import read_hypothesis

fits = {}
for statistic in ("published", "coarse"):
    events = nu.sample("north", signal="none", statistic=statistic)
    for name in ("template:half?nside=16", "stack:pair"):
        fits[f"{statistic} {name}"] = nu.fit(events, name, injections=0)
above = nu.above(events, log10_energy=4.5)
[season] = events.seasons
table = {key: season.array(key) for key in ("right_ascension", "declination", "angular_error", "log10_energy", "mjd")}
units = dict.fromkeys(("right_ascension", "declination", "angular_error"), "rad")
from nuanalysis.response import ball
seen = nu.sample(
    table, units=units, response=ball.response(), livetime=10 * u.yr, origin="synthetic", name="seen-by-ball"
)
run = nu.run(sys.argv[1], runs=sys.argv[2])
from nuanalysis.publish import report
print(json.dumps({
    "known": [
        "half" in templates.names(), "pair" in catalogues.names(), "north" in samples.names(),
        any(one.name == "half" for one in templates.known_templates()),
        any(one.name == "pair" for one in catalogues.known_catalogues()),
        ingest.release("mine").files[0].rows == 3,
    ],
    "weights": read_hypothesis("stack:pair").target.weights,
    "lowest": float(np.degrees(events.seasons[0].array("declination").min())),
    "origin": events.origin,
    "fits": {name: [one.fitted.converged, one.fitted.ts, one.provenance.statistic] for name, one in fits.items()},
    "above": above.to_dict(),
    "ball": nu.expect(seen, "point:83.6,22", flux=1e-11).n_expected,
    "ball_fits": nu.fit(seen, "stack:pair", injections=0).fitted.converged,
    "table": above.to_table().colnames,
    "report": report(Path(run)).read_text(encoding="utf-8"),
}))
"""


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with a copy of the package that holds all the plug-ins, and the environment that finds it."""
    folder = tmp_path_factory.mktemp("scratch")
    copy = folder / "src" / "nuanalysis"
    shutil.copytree(PACKAGE, copy)  # with the machine code that numba keeps beside the sources
    (copy / "response" / "ball.py").write_text(printed("response/ball.py"))  # named by whoever uses it, in no tuple
    for path, tuple_file, after, line, needed in PLUG_INS:
        assert not (copy / path).exists()
        (copy / path).write_text(printed(path))
        source = (copy / tuple_file).read_text()
        assert source.count(after) == 1, f"{tuple_file} has not one '{after}'"
        first_import = source.index("\nfrom nuanalysis")
        source = f"{source[:first_import]}\n{needed}{source[first_import:]}".replace(after, f"{after}\n{line}")
        (copy / tuple_file).write_text(source)
    return folder, {**os.environ, "PYTHONPATH": str(folder / "src"), "NUANALYSIS_CACHE": str(folder / "cache")}


def _run(scratch: tuple[Path, dict[str, str]], *command: str) -> str:
    folder, here = scratch
    done = subprocess.run([sys.executable, *command], env=here, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_each_comes_in_by_one_file_and_one_line(scratch):
    folder = scratch[0]
    (folder / "spec.toml").write_text(SPEC)
    found = json.loads(_run(scratch, "-c", ASK, str(folder / "spec.toml"), str(folder / "runs")).splitlines()[-1])
    assert all(found["known"])
    assert found["weights"] == [1.0, 1.0]
    assert found["origin"] == "synthetic"
    assert found["lowest"] >= 0
    assert all(converged for converged, _, _ in found["fits"].values())
    assert {name.split()[0] for name in found["fits"]} == {one[2] for one in found["fits"].values()}
    values = [ts for _, ts, _ in found["fits"].values()]
    assert values[:2] != values[2:], "the statistic decides the fit"
    assert found["above"]["n_events"] > 0
    assert found["table"]
    # 10 yr times the integral of the area, constant in each bin, over E^-2.7: by hand, with the trapezoid rule
    assert found["ball"] == pytest.approx(252.99, rel=1e-3)
    assert found["ball_fits"]
    assert "log10(E/GeV) = 4.5" in found["report"]
    assert "statistic coarse" in found["report"] or "coarse" in found["report"]


def test_a_new_question_and_a_new_statistic_have_options(scratch):
    asked = ("above", "--sample", "north", "--signal", "none", "--statistic", "coarse", "--log10-energy", "4.5")
    found = json.loads(_run(scratch, "-m", "nuanalysis", *asked, "--json"))
    assert found["n_events"] > 0
    assert found["provenance"]["statistic"] == "coarse"


@pytest.mark.slow
def test_plug_ins_keep_the_promises_of_their_kind(scratch):
    """The kits, run in the copy on the newcomers alone."""
    tests = Path(__file__).parent
    kits = [str(tests / f"test_promises_{kind}.py") for kind in ("statistics", "questions", "catalogues", "templates")]
    chosen = "coarse or above or pair or half"
    _run(scratch, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *kits, "-k", chosen)
