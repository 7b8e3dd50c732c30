"""The latitude test of alerts, and what every question promises that needs no events."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

import nuanalysis as nu
from nuanalysis.answers import READINGS, Answer, answer_of, reading
from nuanalysis.answers._neutrinos import areas
from nuanalysis.deferred import scipy
from nuanalysis.errors import InputError
from nuanalysis.ingest import icecat1
from nuanalysis.interpret import latitude


def test_the_distance_from_the_plane_is_that_of_astropy() -> None:
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 2 * np.pi, (3, 5)), np.arcsin(rng.uniform(-1, 1, (3, 5)))
    exact = np.abs(SkyCoord(ra * u.rad, dec * u.rad).galactic.b.rad)
    assert latitude.distance_from_plane(ra, dec) == pytest.approx(exact, abs=1e-4)


def test_the_area_of_a_box() -> None:
    one = np.radians(1.0)
    found = latitude.box_area(one, one, 0.5 * one, 0.5 * one, np.radians(60.0))
    assert found == pytest.approx(np.pi / 4.0)  # half axes of 0.5 and 0.5 deg on the sky


def test_chances_of_scrambled_alerts_are_uniform() -> None:
    """Skies without a signal, tested as the data are."""
    rng = np.random.default_rng(11)
    dec = np.arcsin(rng.uniform(-0.2, 1.0, 60))
    null = latitude.scrambled_medians(dec, rng, 2000)
    data = latitude.scrambled_medians(dec, rng, 400)
    chances = (null[None, :] <= data[:, None]).mean(axis=1)
    assert scipy.stats.kstest(chances, "uniform").pvalue > 0.01


def test_alerts_on_the_plane_are_found() -> None:
    """Half of the events at |b| < 5 deg: far in the tail."""
    rng = np.random.default_rng(4)
    plane = SkyCoord(l=rng.uniform(30, 180, 30) * u.deg, b=rng.uniform(-5, 5, 30) * u.deg, frame="galactic").icrs
    dec = np.concatenate([plane.dec.rad, np.arcsin(rng.uniform(-0.2, 1.0, 30))])
    ra = np.concatenate([plane.ra.rad, rng.uniform(0, 2 * np.pi, 30)])
    null = latitude.scrambled_medians(dec, rng, 2000)
    assert (null <= np.median(latitude.distance_from_plane(ra, dec))).mean() < 1e-3


def test_declinations_stay() -> None:
    """Events at the pole have one |b| in every sky: 27.1 deg."""
    found = np.degrees(latitude.scrambled_medians(np.full(3, np.pi / 2), np.random.default_rng(1), 50))
    assert found == pytest.approx(27.13, abs=0.01)


def test_nothing_left_is_refused() -> None:
    with pytest.raises(InputError, match="no event is left"):
        latitude.scrambled_medians(np.empty(0), np.random.default_rng(1), 10)


@pytest.fixture
def alerts(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not (mirror / "icecube_icecat1").is_dir():
        pytest.skip("the alerts are not here")
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    return mirror


@pytest.mark.usefixtures("alerts")
def test_alerts_above_200_tev() -> None:
    found = nu.correlate(trials=20_000)
    small, every = found.correlations
    assert (small.n_events, every.n_events) == (75, 91)
    assert small.chance.p == pytest.approx(0.22, abs=0.01)
    assert every.chance.p == pytest.approx(0.52, abs=0.015)
    assert found.provenance.n_events == icecat1.ROWS
    assert "2208.08423" in str(found)


def test_the_area_of_a_real_alert(alerts: Path) -> None:
    """IC170922A: a box of 0.95 + 0.68 deg by 0.39 + 0.28 deg at 5.7 deg is 0.85 deg^2."""
    events = icecat1.read_events(alerts / "icecube_icecat1")
    k = [str(name) for name in events["name"].values].index("IC170922A")
    box = [float(np.degrees(events[key].values[k])) for key in
           ("right_ascension_plus", "right_ascension_minus", "declination_plus", "declination_minus")]  # fmt: skip
    dec = float(events["declination"].values[k])
    assert areas(events)[k] == pytest.approx(np.pi / 4 * (box[0] + box[1]) * np.cos(dec) * (box[2] + box[3]))


@pytest.mark.usefixtures("alerts")
def test_the_verb(call: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, _ = call("correlate", "--trials", 200, "--json", "--output", tmp_path)
    assert code == 0
    document = json.loads(out)
    assert document["correlations"][0]["n_events"] == 75
    assert all(Path(path).is_file() for path in document["files"])
    code, _, err = call("correlate", "--min-energy", 50_000, "--trials", 200)
    assert code == 2
    assert "no event is left" in err


@pytest.mark.parametrize("name", READINGS)
def test_a_question_without_events_says_what_it_is(name: str) -> None:
    kind = reading(name)
    assert kind.title().endswith(".")
    assert kind.example
    assert all(field.description for field in kind.model_fields.values())
    function = getattr(nu, name)
    assert function.__name__ == name
    assert list(inspect.signature(function).parameters) == list(kind.model_fields)
    assert all(f"{key} :" in function.__doc__ for key in kind.model_fields)
    with pytest.raises(InputError, match="unknown key 'nonsense'"):
        kind.of(**kind.example, nonsense=1)
    with pytest.raises(InputError, match="Did you mean"):
        reading(f"{name}s")


@pytest.mark.usefixtures("alerts")
@pytest.mark.parametrize("name", ["correlate", "hadronic"])
def test_its_answer_shows_itself_and_comes_back(name: str) -> None:
    """As of every question; 'desert' is asked in its own file."""
    kind = reading(name)
    answer = kind.of(**kind.example).ask()
    assert answer.to_dict() == kind.of(**kind.example).ask().to_dict()
    again: Answer = answer_of(name).from_dict(json.loads(json.dumps(answer.to_dict(), allow_nan=False)))
    assert again.to_dict() == answer.to_dict()
    assert str(again) == str(answer)
    assert max(map(len, str(answer).splitlines())) <= 80
    assert "None" not in str(answer).split()
    assert answer.headline()[0].endswith(".")
    table = answer.to_table()
    assert len(table) >= 1
    assert all(table[column].info.description for column in table.colnames)
    for one in again.drawn():
        assert one.sidecar.origin == "real"
        assert one.sidecar.alt
