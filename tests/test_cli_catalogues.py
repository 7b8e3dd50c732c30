"""``nuanalysis catalogues`` and the names behind it: one answer, faults with exit code 2."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuanalysis import cli
from nuanalysis.errors import InputError
from nuanalysis.library.catalogue_cards import selection_card, weights_ecsv
from nuanalysis.library.catalogues import (
    content_of,
    is_own_file,
    names,
    open_catalogue,
    open_selection,
    parse_catalogue,
)
from nuanalysis.response import acceptance
from nuanalysis.response.cascades_2023 import response
from nuanalysis.sky.catalogues import CATALOGUES
from nuanalysis.sky.records import PowerLaw

Call = Callable[..., tuple[int, str, str]]
MINE = """name,ra,dec,class,flux,extension
RX J1713.7-3946,258.36,-39.77,SNR,1.7e-11,0.28
Vela Junior,133.0,-46.33,SNR,2.3e-11,0.5
Crab nebula,83.63,22.01,PWN,2.3e-11,0
PSR J0534+2200,83.63308,22.01446,PSR,,0
Cas A,350.85,58.81,SNR,8e-13,
"""


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mirror, an empty cache, a folder of our own with one catalogue."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text(MINE, encoding="utf-8")
    Path("mine.toml").write_text('unit = "deg"\nflux_unit = "cm-2 s-1"\nflux_band = "above 1 TeV"\n', encoding="utf-8")


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the verb in this process."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main(["catalogues", *arguments])
        out, err = capfd.readouterr()
        return int(caught.value.code or 0), out, err

    return run


def answered(result: tuple[int, str, str]) -> dict[str, Any]:
    code, out, err = result
    assert code == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


# ---- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("snrs", ["there is no catalogue 'snrs'. Did you mean 'snr'"]),
        ("none.csv", ["no catalogue 'none.csv' and no such file"]),
        ("mine.csv?rul=dec > 1", ["unknown key 'rul'. Did you mean 'rule'"]),
        ("mine.csv?rule=dec > 1&rule=dec > 2", ["'rule' is given twice"]),
        ("mine.csv?rule=dec > 1 & ra > 2", ["an & inside a rule is written 'and', or %26"]),
        ("mine.csv?within=near", ["within is 'near', expected a number of degrees"]),
        ("mine.csv?frame=galaktic&duplicates=kep", ["Did you mean 'galactic'", "Did you mean 'keep'"]),
        ("mine.csv?rule=dec >&weigth=flux", ["cannot be read", "Did you mean 'weight'"]),
        ("snr?ra=a", ["the list 'snr' takes no column map; leave out ra"]),
    ],
)
def test_what_can_be_told_without_reading_is_told_at_once(text: str, said: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_catalogue(text)
    for words in said:
        assert words in str(caught.value)


def test_a_plus_in_a_name_stays_a_plus_and_percent_signs_are_read() -> None:
    rule = parse_catalogue("mine.csv?rule=name == 'PSR J0534+2200'").choice.rule
    assert rule == "name == 'PSR J0534+2200'"
    assert parse_catalogue("mine.csv?rule=name%20==%20'A%26B'").choice.rule == "name == 'A&B'"


def test_typed_lists_are_opened_as_they_are_and_can_be_cut() -> None:
    for name, one in CATALOGUES.items():
        assert open_catalogue(f"stack:{name}") is one
    north = open_catalogue("stack:snr?rule=dec > 0")
    assert [source.name for source in north.sources] == ["Gamma Cygni", "HESS J1912+101", "Cassiopeia A"]
    assert north.reference.startswith(CATALOGUES["snr"].reference)
    assert north.name == "snr?rule=dec > 0"
    assert set(CATALOGUES) < set(names())


def test_what_a_name_depends_on_changes_with_the_file_and_the_words_beside_it() -> None:
    name = "stack:mine.csv?rule=dec > 1"
    assert is_own_file(name)
    assert not is_own_file("stack:snr?rule=dec > 1")
    seen = [content_of("snr"), content_of(name)]
    Path("mine.toml").write_text('unit = "deg"\n', encoding="utf-8")
    seen.append(content_of(name))
    Path("mine.csv").write_text(MINE + "X,1,2,SNR,1e-12,0\n", encoding="utf-8")
    seen.append(content_of(name))
    assert len(set(seen)) == 4


def test_a_users_file_with_a_rule_and_weights_is_a_catalogue() -> None:
    made = open_catalogue("stack:mine.csv?rule=class == 'SNR' and flux > 1e-12&weight=flux")
    assert [source.name for source in made.sources] == ["RX J1713.7-3946", "Vela Junior"]
    assert made.weights == (1.7e-11, 2.3e-11)
    assert np.degrees(made.sources[0].extension) == pytest.approx(0.28)
    for said in ("mine.csv", "sha256", "class == 'SNR' and flux > 1e-12", "weight: flux", "unit=deg"):
        assert said in made.reference


def test_the_stored_weights_read_back_give_the_same_sources() -> None:
    selection = open_selection("mine.csv?rule=class == 'SNR' and extension is not None&weight=flux")
    Path("weights.ecsv").write_bytes(weights_ecsv(selection_card(selection)))
    again = open_catalogue("weights.ecsv?weight=weight")
    assert again.sources == selection.catalogue.sources
    assert again.weights == selection.catalogue.weights


# ---- the verb -----------------------------------------------------------------------------------------------------


def test_ls_says_what_is_not_here(call: Call) -> None:
    rows = {row["name"]: row for row in answered(call("ls", "--json"))["catalogues"]}
    assert (rows["snr"]["sources"], rows["snr"]["here"], rows["snr"]["needs"]) == (12, True, "")
    assert (rows["4fgl-dr2"]["sources"], rows["4fgl-dr2"]["here"]) == (5788, False)
    code, out, _ = call("ls")
    assert code == 0
    assert "needs the release source-catalogues (not here)" in out


def test_show_without_a_rule_says_what_there_is(call: Call) -> None:
    document = answered(call("show", "mine.csv", "--json"))
    assert document["sources"] == 5
    assert document["classes"] == {"SNR": 3, "PWN": 1, "PSR": 1}
    assert (document["flux_unit"], document["flux_band"], document["with_flux"]) == ("cm-2 s-1", "above 1 TeV", 4)
    assert document["duplicates"] == [["Crab nebula", "PSR J0534+2200"]]
    assert document["selection"] is None
    code, out, _ = call("show", "mine.csv")
    assert code == 0
    assert re.search(r"with a flux +4\n", out)
    assert "SNR 3; PWN 1; PSR 1" in out
    assert "Listed more than once: Crab nebula + PSR J0534+2200." in out


def test_show_with_a_rule_prints_the_weights_and_writes_them(call: Call, tmp_path: Path) -> None:
    options = ("--rule", "class in ('SNR', 'PWN')", "--weight", "flux", "--output", "w.ecsv")
    document = answered(call("show", "mine.csv", *options, "--json"))["selection"]
    shares = [row["share"] for row in document["weights"]]
    assert sum(shares) == pytest.approx(1.0)
    assert shares[0] == pytest.approx(1.7e-11 / (1.7e-11 + 2.3e-11 + 2.3e-11 + 8e-13))
    assert document["weights"][0]["share_of_events"] is None
    assert (tmp_path / "w.ecsv").is_file()
    (tmp_path / "w.ecsv").unlink()
    code, out, _ = call("show", "mine.csv", *options)
    assert code == 0
    assert re.search(r"RX J1713.7-3946 +SNR", out)
    assert "4 of 5 sources of mine.csv with class in ('SNR', 'PWN')" in out
    assert "1 sources without a stated extension are taken as points" in out


def test_show_with_a_sample_adds_shares_of_events(call: Call) -> None:
    made = ("--rule", "class in ('SNR', 'PWN')", "--weight", "flux", "--sample", "cascades-2023", "--index", "2.2")
    rows = answered(call("show", "mine.csv", *made, "--json"))["selection"]["weights"]
    at = np.sin(np.radians([row["dec_deg"] for row in rows]))
    events = np.array([row["weight"] for row in rows]) * acceptance(response(), PowerLaw(2.2), at)
    assert [row["share_of_events"] for row in rows] == pytest.approx(events / events.sum())
    assert [row["share_of_events"] for row in rows] != pytest.approx([row["share"] for row in rows])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "mine.csv", "--rule", "Flux > 1"), "Did you mean 'flux'"),
        (("show", "mine.csv", "--rule", "dec > 0"), "listed more than once"),
        (("show", "mine.csv", "--rule", "class == 'SNR'", "--weight", "dist"), "no weight 'dist'"),
        (("show", "mine.csv?weight=flux", "--weight", "equal"), "weight is 'flux' in the name and 'equal' beside it"),
        (("show", "snr", "--output", "w.csv"), "ends in .ecsv"),
        (("show", "snr", "--sample", "cascade"), "there is no sample 'cascade'"),
        (("match", "snr", "nothing", "--within", "1"), "no catalogue 'nothing'"),
        (("match", "snr", "pwn", "--within", "-1"), "--within"),
    ],
)
def test_faults_end_with_exit_code_2_and_are_said_in_json_too(
    call: Call, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = call(*arguments, "--json")
    assert code == 2
    assert said in err
    assert said in json.loads(out)["error"]["message"]


def test_a_release_that_is_not_here_says_how_to_get_it(call: Call) -> None:
    code, _, err = call("show", "hgps")
    assert code == 3
    assert "nuanalysis data fetch source-catalogues" in err


def test_check_reports_all_faults_together_or_none(call: Call) -> None:
    Path("bad.csv").write_text("name,ra,dec,l,b\nA,361,0,,\nB,10,10,50,50\nC,20,20,,\nc,120,20,,\nD,,,,\n")
    code, _, err = call("check", "bad.csv?unit=deg")
    assert code == 2
    for said in (
        "has 4 faults",
        "no direction (D)",
        "off the sphere",
        "disagree with the equatorial ones",
        "listed more than once",
    ):
        assert said in err
    code, _, err = call("check", "mine.csv")
    assert (code, "Crab nebula + PSR J0534+2200" in err) == (2, True)
    document = answered(call("check", "mine.csv", "--duplicates", "first", "--json"))
    assert document["read_as"]["ra"] == "ra"
    code, out, _ = call("check", "mine.csv?duplicates=keep")
    assert (code, "no fault found" in out) == (0, True)


def test_check_reports_sources_without_direction(call: Call) -> None:
    Path("gaps.csv").write_text("name,ra,dec\nA,10,10\nB,,\n")
    code, _, err = call("check", "gaps.csv")
    assert (code, "1 selected sources have no direction (B)" in err) == (2, True)


def test_match_of_a_file_with_a_list(call: Call) -> None:
    document = answered(call("match", "mine.csv?rule=class == 'SNR'", "snr", "--within", "0.5", "--json"))
    assert [[pair["a"], pair["b"]] for pair in document["pairs"]] == [
        ["RX J1713.7-3946", "RX J1713.7-3946"],
        ["Vela Junior", "Vela Junior"],
        ["Cas A", "Cassiopeia A"],
    ]
    assert max(pair["separation_deg"] for pair in document["pairs"]) < 1e-9
    assert [len(rows) for rows in document["unmatched"]] == [0, 9]
    code, out, _ = call("match", "mine.csv", "pwn", "--within", "0.1")
    assert code == 0
    assert "2 of A have a source of B within 0.1 deg" in out
    assert out.count("yes") == 2


@pytest.mark.real_data
def test_released_catalogues_through_the_verb(call: Call, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUANALYSIS_DATA", str(mirror))
    rule = "class == 'SNR' and flux > 1e-12 and extension < 0.5 and dec > -60"
    document = answered(call("show", "hgps", "--rule", rule, "--json"))
    assert [row["name"] for row in document["selection"]["weights"]] == [
        "HESS J1534-571",
        "HESS J1713-397",
        "HESS J1731-347",
    ]
    assert document["sha256"] in document["selection"]["reference"]
    assert all(row["here"] for row in answered(call("ls", "--json"))["catalogues"])
    # All of 4FGL-DR2 but two entries of the Crab nebula: its pulsar and its two components are one place.
    big = open_catalogue("4fgl-dr2?duplicates=first")
    assert len(big.sources) == 5786
    found = answered(call("match", "3fhl", "4fgl-dr2", "--within", "0.5", "--json"))
    assert len(found["pairs"]) + len(found["unmatched"][0]) == 1556
    assert len(found["pairs"]) > 1500
