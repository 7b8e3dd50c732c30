"""``nuanalysis curves``: one document, tables and a figure that say what they are, early refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image
from small_problem import sample, whole

from nuanalysis import trials
from nuanalysis.answers.curves import CurvesAnswer
from nuanalysis.library import samples
from nuanalysis.sky import catalogues
from nuanalysis.sky.records import Catalogue, PointSource

pytestmark = pytest.mark.slow

POINTS = (PointSource("a", 1.0, 0.2), PointSource("b", 4.0, -0.3))
TWO = Catalogue("two", "two sources", POINTS, (1.0, 1.0), "by hand")
WIDE = Catalogue("wide", "", (PointSource("a", 1.0, 0.2, 0.1),), (1.0,), "")
SMALL = ("--signal", "none", "--trials", "200", "--injections", "300", "--executor", "serial")
CALL = ("curves", "--sample", "cascades-2023", *SMALL, "--sources", "two")


@pytest.fixture(autouse=True)
def small(cache, monkeypatch):
    """Parts of the twin stand for the samples; no public files."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(cache))
    of_name = {"cascades-2023": sample(400), "tracks": sample(300, seed=8, name="other")}
    monkeypatch.setattr(samples, "at_hand", lambda spec: None)
    monkeypatch.setattr(samples, "load", lambda spec, seed: replace(whole(of_name[spec.name]), name=spec.name))
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
    files = document.pop("files")
    document.pop("seconds")
    answer = CurvesAnswer.from_dict(document)
    names = ["cascades-2023", "tracks", "cascades-2023 + tracks"]
    assert [(c.provenance.sample, c.index) for c in answer.curves] == [(n, g) for n in names for g in (2.0, 3.0)]
    assert (answer.provenance.seed, answer.index_free, answer.declinations) == (1, True, (30.0,))
    assert (answer.n_trials, answer.n_injections) == (200, 300)
    assert answer.provenance.origin == "synthetic"
    for curve in answer.curves:
        assert [node.dec_deg for node in curve.nodes] == [30.0]
        assert {one.source for one in curve.limits} == {"a", "b"}
        for node in curve.nodes:
            near, far = node.sensitivity.flux, node.discovery_potential
            assert 0 < near.error < near.value
            assert not hasattr(far, "flux") or far.flux.value > near.value
            assert node.energies.log10_low < node.energies.log10_high
    check_files(answer, files)


def check_files(answer, files):
    """Tables and figure of an answer say what they hold."""
    document, curve, limits, picture = files
    assert all("synthetic" in file for file in files)
    assert CurvesAnswer.from_dict(json.loads(Path(document).read_text())) == answer
    table = Table.read(curve, format="ascii.ecsv")
    assert len(table) == 6
    first = answer.curves[0]
    assert table["sensitivity_flux"][0] == pytest.approx(first.nodes[0].sensitivity.flux.value)
    assert str(table["sensitivity_flux"].unit) == "TeV / (s cm2)"
    assert set(table["origin"]) == {"synthetic"}
    assert table.meta["SEED"] == 1
    table = Table.read(limits, format="ascii.ecsv")
    assert len(table) == 12
    assert table["limit_flux"][0] == pytest.approx(first.limits[0].limit.flux.value)
    with Image.open(picture) as image:
        assert min(image.size) > 700


def read(both):
    (path,) = both.glob("curves-*-synthetic.json")
    return CurvesAnswer.from_dict(json.loads(path.read_text()))


def test_the_figure_shows_points_limits_and_whose_events_they_are(both):
    answer = read(both)
    (drawn,) = answer.drawn()
    panels = drawn.figure.axes[:2]
    for axes, index in zip(panels, (2.0, 3.0), strict=True):
        assert axes.get_yscale() == "log"
        seen = np.concatenate([line.get_ydata() for line in axes.lines])
        for curve in answer.curves:
            wanted = [one.sensitivity.flux.value for one in curve.nodes] + [
                one.limit.flux.value for one in curve.limits
            ]
            if curve.index == index:
                assert np.isin(wanted, seen).all()
    said = [text.get_text() for text in drawn.figure.legends[0].get_texts()]
    assert sum("SYNTHETIC" in line for line in said) == 3
    assert any("upper limit" in line for line in said)
    markers = {line.get_marker() for line in drawn.figure.legends[0].get_lines()} - {
        "None",
        "v",
        "x",
    }  # x: nodes without a number
    assert len(markers) == 3
    assert (drawn.sidecar.slug, drawn.sidecar.origin) == ("curves-synthetic", "synthetic")
    assert "SYNTHETIC" in drawn.sidecar.alt
    assert "cascades-2023 + tracks" in drawn.sidecar.alt
    mixed = answer.model_copy(update={"provenance": answer.provenance.model_copy(update={"origin": "mixed"})})
    assert mixed.drawn()[0].sidecar.slug == "curves-real-and-synthetic"


def test_words_name_energies_and_resume_what_is_stored(call, both, monkeypatch):
    monkeypatch.setattr(trials, "injection_trials", never)
    code, out, _ = call(*CALL, "--declinations", "30")
    assert code == 0
    for words in ("SYNTHETIC events", "E^-3: sensitivity", "at 100 TeV", "90 % upper limits", "any right ascension"):
        assert words in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80


def test_a_curve_alone_has_no_limits(call, tmp_path):
    arguments = ("--declinations", "30", "--indices", "2", "--no-index-free", "--output", tmp_path, "--json")
    code, out, _ = call(*CALL[:-1], "", *arguments)
    assert code == 0
    (curve,) = json.loads(out)["curves"]
    assert curve["limits"] == []
    assert not list(tmp_path.glob("limits*"))


REFUSED = [
    (("--declinations", "a,b"), "'a,b'; expected numbers with commas between"),
    (("--declinations", "-89"), "none beyond 82 deg"),
    (("--declinations", "1", "--step", "0.1"), "both given"),
    (("--step", "2"), "step"),
    (("--indices", "7"), "each 1 to 4"),
    (("--indices", "x"), "'x'; expected numbers"),
    (("--sample", "cascades-2032"), "no sample 'cascades-2032'"),
    (("--sources", "wide"), "are extended"),
    (("--sources", "list-190"), "Did you mean 'list-109'"),
    (("--trials", "10"), "trials"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED)
def test_wrong_input_is_refused_before_work_starts(call, monkeypatch, arguments, said):
    monkeypatch.setattr(samples, "at_hand", lambda spec: None)
    monkeypatch.setattr(samples, "load", never)
    code, out, err = call(*CALL, *arguments, "--json")
    assert code == 2
    document = json.loads(out)["error"]
    assert said in document["message"]
    assert "Traceback" not in err
