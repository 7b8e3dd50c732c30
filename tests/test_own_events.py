"""A user's own events: every kind of table gives the same sample; every fault is told, all in one message."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time
from astropy.utils.masked import Masked

from nuanalysis.errors import DataError, InputError
from nuanalysis.library import samples
from nuanalysis.likelihood import maximise
from nuanalysis.model import Hypothesis, prepare, terms
from nuanalysis.response import NONE, LogNormalErrors, cascades_2023
from nuanalysis.schema import EVENTS, faults
from nuanalysis.sky.records import Catalogue, PointSource

N = 400
UNITS = {"ra": "deg", "dec": "deg", "energy": "TeV", "sigma": "deg"}
RESPONSE = {"response": "cascades-2023"}
SAID = {**RESPONSE, "livetime": 300 * u.day, "origin": "synthetic"}


def plain() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {
        "mjd": rng.uniform(56_000, 57_000, N),
        "ra": rng.uniform(0, 360, N),
        "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, N))),
        "energy": 10 ** rng.normal(0.6, 0.4, N),
        "sigma": rng.uniform(5, 20, N),
    }


def quantities() -> QTable:
    columns = plain()
    table = QTable({name: columns[name] * u.Unit(UNITS[name]) for name in UNITS})
    table["time"] = Time(columns["mjd"], format="mjd")
    return table


def with_units() -> Table:
    return Table({name: Column(values, unit=UNITS.get(name)) for name, values in plain().items()})


def frame() -> pd.DataFrame:
    out = pd.DataFrame(plain())
    out.attrs["units"] = UNITS
    out["remark"] = "a column of no schema is left alone"
    return out


def dataset() -> xr.Dataset:
    columns = plain()
    out = xr.Dataset({name: ("event", columns[name], {"units": unit}) for name, unit in UNITS.items()})
    out["mjd"] = ("event", columns["mjd"])
    return out.rename(ra="right_ascension")


@pytest.mark.parametrize("table", [quantities, with_units, frame, dataset, lambda: dict(quantities().items())])
def test_every_kind_of_table_gives_the_same_events(table):
    found = samples.own(table(), **SAID)
    [season] = found.seasons
    assert not faults(season.events, EVENTS)
    assert np.degrees(season.array("right_ascension")) == pytest.approx(plain()["ra"])
    assert np.degrees(season.array("angular_error")) == pytest.approx(plain()["sigma"])
    assert season.array("log10_energy") == pytest.approx(np.log10(plain()["energy"]) + 3.0)
    assert season.array("mjd") == pytest.approx(plain()["mjd"])
    assert (found.origin, found.n_events, found.livetime) == ("synthetic", N, 300 * 86_400.0)
    assert "SYNTHETIC" in str(found)


def coordinates() -> QTable:
    """As a table that astropy wrote: one column of positions, in another frame."""
    table = quantities()
    table["where"] = SkyCoord(table["ra"], table["dec"]).galactic
    table.remove_columns(["ra", "dec"])
    return table


def test_a_column_of_positions_is_read_in_its_frame():
    [season] = samples.own(coordinates(), **SAID).seasons
    assert np.degrees(season.array("right_ascension")) == pytest.approx(plain()["ra"])
    assert np.degrees(season.array("declination")) == pytest.approx(plain()["dec"])


def test_positions_beside_right_ascension_and_declination_are_left_alone():
    table = quantities()
    table["where"] = SkyCoord(table["dec"], table["dec"])
    [season] = samples.own(table, **SAID).seasons
    assert np.degrees(season.array("right_ascension")) == pytest.approx(plain()["ra"])


def masked(name: str) -> QTable:
    table = quantities()
    if name == "time":
        table[name][3] = np.ma.masked
    else:
        table[name] = Masked(table[name], mask=np.arange(N) == 3)
    return table


@pytest.mark.parametrize(("name", "said"), [("time", "mjd"), ("ra", "right_ascension"), ("sigma", "angular_error")])
def test_a_masked_value_is_none(name, said):
    """What lies below a mask is whatever was there before: never read, not even of a time."""
    with pytest.raises(InputError, match=f"'{said}' has 1 values that are NaN"):
        samples.own(masked(name), **SAID)


def test_columns_of_another_machine_are_the_same_numbers():
    columns = {name: values.astype(">f4").astype(">f8") for name, values in plain().items()}
    foreign, own = ({key: one.astype(kind) for key, one in columns.items()} for kind in (">f8", "=f8"))
    one, two = (samples.own(table, units=UNITS, **SAID).seasons[0].events for table in (foreign, own))
    assert one.identical(two)


def test_rows_of_different_lengths_are_an_input_error():
    with pytest.raises(InputError, match="'dec' has 0 dimensions of object"):
        samples.own(plain() | {"dec": [[1.0], [2.0, 3.0]] * (N // 2)}, units=UNITS, **SAID)


def test_units_may_be_said_beside_a_table():
    found = samples.own(pd.DataFrame(plain()), **SAID, units=UNITS, name="mine", reference="me 2026")
    assert found.seasons[0].events.equals(samples.own(frame(), **SAID).seasons[0].events)
    assert (found.name, found.reference) == ("mine", "me 2026")
    turned = plain() | {"ra": np.full(N, 360.0)}
    assert np.all(samples.own(turned, **SAID, units=UNITS).seasons[0].array("right_ascension") == 0.0)


def test_own_events_are_analysed_with_the_response_that_is_named():
    found = samples.own(quantities(), **SAID)
    recipe = samples.recipe("cascades-2023")
    assert found.seasons[0].response.name == "cascades-2023"
    assert (found.seasons[0].binning, found.seasons[0].nside) == (recipe.binning, recipe.nside)
    assert found.systematics == recipe.systematics
    source = Catalogue("p", "p", (PointSource("p", 1.0, 0.3),), (1.0,), "-")
    best = maximise(terms(prepare(Hypothesis("point:p", source, 2.5, False), found.seasons)))
    assert best.converged
    assert best.ts >= 0


def test_a_response_may_be_given_as_it_is_or_as_a_dataset():
    known = cascades_2023.response()
    given = samples.own(quantities(), **{**SAID, "response": known})
    assert given.seasons[0].response is known
    assert given.seasons[0].nside == 64
    assert given.systematics == NONE
    whole = samples.detector(known.dataset)
    assert whole.response.notes == ()
    assert (whole.response.errors.share == known.errors.share).all()
    table = [name for name in known.dataset.variables if str(name).startswith(("error_", "kernel_"))]
    bare = samples.detector(known.dataset.drop_vars(table))
    assert bare.response.notes == ("per-event errors of simulated events as for the tracks of IceCube",)
    numbers = known.dataset.drop_vars(table).assign_attrs(error_scale=1.17, error_spread=0.33, error_floor=0.02)
    said = samples.detector(numbers)
    assert (said.response.errors, said.response.notes) == (LogNormalErrors(1.17, 0.33, 0.02), ())
    narrow = known.dataset.assign(psf_kappa_narrow=known.dataset["psf_kappa_narrow"] * 100)
    assert samples.detector(narrow).nside == 128
    with pytest.raises(DataError, match="'migration' is missing"):
        samples.detector(known.dataset.drop_vars("migration"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: data.drop_vars("kernel_weight"), "'kernel_weight' is missing beside 'error_log10_true'"),
        (lambda data: data.assign(error_share=data["error_share"] * 0.3), "'error_share' sums to 0.3, expected 1"),
        (lambda data: data.assign(kernel_scale=data["kernel_scale"] * 0.0), "'kernel_scale' has values"),
        (lambda data: data.assign(error_edges=data["error_edges"] * 0.0), "'error_edges' does not rise"),
    ],
)
def test_a_law_of_errors_that_is_none_is_refused(spoil, said):
    known = cascades_2023.response().dataset
    with xr.set_options(keep_attrs=True), pytest.raises(DataError, match=said):
        samples.detector(spoil(known))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tracks", "has a response for each season; expected one of tracks-ic40, tracks-ic79, tracks-ic86-2011"),
        ("cascade-2023", "Did you mean 'cascades-2023'"),
        ("hese75", "cannot be analysed"),
    ],
)
def test_responses_are_found_by_name(name, said):
    with pytest.raises(InputError, match=said):
        samples.own(quantities(), **{**SAID, "response": name})


def refused(table, **said) -> str:
    with pytest.raises(InputError) as caught:
        samples.own(table, **{**SAID, **said})
    return str(caught.value)


def test_every_fault_is_told_at_once_in_the_words_of_the_caller():
    wrong = plain() | {"dec": plain()["dec"] * 10, "energy": plain()["energy"] * np.nan}
    del wrong["mjd"]
    message = refused(wrong, units={"ra": "m", "dec": "deg", "energy": "TeV", "decl": "deg"}, livetime=3, origin="")
    for fault in (
        "units names 'decl', which is no column. Did you mean 'dec'?",
        "'ra' has the unit 'm'; expected one such as 'deg'",
        "'sigma' has no unit; give it one, or say units={'sigma': 'deg'}",
        "livetime is 3; expected a positive time with a unit, such as 300 * u.day",
        "column 'mjd' is missing",
        "'log10_energy' has 400 values that are NaN or infinite",
        "'declination' has",
        "origin is '', expected 'real' or 'synthetic'",
    ):
        assert fault in message
    assert message.count("\n  - ") == 8, message
    assert "--" not in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"energy": -1.0}, "'log10_energy' has 400 values that are NaN"),
        ({"energy": 0.0}, "'log10_energy' has 400 values that are NaN"),
        ({"ra": -1.0}, "'right_ascension' has 400 values outside"),
        ({"sigma": 0.0}, "'angular_error' has 400 values outside"),
        ({"mjd": 0.0}, "'mjd' has 400 values outside"),
        ({"right_ascension": 1.0}, "'right_ascension' and 'ra' are both there"),
    ],
)
def test_values_out_of_range_are_refused(change, said):
    table = plain() | {name: np.full(N, value) for name, value in change.items()}
    assert said in refused(table, units=UNITS)


def test_tables_that_are_none_are_refused():
    assert "different lengths: 3, 400" in refused(plain() | {"ra": np.ones(3)}, units=UNITS)
    assert "'ra' has 1 dimensions of <U1" in refused(plain() | {"ra": np.full(N, "x")}, units=UNITS)
    assert "it has no events" in refused({name: values[:0] for name, values in plain().items()}, units=UNITS)
    table = with_units()
    table["ra"] = MaskedColumn(plain()["ra"], mask=np.arange(N) < 7, unit="deg")
    assert "'right_ascension' has 7 values that are NaN" in refused(table)
    for other in ([1.0, 2.0], "events.csv", np.ones(3)):
        assert "is no table of events; expected an astropy Table" in refused(other)
    for livetime in (-1 * u.day, 3 * u.m, None, np.nan * u.s):
        assert "expected a positive time with a unit" in refused(quantities(), livetime=livetime)


@pytest.mark.parametrize("name", ["tracks", "My events", "../up", ""])
def test_a_name_is_plain_and_its_own(name):
    assert "expected one of its own" in refused(quantities(), name=name)


def test_a_table_that_repeats_a_sample_is_not_joined_with_it():
    mine, again = (samples.own(quantities(), **{**SAID, "origin": "real"}, name=name) for name in ("mine", "again"))
    with pytest.raises(InputError, match=r"400 events of the samples 'mine' and 'again' are equal"):
        samples.refuse_shared_events([mine, again])
    synthetic = samples.own(quantities(), **SAID, name="twin")
    samples.refuse_shared_events([mine, synthetic])
