"""Published fits beside those of a release: what is said without the release, and with a small one made here."""

import math

import made_releases
import pytest

from nuanalysis.answers._reproduced import beside
from nuanalysis.errors import DataError
from nuanalysis.ingest import tracks_dr1
from nuanalysis.interpret.published import REPRODUCED
from nuanalysis.likelihood import FitResult

ITEMS = {item.name: item for item in REPRODUCED}


@pytest.mark.parametrize("name", ITEMS)
def test_without_its_release_an_item_says_what_to_fetch(name, tmp_path, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(tmp_path))
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path))
    wanted = ITEMS[name].sample
    with pytest.raises(DataError, match=f"release '{wanted}' is not here.*nuanalysis data fetch {wanted}'"):
        beside(ITEMS[name])


def test_with_its_release_an_item_is_fitted_and_compared(tmp_path, monkeypatch):
    made_releases.dr1(tmp_path / tracks_dr1.RELEASE.folder)
    monkeypatch.setenv("NUANALYSIS_DATA", str(tmp_path))
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    found = beside(ITEMS["txs-0506-release"])
    assert isinstance(found.fitted, FitResult)
    assert found.fitted.converged
    assert found.agrees is False  # events at random hold no TXS 0506+056 of TS 13
    assert beside(ITEMS["txs-0506-ten-years"]).agrees is None  # its p-value needs trials


def test_items_are_complete_and_differ():
    assert len(ITEMS) == len(REPRODUCED) == 4
    for item in REPRODUCED:
        assert item.source
        assert item.spot.n_signal > 0
        assert 1.0 <= item.spot.index <= 4.0
        assert item.official == (math.isfinite(item.spot.p_local) and item.sample == "tracks-dr1")
