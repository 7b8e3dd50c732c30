"""What changed between two releases: counts, positions, numbers in their errors, significances, files and alerts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_results import RESULTS, entry, make_run, results, scanned

from nuanalysis import publish
from nuanalysis.cli import release as verbs
from nuanalysis.errors import DataError
from nuanalysis.publish import _changes
from nuanalysis.records import Measured


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_run(
        tmp_path_factory.mktemp("before") / "default", results(RESULTS[:2], [entry("scan", "sky", scanned())])
    )
    return publish.build(run, "DR1.0")


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One answer revised, one new, one gone; another input, another seed of the software."""
    found = results((RESULTS[0], RESULTS[2]))
    first, *rest = found.answers
    best = Measured(value=2.5e-11, error=1e-12, unit=first.answer.flux.best.unit)
    flux = first.answer.flux.model_copy(update={"best": best})
    first = first.model_copy(update={"answer": first.answer.model_copy(update={"flux": flux})})
    versions = {**found.versions, "numpy": "9.9"}
    run = make_run(
        tmp_path_factory.mktemp("after") / "default",
        found.model_copy(update={"answers": (first, *rest), "versions": versions}),
    )
    return publish.build(run, "DR1.1")


def of(found: publish.ReleaseChanges, quantity: str) -> publish.Change:
    return next(one for one in found.changes if one.quantity == quantity)


def test_a_release_does_not_differ_from_itself(before: Path) -> None:
    found = publish.release_changes(before, before)
    assert (found.changes, found.files.changed, found.files.appeared, found.files.gone) == ((), (), (), ())
    assert "No count, position, number or significance changed." in found.prose()


def test_numbers_are_told_in_their_errors_and_answers_by_name(before: Path, after: Path) -> None:
    found = publish.release_changes(before, after)
    best = of(found, "flux.best")
    assert best.subject == "cascades-2023, measure template:pi0"
    assert (best.before, best.after) == (2.2e-11, 2.5e-11)
    assert best.sigma == pytest.approx(3e-12 / (2**0.5 * 1e-12))  # two errors of 1e-12
    kinds = {(one.quantity, one.kind) for one in found.changes}
    assert ("answer cascades-2023, measure stack:pwn", "appeared") in kinds
    assert ("answer cascades-2023, measure stack:snr", "gone") in kinds
    assert ("answer cascades-2023, scan sky", "gone") in kinds
    assert of(found, "numpy").after == "9.9"
    assert any("stack-snr" in name for name in found.files.gone)
    assert any("stack-pwn" in name for name in found.files.appeared)


def test_prose_and_json_say_the_same(before: Path, after: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verbs.app(["diff", str(before), str(after)], standalone_mode=False)
    prose = capsys.readouterr().out
    assert f"# {after.name} against {before.name}" in prose
    assert "- flux.best 2.2e-11 → 2.5e-11 (+2.12 standard errors)" in prose
    assert "- answer cascades-2023, measure stack:pwn is new" in prose
    verbs.app(["diff", str(before), str(after), "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out) == publish.release_changes(before, after).to_dict()


def changed(a: Any, b: Any) -> list[publish.Change]:
    return list(_changes._compared("an answer", "x", a, b))


def test_positions_move_by_an_angle() -> None:
    at = {"ra_deg": 10.0, "dec_deg": 60.0, "l_deg": 1.0, "b_deg": 2.0}
    (one,) = changed(at, {**at, "ra_deg": 12.0})
    assert one.kind == "position"
    assert one.difference == pytest.approx(1.0, rel=1e-3)  # 2 deg cos 60 deg
    assert "moved by 1.00 deg, from (10.00, +60.00) to (12.00, +60.00)" in str(one)


def test_significances_counts_words_and_lists() -> None:
    (one,) = changed({"p": 1e-3, "sigma": 3.0, "n_trials": 5}, {"p": 1e-4, "sigma": 3.7, "n_trials": 9})
    assert (one.kind, one.sigma) == ("significance", pytest.approx(0.7))
    (one,) = changed(5, 7)
    assert (one.kind, one.difference) == ("count", 2.0)
    (one,) = changed({"value": 1.0, "error": {"reason": "none"}}, {"value": 2.0, "error": {"reason": "none"}})
    assert (one.sigma, one.difference) == (None, 1.0)
    (one,) = changed({"reason": "too few trials"}, {"value": 1.0, "error": 0.1})
    assert (one.kind, one.before, one.after) == ("words", "unknown (too few trials)", "1.0")
    (one,) = changed([1.0, 2.0, 3.0, 4.0], [1.0, 2.5, 3.0])
    assert "2 of 4 entries differ" in one.quantity
    assert changed({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}) == []


def test_what_is_no_release_is_named(before: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"results\.json"):
        publish.release_changes(before, tmp_path)
