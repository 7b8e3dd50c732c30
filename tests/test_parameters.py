"""Notebook parameters: what is wrong is refused, all of it at once, in words that help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from nuanalysis.errors import InputError
from nuanalysis.workflow.parameters import PARAMETERS, check_notebook, describe, injected, read_values, validate


def notebook(
    folder: Path, *sources: str, name: str = "03_template_fits", tags: tuple[str, ...] = ("parameters",)
) -> Path:
    cells = [
        {
            "cell_type": "code",
            "source": source,
            "metadata": {"tags": list(tags)},
            "outputs": [],
            "execution_count": None,
        }
        for source in sources
    ]
    path = folder / f"{name}.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


GOOD_CELL = """\
spec = "specs/default.toml"  # path
run_folder: str = "runs/default"
executor = "processes"
workers = 2
scheduler = ""
cluster = ""
"""


def test_defaults_hold_for_every_notebook_and_satisfy_their_own_model() -> None:
    assert list(PARAMETERS) == [
        "START_HERE", "00_ask_the_sky", "01_event_store", "02_event_selection", "03_template_fits", "04_stacking",
        "05_data_release", "06_templates", "07_sky_map", "08_extended_sources", "09_interpretation",
        "10_realtime",
    ]  # fmt: skip
    for name in PARAMETERS:
        chosen = validate(name, {})
        assert chosen.model_dump()["spec"] == "specs/default.toml"
        assert all(row.description for row in describe(name))


def test_a_given_value_is_taken_and_the_model_never_changes() -> None:
    chosen = validate("03_template_fits", {"workers": 4, "executor": "dask"})
    assert chosen.model_dump() == {
        "spec": "specs/default.toml", "run_folder": "runs/default", "executor": "dask", "workers": 4, "scheduler": "",
        "cluster": "",
    }  # fmt: skip
    with pytest.raises(ValidationError, match="frozen"):
        chosen.workers = 5  # type: ignore[attr-defined]


def test_several_numbers_stand_with_commas_between_and_come_back_from_papermill_as_lists() -> None:
    said = read_values("08_extended_sources", ["declination=-5,82", "extensions=[1, 2.5]"])
    chosen = validate("08_extended_sources", said).model_dump()
    assert (chosen["declination"], chosen["extensions"]) == ((-5.0, 82.0), (1.0, 2.5))
    assert validate("08_extended_sources", {"declination": [-5, 82]}).model_dump()["declination"] == (-5.0, 82.0)


def test_names_that_papermill_injected_are_read_from_its_last_cell() -> None:
    cells = [
        "import this",
        "# Parameters\nold = 1\n",
        "x = 2",
        "# Parameters\nwrkers = 3\nwidth = float('inf')\n",
        "y = 1",
    ]
    assert injected(cells) == ("wrkers", "width")
    assert injected(cells[:1]) == ()


def test_a_misspelt_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(InputError) as caught:
        validate("03_template_fits", {"workerz": 3})
    assert str(caught.value) == (
        "parameter error: 03_template_fits has no parameter 'workerz'. "
        "Did you mean 'workers' (int, 1..256, default 2)? Nothing was run."
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("workers", "3", r"'workers' is '3' \(str\), expected int, 1\.\.256, default 2\."),
        ("workers", True, r"'workers' is True \(bool\), expected int"),
        ("workers", 2.0, r"'workers' is 2\.0 \(float\), expected int"),
        ("workers", 0, r"'workers' is 0 \(int\), expected int, 1\.\.256"),
        ("workers", 257, r"'workers' is 257 \(int\)"),
        ("executor", "process", r"'executor' is 'process' \(str\), expected str, serial \| threads"),
        ("spec", "", r"'spec' is '' \(str\), expected str, not empty"),
        ("scheduler", None, r"'scheduler' is None \(NoneType\), expected str"),
    ],
)
def test_a_wrong_type_or_range_is_refused_with_what_was_expected(name: str, value: object, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        validate("03_template_fits", {name: value})


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        validate("05_data_release", {"build_release": 1, "sample": "all", "run_folder": 7})
    message = str(caught.value)
    assert message.count("parameter error: 05_data_release") == 3
    assert message.count("Nothing was run.") == 1


def test_an_unknown_notebook_is_refused() -> None:
    with pytest.raises(InputError, match="Did you mean '04_stacking'"):
        validate("04_stack", {})


def test_describe_gives_type_unit_range_default() -> None:
    rows = {row.name: row for row in describe("03_template_fits")}
    assert rows["workers"].to_dict() == {
        "name": "workers", "type": "int", "unit": "", "range": "1..256", "default": 2,
        "description": "workers of threads, processes and dask",
    }  # fmt: skip
    assert rows["executor"].range == "serial | threads | processes | dask | slurm | htcondor"


def test_a_cell_that_names_exactly_the_fields_is_good(tmp_path: Path) -> None:
    assert check_notebook(notebook(tmp_path, GOOD_CELL)) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("workers = 2", "workerz = 2", "'workerz' is no parameter. Did you mean 'workers'"),
        ("workers = 2", "workers = 3", "workers = 3, expected workers = 2"),
        ("workers = 2", "workers = 2.0", "workers = 2.0, expected workers = 2"),
        ("workers = 2", "workers = 1 + 1", "'workers = 1 + 1' is not a literal"),
        ("workers = 2", "", "'workers' is missing, expected workers = 2"),
        ("workers = 2", "import os", "'import os' is not of the form name = literal"),
        ("workers = 2", "workers = (", "never closed"),
    ],
)
def test_a_cell_that_differs_from_the_model_is_a_fault(tmp_path: Path, old: str, new: str, fault: str) -> None:
    faults = check_notebook(notebook(tmp_path, GOOD_CELL.replace(old, new)))
    assert any(fault in line and line.startswith("03_template_fits.ipynb, cell 1: ") for line in faults), faults


def test_there_must_be_one_parameters_cell(tmp_path: Path) -> None:
    assert "2 cells tagged" in check_notebook(notebook(tmp_path, GOOD_CELL, GOOD_CELL))[0]
    assert "0 cells tagged" in check_notebook(notebook(tmp_path, GOOD_CELL, tags=()))[0]


def test_a_file_that_is_no_notebook_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "01_event_store.ipynb"
    with pytest.raises(InputError, match="no notebook at"):
        check_notebook(path)
    path.write_text("{")
    with pytest.raises(InputError, match="is no notebook of format 4"):
        check_notebook(path)
