"""``nuanalysis joint`` and ``compare``: one document, readable text, and refusals before any work starts."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from small_problem import sample, whole

from nuanalysis.answers.compare import CompareAnswer
from nuanalysis.answers.joint import JointAnswer
from nuanalysis.cli._questions import split
from nuanalysis.library import samples

JOINT = ("joint", "--sample", "cascades-2023", "--signal", "none", "--executor", "serial", "--trials", "100")
COMPARE = ("compare", *JOINT[1:])
NUMBER = r"-?[0-9][0-9.e+-]*"
PAIR = "template:pi0-like,point:83.6,22"


@pytest.fixture(autouse=True)
def small(cache, monkeypatch):
    """A part of the twin stands for the sample; no public files."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(cache))
    monkeypatch.setattr(samples, "load", lambda spec, seed: whole(sample(1200)))


def plain(text):
    """Without line breaks."""
    return " ".join(text.split())


def test_joint_gives_one_document_and_the_same_twice(call):
    code, out, err = call(*JOINT, "--hypotheses", PAIR, "--json")
    assert code == 0
    document = json.loads(out)
    assert "SYNTHETIC" in err
    provenance = document["provenance"]
    assert (provenance["origin"], provenance["seed"], document["n_trials"]) == ("synthetic", 1, 100)
    assert any("SYNTHETIC" in note for note in provenance["notes"])
    rows = document["hypotheses"]
    assert [row["tested"]["hypothesis"] for row in rows] == ["template:pi0-like", "point:83.6,22"]
    assert [row["tested"]["index_free"] for row in rows] == [False, False]
    assert document["ts"] >= max(row["ts"] for row in rows) - 1e-9
    known = {key: value for key, value in document.items() if key not in ("seconds", "files")}
    assert JointAnswer.from_dict(known).to_dict() == known
    again = json.loads(call(*JOINT, "--hypotheses", PAIR, "--json")[1])
    assert {**again, "seconds": 0} == {**document, "seconds": 0}


def test_joint_with_free_indices_in_text(call, tmp_path):
    names = ("--hypotheses", "template:pi0-like,point:266,-29", "--index-free")
    code, out, _ = call(*JOINT, *names, "--output", tmp_path / "out")
    assert code == 0
    assert "SYNTHETIC" in out
    said = plain(out)
    assert len(re.findall(rf"n_s {NUMBER} \+- {NUMBER}, TS {NUMBER}, local p", said)) == 2
    for words in (
        "correlations of the norms",
        "coverage",
        "the others profiled",
        "n_s corrected is the signal",
    ):
        assert words in said
    assert max(len(line) for line in out.splitlines() if "wrote" not in line) <= 80
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {
        "joint-template-pi0-like-point-266_-29.png",
        "joint-template-pi0-like-point-266_-29.json",
    }


def test_indices_are_held_unless_asked(call):
    code, out, _ = call(*COMPARE, "--models", "point:83.6,22,point:266,-29", "--json")
    assert code == 0
    assert [row["tested"]["index_free"] for row in json.loads(out)["models"]] == [False, False]


def test_compare_gives_both_ways(call):
    code, out, err = call(*COMPARE, "--models", PAIR, "--seed", "7", "--json")
    assert code == 0
    assert "SYNTHETIC" in err
    document = json.loads(out)
    known = {key: value for key, value in document.items() if key not in ("seconds", "files")}
    assert CompareAnswer.from_dict(known).to_dict() == known
    a, b = document["models"]
    assert document["q"] == pytest.approx(b["ts"] - a["ts"])
    for model in (a, b):
        # One of (k + 1) / (n + 1), of the n experiments that are like the data, with the binomial error.
        p, n = model["chance"]["p"], model["chance"]["n_trials"]
        assert 20 <= n <= 100
        assert p * (n + 1) == pytest.approx(round(p * (n + 1)))
        assert model["chance"]["error"] == pytest.approx((p * (1 - p) / n) ** 0.5)
        for name in ("power", "right", "ties"):
            assert model[name]["p"] * 100 == pytest.approx(round(model[name]["p"] * 100))
            assert model[name]["n_trials"] == 100


def test_compare_in_text(call):
    code, out, _ = call(*COMPARE, "--models", PAIR, "--seed", "7")
    assert code == 0
    said = plain(out)
    assert "q = TS_B - TS_A" in said
    assert "A is template:pi0-like, B point:83.6,22:" in said
    assert len(re.findall(r"if [AB] is true: local p", said)) == 2
    for head in ("p of q", "power", "right", "ties", "n_s"):
        assert head in out


REFUSED = [
    (JOINT, "--hypotheses", "template:pi0", "two or more"),
    (JOINT, "--hypotheses", ",", "two or more"),
    (JOINT, "--hypotheses", "template:pi0,template:pi0", "twice"),
    (JOINT, "--hypotheses", "template:pi0,stack:snrr", "Did you mean 'snr'"),
    (JOINT, "--hypotheses", "nothing,template:pi0", "is not of the form"),
    (JOINT, "--hypotheses", "tempalte:pi0,stack:snr", "Did you mean 'template'"),
    (JOINT, "--hypotheses", "template:pi0,nothing", "pi0,nothing"),
    (JOINT, "--hypotheses", "template:pi0,each:snr", "stands for many"),
    (COMPARE, "--models", "template:pi0,stak:snr", "pi0,stak:snr"),
    (COMPARE, "--models", "template:pi0", "1 named; expected 2"),
    (COMPARE, "--models", "template:pi0,stack:snr,stack:pwn", "3 named; expected 2"),
    (COMPARE, "--models", "stack:snr,stack:snr", "twice"),
    ((*JOINT, "--trials", "20"), "--hypotheses", "template:pi0,stack:snr", "'trials'"),
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
        ("snr,pwn, unid", ["snr", "pwn", "unid"]),
        ("snr,mine.ecsv?sure=unit,frame", ["snr", "mine.ecsv?sure=unit,frame"]),
    ],
)
def test_names_may_hold_commas(text, names):
    assert split(text, Any) == names


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


def test_all_faults_are_told_at_once(call):
    code, _, err = call("joint", "--sample", "cascades-2023", "--hypotheses", "stack:snr", "--trials", 3, "--index", 9)
    assert code == 2
    assert all(name in err for name in ("hypotheses", "trials", "index"))
