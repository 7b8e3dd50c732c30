"""How a command ends that could not do its work: a sentence, an exit code, nothing raw for the terminal."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from nuanalysis import cli
from nuanalysis.cli import _end

NUANALYSIS = (sys.executable, "-m", "nuanalysis")
ESCAPE = "\x1b]0;owned\x07"
TURNED = "\u202e"


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mirror, an empty cache, a folder of our own, and the streams of libraries as they were afterwards."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)


def fault(error: BaseException) -> Callable[[list[str]], object]:
    def build(arguments: list[str]) -> object:
        raise error

    return build


def ended(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, object], str]:
    """(exit code, the one document, stderr) of a command that met an error."""
    monkeypatch.setattr(cli, "build", fault(error))
    with pytest.raises(SystemExit) as caught:
        cli.main(["fit", "--json"])
    out, err = capfd.readouterr()
    [document] = json.loads(out).values()
    assert document["exit_code"] == caught.value.code
    assert err.rstrip().endswith(f"{document['kind']}: {document['message']}")
    return int(caught.value.code or 0), document, err


def test_a_fault_of_ours_has_code_70_its_details_and_an_address(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code, document, err = ended(ZeroDivisionError(f"in {ESCAPE}{TURNED}"), monkeypatch, capfd)
    assert (code, document["kind"]) == (70, "Fault")
    assert _end.REPORT_TO in str(document["message"])
    assert "Traceback" in err
    assert ESCAPE not in err
    assert TURNED not in err
    assert r"\x1b]0;owned\x07\u202e" in err


def test_what_nests_too_deeply_is_said_without_its_thousand_frames(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def deep(n: int) -> int:
        return deep(n + 1) + 1

    with pytest.raises(RecursionError) as caught:
        deep(0)
    code, document, err = ended(caught.value, monkeypatch, capfd)
    assert code == 70
    assert "nests too deeply" in str(document["message"])
    assert len(err.splitlines()) < 60


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "not enough memory"),
        (FileNotFoundError(2, "No such file or directory", "runs/x"), "runs/x: No such file or directory: was it"),
        (OSError(28, "No space left on device", "runs/x"), "runs/x: No space left on device; what was finished"),
        (OSError("no number"), "no number; what was finished is kept"),
    ],
)
def test_what_the_machine_lacks_is_a_sentence_with_code_4(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code, document, err = ended(error, monkeypatch, capfd)
    assert (code, document["kind"]) == (4, "EnvironmentFault")
    assert said in str(document["message"])
    assert "Traceback" not in err


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"cd {gone} && rmdir {gone} && exec {sys.executable} -m nuanalysis run x.toml"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) in ((2, ""), (4, ""))
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_gone_is_no_fault() -> None:
    command = f"{' '.join(NUANALYSIS)} templates ls; echo $? >&2"
    done = subprocess.run(
        ["bash", "-c", f"({command}) | true"], capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in done.stderr
    assert done.stderr.split()[-1] in ("0", "1")  # 0 where the reader had not gone yet


# --- SIGTERM ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_sigterm_is_a_sentence_and_143(tmp_path: Path) -> None:
    command = [*NUANALYSIS, "significance", "--sample", "cascades-2023", "--signal", "none", "--hypothesis",
               "point:83,22", "--ts", "4", "--trials", "20000", "--json"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        until = time.monotonic() + 90
        while not list(tmp_path.glob("cache/ensembles/trials/*.zarr/trials/c/[0-9]*/[0-9]*")):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert json.loads(out)["error"]["kind"] == "Terminated"
    assert "finished work is kept" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_sigterm_is_as_it_was_after_a_command() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with _end.terminable() as came, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    assert came == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


# --- names that are no names ------------------------------------------------------------------------------------------


def spoken(*arguments: str, **env: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*NUANALYSIS, *arguments], capture_output=True, check=False, timeout=120, env=os.environ | env
    )
    return done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main(list(arguments))
        out, err = capfd.readouterr()
        return int(caught.value.code or 0), out, err

    return run


def hostile(text: str) -> bool:
    return any(one in text for one in ("\x1b", "\x07", TURNED, "\r"))


NAMED = f"a{ESCAPE}{TURNED}b"


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "--sample", NAMED, "--hypothesis", "stack:snr"),
        ("fit", "--sample", "cascades-2023", "--hypothesis", f"template:{NAMED}"),
        ("fit", "--sample", "cascades-2023", "--hypothesis", f"stack:snr?rule=name == '{NAMED}'"),
        ("fit", "--sample", "cascades-2023", "--hypothesis", "stack:snr", "--workers", NAMED),
        ("fit", "--sample", "cascades-2023", "--hypothesis", "stack:snr", "--executor", NAMED),
        ("run", NAMED),
        ("status", NAMED),
        ("notebooks", "run", NAMED),
        ("notebooks", "run", "07_sky_map", "-p", f"sample={NAMED}"),
        ("data", "fetch", NAMED),
        ("release", "verify", NAMED),
    ],
    ids=lambda words: f"{words[0]}-{len(words)}",
)
@pytest.mark.parametrize("flag", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.slow
def test_no_refusal_carries_an_escape(
    call: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], flag: tuple[str, ...]
) -> None:
    refused_without_escape(call(*arguments, *flag))


def test_a_verb_that_is_none_is_named_without_an_escape(call: Callable[..., tuple[int, str, str]]) -> None:
    refused_without_escape(call(NAMED))


def refused_without_escape(answer: tuple[int, str, str]) -> None:
    code, out, err = answer
    assert code in (2, 3, 6)
    assert not hostile(out + err)
    assert "Traceback" not in err


SOURCES = f'name,ra,dec,class\n"{NAMED}",83.6,22.0,SNR\n"two\nlines",10.0,-5.0,SNR\n'


@pytest.mark.parametrize(
    "arguments",
    [
        ("catalogues", "show", "mine.csv?name=name&ra=ra&dec=dec", "--weight", "equal"),
        ("catalogues", "check", "mine.csv?name=name&ra=ra&dec=dec"),
        ("catalogues", "match", "mine.csv?name=name&ra=ra&dec=dec", "snr", "--within", "5"),
    ],
    ids=lambda words: words[1],
)
def test_no_table_carries_an_escape(
    call: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "mine.csv").write_text(SOURCES, encoding="utf-8")
    for flag in ((), ("--json",)):
        _, out, err = call(*arguments, *flag)
        assert not hostile(out + err)
        assert "Traceback" not in err


def test_what_libraries_say_is_cleaned(capfd: pytest.CaptureFixture[str]) -> None:
    script = (
        "import logging, sys, warnings\nfrom nuanalysis.cli import _end\n_end.clean_streams()\n"
        f"warnings.warn({NAMED!a})\nlogging.getLogger('other').warning({NAMED!a})\nprint('caf\\u00e9')"
    )
    env = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=env)
    assert not hostile(done.stderr.decode())
    assert done.stderr.count(b"owned") == 2
    assert done.stdout == b"caf\\xe9\n"
    assert logging.lastResort is not None


ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


@pytest.mark.slow
def test_a_terminal_of_ascii_is_told_every_name_and_reads_every_file(tmp_path: Path) -> None:
    text = 'name = "größe"\nseed = 1  # \u03b3\n[[sample]]\nname = "cascades-2023"\n'
    (tmp_path / "spec.toml").write_text(text, encoding="utf-8")
    (tmp_path / "mine.csv").write_text("name,ra,dec\nÉtoile \u03b3,83.6,22.0\n", encoding="utf-8")
    code, out, err = spoken("run", "spec.toml", **ASCII)
    assert (code, out) == (2, "")
    assert r"(found 'gr\xf6\xdfe')" in err or r"gr\xf6\xdfe" in err
    code, out, err = spoken("catalogues", "show", "mine.csv", "--weight", "equal", **ASCII)
    assert code == 0, err
    assert r"\xc9toile \u03b3" in out
    for arguments in (("templates", "ls"), ("notebooks", "ls"), ("notebooks", "check"), ("doctor",)):
        code, _, err = spoken(*arguments, **ASCII)
        assert code == 0, err
