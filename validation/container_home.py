"""From an installed environment to a verified release where the home is as hostile as in a container.

    .venv/bin/python validation/container_home.py        (make validate runs it, through test_container_home.py)

What is imposed, by the kernel and measured from inside before anything is called:

- no HOME, and (called as root) a user of whom no file knows the name; called as anybody else, that user stays;
- the installation, this checkout and the interpreter are mounted read-only;
- no network but the loopback that notebook kernels talk through;
- /dev/shm of 1 MB; one core; an environment of PATH alone.

What is not: /tmp and the working directory can be written, memory is not limited, and called as root the user may read
what file modes would close to it (an interpreter below /root), though write nothing.  The analysis is the small one
below, on synthetic events: 200 scrambles and 100 injections, no tracks.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
USER = 12_345
SPEC = Path(__file__).with_name("tiny.toml")
# Run in the new namespaces, before the user changes.
IMPOSE = """
set -e
mount --make-rprivate /
mount -t tmpfs -o size=1m,mode=1777 tmpfs /dev/shm
for folder in $CLOSED; do mount --bind "$folder" "$folder"; mount -o remount,ro,bind "$folder"; done
"$PYTHON" -c '
import fcntl, socket, struct
with socket.socket() as any:
    fcntl.ioctl(any, 0x8914, struct.pack("16sh22x", b"lo", 0x41))  # SIOCSIFFLAGS: up and running
'
exec "$@"
"""
PROBE = """
import json, os, pathlib, pwd, shutil, socket, sys
def fails(call, *kinds):
    try:
        call()
    except kinds:
        return True
    return False
print(json.dumps({
    "no HOME": "HOME" not in os.environ,
    "unknown user": fails(lambda: pwd.getpwuid(os.getuid()), KeyError),
    "installation closed": all(fails(lambda: pathlib.Path(place, "x").touch(), OSError) for place in sys.argv[1:]),
    "no network": fails(lambda: socket.create_connection(("192.0.2.1", 80), 2.0), OSError),
    "/dev/shm MB": shutil.disk_usage("/dev/shm").total / 2**20,
    "cores": len(os.sched_getaffinity(0)),
}))
"""


class NotPermitted(Exception):
    """This machine does not let us make namespaces: nothing can be imposed."""


@dataclass(frozen=True, slots=True)
class Called:
    """A command in the container: exit code, seconds, and the last of what it said."""

    command: str
    code: int
    seconds: float
    out: str
    err: str


def closed() -> tuple[str, ...]:
    """What is mounted read-only: interpreter, environment, checkout."""
    return tuple(dict.fromkeys(str(Path(one).resolve()) for one in (sys.base_prefix, sys.prefix, ROOT)))


def call(folder: Path, *command: str) -> Called:
    """Run a command of the environment in a container of its own, in ``folder``."""
    root = os.geteuid() == 0
    spaces = ["unshare", "--mount", "--net", *([] if root else ["--map-root-user"])]
    capability = "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *capability] if root else []
    kept = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    if "PYTHONPATH" in os.environ:  # a checkout that is not installed
        kept["PYTHONPATH"] = os.environ["PYTHONPATH"]
    clean = ["env", "-i", *(f"{name}={value}" for name, value in kept.items())]
    whole = [*spaces, "sh", "-c", IMPOSE, "sh", *user, "taskset", "-c", str(min(os.sched_getaffinity(0))), *clean]
    started = time.monotonic()
    variables = {**os.environ, "CLOSED": " ".join(closed()), "PYTHON": sys.executable}
    done = subprocess.run([*whole, *command], cwd=folder, env=variables, capture_output=True, text=True, check=False)
    return Called(" ".join(command[:4]), done.returncode, time.monotonic() - started, done.stdout, done.stderr)


def imposed(folder: Path) -> dict[str, float]:
    """What holds inside, measured there.  Raises NotPermitted."""
    if missing := [name for name in ("unshare", "setpriv", "taskset") if shutil.which(name) is None]:
        raise NotPermitted(f"{', '.join(missing)} (util-linux) not installed")
    probe = call(folder, sys.executable, "-c", PROBE, *closed())
    if probe.code:
        raise NotPermitted(probe.err.strip().splitlines()[-1])
    found: dict[str, float] = json.loads(probe.out)
    return found


def run(folder: Path) -> list[Called]:
    """Doctor, the whole run, and the check of its release, each in a container of its own."""
    shutil.copyfile(SPEC, folder / "tiny.toml")
    if os.geteuid() == 0:
        os.chown(folder, USER, USER)
    folder.chmod(0o755)
    program = [sys.executable, "-m", "nuanalysis"]
    done = [call(folder, *program, "doctor", "--json")]
    done.append(call(folder, *program, "run", "tiny.toml", "--executor", "serial", "--json"))
    releases = sorted(path.parent for path in folder.glob("runs/tiny/**/manifest.json"))
    return [*done, *(call(folder, *program, "release", "verify", str(one)) for one in releases)]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="container-home-") as name:
        folder = Path(name)
        print("imposed:", imposed(folder))
        done = run(folder)
    for one in done:
        print(f"{one.code}  {one.seconds:7.1f} s  {one.command}")
        if one.code:
            print(one.out[-2000:], one.err[-4000:], sep="\n")
    return int(any(one.code for one in done) or len(done) < 3)


if __name__ == "__main__":
    sys.exit(main())
