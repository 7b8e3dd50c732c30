"""Make .venv from the hashed locks and install this package into it.

    python3 tools/environment.py          the environment of `make run` and `make test`
    python3 tools/environment.py --lab    the same, with JupyterLab added
    python3 tools/environment.py --learn  the same, with what trains networks added (JAX, optax, scikit-learn)
    python3 tools/environment.py --docs   the same, with what builds the documentation added (Sphinx)
    python3 tools/environment.py --browser  the same, with what opens pages in Chromium added (Playwright)

uv does it where it is found, or can be had from the package registry; else venv and pip do. What has been installed
is recorded in .venv after the fact, so an environment that was interrupted, moved, or made from another lock is
recognised and made anew. Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ModuleNotFoundError:
    sys.exit("environment: nuanalysis runs on Linux and macOS; on Windows use WSL: 'wsl --install', then make there")

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
RECORD = VENV / "nuanalysis.json"
BUILD = ROOT / "build"
LOG = BUILD / "environment.log"

LOCKS = ("requirements.lock", "tools/build.lock")
#: What may be added: the lock of each, and what it brings.
EXTRAS = {
    "lab": ("requirements-lab.lock", "JupyterLab"),
    "learn": ("requirements-learn.lock", "JAX, optax and scikit-learn"),
    "docs": ("requirements-docs.lock", "Sphinx"),
    "browser": ("requirements-browser.lock", "Playwright"),
}

FAILED = """\
environment: the packages could not be installed; the whole log is build/environment.log.
  No network, or no package registry within reach: try again when there is one.
  No pip and no venv in this Python (Debian, Ubuntu): install the system package python3-venv.
  Another Python: make PYTHON=python3.12 ..."""


@dataclass(frozen=True)
class Installer:
    """A way to make an empty .venv, and the command that puts packages into it."""

    name: str
    create: list[str]
    install: list[str]


def say(text: str) -> None:
    print(f"environment: {text}", file=sys.stderr, flush=True)


def surroundings() -> dict[str, str]:
    """The caller's environment, less what would send packages elsewhere; uv hears of pip's registry."""
    astray = (
        "VIRTUAL_ENV",
        "PYTHONHOME",
        "PYTHONPATH",
        "PIP_USER",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_REQUIRE_VIRTUALENV",
    )
    env = {key: value for key, value in os.environ.items() if key not in astray}
    for pip_name, uv_name in (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_CERT", "SSL_CERT_FILE")):
        if pip_name in env:
            env.setdefault(uv_name, env[pip_name])
    for name in ("UV_SYSTEM_CERTS", "UV_NATIVE_TLS"):  # new and old name: trust what the machine trusts, as pip does
        env.setdefault(name, "true")
    return env | {"UV_PYTHON_DOWNLOADS": "never", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def call(*command: str) -> None:
    """Run a command into the log and say every 15 s that it goes on."""
    started = time.monotonic()
    with LOG.open("a", encoding="utf-8") as log:
        print("+", *command, file=log, flush=True)
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=surroundings(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            close_fds=False,  # the child keeps our lock: should this process be killed, nobody starts beside the child
        )
        while True:
            try:
                code = process.wait(timeout=15)
                break
            except subprocess.TimeoutExpired:
                say(f"  still at it after {time.monotonic() - started:.0f} s")
    if code:
        raise subprocess.CalledProcessError(code, command)


def find_pip() -> list[str]:
    """The pip that comes with this Python, in a folder of its own; else the one installed beside it."""
    try:
        call(sys.executable, "-m", "venv", "--clear", str(BUILD / "pip"))
        return [str(BUILD / "pip" / "bin" / "python"), "-m", "pip"]
    except subprocess.CalledProcessError:
        call(sys.executable, "-m", "pip", "--version")
        return [sys.executable, "-m", "pip"]


def fetch_uv(pip: list[str]) -> str:
    """uv from the package registry, by hash, into build/uv."""
    home, partial = BUILD / "uv", BUILD / "uv.partial"
    if not home.exists():
        shutil.rmtree(partial, ignore_errors=True)
        say("fetching uv")
        call(*pip, "install", "--require-hashes", "--target", str(partial), "-r", "tools/bootstrap.lock")
        partial.rename(home)
    return str(home / "bin" / "uv")


def with_uv(uv: str) -> Installer:
    return Installer(
        "uv",
        create=[uv, "venv", "--no-project", "--python", sys.executable, str(VENV)],
        install=[uv, "pip", "install", "--python", str(VENV / "bin" / "python")],
    )


def with_pip(pip: list[str]) -> Installer:
    return Installer(
        "pip",
        create=[sys.executable, "-m", "venv", "--without-pip", str(VENV)],
        install=[*pip, "--python", str(VENV / "bin" / "python"), "install", "--no-compile", "--progress-bar", "off"],
    )


def installers() -> Iterator[Installer]:
    """Best first; each is only looked for when those before it have failed."""
    if uv := shutil.which("uv"):
        yield with_uv(uv)
    pip = find_pip()
    try:
        yield with_uv(fetch_uv(pip))
    except subprocess.CalledProcessError:
        say("uv cannot be had here")
    yield with_pip(pip)


def digest(*names: str) -> str:
    """sha256 of the named files and of where the checkout is: an environment cannot be moved."""
    total = hashlib.sha256(str(ROOT).encode())
    for name in names:
        total.update((ROOT / name).read_bytes())
    return total.hexdigest()


def recorded() -> dict[str, str]:
    """What is installed for certain: nothing, if the environment is absent, unfinished or does not start."""
    try:
        record: dict[str, str] = json.loads(RECORD.read_text(encoding="utf-8"))
        subprocess.run([VENV / "bin" / "python", "-c", ""], check=True, capture_output=True)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return {}
    if os.environ.get("PYTHON") and record.get("python") != platform.python_version():
        return {}
    return record


def record(**entries: str) -> None:
    beside = RECORD.with_suffix(".partial")
    beside.write_text(json.dumps(recorded() | entries, indent=1), encoding="utf-8")
    beside.replace(RECORD)


def bring_up_to(wanted: dict[str, str], installer: Installer) -> None:
    """Do what is missing, in order, and record each part when it is whole."""
    locks = [word for name in LOCKS for word in ("-r", name)]
    if recorded().get("base") != wanted["base"]:
        if VENV.exists():
            say(".venv is unfinished or out of date and is made anew")
            shutil.rmtree(VENV)
        say(f"Python {platform.python_version()}, packages from requirements.lock, with {installer.name}")
        call(*installer.create)
        call(*installer.install, "--require-hashes", *locks)
        record(python=platform.python_version(), base=wanted["base"])
    if recorded().get("package") != wanted["package"]:
        call(*installer.install, "--no-deps", "--no-build-isolation", "-e", ".")
        record(package=wanted["package"])
    for extra, (lock, brought) in EXTRAS.items():
        if extra in wanted and recorded().get(extra) != wanted[extra]:
            say(f"adding {brought}")
            call(*installer.install, "--require-hashes", "-r", lock)
            record(**{extra: wanted[extra]})


def main(arguments: list[str]) -> int:
    if sys.prefix != sys.base_prefix:  # called from an environment, perhaps from the very one to be replaced
        os.execv(sys._base_executable, [sys._base_executable, __file__, *arguments])  # type: ignore[attr-defined]
    wanted = {"base": digest(*LOCKS), "package": digest("pyproject.toml")}
    wanted |= {extra: digest(lock) for extra, (lock, _) in EXTRAS.items() if f"--{extra}" in arguments}

    BUILD.mkdir(exist_ok=True)
    with (BUILD / "environment.lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is making it; waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if wanted.items() <= recorded().items():
            return 0
        LOG.unlink(missing_ok=True)
        started = time.monotonic()
        try:
            for installer in installers():
                try:
                    bring_up_to(wanted, installer)
                except subprocess.CalledProcessError:
                    say(f"{installer.name} did not succeed; build/environment.log says why")
                    continue
                say(f"ready after {time.monotonic() - started:.0f} s")
                return 0
        except subprocess.CalledProcessError:
            say("no pip to be had")
    print(*LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-5:], FAILED, sep="\n", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
