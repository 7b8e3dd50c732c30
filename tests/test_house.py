"""Promises about how the package is built: borders between rooms, circles, sizes, records instead of dictionaries."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
LINES = 400

# Rooms under rebuilding, held to the borders between rooms only.  To be emptied.
NOT_YET: tuple[str, ...] = ()

# Files longer than that: compiled formulas, which numba inlines and caches by file.
LONG = ("nuanalysis.likelihood._kernels", "nuanalysis.likelihood._scan_kernels")

# Functions that return a dictionary of anything, and who asks for one.
EXEMPT = {
    "nuanalysis.alerts._reading.read_document": "notices of others, before a record takes them",
    "nuanalysis.engine.executors.queues._common": "keyword arguments of dask-jobqueue's clusters",
    "nuanalysis.engine.executors.queues.arguments": "keyword arguments of dask-jobqueue's clusters",
    "nuanalysis.cli._questions.given": "settings as they were typed, before a record takes them",
    "nuanalysis.plot._skymap._layer_data": "JSON that the script of the page reads",
    "nuanalysis.plot._skymap._table": "JSON that the script of the page reads",
    "nuanalysis.publish._crate.crate": "JSON-LD of others: RO-Crate 1.1",
    "nuanalysis.publish._export.document": "JSON that the verb prints, metadata of InvenioRDM with it",
    "nuanalysis.publish._export.metadata_of": "JSON of others: metadata of InvenioRDM",
    "nuanalysis.publish._invenio._content": "answers of InvenioRDM",
    "nuanalysis.publish._invenio._patiently": "answers of InvenioRDM",
    "nuanalysis.publish._invenio._request": "answers of InvenioRDM",
    "nuanalysis.publish._invenio.ask": "answers of InvenioRDM",
    "nuanalysis.publish._invenio.attempt": "answers of InvenioRDM",
    "nuanalysis.publish._metadata._ecsv_head": "columns as the head of ECSV describes them",
    "nuanalysis.publish._metadata._resources": "JSON of others: data package of frictionless",
    "nuanalysis.publish._metadata._tabular": "JSON of others: data package of frictionless",
    "nuanalysis.publish._metadata.codemeta": "JSON-LD of others: CodeMeta 3.0",
    "nuanalysis.publish._metadata.datacite": "JSON of others: DataCite 4.5",
    "nuanalysis.publish._metadata.datapackage": "JSON of others: data package of frictionless",
    "nuanalysis.publish._results.results_schema": "JSON Schema",
    "nuanalysis.publish._spec._record": "run.json, before a record takes it",
    "nuanalysis.records._settings.plain": "settings as they were typed, before a record takes them",
    "nuanalysis.store._foreign.parse_toml": "documents of others, before a record takes them",
    "nuanalysis.store._foreign.read_json": "documents of others, before a record takes them",
    "nuanalysis.store._foreign.read_toml": "documents of others, before a record takes them",
    "nuanalysis.workflow.parameters.read_values": "settings as they were typed, before a record takes them",
    "nuanalysis.workflow.spec._tables": "tables of a TOML file as they were written",
}

FREE = re.compile(r"\b(dict|Mapping|MutableMapping)\[str, (Any|object)\]")


def house() -> dict[str, str]:
    """{module: source} of the package."""
    files = {path.relative_to(SOURCE).with_suffix(""): path.read_text() for path in sorted(SOURCE.rglob("*.py"))}
    return {".".join(path.parts).removesuffix(".__init__"): text for path, text in files.items()}


def room(module: str) -> str:
    return ".".join(module.split(".")[1:2])


def run_time(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below, but for those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield child
            yield from run_time(child)


def imported(source: str) -> set[tuple[str, str]]:
    """(module, name) of what a file imports of ours, inside functions too; the name is empty for a whole module."""
    found = set()
    for node in run_time(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"relative import: {ast.unparse(node)}"
            found |= {(node.module or "", alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
    return {(module, name) for module, name in found if module.split(".")[0] == "nuanalysis"}


def circle(files: dict[str, str]) -> list[str]:
    """The files of one circle of imports, empty where there is none."""
    graph = {}
    for file, source in files.items():
        reached = {f"{module}.{name}" if f"{module}.{name}" in files else module for module, name in imported(source)}
        graph[file] = reached - {file}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def private_imports(files: dict[str, str]) -> list[str]:
    """Imports of an underscored module, or name, of another room."""
    return [
        f"{file} imports {module}.{name}"
        for file, source in files.items()
        for module, name in sorted(imported(source))
        if room(f"{module}.{name}") != room(file) and re.search(r"\._(?!_|version\b)", f"{module}.{name}")
    ]


def long_files(files: dict[str, str]) -> list[str]:
    return [file for file, source in files.items() if source.count("\n") > LINES and file not in LONG]


def free_dictionaries(files: dict[str, str]) -> list[str]:
    """Functions annotated to return a dictionary of anything: a record that nobody has named yet."""
    return [
        f"{file}.{node.name}"
        for file, source in files.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.returns is not None and node.name != "to_dict" and FREE.search(ast.unparse(node.returns))
    ]


FILES = house()
FINISHED = {file: source for file, source in FILES.items() if room(file) not in NOT_YET}


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(FINISHED) == []


def test_rooms_import_only_public_names_of_each_other() -> None:
    assert private_imports(FILES) == []


def test_files_are_short() -> None:
    assert long_files(FINISHED) == []


def test_results_are_records() -> None:
    assert set(free_dictionaries(FINISHED)) - set(EXEMPT) == set()


def test_every_exception_is_still_needed() -> None:
    assert {file for file in LONG if FILES[file].count("\n") <= LINES} == set()
    assert set(EXEMPT) - set(free_dictionaries(FILES)) == set()
    assert {name for name in NOT_YET if name not in {room(file) for file in FILES}} == set()


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        (circle, {"nuanalysis.a": "def f():\n    from nuanalysis import b", "nuanalysis.b": "import nuanalysis.a"}),
        (circle, {"nuanalysis.a": "from nuanalysis.a.c import x", "nuanalysis.a.c": "from nuanalysis.a import y"}),
        (private_imports, {"nuanalysis.a": "from nuanalysis.b._c import d"}),
        (private_imports, {"nuanalysis.a": "from nuanalysis.b import _c"}),
        (private_imports, {"nuanalysis.a": "def f():\n    import nuanalysis.b._c"}),
        (long_files, {"nuanalysis.a": "\n" * (LINES + 1)}),
        (free_dictionaries, {"nuanalysis.a": "def f() -> dict[str, Any]: ..."}),
        (free_dictionaries, {"nuanalysis.a": "def f() -> 'tuple[int, list[Mapping[str, object]]]': ..."}),
    ],
)
def test_a_broken_rule_is_seen(rule, broken) -> None:  # type: ignore[no-untyped-def]
    assert rule(broken)


def test_a_sound_house_passes() -> None:
    sound = {
        "nuanalysis": "from nuanalysis._version import version",
        "nuanalysis.a": "from nuanalysis.a._b import c\nif TYPE_CHECKING:\n    from nuanalysis.d import e",
        "nuanalysis.a._b": "import numpy\nc = 1",
        "nuanalysis.d": "from nuanalysis import __version__, a\ndef to_dict() -> dict[str, Any]: ...",
    }
    assert not any(rule(sound) for rule in (circle, private_imports, long_files, free_dictionaries))
