"""``nuanalysis extended``: one document, tables and a figure that say what they are, resumed skies, early refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.table import Table
from small_problem import sample, whole

from nuanalysis import trials
from nuanalysis.answers import scan as work
from nuanalysis.library import samples
from nuanalysis.sky import catalogues
from nuanalysis.sky.records import Catalogue, PointSource

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
    monkeypatch.setattr(work, "TABLE_DECLINATIONS", NODES)
    monkeypatch.setitem(catalogues.CATALOGUES, "three", THREE)


def never(*arguments, **named):
    raise AssertionError("work was done again")


def test_one_document_tables_and_a_figure_and_nothing_done_twice(call, tmp_path, monkeypatch):
    code, out, err = call(*ASKED, "--skies", "30", "--output", tmp_path, "--json")
    assert code == 0, err
    assert "SYNTHETIC" in err
    document = json.loads(out)
    assert (document["origin"], document["seed"], document["n_skies"]) == ("synthetic", 1, 30)

    fits = Table.read(document["files"]["fits"], format="ascii.ecsv")
    assert fits.meta["ORIGIN"] == "SYNTHETIC"
    assert str(fits["b"].unit) == "deg"
    assert len(fits) == document["n_fits"] == sum(one["positions"] for one in document["extensions"])
    assert set(fits["extension"]) == {1.0, 5.0}
    assert np.abs(fits["b"]).max() <= 12
    assert (fits["dec"].min(), fits["dec"].max()) > (-40.0, 0.0)

    # The hottest position and extension is the row of the table with the smallest local p-value.
    spot, row = document["hottest"], fits[int(np.argmin(fits["log10_p_local"]))]
    assert (spot["extension_deg"], spot["ts"]) == pytest.approx((row["extension"], row["ts"]))
    assert (spot["l_deg"], spot["b_deg"]) == pytest.approx((row["l"], row["b"]), abs=1e-5)
    assert np.log10(spot["p_local"]["p"]) == pytest.approx(row["log10_p_local"])
    assert spot["p_local"]["kind"].startswith("local")
    assert spot["p_global"]["kind"].startswith("global")
    each = [one["p_global"]["p"] for one in document["extensions"]]
    assert spot["p_global"]["p"] >= min(each)  # corrected for more

    listed = document["list"]
    assert {row["source"] for row in listed["sources"]} == {"a", "b"}  # the third is too far south
    assert len(Table.read(document["files"]["list"], format="ascii.ecsv")) == 2
    both = document["p_global_both_searches"]
    assert both["n_skies"] == 30
    alone = spot["p_global"]["p"], listed["best"]["p_global"]["p"]
    # Never below the better of the two, never above twice that: the bounds of full and of no correlation.
    assert min(alone) - 1e-12 <= both["p"] <= 2 * min(alone) + 1e-12
    assert json.loads((tmp_path / "extended.json").read_text()) == document
    sidecar = json.loads((tmp_path / "extended-plane.json").read_text())
    assert sidecar["origin"] == "synthetic"
    assert "SYNTHETIC" in sidecar["caption"]
    assert "local p" in sidecar["alt"]
    assert (tmp_path / "extended-plane.png").read_bytes()[:4] == b"\x89PNG"

    for name in ("extended_trials", "source_trials", "local_p"):
        monkeypatch.setattr(trials, name, never)
    again = json.loads(call(*ASKED, "--skies", "30", "--output", tmp_path, "--json")[1])

    def timeless(found):
        return {k: timeless(v) if isinstance(v, dict) else v for k, v in found.items() if "seconds" not in k}

    assert timeless(again) == timeless(document)


def test_a_source_of_the_list_is_the_fit_at_its_own_extension(call):
    """Against ``nuanalysis sources`` on the same list: the same fits, the same best, the same global p-value."""
    arguments = ("--sample", "cascades-2023", "--signal", "none", "--local-trials", "200", "--skies", "30", "--json")
    alone = json.loads(call("sources", "--catalogue", "three?rule=dec > -40", *arguments)[1])
    listed = json.loads(call(*ASKED, "--skies", "30", "--json")[1])["list"]
    assert listed["sources"] == alone["sources"]
    assert listed["best"] == alone["best"]


def test_in_words_without_skies(call):
    code, out, _ = call(*ASKED, "--skies", "0")
    assert code == 0
    assert "SYNTHETIC" in out
    assert "hottest: RA" in out
    assert "extension" in out
    assert out.count("local p") > 2
    assert "both searches together: global p not asked for" in out


def test_wrong_input_is_refused_with_all_faults_before_work_starts(call, monkeypatch):
    monkeypatch.setattr(samples, "load", never)
    wrong = ("--sample", "cascades-2032", "--extensions", "0.01", "--declination=-88,0", "--catalogue", "four")
    code, out, err = call(*ASKED, *wrong, "--json")
    assert code == 2
    said = json.loads(out)["error"]["message"]
    assert all(word in said for word in ("cascades-2032", "0.01; expected", "-88,0", "no catalogue 'four'"))
    assert "Traceback" not in err
