"""``nuanalysis declinations``: one document, tables and a figure that say what they are, early refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image
from small_problem import sample, whole

from nuanalysis import plot
from nuanalysis.answers import declinations as work
from nuanalysis.answers import scan
from nuanalysis.library import samples
from nuanalysis.sky import catalogues
from nuanalysis.sky.records import Catalogue, PointSource

POINTS = (PointSource("a", 1.0, 0.2), PointSource("b", 4.0, -0.3))
TWO = Catalogue("two", "two sources", POINTS, (1.0, 1.0), "by hand")
WIDE = Catalogue("wide", "", (PointSource("a", 1.0, 0.2, 0.1),), (1.0,), "")
SMALL = ("--signal", "none", "--trials", "200", "--injections", "300", "--workers", "1")
CALL = ("declinations", "--sample", "cascades-2023", *SMALL, "--sources", "two")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def small(cache, monkeypatch):
    """Parts of the twin stand for the samples; no public files."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(cache))
    of_name = {"cascades-2023": sample(400), "tracks": sample(300, seed=8, name="other")}
    monkeypatch.setattr(samples, "load", lambda spec, seed: whole(of_name[spec.name]))
    monkeypatch.setitem(catalogues.CATALOGUES, "two", TWO)
    monkeypatch.setitem(catalogues.CATALOGUES, "wide", WIDE)


def never(*arguments, **named):
    raise AssertionError("work was done")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Where the files of the first call are."""
    return tmp_path_factory.mktemp("both")


def test_two_samples_give_curves_of_each_and_of_both(call, both):
    arguments = (*CALL, "--sample", "tracks", "--declinations", "30", "--output", both, "--json")
    code, out, err = call(*arguments)
    assert code == 0
    assert "SYNTHETIC" in err
    document = json.loads(out)
    names = ["cascades-2023", "tracks", "cascades-2023 + tracks"]
    assert document["samples"] == names
    assert [(c["sample"], c["index"]) for c in document["curves"]] == [(n, g) for n in names for g in (2.0, 3.0)]
    assert (document["seed"], document["index_free"], document["declinations_deg"]) == (1, True, [30.0])
    assert (document["n_trials"], document["n_injections"]) == (200, 300)
    assert document["origin"] == "synthetic"
    for curve in document["curves"]:
        assert [p["dec_deg"] for p in curve["points"]] == [30.0]
        assert [row["source"] for row in curve["limits"]] == ["a", "b"]
        for point in curve["points"]:
            near, far = point["sensitivity"], point["discovery_potential_5sigma"]
            assert 0 < near["flux_error"] < near["flux"]
            assert far["flux"] is None or far["flux"] > near["flux"]
            assert point["n_injections"] == 300
            assert point["log10_energy_gev"][0] < point["log10_energy_gev"][1]
    assert json.loads((both / "declinations.json").read_text()) == document

    table = Table.read(document["files"]["curve"], format="ascii.ecsv")
    assert len(table) == 6
    first = document["curves"][0]["points"][0]
    assert table["sensitivity_flux"][0] == pytest.approx(first["sensitivity"]["flux"])
    assert str(table["sensitivity_flux"].unit) == "TeV / (s cm2)"
    assert set(table["origin"]) == {"synthetic"}
    assert table.meta["seed"] == 1
    limits = Table.read(document["files"]["limits"], format="ascii.ecsv")
    assert len(limits) == 12
    assert limits["flux"][0] == pytest.approx(document["curves"][0]["limits"][0]["flux"])
    assert "never below the sensitivity" in limits.meta["limit"]
    assert all("synthetic" in document["files"][kind] for kind in ("curve", "limits", "figure"))
    with Image.open(document["files"]["figure"]) as picture:
        assert min(picture.size) > 700
    sidecar = json.loads((both / "declinations-synthetic.json").read_text())
    assert sidecar["origin"] == "synthetic"
    assert "SYNTHETIC" in sidecar["alt"]
    assert "cascades-2023 + tracks" in sidecar["alt"]


def test_the_figure_shows_points_limits_and_whose_events_they_are(both):
    document = json.loads((both / "declinations.json").read_text())
    figure = plot.declination_figure(document)
    panels = figure.axes[:2]
    for axes, index in zip(panels, (2.0, 3.0), strict=True):
        assert axes.get_yscale() == "log"
        drawn = np.concatenate([line.get_ydata() for line in axes.lines])
        for curve in document["curves"]:
            wanted = [p["sensitivity"]["flux"] for p in curve["points"]] + [row["flux"] for row in curve["limits"]]
            if curve["index"] == index:
                assert np.isin(wanted, drawn).all()
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sum("SYNTHETIC" in line for line in said) == 3
    assert any("upper limit" in line for line in said)
    markers = {line.get_marker() for line in figure.legends[0].get_lines()} - {"None", "v"}
    assert len(markers) == 3
    mixed = {**document, "origin": "mixed"}
    assert plot.declination_sidecar(mixed).slug == "declinations-real-and-synthetic"


def test_words_name_energies_and_resume_what_is_stored(call, both, monkeypatch):
    monkeypatch.setattr(work.trials, "injection_trials", never)
    code, out, _ = call(*CALL, "--declinations", "30")
    assert code == 0
    assert "SYNTHETIC events, E^-3" in out
    assert "sensitivity, 1 TeV" in out
    assert "sensitivity, any energy" in out
    assert "90 % upper limits" in out
    assert "does not matter" in out


def test_a_curve_alone_has_no_limits(call):
    code, out, _ = call(*CALL[:-1], "none", "--declinations", "30", "--index", "2", "--fixed-index", "--json")
    assert code == 0
    (curve,) = json.loads(out)["curves"]
    assert curve["limits"] == []


def test_the_usual_declinations_are_those_of_the_scan():
    assert np.isin(np.round(work.DECLINATIONS, 9), np.round(np.degrees(scan.TABLE_DECLINATIONS), 9)).all()


def test_steps_are_even_in_sine_and_stay_off_the_poles():
    from nuanalysis.cli.declinations import _declinations

    found = np.sin(np.radians(_declinations("", 0.11)))
    assert np.diff(found) == pytest.approx(0.11)
    assert found[-1] == pytest.approx(0.99)
    assert -found[0] == pytest.approx(0.99)
    assert _declinations("30,-20", 0.0) == (-20.0, 30.0)


REFUSED = [
    (("--declinations", "a,b"), "--declinations is 'a,b'"),
    (("--declinations", "-89"), "beyond 82 degrees"),
    (("--declinations", "1", "--step", "0.1"), "both given"),
    (("--step", "2"), "--step is 2"),
    (("--index", "7"), "outside 1 to 4"),
    (("--index", "x"), "--index is 'x'"),
    (("--sample", "cascades-2023"), "expected different ones"),
    (("--sample", "cascades-2032"), "no sample 'cascades-2032'"),
    (("--sources", "wide"), "are extended"),
    (("--sources", "list-190"), "Did you mean 'list-109'"),
    (("--trials", "10"), "--trials is 10"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED)
def test_wrong_input_is_refused_before_work_starts(call, monkeypatch, arguments, said):
    monkeypatch.setattr(samples, "load", never)
    code, out, err = call(*CALL, *arguments, "--json")
    assert code == 2
    document = json.loads(out)["error"]
    assert document["kind"] == "InputError"
    assert said in document["message"]
    assert "Traceback" not in err
