"""From what a user types to a hypothesis: every form, and a clear refusal of everything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nuanalysis.errors import InputError
from nuanalysis.library.hypotheses import model_origin, read_hypothesis
from nuanalysis.library.templates import PI0_MAP, published_pi0
from nuanalysis.plot import slug
from nuanalysis.sky.records import Catalogue, Template


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mirror, an empty cache."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))


def write_map(path: Path, values: np.ndarray, **said: str) -> Path:
    np.save(path, values)
    lines = [f'{key} = "{value}"\n' for key, value in {"units": "relative", **said}.items()]
    path.with_suffix(".toml").write_text("".join(lines))
    return path


def template(name: str) -> Template:
    target = read_hypothesis(name).target
    assert isinstance(target, Template)
    return target


def integral(sky: Template) -> float:
    return float(sky.density.mean() * 4 * np.pi)


def test_without_the_published_map_the_stand_in_says_its_own_name() -> None:
    assert published_pi0() is None
    asked = read_hypothesis("template:pi0")
    sky = template("template:pi0")
    assert (asked.name, asked.index, asked.index_free) == ("template:pi0", 2.7, False)
    assert (sky.name, sky.origin) == ("pi0-like", "built-in")
    assert "pi0-like" in sky.label
    assert model_origin(asked) == "built-in"
    assert integral(sky) == pytest.approx(1.0, abs=1e-9)
    assert np.array_equal(sky.density, template("template:pi0-like").density)


@pytest.mark.real_data
def test_with_the_published_map_it_is_the_published_one(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    found = published_pi0()
    assert found is not None
    assert found.is_relative_to(mirror)
    assert found.parts[-2:] == PI0_MAP.parts
    asked = read_hypothesis("template:pi0")
    assert model_origin(asked) == "published"
    published, stand_in = template("template:pi0"), template("template:pi0-like")
    assert published.sha256 != stand_in.sha256
    assert integral(published) == pytest.approx(1.0, abs=1e-6)


def test_a_map_of_the_user(tmp_path: Path) -> None:
    path = write_map(tmp_path / "mine.npy", np.arange(1.0, 12 * 8**2 + 1), frame="equatorial", ordering="ring")
    sky = template(f"template:{path}")
    assert (sky.name, sky.nside, model_origin(read_hypothesis(f"template:{path}"))) == ("mine", 8, "user file")
    assert integral(sky) == pytest.approx(1.0)
    assert sky.density[1] / sky.density[0] == pytest.approx(2.0)


@pytest.mark.parametrize(("name", "first"), [("snr", "stack:snr"), ("pwn", "stack:pwn"), ("unid", "stack:unid")])
def test_stacks_are_twelve_sources_of_equal_weight_with_a_free_index(name: str, first: str) -> None:
    asked = read_hypothesis(f"stack:{name}")
    assert isinstance(asked.target, Catalogue)
    assert (asked.name, asked.index_free, model_origin(asked)) == (first, True, "published")
    assert len(asked.target.sources) == 12
    assert len(set(asked.target.weights)) == 1


def test_a_direction_in_degrees() -> None:
    asked = read_hypothesis("point:83.63,-22.01")
    assert isinstance(asked.target, Catalogue)
    [source] = asked.target.sources
    assert np.degrees([source.right_ascension, source.declination]) == pytest.approx([83.63, -22.01])
    assert (asked.index_free, model_origin(asked)) == (True, "user direction")
    assert read_hypothesis("point: 0 , 90").target.label == "RA 0 dec 90 deg"


def test_the_index_can_be_fixed_or_freed() -> None:
    assert read_hypothesis("stack:snr", index_free=False).index_free is False
    assert read_hypothesis("template:pi0", index=2.5, index_free=True).index == 2.5


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "not of the form"),
        ("pi0", "not of the form template:NAME"),
        ("templte:pi0", "Did you mean 'template'?"),
        ("stacks:snr", "Did you mean 'stack'?"),
        ("template:", "not of the form"),
        ("template", "not of the form"),
        ("stack:", "not of the form"),
        ("template:pi00", "there is no template 'pi00' and no such file. Did you mean 'pi0'?"),
        ("stack:snrs", "there is no catalogue 'snrs'. Did you mean 'snr'?"),
        ("template:nowhere.npy", "no template 'nowhere.npy' and no such file"),
        ("template:pi0?frame=galactic", "takes no parameters"),
        ("template:map.npy?fram=galactic", "Did you mean 'frame'?"),
        ("point:1", "not a direction; expected point:RA,DEC or point:RA,DEC,EXTENSION in degrees"),
        ("point:1,2,3,4", "not a direction"),
        ("point:a,b", "not a direction"),
        ("point:,", "not a direction"),
        ("point:nan,5", "lies at RA nan"),
        ("point:5,nan", "dec nan"),
        ("point:inf,5", "lies at RA inf"),
        ("point:360,0", "expected 0 <= RA < 360"),
        ("point:-1,0", "expected 0 <= RA < 360"),
        ("point:1,90.1", "-90 <= dec <= 90"),
    ],
)
def test_what_is_no_hypothesis_is_refused_with_a_hint(name: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_hypothesis(name)
    assert said in str(caught.value)


@pytest.mark.parametrize("index", [0.99, 4.01, float("nan"), float("inf")])
def test_an_index_out_of_range_is_refused(index: float) -> None:
    with pytest.raises(InputError, match="spectral index"):
        read_hypothesis("stack:snr", index=index)


def test_a_bad_map_is_refused_with_all_its_faults(tmp_path: Path) -> None:
    values = np.ones(12 * 4**2)
    values[:2] = np.nan, -1.0
    path = write_map(tmp_path / "bad.npy", values, frame="equatorial")
    with pytest.raises(InputError) as caught:
        read_hypothesis(f"template:{path}")
    for said in ("NaN", "negative", "ordering is not stated"):
        assert said in str(caught.value)


def test_file_names_of_hypotheses_differ() -> None:
    names = [
        "template:pi0",
        "template:pi0-like",
        "stack:snr",
        "point:83.63,22.01",
        "point:83.63,-22.01",
        "point:8.363,22",
    ]
    assert len({slug(name) for name in names}) == len(names)
    assert all("/" not in slug(name) and ":" not in slug(name) for name in [*names, "template:../up/map.npy"])
