"""``nuanalysis extended``: one document, tables and a figure that say what they are, resumed skies, early refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.table import Table
from small_problem import sample, whole

from nuanalysis import trials
from nuanalysis.answers import _sky
from nuanalysis.library import samples
from nuanalysis.sky import catalogues
from nuanalysis.sky.records import Catalogue, PointSource

pytestmark = pytest.mark.slow

THREE = Catalogue(
    "three",
    "three sources",
    (PointSource("a", 1.0, 0.2, 0.01), PointSource("b", 4.7, 0.3, 0.02), PointSource("far south", 4.0, -0.9, 0.02)),
    (1.0, 1.0, 1.0),
    "by hand",
)
ASKED = (
    *("extended", "--sample", "cascades-2023", "--signal", "none", "--catalogue", "three", "--local-trials", "200"),
    *("--nside", "8", "--extensions", "1,5", "--declination=-40,60", "--width", "12"),
)
NODES = np.radians([-60.0, 0.0, 60.0])


@pytest.fixture(autouse=True)
def small(cache, monkeypatch):
    """A part of the twin stands for the sample, three declinations for the table; no public files."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(cache))
    monkeypatch.setattr(samples, "load", lambda spec, seed: whole(sample(1200)))
    monkeypatch.setattr(_sky, "TABLE_DECLINATIONS", NODES)
    monkeypatch.setitem(catalogues.CATALOGUES, "three", THREE)


def never(*arguments, **named):
    raise AssertionError("work was done again")


def timeless(document):
    return {key: value for key, value in document.items() if key not in ("seconds", "files")}


def test_one_document_tables_and_a_figure_and_nothing_done_twice(call, tmp_path, monkeypatch):
    code, out, err = call(*ASKED, "--skies", "30", "--output", tmp_path, "--json")
    assert code == 0, err
    assert "SYNTHETIC" in err
    document = json.loads(out)
    whose = document["provenance"]
    assert (whose["origin"], whose["seed"], document["n_skies"]) == ("synthetic", 1, 30)

    fits = Table.read(tmp_path / "extended-plane-small-synthetic.ecsv", format="ascii.ecsv")
    assert fits.meta["ORIGIN"] == "SYNTHETIC"
    assert str(fits["b"].unit) == "deg"
    assert len(fits) == document["n_fits"] == sum(one["n_positions"] for one in document["extensions"])
    assert set(fits["extension"]) == {1.0, 5.0}
    assert np.abs(fits["b"]).max() <= 12
    assert (fits["dec"].min(), fits["dec"].max()) > (-40.0, 0.0)

    # The hottest position and extension is the row of the table with the smallest local p-value.
    spot, row = document["hottest"], fits[int(np.argmin(fits["log10_p_local"]))]
    assert (spot["extension_deg"], spot["fitted"]["ts"]) == pytest.approx((row["extension"], row["ts"]))
    assert (spot["at"]["l_deg"], spot["at"]["b_deg"]) == pytest.approx((row["l"], row["b"]), abs=1e-5)
    assert np.log10(spot["local"]["p"]) == pytest.approx(row["log10_p_local"])
    assert (spot["local"]["scope"], spot["chance"]["scope"]) == ("local", "global")
    each = [one["chance"]["p"] for one in document["extensions"]]
    assert spot["chance"]["p"] >= min(each)  # corrected for more

    # Of the SYNTHETIC cascades as they are drawn now.
    assert (spot["fitted"]["ts"], spot["local"]["p"]) == pytest.approx((13.260517249249096, 0.000643811522958994))
    assert (spot["chance"]["p"], document["chance"]["p"]) == pytest.approx((0.03225806451612903, 0.06451612903225806))
    assert each == pytest.approx([0.03225806451612903, 0.03225806451612903])

    listed = document["listed"]
    assert {row["name"] for row in listed["sources"]} == {"a", "b"}  # the third is too far south
    assert len(Table.read(tmp_path / "extended-list.ecsv", format="ascii.ecsv")) == 2
    both = document["chance"]
    assert both["n_trials"] == 30
    alone = spot["chance"]["p"], listed["chance"]["p"]
    # Never below the better of the two, never above twice that: the bounds of full and of no correlation.
    assert min(alone) - 1e-12 <= both["p"] <= 2 * min(alone) + 1e-12
    assert json.loads((tmp_path / "extended-small-synthetic.json").read_text()) == timeless(document)
    sidecar = json.loads((tmp_path / "extended-plane-small-synthetic.json").read_text())
    assert sidecar["origin"] == "synthetic"
    assert "SYNTHETIC" in sidecar["caption"]
    assert "local p" in sidecar["alt"]
    assert (tmp_path / "extended-plane-small-synthetic.png").read_bytes()[:4] == b"\x89PNG"

    for name in ("extended_trials", "source_trials", "local_p"):
        monkeypatch.setattr(trials, name, never)
    assert timeless(json.loads(call(*ASKED, "--skies", "30", "--json")[1])) == timeless(document)


def test_a_source_of_the_list_is_the_fit_at_its_own_extension(call):
    """Against ``nuanalysis sources`` on the same list: the same fits, the same best, the same global p-value."""
    arguments = ("--sample", "cascades-2023", "--signal", "none", "--local-trials", "200", "--skies", "30", "--json")
    alone = json.loads(call("sources", "--catalogue", "three?rule=dec > -40", *arguments)[1])
    listed = json.loads(call(*ASKED, "--skies", "30", "--json")[1])["listed"]
    for key in ("sources", "best", "chance", "population"):
        assert listed[key] == alone[key]


def test_in_words_without_skies(call):
    code, out, _ = call(*ASKED, "--skies", "0")
    said = " ".join(out.split())
    assert code == 0
    assert "SYNTHETIC" in said
    assert "Hottest position: RA" in said
    assert "extension" in said
    assert said.count("local p") > 2
    assert "Both searches together: not known: asked without background skies" in said


def test_wrong_input_is_refused_with_all_faults_before_work_starts(call, monkeypatch):
    monkeypatch.setattr(samples, "load", never)
    wrong = ("--extensions", "0.01", "--declination=-88,0", "--catalogue", "four")
    code, out, err = call("extended", "--sample", "cascades-2023", *wrong, "--json")
    assert code == 2
    said = json.loads(out)["error"]["message"]
    assert all(word in said for word in ("0.01; expected", "(-88, 0)", "no catalogue 'four'"))
    assert "Traceback" not in err
