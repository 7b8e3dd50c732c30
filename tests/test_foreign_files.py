"""Files that anybody may have written: what is read of them is bounded, nothing in them runs, and leftovers go."""

from __future__ import annotations

import ast
import gzip
import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from nuanalysis import store
from nuanalysis.errors import DataError, EnvironmentFault, InputError, NuanalysisError, printable
from nuanalysis.sky.records import Catalogue, PointSource, PowerLaw, TabulatedSpectrum, Template, factorised

SOURCE = Path(store.__file__).parents[1]
#: What can run code that a file names; between our own processes it goes through pipes, never through a file.
READS_CODE = re.compile(
    r"\bpickle\.(load|loads|Unpickler)\b|allow_pickle\s*=\s*True|\b(cloudpickle|dill|joblib|shelve|marshal)\b"
    r"|\beval\(|\bexec\(|yaml\.(load|unsafe_load)\b|read_pickle"
)
PIPES = "engine/executors/processes.py"


# --- no code from files -----------------------------------------------------------------------------------------------


def test_no_pickle_is_read_from_any_file() -> None:
    found = {p.relative_to(SOURCE).as_posix() for p in SOURCE.rglob("*.py") if READS_CODE.search(p.read_text("utf-8"))}
    assert found == {PIPES}
    pipes = (SOURCE / PIPES).read_text("utf-8")
    assert not re.search(r"\bopen\(|read_bytes|read_text", pipes), "a pickle could be read from a file here"


def test_every_array_file_is_read_without_pickles() -> None:
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = isinstance(node, ast.Call) and ast.unparse(node.func)
            if called == "np.load":
                said = {k.arg: ast.unparse(k.value) for k in node.keywords}  # type: ignore[union-attr]
                assert said.get("allow_pickle") == "False" or "mmap_mode" in said, f"{path.name}:{node.lineno}"  # type: ignore[attr-defined]


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)


def npz(path: Path, document: object, **arrays: object) -> Path:
    """A file as ``write_object`` writes it, with any record."""
    packed = np.frombuffer(json.dumps(document).encode(), np.uint8)
    np.savez(path, allow_pickle=True, **arrays, record=packed)  # type: ignore[arg-type]
    return path


def hostile(folder: Path) -> dict[str, Path]:
    """Files that an ordinary reader of objects would act on, or stumble over."""
    ran, bytes_of = folder / "ran", {}
    bytes_of["pickle"] = pickle.dumps(Planted(ran))
    bytes_of["digest-and-pickle"] = os.urandom(32) + pickle.dumps(Planted(ran))
    bytes_of["empty"], bytes_of["text"] = b"", b"hello\n"
    for name, content in bytes_of.items():
        (folder / f"{name}.npz").write_bytes(content)
    found = {name: folder / f"{name}.npz" for name in bytes_of}
    documents: dict[str, object] = {
        "call": ["record", "os:system", ["dict", ["command", f"mkdir {ran}"]]],
        "function": ["record", "nuanalysis.store._files:atomic_write", ["dict", ["path", "x"], ["data", "y"]]],
        "not-imported": ["record", "nuanalysis.cli.run:RunReport", ["dict"]],
        "not-frozen": ["record", "nuanalysis.schema:Spectrum", ["dict"]],
        "unknown-word": ["__class__", 1],
        "private": ["_shared", 1],
        "deep": json.loads("[" * 900 + '"tuple"' + "]" * 900),
        "number": ["array", "array-7"],
        "again": ["again", 5],
        "out-of-range": ["record", "nuanalysis.sky.records:PointSource", ["dict", ["name", "x"],
                         ["right_ascension", 99.0], ["declination", 0.0]]],
    }  # fmt: skip
    found |= {name: npz(folder / f"{name}.npz", document) for name, document in documents.items()}
    found["objects"] = npz(folder / "objects.npz", ["array", "a"], a=np.array([Planted(ran)], dtype=object))
    with zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", b"\0" * (32 << 20))
    with zipfile.ZipFile(folder / "lies.npz", "w") as archive:
        head = io.BytesIO()
        np.lib.format.write_array_header_2_0(head, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)})
        archive.writestr("a.npy", head.getvalue())
    os.mkfifo(folder / "pipe.npz")
    (folder / "zero.npz").symlink_to("/dev/zero")
    return found | {name: folder / f"{name}.npz" for name in ("bomb", "lies", "pipe", "zero", "absent")}


def test_a_hostile_file_makes_no_object_and_runs_nothing(tmp_path: Path) -> None:
    for name, path in hostile(tmp_path).items():
        with pytest.raises((DataError, EnvironmentFault), match=re.escape(str(path))):
            pytest.fail(f"{name} gave {store.read_object(path)!r}")
    assert not (tmp_path / "ran").exists()


def test_every_flipped_byte_of_an_object_is_seen_or_changes_nothing(tmp_path: Path) -> None:
    template = Template("t", "a", *factorised(np.ones(12) / (4 * np.pi)), PowerLaw(2.5), "user file", "me", "0" * 64)
    path = tmp_path / "object.npz"
    store.write_object(path, template)
    whole = path.read_bytes()
    for k in range(0, len(whole), 7):
        path.write_bytes(whole[:k] + bytes([whole[k] ^ 0x41]) + whole[k + 1 :])
        try:
            found = store.read_object(path)
        except (DataError, EnvironmentFault):
            continue
        assert same(found, template), f"byte {k}"


# --- what can be kept -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Elsewhere:
    """A record of no room of the package."""

    x: float


def same(a: object, b: object) -> bool:
    """Whether two values are equal to the bit, arrays in type and layout too."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        layout = a.flags.c_contiguous == b.flags.c_contiguous and a.flags.f_contiguous == b.flags.f_contiguous
        return a.dtype == b.dtype and layout and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, xr.Dataset):
        return a.identical(b)  # type: ignore[arg-type]
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "__dataclass_fields__"):
        return type(a) is type(b) and all(same(getattr(a, n), getattr(b, n)) for n in a.__dataclass_fields__)
    return type(a) is type(b) and (a == b or a != a)


def kept(value: object, folder: Path) -> object:
    store.write_object(folder / "value.npz", value)
    return store.read_object(folder / "value.npz")


@pytest.mark.parametrize(
    "value",
    [
        None, True, -3, 0.1, float("nan"), float("-inf"), "ä\x1b\n", (), [1, (2.0,)], slice(1, None, 2),
        np.float32(0.1), np.int64(3), np.arange(6, dtype=np.int32).reshape(2, 3), np.asfortranarray(np.eye(3)),
        np.array(["a", "bc"]), np.empty((0, 4)), PowerLaw(2.5), TabulatedSpectrum(np.arange(3.0), -np.arange(3.0)),
        Catalogue("c", "three", tuple(PointSource(f"s{k}", 0.1 * k, -0.2) for k in range(3)), (1.0, 2.0, 0.5), "me"),
        xr.Dataset({"x": ("t", [1.0, np.nan], {"units": "s"})}, coords={"t": [1, 2]}, attrs={"who": "me", "n": [1, 2]}),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_value_comes_back_as_it_went(value: object, tmp_path: Path) -> None:
    assert same(kept(value, tmp_path), value)


def test_what_is_shared_stays_shared(tmp_path: Path) -> None:
    array = np.arange(1000.0)
    source = PointSource("s", 0.1, 0.2)
    a, b, c, d = kept((array, [array], source, source), tmp_path)  # type: ignore[misc]
    assert a is b[0]
    assert c is d
    assert (tmp_path / "value.npz").stat().st_size < 2 * array.nbytes


@pytest.mark.parametrize("value", [Elsewhere(1.0), lambda: 0, os, np.array([None]), {1, 2}, Path()])
def test_what_is_no_record_is_not_written(value: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be kept in a file"):
        store.write_object(tmp_path / "value.npz", value)
    assert list(tmp_path.iterdir()) == []


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_a_bomb_a_device_and_a_pipe_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"\0" * (4 << 20)))
    (tmp_path / "large").write_bytes(b"\0" * (2 << 20))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    started = time.monotonic()
    for name in ("bomb.gz", "large", "pipe", "zero", "absent", ".", "null\0byte"):
        with pytest.raises(InputError, match=r"at most|more than|expected a file|cannot be read"):
            store.content(tmp_path / name, "the table", most=1 << 20)
    assert time.monotonic() - started < 5
    monkeypatch.setenv("NUANALYSIS_LARGEST_MB", "4")  # the remedy that the message names
    assert len(store.content(tmp_path / "bomb.gz", "the table", most=1 << 20)) == 4 << 20
    for wrong in ("-1", "a", "1e3", "9" * 30):
        monkeypatch.setenv("NUANALYSIS_LARGEST_MB", wrong)
        with pytest.raises(InputError, match="whole number of MB"):
            store.content(tmp_path / "large", "the table", most=1 << 20)


DOCUMENTS = {
    "deep.toml": b"a = " + b"[" * 100_000, "dotted.toml": b".".join([b"a"] * 100_000) + b" = 1",
    "deep.json": b'{"a":' * 100_000, "array.json": b"[]", "nan.json": b'{"a": NaN}',
    "inf.json": b'{"a": 1e999}', "half.json": b'{"a": 1',
    "digits.toml": b"a = " + b"9" * 100_000, "digits.json": b'{"a": ' + b"9" * 100_000 + b"}",
    "latin.toml": b'a = "\xe9"', "latin.json": b'{"a": "\xe9"}', "empty.json": b"", "null.json": b"\0" * 50,
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_its_parser_stumbles_over_is_refused_in_our_words(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(DOCUMENTS[name])
    read = store.read_json if name.endswith("json") else store.read_toml
    with pytest.raises(NuanalysisError, match=r"the thing .*" + re.escape(name) + r" .*(do this|UTF-8)"):
        read(tmp_path / name, "the thing", "do this")


def test_a_path_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    inner = tmp_path / "run"
    (inner / "a").mkdir(parents=True)
    (inner / "a" / "file").touch()
    (tmp_path / "secret").touch()
    assert store.unlinked(inner, inner / "a" / "file") == inner / "a" / "file"
    (inner / "link").symlink_to(tmp_path / "secret")
    (inner / "b").symlink_to(inner / "a")
    for path in (inner / "link", inner / "b" / "file", inner / ".." / "secret", tmp_path / "secret"):
        with pytest.raises(DataError, match=r"link|leads out|is not in"):
            store.unlinked(inner, path)
    for name in ("a" * 5000, "b" * 300):
        with pytest.raises(DataError, match=r"cannot be the name of a file"):
            store.unlinked(inner, inner / name)


def test_no_control_character_reaches_a_terminal() -> None:
    nasty = "a\x1b]0;title\x07b\u202ec\x9bd\u2028e\r\0é\t\n"
    assert printable(nasty) == "a\\x1b]0;title\\x07b\\u202ec\\x9bd\\u2028e\\r\\x00é\t\n"
    assert str(InputError(nasty)) == printable(nasty)
    assert printable("plain") == "plain"


# --- leftovers --------------------------------------------------------------------------------------------------------

WRITER = """
import sys, time
from pathlib import Path
from nuanalysis.store._files import beside
with beside(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_goes_and_what_a_live_one_writes_stays(tmp_path: Path) -> None:
    def scratch() -> list[Path]:
        return sorted(tmp_path.rglob("*.partial"))

    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "a" / "file")], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        assert len(scratch()) == 1
        store.sweep(tmp_path)
        assert len(scratch()) == 1, "the file of a live writer was removed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        store.sweep(tmp_path)
    assert scratch() == []
    assert not (tmp_path / "a" / "file").exists()


def test_a_lock_says_whether_its_last_holder_was_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib\nfrom nuanalysis.store import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), 1.0): os.kill(os.getpid(), 9)"
    )
    with store.locked(tmp_path / "x", 1.0) as abandoned:
        assert not abandoned
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], check=False).returncode == -9
    with store.locked(tmp_path / "x", 1.0) as abandoned:
        assert abandoned
    with store.locked(tmp_path / "x", 1.0) as abandoned:
        assert not abandoned
