"""Typed source lists against the released files, and the guards of the records."""

import csv

import numpy as np
import pytest

from nuanalysis.errors import InputError
from nuanalysis.sky.catalogues import CATALOGUES, catalogue, listed
from nuanalysis.sky.catalogues.source_list_2023 import CLASSES
from nuanalysis.sky.records import Catalogue, PointSource

LISTS = "icecube_gp2023_inputs/source_lists"
# Where the released list differs from the printed Table S4, which we follow.
OTHER_NAMES = {"RX J1713.7-2946": "RX J1713.7-3946", "Kookaburra": "HESS J1418-609"}


def degrees(source: PointSource) -> tuple[float, float]:
    return float(np.degrees(source.right_ascension)), float(np.degrees(source.declination))


@pytest.mark.parametrize(("name", "size"), [("snr", 12), ("pwn", 12), ("unid", 12), ("list-109", 109)])
def test_sizes_weights_and_references(name, size):
    stack = catalogue(name)
    assert len(stack.sources) == size
    assert set(stack.weights) == {1.0}
    assert "10.1126/science.adc9818" in stack.reference


def test_stacked_sources_lie_near_the_plane():
    from healpy import Rotator

    stacked = [s for name in ("snr", "pwn", "unid") for s in CATALOGUES[name].sources]
    latitude = Rotator(coord=["C", "G"])(
        [np.degrees(s.right_ascension) for s in stacked], [np.degrees(s.declination) for s in stacked], lonlat=True
    )[1]
    assert np.max(np.abs(latitude)) < 6.0  # the Crab nebula is the farthest, at b = -5.8


def test_every_listed_source_has_a_class():
    assert set(CLASSES) == {source.name for source in CATALOGUES["list-109"].sources}
    assert set(CLASSES.values()) == {"BLL", "FSRQ", "SBG", "GAL", "PWN", "BCU", "RDG", "AGN"}


def test_records_refuse_what_is_off_the_sphere_or_weightless():
    with pytest.raises(InputError, match="expected 0 <= RA < 360"):
        PointSource("x", 0.0, 2.0)
    source = PointSource("x", 0.0, 0.0)
    with pytest.raises(InputError, match="positive sum"):
        Catalogue("c", "c", (source,), (0.0,), "r")
    with pytest.raises(InputError, match="at least one"):
        Catalogue("c", "c", (), (), "r")


@pytest.mark.real_data
def test_stacking_lists_are_those_released(mirror):
    with (mirror / LISTS / "stacking_catalogs_12_12_12.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    typed = {(n, s.name): degrees(s) for n in ("snr", "pwn", "unid") for s in CATALOGUES[n].sources}
    for row in rows:
        name = row["name"].strip()
        key = (row["stacking_catalog"].lower(), OTHER_NAMES.get(name, name))
        released = (float(row["ra_deg"]), float(row["dec_deg"]))
        rounding = 0.0051 if name == "CTB 37A" else 1e-9  # printed -38.54, released -38.545
        assert typed.pop(key) == pytest.approx(released, abs=rounding, rel=0)
    assert not typed


@pytest.mark.real_data
def test_source_list_is_the_one_released(mirror):
    with (mirror / LISTS / "source_list_109.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    sources = CATALOGUES["list-109"].sources
    assert [s.name for s in sources] == [row["SRC"] for row in rows]
    for source, row in zip(sources, rows, strict=True):
        assert degrees(source) == pytest.approx((float(row["RA"]), float(row["DEC"])), abs=1e-9, rel=0)
        assert CLASSES[source.name] == row["Types"].upper()


def test_lists_as_tables_keep_places_and_say_classes():
    for name, one in CATALOGUES.items():
        table = listed(name)
        assert table.name.tolist() == [source.name for source in one.sources]
        assert np.array_equal(table.right_ascension, [source.right_ascension for source in one.sources])
        assert np.array_equal(table.declination, [source.declination for source in one.sources])
        assert not table.faults
        expected = CLASSES if name == "list-109" else dict.fromkeys(table.name.tolist(), name.upper())
        assert dict(zip(table.name.tolist(), table.classes.tolist(), strict=True)) == expected
