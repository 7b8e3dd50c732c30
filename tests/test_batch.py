"""Runs as batch systems use them: several specs, a log that is kept, going on with what was stopped."""

import json
import re

import pytest

from nuanalysis import cli
from nuanalysis.workflow.run import _kept_in, log_of

SPEC = """name = "{name}"
[[sample]]
name = "cascades-2023"
signal = "none"
[[hypothesis]]
name = "stack:snr"
"""


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))

    def calling(*arguments):
        code = cli._call(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return calling


@pytest.mark.parametrize("verb", ["logs", "resume", "status"])
def test_a_folder_without_a_run_is_told_with_what_to_do(call, tmp_path, verb):
    code, _, said = call(verb, str(tmp_path / "runs" / "nothing"))
    assert code == 6
    assert "nuanalysis run SPEC" in said


def test_lines_are_said_and_kept_with_their_time_and_a_second_call_adds_to_them(call, tmp_path):
    heard = []
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    for _ in range(2):
        say = _kept_in(folder / "run.log", heard.append)
        say("one")
        say("two\x1b[31m")
    assert heard == ["one", "two\x1b[31m"] * 2
    kept = log_of(folder, 3)
    assert len(kept) == 3
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ .*", line) for line in kept)
    assert "\x1b" not in "".join(kept)
    code, said, _ = call("logs", str(folder), "--last", "1", "--json")
    assert code == 0
    assert json.loads(said)["lines"] == list(kept[-1:])


def test_two_specs_of_one_name_and_a_missing_one_are_refused_before_anything_is_made(call, tmp_path):
    for file in ("a.toml", "b.toml"):
        (tmp_path / file).write_text(SPEC.format(name="same"))
    code, _, said = call("run", "a.toml", "b.toml")
    assert code == 2
    assert "two specs have the name same" in said
    code, _, said = call("run", "a.toml", "c.toml")
    assert code == 2
    assert "there is no spec at c.toml" in said
    assert not (tmp_path / "runs").exists()
