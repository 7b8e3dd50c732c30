"""What every list of sources promises, for all of CATALOGUES; what a newcomer runs on a list of their own."""

from __future__ import annotations

import numpy as np
import pytest

from nuanalysis.errors import InputError
from nuanalysis.library import catalogues as library
from nuanalysis.library.catalogues import catalogue, open_catalogue
from nuanalysis.library.hypotheses import read_hypotheses, read_hypothesis
from nuanalysis.sky.catalogues import CATALOGUES, listed


def test_plug_ins_bear_the_name_they_are_listed_under():
    assert [one.name for one in CATALOGUES.values()] == list(CATALOGUES)
    assert {*CATALOGUES, *library.RELEASED} == set(library.names())
    assert [known.name for known in library.known_catalogues()] == list(library.names())


@pytest.mark.parametrize("name", list(CATALOGUES))
def test_sources_are_distinct_placed_weighted_and_cited(name):
    stack = CATALOGUES[name]
    assert stack.label
    assert stack.reference
    places = np.array([(s.right_ascension, s.declination, s.extension) for s in stack.sources])
    assert np.all(np.isfinite(places))
    assert np.all((places[:, 2] >= 0) & (places[:, 2] < 0.3))
    assert len({source.name for source in stack.sources}) == len(stack.sources)
    assert len({(ra, dec) for ra, dec, _ in places.tolist()}) == len(stack.sources)
    assert np.all(np.array(stack.weights) >= 0)
    assert sum(stack.weights) > 0


@pytest.mark.parametrize("name", list(CATALOGUES))
def test_it_is_found_by_name(name):
    assert catalogue(name) is open_catalogue(f"stack:{name}") is CATALOGUES[name]
    tested = read_hypothesis(f"stack:{name}")
    assert tested.target is CATALOGUES[name]
    assert tested.index_free
    assert len(read_hypotheses(f"each:{name}")) == len(CATALOGUES[name].sources)
    with pytest.raises(InputError, match=f"Did you mean '{name}'"):
        catalogue(f"{name}x")


@pytest.mark.parametrize("name", list(CATALOGUES))
def test_a_rule_can_be_asked_of_it(name):
    north = catalogue(name, rule="dec > 0")
    assert 0 < len(north.sources) <= len(CATALOGUES[name].sources)
    assert all(source.declination > 0 for source in north.sources)
    assert len(listed(name)) == len(CATALOGUES[name].sources)


@pytest.mark.real_data
@pytest.mark.parametrize("name", list(library.RELEASED))
def test_a_released_catalogue_is_found_by_name(name, mirror, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    found = catalogue(name, rule="ra is not None", duplicates="merge")
    assert 0 < len(found.sources) <= library.RELEASED[name].LAYOUTS[name].rows
    assert "sha256" in found.reference
