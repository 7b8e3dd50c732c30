"""``nuanalysis joint`` and ``compare``: one document, readable text, and refusals before any work starts."""

from __future__ import annotations

import json
import re

import pytest
from nuanalysis.cli.inference import _split
from small_problem import sample, whole

from nuanalysis import cli
from nuanalysis.library import samples

JOINT = ("joint", "--sample", "cascades-2023", "--signal", "none", "--executor", "serial", "--trials", "100")
COMPARE = ("compare", *JOINT[1:])
NUMBER = r"-?[0-9][0-9.e+-]*"
PAIR = "template:pi0-like,point:83.6,22"


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    """A part of the twin stands for the sample; no public files, a cache of our own."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(samples, "load", lambda spec, seed: whole(sample(1200)))


@pytest.fixture
def call(capfd):
    def run(*arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main(list(arguments))
        out, err = capfd.readouterr()
        return int(caught.value.code or 0), out, err

    return run


def test_joint_gives_one_document_and_the_same_twice(call):
    code, out, err = call(*JOINT, "--hypotheses", PAIR, "--json")
    assert code == 0
    document = json.loads(out)
    assert "SYNTHETIC" in err
    assert (document["origin"], document["seed"], document["n_trials"]) == ("synthetic", 1, 100)
    assert any("SYNTHETIC" in note for note in document["notes"])
    assert [row["hypothesis"] for row in document["hypotheses"]] == ["template:pi0-like", "point:83.6,22"]
    for row in document["hypotheses"]:
        keys = {"n_s", "n_s_error", "ts", "p_value", "flux", "flux_error_fit", "flux_uncorrected", "bias", "bias_error"}
        assert keys <= set(row)
        assert row["index_free"] is False
    for name in ("curvature", "measured", "measured_error"):
        assert len(document["correlation"][name]) == 2
    assert document["ts"] >= max(row["ts"] for row in document["hypotheses"]) - 1e-9
    again = json.loads(call(*JOINT, "--hypotheses", PAIR, "--json")[1])
    assert {**again, "seconds": 0} == {**document, "seconds": 0}


def test_joint_with_free_indices_in_text(call):
    code, out, _ = call(*JOINT, "--hypotheses", "template:pi0-like,point:266,-29", "--free-index")
    assert code == 0
    assert "SYNTHETIC" in out
    fitted = re.findall(rf"^  n_s {NUMBER} \+- {NUMBER}, index (\S+) \+- \S+; TS {NUMBER}, others profiled$", out, re.M)
    assert len(fitted) == 2
    assert len(re.findall(rf"^  corrected n_s {NUMBER} \+- {NUMBER} \(correction \+- {NUMBER}\)$", out, re.M)) == 2
    assert len(re.findall(rf"^  flux {NUMBER} \+- {NUMBER} TeV cm-2 s-1 \(correction \+- {NUMBER}\)$", out, re.M)) == 2
    assert len(re.findall(rf"^  coverage {NUMBER}, corrected {NUMBER} .*stated 0\.683", out, re.M)) == 2
    assert "correlation" in out


def test_indices_are_held_unless_asked(call):
    code, out, _ = call(*COMPARE, "--models", "point:83.6,22,point:266,-29", "--json")
    assert code == 0
    assert [row["index_free"] for row in json.loads(out)["models"]] == [False, False]
    code, _, err = call(*JOINT, "--hypotheses", PAIR, "--index-free")
    assert code == 2
    assert "--index-free" in err


@pytest.mark.parametrize("as_json", [True, False])
def test_compare_gives_both_ways(call, as_json):
    code, out, err = call(*COMPARE, "--models", PAIR, "--seed", "7", *(["--json"] if as_json else []))
    assert code == 0
    assert "SYNTHETIC" in err
    if not as_json:
        assert "q = TS_B - TS_A" in out
        assert "power at 5 %" in out
        assert len(re.findall(rf"^[AB]  \S+: TS {NUMBER}, n_s {NUMBER} \+- {NUMBER}$", out, re.M)) == 2
        assert len(re.findall(rf"^  corrected n_s {NUMBER} \+- {NUMBER} \(correction \+- {NUMBER}\)$", out, re.M)) == 2
        assert "both have the same TS: of A " in out
        return
    document = json.loads(out)
    assert document["seed"] == 7
    assert document["q"] == pytest.approx(document["models"][1]["ts"] - document["models"][0]["ts"])
    for record in (document["p_a"], document["p_b"]):
        # One of (k + 1) / 101, with the binomial error.
        assert record["p"] * 101 == pytest.approx(round(record["p"] * 101))
        assert record["p_error"] == pytest.approx((record["p"] * (1 - record["p"]) / 100) ** 0.5)
    for record in (document["power"]["against_a"], document["power"]["against_b"], document["ties"]["a"]):
        assert record["share"] * 100 == pytest.approx(round(record["share"] * 100))
        assert record["n_trials"] == 100


REFUSED = [
    (JOINT, "--hypotheses", "template:pi0", "two or more"),
    (JOINT, "--hypotheses", ",", "two or more"),
    (JOINT, "--hypotheses", "template:pi0,template:pi0", "twice"),
    (JOINT, "--hypotheses", "template:pi0,stack:snrr", "Did you mean 'snr'"),
    (JOINT, "--hypotheses", "nothing,template:pi0", "is not of the form"),
    (JOINT, "--hypotheses", "tempalte:pi0,stack:snr", "Did you mean 'template'"),
    (JOINT, "--hypotheses", "template:pi0,nothing", "pi0,nothing"),
    (COMPARE, "--models", "template:pi0,stak:snr", "pi0,stak:snr"),
    (COMPARE, "--models", "template:pi0", "1 models; expected 2"),
    (COMPARE, "--models", "template:pi0,stack:snr,stack:pwn", "3 models; expected 2"),
    (COMPARE, "--models", "stack:snr,stack:snr", "twice"),
    ((*JOINT, "--trials", "20"), "--hypotheses", "template:pi0,stack:snr", "--trials is 20"),
    ((*COMPARE, "--sample", "cascades-2032"), "--models", "template:pi0,stack:snr", "no sample 'cascades-2032'"),
]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("template:pi0,stack:snr", ["template:pi0", "stack:snr"]),
        ("point:83.6,22,point:266,-29,template:pi0", ["point:83.6,22", "point:266,-29", "template:pi0"]),
        ("template:a.fits?energies=1,2,5,each:snr", ["template:a.fits?energies=1,2,5", "each:snr"]),
        ("template:my,own map.fits, stack:snr", ["template:my,own map.fits", "stack:snr"]),
        ("tempalte:pi0,stack:snr", ["tempalte:pi0", "stack:snr"]),
        (",template:pi0,,stack:snr,", ["template:pi0", "stack:snr"]),
        ("point:1,,2", ["point:1,,2"]),
        (",", []),
    ],
)
def test_names_may_hold_commas(text, names):
    assert _split(text) == names


@pytest.mark.parametrize(("verb", "option", "value", "said"), REFUSED)
def test_wrong_input_is_refused_before_work_starts(call, monkeypatch, verb, option, value, said):
    def never(spec, seed):
        raise AssertionError("a sample was made")

    monkeypatch.setattr(samples, "load", never)
    code, out, err = call(*verb, option, value, "--json")
    assert code == 2
    document = json.loads(out)["error"]
    assert (document["kind"], document["exit_code"]) == ("InputError", 2)
    assert said in document["message"]
    assert "Traceback" not in err
