"""Everything that can be said against a verb, a spec or a call is said before a sample is made or a kernel started."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from modes import obeying

import nuanalysis as nu
from nuanalysis import cli
from nuanalysis.errors import DataError, InputError, NuanalysisError
from nuanalysis.library import samples
from nuanalysis.store import refuse_file, refuse_folder
from nuanalysis.workflow.notebooks import notebook_folder

Call = Callable[..., tuple[int, str]]
CASCADES = ("--sample", "cascades-2023")


@pytest.fixture(autouse=True)
def no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mirror, an empty cache, a folder of our own; no sample can be made and no process started."""
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "bad.fits").write_bytes(b"SIMPLE")
    np.save(tmp_path / "flat.npy", np.ones(12))
    monkeypatch.setattr(samples, "make_events", lambda *_: pytest.fail("a sample was made"))
    monkeypatch.setattr(subprocess.Popen, "__init__", lambda *a, **k: pytest.fail("a process was started"))


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main([*arguments, "--json"])
        said = json.loads(capfd.readouterr().out)["error"]
        assert said["exit_code"] == caught.value.code
        return said["exit_code"], said["message"]

    return run


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--hypothesis", "stack:snr", "--signal", "stack:snrs"), 2, "Did you mean 'snr'?"),
        (("--hypothesis", "stack:snr", "--signal", "nonsense"), 2, "is not of the form template:NAME"),
        (("--hypothesis", "stack:snr", "--signal", "template:bad.fits"), 2, "bad.fits"),
        (("--hypothesis", "template:bad.fits"), 2, "bad.fits"),
        (("--hypothesis", "template:flat.npy"), 2, "its frame is not stated"),
        (("--hypothesis", "template:" + "x" * 300), 2, "x"),
        (("--hypothesis", "template:pi0-hybrid"), 3, "data fetch galactic-templates"),
        (("--hypothesis", "stack:hgps"), 3, "data fetch source-catalogues"),
        (("--hypothesis", "stack:snr", "--output", "file"), 2, "--output file cannot be a folder: file is a file"),
        (("--hypothesis", "stack:snr", "--output", "file/a/b"), 2, "file is a file"),
        (("--hypothesis", "stack:snr", "--output", "/proc/none"), 4, "--output /proc/none cannot be written"),
        (("--hypothesis", "stack:snr", "--output", "a" * 300), 2, "--output has a part of 300 bytes"),
        (("--hypothesis", "stack:snr", "--output", "a/" * 3000), 2, "bytes long, expected at most 3,841"),
        (("--hypothesis", "each:snr"), 2, "ask 'sources' or 'together', or stack:snr"),
        (("--hypothesis", "template:isotropic?nside=32"), 2, "has the same density at all right ascensions"),
        (("--hypothesis", "stack:snr", "--executor", "slurm"), 2, "needs a cluster file"),
        (("--hypothesis", "stack:snr", "--statistic", "publishd"), 2, "Did you mean 'published'?"),
    ],
    ids=lambda one: "-".join(one[-2:])[:40] if isinstance(one, tuple) else "",
)
@pytest.mark.slow
def test_a_fit(call: Call, arguments: tuple[str, ...], code: int, said: str) -> None:
    found, message = call("fit", *CASCADES, *arguments)
    assert (found, said in message) == (code, True), message


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("expect", *CASCADES, "--flux", "1e-11", "--hypothesis", "stack:snrs"), 2, "Did you mean 'snr'?"),
        (("expect", *CASCADES, "--flux", "1e-11", "--hypothesis", "each:snr"), 2, "'each:snr' is a list of hypotheses"),
        (("leak", *CASCADES, "--diffuse", "template:isotropic"), 2, "has the same density at all right ascensions"),
        (("joint", *CASCADES, "--hypotheses", "template:pi0,template:isotropic"), 2, "at all right ascensions"),
        (("templates", "build", "pi0-like", "--output", "x" * 300 + ".fits"), 2, "--output has a part of 305 bytes"),
        (("sources", *CASCADES, "--catalogue", "hgps"), 3, "data fetch source-catalogues"),
        (("extended", *CASCADES, "--catalogue", "4fgl-dr2"), 3, "data fetch source-catalogues"),
        (("leak", *CASCADES, "--catalogues", "hgps"), 3, "data fetch source-catalogues"),
        (("leak", *CASCADES, "--diffuse", "template:bad.fits"), 2, "bad.fits"),
        (("together", *CASCADES, "--hypotheses", "stack:snr,each:hgps"), 3, "data fetch source-catalogues"),
        (("compare", *CASCADES, "--models", "template:pi0,template:bad.fits"), 2, "bad.fits"),
        (("curves", *CASCADES, "--sample", "tracks"), 3, "data fetch tracks-ic40"),
        (("templates", "show", "pi0-like", "--figure", "x.jpg"), 2, "a file that ends in .png"),
        (("templates", "show", "pi0-like", "--figure", "file/x.png"), 2, "file is a file"),
        (("templates", "compare", "pi0-like", "pi0", "--figure", "/proc/x.png"), 4, "cannot be written"),
        (("templates", "compare", "pi0-like", "pi00"), 2, "Did you mean 'pi0'?"),
        (("templates", "build", "pi0-like", "--output", "file/x.fits"), 2, "file is a file"),
        (("catalogues", "show", "snr", "--output", "x.txt"), 2, "a file that ends in .ecsv"),
        (("catalogues", "show", "snr", "--sample", "track"), 2, "Did you mean 'tracks'?"),
        (("catalogues", "show", "snr", "--sample", "tracks"), 3, "data fetch tracks-ic40"),
        (("notebooks", "run", "07_sky_map", "-p", "sample=cascade"), 2, "Did you mean 'cascades-2023'?"),
        (("notebooks", "run", "07_sky_map", "--folder", "file"), 2, "--folder file cannot be a folder"),
    ],
    ids=lambda one: "-".join(one[:1] + one[-1:])[:40] if isinstance(one, tuple) else "",
)
@pytest.mark.slow
def test_other_verbs(call: Call, arguments: tuple[str, ...], code: int, said: str) -> None:
    found, message = call(*arguments)
    assert (found, said in message) == (code, True), message


SPEC = """
name = "small"
[[sample]]
name = "cascades-2023"
{sample}
{more}
"""
HYPOTHESIS = '[[hypothesis]]\nname = "stack:snr"'


@pytest.mark.parametrize(
    ("sample", "more", "said"),
    [
        ('signal = "template:nowhere.npy"', HYPOTHESIS, "no such file"),
        ('signal = "stack:snrs"', HYPOTHESIS, "Did you mean 'snr'?"),
        ('signal = "template:bad.fits"', HYPOTHESIS, "bad.fits"),
        ('signal = "stack:hgps"', HYPOTHESIS, "data fetch source-catalogues"),
        ('statistic = "none"', HYPOTHESIS, "there is no statistic 'none'"),
        ("n_signal = 1e12", HYPOTHESIS, "less than or equal to 10000"),
        ("", '[[hypothesis]]\nname = "template:bad.fits"', "bad.fits"),
        ("", '[[hypothesis]]\nname = "stack:hgps"', "data fetch source-catalogues"),
        ("", '[[sources]]\nname = "s"\ncatalogue = "hgps"', "data fetch source-catalogues"),
        ("", '[[leak]]\nname = "l"\ndiffuse = "template:flat.npy"', "its frame is not stated"),
        ("", '[[expect]]\nname = "e"\nhypothesis = "stack:snrs"\nflux = 1e-11', "Did you mean 'snr'?"),
        ("", '[[hypothesis]]\nname = ["stack:snr"]\noptional = true', "is not of the form template:NAME"),
    ],
    ids=lambda one: one.replace("\n", " ")[:40],
)
@pytest.mark.slow
def test_a_spec(call: Call, tmp_path: Path, sample: str, more: str, said: str) -> None:
    (tmp_path / "spec.toml").write_text(SPEC.format(sample=sample, more=more))
    found, message = call("run", "spec.toml")
    assert (found in (2, 3), said in message) == (True, True), message
    with pytest.raises(NuanalysisError):
        nu.run("spec.toml")
    assert not (tmp_path / "runs").exists()


def test_a_run_folder_that_cannot_be_one(call: Call, tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPEC.format(sample="", more=HYPOTHESIS))
    assert call("run", "spec.toml", "--runs", "file")[0] == 2
    assert call("run", "spec.toml", "--runs", "/proc/none")[0] == 4
    (tmp_path / "runs" / "small").mkdir(parents=True)
    (tmp_path / "runs" / "small" / "run.json").write_text('{"schema":1,"notebooks":[]}')
    code, message = call("run", "spec.toml")
    assert (code, "run.json is damaged; remove it" in message) == (2, True), message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("seed = " + "9" * 10_000, "Exceeds the limit"),
        ("a" + "={b" * 3000, "nests deeper than 100 levels"),
        ("a = " + "[" * 100_000, "nests deeper than 100 levels"),
        ("a" + ".b" * 100_000 + " = 1", "nests deeper than 100 levels"),
        ("\0", "is not TOML"),
    ],
    ids=["digits", "tables", "arrays", "keys", "null"],
)
def test_documents_without_end(call: Call, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "spec.toml").write_text(content)
    code, message = call("run", "spec.toml")
    assert (code, said in message, len(message) < 600) == (2, True, True), message
    code, message = call("fit", *CASCADES, "--hypothesis", "stack:snr", "--executor", "slurm", "--cluster", "spec.toml")
    assert (code, "the cluster file spec.toml cannot be read" in message) == (2, True), message


@pytest.mark.parametrize("value", ["[" * 100_000, "[1," * 100_000, "9" * 5000, "1e999", "NaN", "nan,1", "{}", "true"])
@pytest.mark.slow
def test_parameters_without_end(call: Call, value: str) -> None:
    for notebook, name in (("08_extended_sources", "width"), ("08_extended_sources", "extensions"),
                           ("07_sky_map", "skies")):  # fmt: skip
        code, message = call("notebooks", "run", notebook, "-p", f"{name}={value}")
        assert (code, f"'{name}'" in message, len(message) < 600) == (2, True, True), message


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"cells": 3}', '{"cells": [3]}', '{"cells": [{"cell_type": "code"}]}', "[" * 100_000,
     '{"cells": [{"cell_type": "code", "source": 5}]}',
     '{"cells": [{"cell_type": "code", "source": "", "metadata": 1}]}',
     "\ufeff\0", '{"cells": NaN}'],
)  # fmt: skip
def test_files_that_are_no_notebooks(call: Call, tmp_path: Path, content: str) -> None:
    (tmp_path / "03_template_fits.ipynb").write_text(content, encoding="utf-8")
    code, message = call("notebooks", "check", "03_template_fits.ipynb")
    assert (code, "it is no notebook of format 4" in message) == (2, True), message


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"schema":1,"notebooks":[]}', '{"schema":1}', '{"schema":1,"notebooks":{"a":3}}', "[" * 100_000,
     '{"schema":1,"notebooks":{"a":{"name":"a"}}}', '{"schema":NaN,"notebooks":{}}', '{"schema":' + "9" * 5000 + "}"],
)  # fmt: skip
def test_a_damaged_record_of_a_run(call: Call, tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    code, message = call("status", ".")
    assert (code, "run.json" in message, len(message) < 400) == (2, True, True), message


# --- in Python --------------------------------------------------------------------------------------------------------


def test_functions_check_before_a_sample_is_made() -> None:
    for mistake in (
        lambda: nu.sources("cascades-2023", "hgps"),
        lambda: nu.extended("cascades-2023", catalogue="hgps"),
        lambda: nu.curves(["cascades-2023", "tracks"]),
    ):
        with pytest.raises(DataError, match="data fetch"):
            mistake()
    for wrong in (
        lambda: nu.fit("cascades-2023", "template:bad.fits"),
        lambda: nu.fit(["cascades-2023", "tracks"], "stack:snr"),
        lambda: nu.curves(["cascades-2023", "track"]),
        lambda: nu.sample("cascades-2023", signal="stack:snrs"),
    ):
        with pytest.raises(InputError):
            wrong()


# --- where results go -------------------------------------------------------------------------------------------------


def test_places_leave_nothing_behind(tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    refuse_folder(tmp_path / "a" / "b" / "c")
    refuse_folder(Path("relative"))
    refuse_file(tmp_path / "new" / "x.png", "--figure", ".png")
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "loose").symlink_to(tmp_path / "nothing")
    with pytest.raises(InputError, match="a link to nothing"):
        refuse_folder(tmp_path / "loose" / "below")
    with pytest.raises(InputError, match="is a folder; expected the name of a file"):
        refuse_file(tmp_path, "--output")


def test_a_closed_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # which forbids processes
    (tmp_path / "closed").mkdir(mode=0o500)
    code = "from nuanalysis.store import refuse_folder; refuse_folder(Path(sys.argv[1]))"
    done = obeying(code, tmp_path / "closed" / "below")
    assert done.returncode != 0
    assert "EnvironmentFault" in done.stderr
    assert "allow writing in" in done.stderr


# --- what a refusal costs ---------------------------------------------------------------------------------------------


def brought(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> set[str]:
    """Modules that a call in a process of its own has brought."""
    monkeypatch.undo()
    script = (
        f"import sys\nfrom nuanalysis.cli import main\ntry:\n    main({list(arguments)!r})\n"
        "except SystemExit:\n    pass\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.splitlines()[-1].split())


def test_a_missing_spec_costs_no_import(monkeypatch: pytest.MonkeyPatch) -> None:
    heavy = {"numpy", "numba", "astropy", "xarray", "scipy", "matplotlib"}
    assert brought(monkeypatch, "run", "nosuch.toml") & heavy == set()


def test_notebooks_are_where_they_are_looked_for() -> None:
    assert (notebook_folder() / "03_template_fits.ipynb").is_file()
