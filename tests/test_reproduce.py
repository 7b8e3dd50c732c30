"""Published items made again: what is listed, what is compared and how, and the ones that take seconds."""

import json
import math
from pathlib import Path

import made_releases
import pytest

import nuanalysis.reproduce as room
from nuanalysis import cli
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import DataError, InputError
from nuanalysis.ingest import tracks_dr1
from nuanalysis.interpret.published import REPRODUCED
from nuanalysis.publish import CampaignRow
from nuanalysis.reproduce import ITEMS, Desk, item, page, reproduce
from nuanalysis.reproduce._records import exact, of_campaign, row


@pytest.fixture
def desk(tmp_path):
    return Desk(Bench(tmp_path / "ensembles"), effort=0.01)


def test_every_file_is_listed_and_every_item_says_what_it_is_and_what_it_leaves_out():
    files = {path.stem.replace("_", "-") for path in Path(room.__file__).parent.glob("[a-z]*.py")}
    assert files == set(ITEMS)
    for name in ITEMS:
        found = item(name)
        assert found.name == name
        assert found.title
        assert found.source
        assert (found.make is None) == (found.origin == "none")
        assert found.left_out or found.make


def test_an_unknown_item_is_named_with_its_neighbour():
    with pytest.raises(InputError, match=r"no item 'table-2'.*table-1"):
        item("table-2")


def test_what_public_inputs_do_not_allow_is_refused_with_the_reason(desk):
    with pytest.raises(InputError, match="figure-4 cannot be made of public inputs: it is a map of the data"):
        reproduce("figure-4", desk)


@pytest.mark.parametrize(
    ("ours", "error", "published", "theirs", "pull", "verdict"),
    [
        (12.0, 1.0, 10.0, math.nan, 2.0, "agrees"),
        (13.0, 1.0, 10.0, 0.0, 3.0, "tension"),
        (15.0, 3.0, 10.0, 4.0, 1.0, "agrees"),
        (20.0, 1.0, 10.0, 1.0, 10.0 / math.sqrt(2.0), "differs"),
        (20.0, math.nan, 10.0, math.nan, None, "not compared"),
        (20.0, 1.0, math.nan, math.nan, None, "not compared"),
    ],
)
def test_a_difference_is_in_the_errors_of_both(ours, error, published, theirs, pull, verdict):
    found = row("x", ours, error, published, theirs)
    assert found.pull == (None if pull is None else pytest.approx(pull))
    assert found.verdict == verdict


def test_a_number_without_statistics_is_the_same_or_differs():
    assert exact("x", 1.004, 1.0, 0.005).verdict == "exact"
    assert exact("x", 1.006, 1.0, 0.005).verdict == "differs"


def test_table_1_asks_what_the_spec_of_the_campaign_asks():
    from nuanalysis.reproduce import table_1
    from nuanalysis.workflow.spec import read_spec

    spec = read_spec(Path(__file__).parents[1] / "specs" / "campaign-2023.toml")
    trials = {one.name: one.trials or spec.trials for one in spec.hypothesis}
    templates = {name: (table_1.SCRAMBLES, injections) for name, injections in table_1.TEMPLATES.items()}
    wanted = templates | dict.fromkeys(table_1.STACKS, table_1.OF_STACKS)
    assert {name: (one.scrambles, one.injections) for name, one in trials.items()} == wanted
    together = {one.name: one.question.hypotheses for one in spec.asked if one.section == "together"}
    assert together["fermi-bubbles"] == table_1.CUTOFFS
    assert together["templates"] == tuple(table_1.TEMPLATES)


def test_a_published_p_value_has_the_error_of_its_trials():
    found = of_campaign(CampaignRow(quantity="p", ours=1.3e-6, error=3e-8, published=1.2e-6), 4e-8)
    assert found.pull == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("name", "verdicts"),
    [("figure-2", {"exact"}), ("figure-5", {"exact"}), ("plane-segments", {"agrees"}), ("table-s4", {"exact"})],
)
def test_items_of_printed_numbers(mirror, desk, name, verdicts):
    found = reproduce(name, desk)
    assert {one.verdict for one in found.compared} == verdicts
    assert found.provenance.origin == "real"


def test_an_item_drawn_from_the_response_is_synthetic_and_tells_a_wrong_response(desk, monkeypatch):
    found = reproduce("figure-s8", desk)
    assert found.provenance.origin == "synthetic"
    assert _farthest(found) < 0.025  # what the law of errors is held to, see test_response
    from nuanalysis.reproduce import figure_s8

    draw = figure_s8.draw_point_spread
    monkeypatch.setattr(figure_s8, "draw_point_spread", lambda *a: (1.2 * draw(*a)[0], draw(*a)[1]))
    wrong = reproduce("figure-s8", desk)
    assert _farthest(wrong) > 0.05
    assert sum(one.verdict == "differs" for one in wrong.compared) > sum(
        one.verdict == "differs" for one in found.compared
    )


def _farthest(found):
    return max(abs(one.ours - one.published) for one in found.compared)


def test_the_page_hides_nothing(desk):
    made = [reproduce("figure-s8", desk)]
    text = page([item(name) for name in ITEMS], made)
    for name in ITEMS:
        assert f"## {name}\n" in text
        assert item(name).left_out in text
    assert text.count("cannot be made") == sum(item(name).make is None for name in ITEMS)
    for one in made[0].compared:
        assert f"| {one.quantity} |" in text


def test_the_page_of_the_documentation_says_of_each_item_what_the_item_says():
    """Its numbers were measured; its words are these, so that a change of an item is not forgotten there."""
    there = (Path(__file__).resolve().parents[1] / "docs" / "results" / "reproduced.md").read_text(encoding="utf-8")
    for line in page([item(name) for name in ITEMS], []).splitlines():
        if line.startswith("| ["):
            name, title, *_, minutes = line.strip("| ").split(" | ")
            assert any(
                row.startswith(f"| {name} | {title} |") and row.endswith(f"| {minutes} |") for row in there.splitlines()
            )
        elif not line.startswith("|"):
            assert line in there.splitlines(), line


def test_a_picture_stands_on_the_page_with_its_words(desk, mirror):
    made = reproduce("figure-1", desk)
    text = page([item("figure-1")], [made])
    (drawn,) = made.drawn()
    assert f"![{drawn.sidecar.alt}]({drawn.sidecar.slug}.png)" in text
    assert "diffuse emission alone? Source:" in page([item("table-s3")], [])


def test_without_its_release_an_item_says_what_to_fetch(tmp_path, desk, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_DATA", str(tmp_path))
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"release 'tracks-dr1' is not here.*nuanalysis data fetch tracks-dr1'"):
        reproduce("tracks-txs-0506", desk)


@pytest.mark.slow
def test_with_its_release_a_published_fit_is_repeated_and_compared(tmp_path, desk, monkeypatch):
    made_releases.dr1(tmp_path / tracks_dr1.RELEASE.folder)
    monkeypatch.setenv("NUANALYSIS_DATA", str(tmp_path))
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    found = reproduce("tracks-txs-0506", desk)
    said = {one.quantity: one.verdict for one in found.compared}
    assert said["txs-0506-release: TS"] == "differs"  # events at random hold no TXS 0506+056 of TS 13
    assert said["txs-0506-ten-years: TS"] == "not compared"
    assert said["txs-0506-ten-years: local significance (sigma)"] == "differs"


def test_published_fits_are_complete_and_differ():
    assert len({one.name for one in REPRODUCED}) == len(REPRODUCED) == 4
    for one in REPRODUCED:
        assert one.source
        assert one.spot.n_signal > 0
        assert 1.0 <= one.spot.index <= 4.0
        assert one.official == (math.isfinite(one.spot.p_local) and one.sample == "tracks-dr1")


def test_the_command_lists_and_writes(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    assert cli._call(["reproduce", "ls", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["items"]
    assert [one["item"] for one in listed] == list(ITEMS)
    assert cli._call(["reproduce", "figure-2", "--output", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["item"] == "figure-2"
    assert json.loads(next((tmp_path / "out").glob("*.json")).read_text())["compared"] == told["compared"]
