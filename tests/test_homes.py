"""Homes that are hostile: closed to writing, open to everybody, not there; no locks, no fcntl, fewer cores."""

from __future__ import annotations

import ast
import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nuanalysis import ingest, store
from nuanalysis.engine.cost import usable_cores
from nuanalysis.errors import EnvironmentFault, StoreLocked
from nuanalysis.ingest import _find
from nuanalysis.store import _files, _homes

SOURCE = Path(__file__).resolve().parents[1] / "src"
CLOSED = "/dev/null/home"  # to root, too
KERNELS = """
from pathlib import Path
from nuanalysis.store import keep_kernels
keep_kernels(Path(__file__).parent)
import numba
@numba.njit("int64(int64)", cache=True)
def double(x):
    return 2 * x
"""


def python(program: str, *, cwd: Path, **variables: str) -> subprocess.Popen[str]:
    """A Python with this environment and no more."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{SOURCE}:{cwd}", "TMPDIR": str(cwd / "tmp"), **variables}
    (cwd / "tmp").mkdir(exist_ok=True)
    command = [sys.executable, "-c", textwrap.dedent(program)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=cwd, env=environment, text=True, **pipes)  # type: ignore[call-overload]


def answer(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.fixture
def closed_package(tmp_path: Path) -> Path:
    """A folder with a file of kernels, beside which nothing can be compiled."""
    (tmp_path / "kernels.py").write_text(KERNELS)
    (tmp_path / "__pycache__").write_text("in the way")
    return tmp_path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this user, where the caches are those of the home."""
    for name in ("XDG_CACHE_HOME", "NUANALYSIS_CACHE", "NUANALYSIS_DATA", "NUMBA_CACHE_DIR"):
        monkeypatch.setenv(name, "")  # set first, so that what the code sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(_find, "private_folder", lambda: tmp_path / f"{_homes.TEMPORARY}x")
    return tmp_path


# ---- compiled kernels ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["closed", "open to all"])
@pytest.mark.slow
def test_kernels_are_compiled_into_a_private_folder_where_no_other_is_ours(closed_package, where):
    """Caches are pickles: a folder in which others can write is not read, so a home that is /tmp is none."""
    folder = closed_package / "anybody"
    folder.mkdir()
    folder.chmod(0o1777)
    program = """
        import os, stat, subprocess, sys
        import kernels
        kept = os.environ["NUMBA_CACHE_DIR"]
        above = os.path.dirname(kept)
        print(kernels.double(2), len(os.listdir(kept)), oct(stat.S_IMODE(os.stat(above).st_mode)), above, flush=True)
        child = "import kernels; print(kernels.double(3), len(kernels.double.stats.cache_misses))"
        subprocess.run([sys.executable, "-c", child])
    """
    code, out, err = answer(python(program, cwd=closed_package, HOME=CLOSED if where == "closed" else str(folder)))
    assert code == 0, err
    above = out.split()[3]
    assert out.splitlines() == [f"4 1 0o700 {above}", "6 0"], "the child process compiles nothing"
    assert err.count("caches are kept in") == 1, "said once, not by the child"
    assert Path(above).name.startswith(".nuanalysis-caches-")
    assert not Path(above).exists()
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_the_kernels_of_the_package_are_among_them(tmp_path):
    """numba asks for the folder while it decorates: the whole package could not be imported."""
    bare = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SOURCE / "nuanalysis", tmp_path / "nuanalysis", ignore=bare)
    for name in ("model", "likelihood"):
        (tmp_path / "nuanalysis" / name / "__pycache__").write_text("in the way")
    program = "import nuanalysis.model.kernels as k; kept = k.exp_smooth._cache.cache_path; "
    program += "print(k.__file__, kept)"
    code, out, err = answer(python(program, cwd=tmp_path, HOME=CLOSED, PYTHONPATH=str(tmp_path)))
    assert code == 0, err
    source, kept = out.split()
    assert source.startswith(str(tmp_path))
    assert "/.nuanalysis-caches-" in kept


def test_a_full_disk_holds_no_kernels_but_those_it_has(home, monkeypatch):
    package = home / "model"
    (package / "__pycache__").mkdir(parents=True)
    assert store.kernels_kept(package)
    usage = type(shutil.disk_usage("/"))(total=10, used=10, free=0)
    monkeypatch.setattr(_homes.shutil, "disk_usage", lambda folder: usage)
    assert not store.kernels_kept(package)
    (package / "__pycache__" / "kernels.place-1.py311.nbi").touch()
    assert store.kernels_kept(package)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(home / "chosen"))
    assert not store.kernels_kept(package), "numba would take the chosen one"


def test_a_child_has_the_private_folder_of_its_parent_and_no_other(tmp_path):
    program = "from nuanalysis.store import private_folder as p; import os; print(p(), os.environ['{0}'])"
    program = program.format(_homes.SHARED)
    for mode, shared in ((0o700, True), (0o755, False)):
        folder = tmp_path / f"{_homes.TEMPORARY}{mode}"
        folder.mkdir(mode)
        found = answer(python(program, cwd=tmp_path, HOME=CLOSED, **{_homes.SHARED: str(folder)}))
        assert (found[1].split()[0] == str(folder)) is shared
        assert ("caches are kept in" in found[2]) is not shared
        assert folder.exists(), "it is for its maker to remove"


def test_without_any_folder_the_fault_says_which_to_set(closed_package):
    program = "import tempfile; tempfile.mkdtemp = lambda **_: open('/dev/null/x'); import kernels"
    code, _, err = answer(python(program, cwd=closed_package, HOME=CLOSED))
    assert code
    assert "EnvironmentFault: neither the home of this user nor a temporary folder can be written" in err
    assert "NUMBA_CACHE_DIR" in err


@pytest.mark.slow
def test_eight_first_calls_at_once_on_a_cold_cache(tmp_path):
    (tmp_path / "kernels.py").write_text(KERNELS)
    running = [python("import kernels; print(kernels.double(4))", cwd=tmp_path, HOME=CLOSED) for _ in range(8)]
    assert [answer(process) for process in running] == [(0, "8\n", "")] * 8


def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_else(tmp_path):
    program = "import time; from nuanalysis.store import private_folder; print(private_folder(), flush=True); "
    killed = python(program + "time.sleep(60)", cwd=tmp_path, HOME=CLOSED)
    lives = python(program + "time.sleep(60)", cwd=tmp_path, HOME=CLOSED)
    assert killed.stdout
    assert lives.stdout
    left, held = Path(killed.stdout.readline().strip()), Path(lives.stdout.readline().strip())
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    others = tmp_path / "tmp" / "nuanalysis-results"
    others.mkdir()
    assert left.exists()
    answer(python(program, cwd=tmp_path, HOME=CLOSED))
    assert not left.exists()
    assert held.exists(), "another process works there"
    assert others.exists()
    lives.kill()
    lives.communicate()


# ---- the cache ----------------------------------------------------------------------------------------------------


def test_the_cache_is_that_of_the_home_or_the_chosen_one(home, monkeypatch):
    assert ingest.cache_root() == home / ".cache/nuanalysis"
    monkeypatch.setenv("NUANALYSIS_CACHE", str(home / "chosen"))
    assert ingest.cache_root() == home / "chosen"


@pytest.mark.parametrize("mode", [0o1777, 0o757])
def test_a_home_in_which_others_write_holds_no_cache(home, mode):
    home.chmod(mode)
    assert ingest.cache_root() == home / f"{_homes.TEMPORARY}x/cache"
    assert os.environ["NUANALYSIS_CACHE"] == str(ingest.cache_root()), "child processes share it"


def test_nothing_is_downloaded_into_a_folder_that_will_vanish(home):
    home.chmod(0o1777)
    with pytest.raises(EnvironmentFault, match="nothing that is brought would be kept; set NUANALYSIS_CACHE"):
        ingest.import_files(ingest.release("hese75"), home)


def test_releases_in_a_home_that_is_closed_to_writing_are_found(home):
    release = ingest.release("hese75")
    held = home / ".cache/nuanalysis" / release.folder
    held.mkdir(parents=True)
    (held / "HESE_data.json").write_text("{}")
    home.chmod(0o1777)
    (home / ".cache/nuanalysis").chmod(0o777)
    ingest.cache_root()
    assert ingest.holdings(release) == (held, "complete")


NO_USER = """
    import os, pwd
    def unknown(number): raise KeyError(f"getpwuid(): uid not found: {number}")
    pwd.getpwuid = unknown
    os.environ.pop("HOME", None)
    from nuanalysis import cli
"""


@pytest.mark.parametrize("verb", ["data ls", "templates ls", "doctor", "data fetch hese75"])
@pytest.mark.slow
def test_a_user_without_name_and_home(tmp_path, verb):
    code, out, err = answer(python(NO_USER + f"    cli.main({verb.split()!r})", cwd=tmp_path))
    assert "Traceback" not in err
    assert err.count("caches are kept in") == 1
    if "fetch" in verb:
        assert code == 4
        assert "set NUANALYSIS_CACHE" in err
    else:
        assert code == 0
        assert out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tmp"], "no folder called '~'"


def test_astropy_starts_without_a_home(tmp_path):
    code, out, err = answer(python(NO_USER + "    import astropy; print('there')", cwd=tmp_path))
    assert (code, out) == (0, "there\n"), err


def test_doctor_says_where_kernels_and_cache_cannot_be_kept(home, monkeypatch):
    from nuanalysis.cli import _doctor

    assert not list(_doctor._of_home())
    home.chmod(0o1777)
    monkeypatch.setattr(_homes, "writable", lambda folder: not str(folder).endswith("__pycache__"))
    kernels, cache = _doctor._of_home()
    assert "NUMBA_CACHE_DIR" in kernels
    assert "NUANALYSIS_CACHE" in cache


# ---- locks, systems, cores ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_an_environment_fault(tmp_path, monkeypatch, number):
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(_files.fcntl, "flock", flock)
    with pytest.raises(EnvironmentFault, match="its file system has no locks"), store.locked(tmp_path / "x", 0.0):
        pytest.fail("held without a lock")
    store.atomic_write(tmp_path / "y", b"whole")  # needs none
    assert (tmp_path / "y").read_bytes() == b"whole"


@pytest.mark.parametrize(("number", "fault"), [(errno.EACCES, StoreLocked), (errno.EIO, EnvironmentFault)])
def test_other_answers_to_a_lock_are_errors_of_ours(tmp_path, monkeypatch, number, fault):
    """EACCES is how some network disks say that another process has it."""
    monkeypatch.setattr(_files.fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
    with pytest.raises(fault), store.locked(tmp_path / "x", 0.0):
        pytest.fail("held without a lock")


@pytest.mark.parametrize("first", ["nuanalysis", "nuanalysis.store", "nuanalysis.cli"])
def test_a_system_without_fcntl_is_refused_in_one_sentence(tmp_path, first):
    code, _, err = answer(python(f"import sys; sys.modules['fcntl'] = None; import {first}", cwd=tmp_path, HOME="/"))
    assert code
    assert err.splitlines()[-1].startswith("ImportError: nuanalysis runs on Linux and macOS; on Windows use WSL")
    assert "ModuleNotFoundError" not in err


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


V1 = "sys/fs/cgroup/cpu,cpuacct"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"proc/self/cgroup": "nonsense"}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "\n"}, 8),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "300000 100000"}, 3),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/x\n0::/\n",
                f"{V1}/cpu.cfs_quota_us": "200000",
                f"{V1}/cpu.cfs_period_us": "100000",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/\n",
                f"{V1}/cpu.cfs_quota_us": "-1",
                f"{V1}/cpu.cfs_period_us": "100000",
            },
            8,
        ),
    ],
)
def test_a_quota_below_the_cores_of_the_machine_counts(tmp_path, monkeypatch, files, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    assert usable_cores(written(tmp_path, files)) == cores


def test_an_affinity_counts_and_the_bench_takes_no_more_threads(monkeypatch):
    from nuanalysis import face

    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5})
    assert usable_cores() == 1
    assert face.default_bench().executor.workers == 1


# ---- locales ------------------------------------------------------------------------------------------------------


def unspoken(source: str) -> list[str]:
    """Calls that read or write text in the encoding of the locale."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or any(word.arg == "encoding" for word in node.keywords):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        modes = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        text = name in ("open", "fdopen") and modes and set(modes[-1]) <= set("rwaxt+")
        if name in ("read_text", "write_text") or text or any(word.arg == "text" for word in node.keywords):
            found.append(f"{node.lineno}: {ast.unparse(node)[:60]}")
    return found


@pytest.mark.parametrize("room", ["ingest", "library", "response", "store"])
def test_text_is_read_and_written_as_utf_8_whatever_the_locale(room):
    said = {
        path.name: unspoken(path.read_text(encoding="utf-8")) for path in (SOURCE / "nuanalysis" / room).rglob("*.py")
    }
    assert not {name: calls for name, calls in said.items() if calls}
    assert unspoken("path.read_text()") == ["1: path.read_text()"]
    assert unspoken("open(path, 'w')")
    assert not unspoken("path.open('rb')")


def test_an_ascii_locale_reads_names_that_are_not(tmp_path):
    """The release of the cascades with a note in German beside it, read where Python takes ASCII for text."""
    program = """
        import locale, sys
        assert locale.getpreferredencoding(False) != "UTF-8", "the locale is one"
        from pathlib import Path
        from nuanalysis.ingest._table import count_rows, read_numbers
        table = next(Path().glob("*.csv"))
        print(read_numbers(table, ["x"])["x"].tolist(), count_rows(table))
    """
    (tmp_path / "Größe.csv").write_text("x Größe\n1 2\n3 4\n", encoding="utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "HOME": str(tmp_path)}
    assert answer(python(program, cwd=tmp_path, **ascii_only)) == (0, "[1.0, 3.0] 2\n", "")


def test_a_configuration_of_numba_in_the_working_directory_names_no_folder_of_kernels(tmp_path: Path) -> None:
    """Kernels at rest are pickles, and one may work in a folder that was sent."""
    (tmp_path / "kernels.py").write_text(KERNELS)
    (tmp_path / ".numba_config.yaml").write_text("cache_dir: planted\n")
    (tmp_path / "planted").mkdir()
    program = "import kernels; kernels.double(2); print([path.name for path in kernels.Path().glob('*/*.nbi')])"
    for first in ("", "import numba; "):
        code, out, err = answer(python(first + program, cwd=tmp_path, HOME=str(tmp_path)))
        assert (code, out.count("kernels.double")) == (0, 1), err
        assert list((tmp_path / "planted").iterdir()) == []
