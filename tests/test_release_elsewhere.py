"""A release as programs read and judge it whose dependencies do not go with ours, each in an environment of its own.

    cffconvert 2.0      validates CITATION.cff (needs jsonschema below 4)
    roc-validator 0.13  validates ro-crate-metadata.json against RO-Crate 1.1, recommendations too (needs rich below 14)
    gammapy 2.1         reads events, maps and all three parts of a response from the files of the release
    a bare environment  numpy and astropy alone run check_likelihood.py: the released TS to 1e-9

Environments are made in build/readers with pip and kept, which needs a package registry.  The validator of
crates would fetch the context of RO-Crate 1.1: it is given the copy that comes with rocrate.  One thing that is
recommended is not there: an address of the authors, who have none.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_results import RESULTS, entry, make_run, results, scanned

from nuanalysis import publish
from nuanalysis.store import read_zip

pytestmark = pytest.mark.slow
KEPT = Path(__file__).parents[1] / "build" / "readers"
NEEDED = {
    "cffconvert": ["cffconvert==2.0.0"],
    "roc-validator": ["roc-validator==0.13.0"],
    "gammapy": ["gammapy==2.1", "regions==0.11", "healpy"],
    "bare": ["numpy", "astropy"],
}


def environment(name: str) -> Path:
    """The Python of a small environment; made where it is not there yet."""
    folder = KEPT / name
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        commands = ([sys.executable, "-m", "venv", "--clear", folder], [python, "-m", "pip", "install", *NEEDED[name]])
        for command in commands:
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
            if done.returncode:
                pytest.fail(f"no environment for {name}: {done.stderr.strip().splitlines()[-1:]}")
        ready.touch()
    return python


def answer(name: str, code: str, *arguments: object) -> str:
    """What a few lines of Python print there."""
    command = [str(environment(name)), "-I", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(
        tmp_path_factory.mktemp("runs") / "default", results(RESULTS[:2], [entry("scan", "sky", scanned())])
    )


@pytest.fixture(scope="module")
def release(run):
    return publish.build(run, "DR0.1")


def test_cffconvert_takes_the_citation(release):
    code = "import sys; from cffconvert.cli.cli import cli; sys.argv = ['x', '--validate', '-i', sys.argv[1]]; cli()"
    assert "valid according to schema version 1.2.0" in answer("cffconvert", code, release / "CITATION.cff")


_CRATE = """
import io, json, sys
from email.message import Message
from unittest import mock
from urllib.response import addinfourl
import requests
from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester
text = open(sys.argv[1], 'rb').read()
def opened(request, *rest, **more):
    head = Message(); head['Content-Type'] = 'application/ld+json'
    return addinfourl(io.BytesIO(text), head, getattr(request, 'full_url', request), 200)
def got(self, url, **more):
    reply = requests.Response(); reply.status_code, reply._content, reply.url = 200, text, url
    reply.headers['Content-Type'] = 'application/ld+json'
    return reply
with mock.patch('rdflib._networking._urlopen', opened, create=True), mock.patch('urllib.request.urlopen', opened), \\
     mock.patch.object(HttpRequester, 'get', got, create=True):
    asked = services.ValidationSettings(rocrate_uri=sys.argv[2], profile_identifier='ro-crate-1.1',
                                        requirement_severity=models.Severity.RECOMMENDED)
    found = services.validate(asked).get_issues()
print(json.dumps([[one.severity.name, one.message] for one in found]))
"""


def test_the_validator_of_crates_finds_what_is_required_and_recommended(release):
    import rocrate

    context = Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld"
    found = json.loads(answer("roc-validator", _CRATE, context, release).splitlines()[-1])
    assert found == [["RECOMMENDED", "The organization SHOULD have a URL."]]


_GAMMAPY = """
import json, sys, warnings
from pathlib import Path
warnings.simplefilter('ignore')
from gammapy.data import EventList
from gammapy.irf import load_irf_dict_from_file
from gammapy.maps import Map
folder = Path(sys.argv[1])
events = EventList.read(folder / 'events/events-tracks.fits')
irf = load_irf_dict_from_file(folder / 'response/response-cascades-2023.fits')
maps = {path.name: Map.read(path).data.tolist() for path in (folder / 'maps').glob('*.fits')
        if path.name.count('.') == 1}
print(json.dumps({
    'ra': events.radec.ra.rad.tolist(), 'energy': events.energy.to_value('GeV').tolist(),
    'irf': {kind: one.tag for kind, one in irf.items()},
    'area': irf['aeff'].quantity.to_value('cm2').T.tolist(), 'maps': maps,
}))
"""


def test_gammapy_reads_events_responses_and_maps_of_the_release(release, run):
    found = json.loads(answer("gammapy", _GAMMAPY, release).splitlines()[-1])
    events = read_zip(run / "products" / "events-tracks.zip")
    np.testing.assert_allclose(found["ra"], events["right_ascension"], rtol=1e-12)
    np.testing.assert_allclose(np.log10(found["energy"]), events["log10_energy"], rtol=1e-12)
    assert found["irf"] == {"aeff": "aeff_2d", "edisp": "edisp_2d", "psf": "psf_table"}
    response = read_zip(run / "products" / "response-cascades-2023.zip")
    np.testing.assert_array_equal(found["area"], response["effective_area"])
    assert len(found["maps"]) == 3
    (name,) = (name for name in found["maps"] if name.startswith("sky-"))
    np.testing.assert_array_equal(found["maps"][name], scanned().sky["ts"])


def test_a_stranger_with_numpy_and_astropy_finds_the_released_test_statistic(release):
    done = subprocess.run(
        [str(environment("bare")), "-I", str(release / "check_likelihood.py")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 hypotheses, 0 that differ by more than 1e-09" in done.stdout
