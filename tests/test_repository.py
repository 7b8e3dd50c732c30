"""Promises about the repository itself: environment files, locks, tracked files, cheap imports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = (
    "requirements.lock",
    "requirements-lab.lock",
    "requirements-browser.lock",
    "requirements-learn.lock",
    "requirements-docs.lock",
    "tools/build.lock",
    "tools/bootstrap.lock",
)

# What a package of the registry is called on conda-forge, where the name differs or is spread over several.
CONDA_NAMES = {
    "numpy": ("numpy",),
    "h5py": ("h5py",),
    "defusedxml": ("defusedxml",),
    "scipy": ("scipy",),
    "numba": ("numba",),
    "astropy": ("astropy",),
    "healpy": ("healpy",),
    "xarray": ("xarray",),
    "zarr": ("zarr",),
    "icechunk": ("icechunk",),
    "dask": ("dask-core", "distributed"),
    "matplotlib": ("matplotlib-base",),
    "papermill": ("papermill",),
    "ipykernel": ("ipykernel",),
    "nbformat": ("nbformat",),
    "pandas": ("pandas",),
    "pyarrow": ("pyarrow",),
    "pydantic": ("pydantic",),
    "typer": ("typer",),
    "platformdirs": ("platformdirs",),
    "jsonschema": ("jsonschema",),
    "requests": ("requests",),
    "urllib3": ("urllib3",),
    "jinja2": ("jinja2",),
    "jupyterlab": ("jupyterlab",),
    "hatchling": ("hatchling",),
    "hatch-vcs": ("hatch-vcs",),
}
CONDA_SPEC = re.compile(r"(?P<name>[a-z0-9][a-z0-9_.-]*)(?P<bounds>((>=|<=|==|!=|=|<|>)[\d.*]+,?)*)")

HEAVY = {
    "astropy", "dask", "distributed", "healpy", "icechunk", "jinja2", "matplotlib", "numba", "numpy",
    "pandas", "papermill", "pyarrow", "requests", "scipy", "urllib3", "xarray", "zarr",
}  # fmt: skip


def runtime() -> list[Requirement]:
    return [Requirement(text) for text in PROJECT["project"]["dependencies"]]


def extra(name: str) -> list[Requirement]:
    return [Requirement(text) for text in PROJECT["project"]["optional-dependencies"][name]]


def build() -> list[Requirement]:
    return [Requirement(text) for text in PROJECT["build-system"]["requires"]]


def conda() -> dict[str, str]:
    """{name: version bounds} of environment.yml."""
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    matches = {text: CONDA_SPEC.fullmatch(text) for text in entries}
    assert all(matches.values()), f"not a conda specification: {[text for text, match in matches.items() if not match]}"
    return {match["name"]: match["bounds"] for match in matches.values() if match}


def pins(lock: str) -> dict[str, set[str]]:
    """{package: locked versions}; a universal lock may hold several, told apart by markers."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", (ROOT / lock).read_text(), flags=re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def files() -> list[Path]:
    """Everything that is tracked or would be: what a clone of the next commit holds."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a git checkout: the list of tracked files")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


# --- environment.yml and Binder ---------------------------------------------------------------------------------------


def test_binder_uses_the_root_environment():
    link = ROOT / "binder" / "environment.yml"
    assert link.is_symlink()
    assert link.readlink() == Path("../environment.yml")
    assert (ROOT / "binder" / "postBuild").stat().st_mode & 0o111
    assert sorted(path.name for path in (ROOT / "binder").iterdir()) == ["environment.yml", "postBuild"]


def test_environment_names_a_python_that_repo2docker_reads():
    version = re.fullmatch(r"=(3\.\d+)", conda()["python"])  # anything but '=3.x' is silently replaced by its default
    assert version
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(version[1])


@pytest.mark.parametrize("requirement", [*runtime(), *extra("lab"), *build()], ids=lambda r: r.name)
def test_environment_has_every_dependency_with_the_same_bounds(requirement):
    for name in CONDA_NAMES[requirement.name]:
        assert SpecifierSet(conda()[name]) == requirement.specifier


def test_environment_has_nothing_else():
    known = {name for names in CONDA_NAMES.values() for name in names}
    assert set(conda()) - known == {"python", "pip", "editables"}


def test_repo2docker_reads_what_we_mean():
    program = shutil.which("jupyter-repo2docker")
    if program is None:
        pytest.skip("jupyter-repo2docker is not installed")
    run = subprocess.run([program, "--no-build", "--debug", "."], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0
    assert f"conda environment for python{conda()['python']}" in run.stdout + run.stderr
    assert '--file "binder/environment.yml"' in run.stdout + run.stderr
    assert "RUN ./binder/postBuild" in run.stdout + run.stderr


# --- locks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_is_hashed_and_without_addresses(lock):
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|^\s*-(?!-hash=)|index-url|find-links", text, flags=re.MULTILINE)
    entries = text.replace("\\\n", " ").splitlines()
    assert entries
    assert [entry for entry in entries if not re.search(r"==.* --hash=sha256:[0-9a-f]{64}", entry)] == []


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", [*runtime(), *extra("test")]),
        ("requirements-lab.lock", [*runtime(), *extra("test"), *extra("lab")]),
        ("requirements-learn.lock", [*runtime(), *extra("test"), *extra("learn")]),
        ("requirements-docs.lock", [*runtime(), *extra("test"), *extra("docs")]),
        ("requirements-browser.lock", [*runtime(), *extra("test"), *extra("browser")]),
        ("tools/build.lock", build()),
    ],
)
def test_lock_pins_every_dependency_within_its_bounds(lock, wanted):
    locked = pins(lock)
    for requirement in wanted:
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is not in {lock}; run 'make lock'"
        assert all(requirement.specifier.contains(version) for version in versions)


@pytest.mark.parametrize(
    ("one", "other"), list(combinations([lock for lock in LOCKS if lock != "tools/bootstrap.lock"], 2))
)
def test_locks_agree(one, other):
    """They go into one environment, one after the other."""
    ours, theirs = pins(one), pins(other)
    assert {
        name: (ours[name], theirs[name]) for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]
    } == {}


def test_lab_only_adds():
    assert pins("requirements.lock").keys() <= pins("requirements-lab.lock").keys()


# --- tracked files ----------------------------------------------------------------------------------------------------


def test_no_large_file():
    assert [path for path in files() if path.stat().st_size > 1.5e6] == []


def test_no_path_of_one_machine():
    folders = "|".join(("work", "tmp", "root", "home", "farm", "Users"))
    pattern = re.compile(rf"(^|[^A-Za-z0-9_.])/({folders})/".encode(), flags=re.MULTILINE)
    texts = [path for path in files() if path.suffix != ".lock"]
    assert [str(path.relative_to(ROOT)) for path in texts if pattern.search(path.read_bytes())] == []


def test_notebooks_have_no_outputs():
    for path in files():
        if path.suffix == ".ipynb":
            cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
            assert not any(cell["outputs"] or cell["execution_count"] for cell in cells), path.name


# --- cheap starts -----------------------------------------------------------------------------------------------------


def imported_by(code: str) -> set[str]:
    """Top-level modules loaded after running ``code`` in a fresh interpreter."""
    report = "\nimport json, sys\nprint(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    run = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_import_is_cheap():
    assert imported_by("import nuanalysis") & (HEAVY | {"typer", "rich", "pydantic"}) == set()


def test_import_guard_sees_a_heavy_module():
    assert "numpy" in imported_by("import nuanalysis.schema")


def called(arguments):
    call = f"from nuanalysis.cli import main\ntry:\n    main({arguments!r})\n"
    return imported_by(call + "except SystemExit as end:\n    assert not end.code\n")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["data", "--help"], ["run", "--help"]], ids=" ".join)
def test_help_is_cheap(arguments):
    assert called(arguments) & HEAVY == set()


def test_help_of_a_question_brings_what_its_file_imports_and_no_more():
    """Its options are the fields of a record that stands beside the work."""
    assert called(["fit", "--help"]) & HEAVY <= {"numba", "numpy", "pandas", "pyarrow", "scipy", "xarray"}
