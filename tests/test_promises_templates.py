"""What every template promises, for all that have a name; what a newcomer runs on a template of their own."""

from __future__ import annotations

import numpy as np
import pytest

from nuanalysis.errors import DataError, InputError
from nuanalysis.library import templates
from nuanalysis.library.hypotheses import read_hypothesis
from nuanalysis.library.templates import open_template, template
from nuanalysis.sky.templates import BUILT_IN, PUBLISHED, STAND_IN, Built, parse_recipe


def integral(density: np.ndarray) -> float:
    return float(density.sum() * 4 * np.pi / len(density))


def test_plug_ins_bear_the_name_they_are_listed_under():
    assert [recipe.name for recipe in BUILT_IN.values()] == list(BUILT_IN)
    assert set(STAND_IN.values()) <= set(BUILT_IN)
    assert list(STAND_IN) == list(PUBLISHED)
    assert {*PUBLISHED, *BUILT_IN} <= set(templates.names())
    assert [known.name for known in templates.known_templates()] == list(templates.names())


@pytest.mark.parametrize("name", list(BUILT_IN))
@pytest.mark.slow
def test_it_is_a_density_with_a_spectrum_and_cited(name):
    found = parse_recipe(f"{name}?nside=32", BUILT_IN).make()
    assert (found.name, found.origin, found.nside) == (name, "built-in", 32)
    assert [integral(m) for m in found.maps] == pytest.approx([1.0] * len(found.maps), abs=1e-12)
    assert found.maps.min() >= 0
    assert not found.maps.flags.writeable
    assert np.all(np.diff(found.log10_energy) > 0)
    assert found.spectrum.shape(np.array([5.0])) == pytest.approx(1.0)
    assert found.flux >= 0
    assert found.label
    assert found.reference
    assert BUILT_IN[name].summary
    for original in ("KRA-gamma 5", "Fermi-LAT pi0", "Fermi-LAT"):
        assert original not in found.label, "named as what it is not"


@pytest.mark.parametrize("name", list(BUILT_IN))
@pytest.mark.slow
def test_its_content_has_a_checksum_that_parameters_change(name):
    coarse, fine = (parse_recipe(f"{name}?nside={nside}", BUILT_IN) for nside in (32, 64))
    assert isinstance(coarse, Built)
    assert coarse.make().sha256 == coarse.sha256 != fine.sha256


@pytest.mark.parametrize("name", list(BUILT_IN))
@pytest.mark.slow
def test_it_is_found_by_name_and_kept(name, monkeypatch, tmp_path):
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path))
    text = f"{name}?nside=16"
    first, again = template(text), open_template(f"template:{text}")
    assert np.array_equal(first.maps, again.maps)
    assert (first.name, first.sha256, first.flux) == (again.name, again.sha256, again.flux)
    assert len(list((tmp_path / templates.CACHE_FOLDER).iterdir())) == 1
    tested = read_hypothesis(f"template:{text}")
    assert tested.target.sha256 == first.sha256
    assert not tested.index_free
    with pytest.raises(InputError, match=f"Did you mean '{name}'"):
        open_template(f"{name}x")


@pytest.mark.real_data
@pytest.mark.parametrize("name", list(PUBLISHED))
def test_a_published_map_is_a_density(name, mirror, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    found = open_template(name)
    assert (found.name, found.origin, found.remarks) == (name, "published", ())
    assert integral(found.density) == pytest.approx(1.0, abs=1e-6)
    assert found.reference


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_what_stands_in_for_a_published_map_says_so(name, monkeypatch, tmp_path):
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path))
    found = open_template(name)
    assert found.name == STAND_IN[name]
    [remark] = found.remarks
    assert remark.startswith(f"template:{name} is the built-in {STAND_IN[name]} here: the published map is not")
    assert "data fetch" in remark
    assert read_hypothesis(f"template:{name}").target.remarks == (remark,)
    assert not open_template(STAND_IN[name]).remarks, "asked for by its own name it stands in for nothing"


@pytest.mark.parametrize("name", list(templates.OF_FILES))
@pytest.mark.slow
def test_what_is_made_from_a_file_says_what_it_needs(name, monkeypatch, tmp_path):
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path))
    one = templates.OF_FILES[name]
    known = next(known for known in templates.known_templates() if known.name == name)
    assert (known.needs, known.here, known.stand_in) == (one.release, False, one.stand_in)
    assert one.recipe.name == name
    if not one.stand_in:
        with pytest.raises(DataError):
            open_template(f"{name}?nside=16")
        return
    found = open_template(f"{name}?nside=16")
    assert integral(found.density) == pytest.approx(1.0, abs=1e-12)
    assert any(one.stand_in in remark for remark in found.remarks)
    assert found.remarks == open_template(f"{name}?nside=16").remarks, "from the cache"
