"""Seeded kills of everything that writes: nothing is torn, nothing that was acknowledged is lost, nothing stays behind.

    python validation/kills.py --seed 1 --output kills.csv

Four programs write into a folder in a process group of their own: products (files replaced by a rename), trials (an
ensemble with two worker processes), events (commits into the event store) and a whole run of a small spec with its
release.  Each says on a pipe when a write begins and ends.  The script kills the group with SIGKILL at a drawn time
after a drawn write has begun, logs whether that write was under way, opens what is there as the next user would, and
lets the program go on until it is killed again or done.  At the end the bytes must be those of a program that nobody
killed.  The table has one line a kill.  Exit status 1 where anything was torn, lost, left behind or different.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import xarray as xr

SAY = "NUANALYSIS_KILLS_PIPE"  # number of the file descriptor on which a program says what it does
PRODUCTS, EVENTS, ROWS = 60, 40, 4000
SPEC = Path(__file__).with_name("tiny.toml")


# --- the programs that are killed -------------------------------------------------------------------------------------


def say(word: str) -> None:
    """One word on the pipe, if there is one: 'begin', 'end', or 'kept NAME' for what is acknowledged."""
    if number := os.environ.get(SAY):
        with suppress(OSError):
            os.write(int(number), f"{word}\n".encode())


@contextmanager
def said() -> Iterator[None]:
    """A write that says when it begins and when it has ended."""
    say("begin")
    yield
    say("end")


def listen() -> None:
    """Let every file that the package replaces say when its writing begins and ends."""
    from nuanalysis.store import _files, _objects, _zarr

    quiet = _files.beside

    @contextmanager
    def beside(path: Path) -> Iterator[object]:
        with said(), quiet(path) as file:
            yield file

    for module in (_files, _objects, _zarr):
        module.beside = beside  # type: ignore[attr-defined]


def product(k: int) -> xr.Dataset:
    return xr.Dataset({"x": ("row", np.random.default_rng(k).random(50_000))}, attrs={"number": k})


def products(folder: Path) -> None:
    """Three files, each replaced again and again; what was begun before is not done again."""
    from nuanalysis.store import sweep, write_zip

    listen()
    sweep(folder)
    done = folder / "done"
    for k in range(int(done.read_text()) if done.exists() else 0, PRODUCTS):
        write_zip(folder / f"product-{k % 3}.zip", product(k))
        say(f"kept {k}")
        scratch = folder / "done.new"
        scratch.write_text(str(k + 1))
        scratch.replace(done)


def events_of(k: int) -> xr.Dataset:
    from nuanalysis.schema import EVENTS as SCHEMA
    from nuanalysis.schema import dataset

    rng = np.random.default_rng(k)
    values = {
        "mjd": np.sort(rng.uniform(55000, 55300, ROWS)),
        "right_ascension": rng.uniform(0, 2 * np.pi, ROWS),
        "declination": rng.uniform(-1.5, 1.5, ROWS),
        "log10_energy": rng.uniform(2, 6, ROWS),
        "angular_error": rng.uniform(0.01, 0.3, ROWS),
        "component": rng.integers(0, 4, ROWS),
    }
    attrs = {"sample": "kills", "origin": "synthetic", "livetime_s": 1.0e7, "reference": "made for this script"}
    return dataset(SCHEMA, values, attrs)


def events(folder: Path) -> None:
    """Seasons appended one by one to an event store."""
    from nuanalysis.errors import StepMissing
    from nuanalysis.store import EventStore

    store = EventStore(folder / "events.icechunk")
    try:
        there = store.seasons()
    except StepMissing:
        there = ()
    for k in range(EVENTS):
        name = f"season-{k:02d}"
        if name not in there:
            with said():
                store.append(name, events_of(k), "one more")
            say(f"kept {name}")


def trials(folder: Path) -> None:
    """An ensemble of scrambles, computed by two worker processes."""
    from nuanalysis import simulate
    from nuanalysis.engine import ensembles
    from nuanalysis.engine.bench import Bench
    from nuanalysis.engine.ensembles import Problem, Scrambles, problem_fingerprint
    from nuanalysis.engine.executors import open_executor
    from nuanalysis.library import samples
    from nuanalysis.library.hypotheses import read_hypothesis
    from nuanalysis.model import prepare
    from nuanalysis.sky.records import PowerLaw

    listen()
    spec = samples.sample_spec(name="cascades-2023")
    made = simulate.cascades(1, None, 0.0, spectrum=PowerLaw(2.7)).isel(event=slice(0, 3000))
    asked = read_hypothesis("template:galactic-plane-box")
    seasons = samples.assemble({"cascades-2023": made}, spec).seasons
    problem = Problem(prepare(asked, seasons), problem_fingerprint(asked, seasons), 1)
    with open_executor("processes", workers=2) as pool:
        ensembles.run((problem,), Scrambles(1, 3000), Bench(folder, pool), batch=50)


def run(folder: Path) -> None:
    """A whole run of a small spec, with notebooks, report and release."""
    from nuanalysis.engine.progress import Silent
    from nuanalysis.engine.settings import EngineSettings
    from nuanalysis.workflow.run import run as whole_run

    listen()
    spec = folder / "tiny.toml"
    if not spec.exists():
        spec.write_bytes(SPEC.read_bytes())
    whole_run(spec, folder / "runs", EngineSettings(), Silent())


PROGRAMS: dict[str, Callable[[Path], None]] = {"products": products, "trials": trials, "events": events, "run": run}
#: Kills of each program; the last write that is drawn, and the longest time in s from its beginning to the kill.
KILLS = {"products": (40, 25, 0.01), "trials": (25, 20, 0.05), "events": (30, 4, 0.12), "run": (8, 40, 3.0)}


# --- what the next user finds -----------------------------------------------------------------------------------------


def torn(program: str, folder: Path, kept: list[str]) -> list[str]:
    """What is half-written or lost of what a killed program had said was kept."""
    from nuanalysis.errors import NuanalysisError
    from nuanalysis.store import EventStore, read_zip

    found = []
    with suppress(FileNotFoundError):
        if program == "products":
            last = {f"product-{int(k) % 3}.zip": int(k) for k in kept}
            for path in folder.glob("product-*.zip"):
                number = int(read_zip(path).attrs["number"])
                if not read_zip(path).identical(product(number)) or number < last.get(path.name, 0):
                    found.append(f"{path.name} holds number {number}, kept was {last.get(path.name)}")
            found += [f"{name} is lost" for name in last if not (folder / name).exists()]
        if program == "events" and (folder / "events.icechunk").exists():
            store = EventStore(folder / "events.icechunk")
            try:
                there = store.seasons()
                found += [f"{name} is lost" for name in set(kept) - set(there)]
                found += [
                    n for n in there if not store.read(n).equals(store.read(n)) or len(store.read(n).event) != ROWS
                ]
            except NuanalysisError as error:
                found += [str(error)] if kept else []
    return found


LEFT = (".incoming", ".nuanalysis-caches")


def leftovers(folder: Path, reference: Path) -> list[str]:
    """What no finished program would leave: files that were being written, and objects that no commit names."""
    number, expected = (sum(1 for path in one.rglob("*") if path.is_file()) for one in (folder, reference))
    more = [f"{number} files, expected {expected}"] if number != expected else []
    return more + [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.name.endswith((".partial", ".new", ".building", ".old"))
        or "#" in path.name
        or path.name.startswith(LEFT)
    ]


TIMES = ("created", "seconds", "core_seconds")  # of results.json: what must differ between two runs


def timeless(document: object) -> object:
    """A JSON document without the times in it."""
    if isinstance(document, dict):
        return {key: timeless(one) for key, one in document.items() if key not in TIMES}
    return list(map(timeless, document)) if isinstance(document, list) else document


def content(program: str, folder: Path) -> str:
    """The sha256 of all that must be the same: seasons and results by value, everything else by bytes.

    The release of a run carries its date in every file; it is verified, and made from what is compared here.
    """
    from nuanalysis.publish import verify
    from nuanalysis.store import EventStore

    digest = hashlib.sha256()
    if program == "events":
        store = EventStore(folder / "events.icechunk")
        for name in store.seasons():
            digest.update(name.encode())
            for column in sorted(map(str, store.read(name).variables)):
                digest.update(np.ascontiguousarray(store.read(name)[column].values).tobytes())
        return digest.hexdigest()
    root = {"products": folder, "trials": folder / "trials", "run": folder / "runs" / "tiny"}[program]
    kept = [root] if program != "run" else [root / name for name in ("trials", "products", "figures")]
    for path in sorted(path for one in kept for path in one.rglob("*")):
        if path.is_file() and path.suffix != ".lock":
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    if program == "run":
        [release] = [path for path in (root / "release").iterdir() if path.is_dir()]
        found = json.dumps(timeless(json.loads((root / "results.json").read_text(encoding="utf-8"))))
        digest.update(found.encode() + str(verify(release).ok).encode())
    return digest.hexdigest()


# --- killing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: after which write it was drawn, how long after it, and what was found."""

    program: str
    number: int
    write: int
    wait_s: float
    after_s: float
    writing: bool
    torn: str
    left_at_next_open: str


class Child:
    """A program in a process group of its own, and what it says."""

    def __init__(self, program: str, folder: Path) -> None:
        self.ours, theirs = os.pipe()
        environment = {**os.environ, SAY: str(theirs), "TMPDIR": str(folder.parent / "tmp")}
        command = [sys.executable, __file__, "--program", program, "--folder", str(folder)]
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command, env=environment, pass_fds=(theirs,), start_new_session=True, stdout=subprocess.DEVNULL
        )
        os.close(theirs)
        self._left, self.words = b"", list[str]()

    def hear(self, timeout_s: float) -> bool:
        """Take in what was said; False at the end."""
        if not select.select([self.ours], [], [], timeout_s)[0]:
            return True
        new = os.read(self.ours, 1 << 16)
        *whole, self._left = (self._left + new).split(b"\n")
        self.words += [word.decode() for word in whole]
        return bool(new)

    def writes(self) -> int:
        return self.words.count("begin")

    def kill(self) -> float:
        """Kill the whole group; the time since its start."""
        after = time.monotonic() - self.started
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        while self.hear(5.0):
            pass
        self.process.wait()
        return after

    @property
    def kept(self) -> list[str]:
        return [word.removeprefix("kept ") for word in self.words if word.startswith("kept ")]


def killed(program: str, folder: Path, number: int, rng: np.random.Generator, kept: list[str]) -> Kill | None:
    """Start the program and kill it; None where it ended before."""
    _, most, longest = KILLS[program]
    write, wait = int(rng.integers(1, most + 1)), float(rng.uniform(0.0, longest))
    child = Child(program, folder)
    while child.writes() < write:
        if not child.hear(300.0):
            code = child.process.wait()
            if code:
                raise SystemExit(f"{program} ended with {code} without having been killed")
            return None
    time.sleep(wait)
    after = child.kill()
    kept += child.kept
    writing = child.words.count("begin") > child.words.count("end")
    return Kill(
        program, number, write, round(wait, 4), round(after, 3), writing, "; ".join(torn(program, folder, kept)), ""
    )


def campaign(
    program: str, root: Path, rng: np.random.Generator, log: Callable[[Kill], None]
) -> tuple[list[Kill], bool]:
    """All kills of one program, and whether the end is the same bytes as without any."""
    (root / "tmp").mkdir(parents=True, exist_ok=True)
    reference, kills = root / program / "reference", list[Kill]()
    reference.mkdir(parents=True)
    finish(program, reference)
    expected, same, round_ = content(program, reference), True, 0
    while len(kills) < KILLS[program][0]:
        round_ += 1
        folder, kept = root / program / f"round-{round_}", list[str]()
        folder.mkdir()
        while len(kills) < KILLS[program][0]:
            one = killed(program, folder, len(kills) + 1, rng, kept)
            if one is None:
                break
            kills.append(one)
            log(one)
        finish(program, folder)
        left = leftovers(folder, reference) + [path.name for path in (root / "tmp").glob("nua-*")]
        if left or content(program, folder) != expected:
            same = same and content(program, folder) == expected
            kills[-1] = replace(kills[-1], left_at_next_open="; ".join(left))
            print(f"round {round_} of {program} left {kills[-1].left_at_next_open or 'other bytes'}", flush=True)
    return kills, same


def finish(program: str, folder: Path) -> None:
    """Let the program come to its end."""
    child = Child(program, folder)
    while child.hear(600.0):
        pass
    if code := child.process.wait():
        raise SystemExit(f"{program} in {folder} ended with {code}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("kills.csv"), help="the log, one line a kill")
    parser.add_argument("--only", choices=sorted(PROGRAMS), action="append", help="these programs only")
    parser.add_argument("--program", choices=sorted(PROGRAMS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.program:
        PROGRAMS[given.program](given.folder)
        return 0
    rng, kills, all_same = np.random.default_rng(given.seed), list[Kill](), True
    with given.output.open("w", newline="", encoding="utf-8") as stream, tempfile.TemporaryDirectory() as root:
        table = csv.DictWriter(stream, [field.name for field in fields(Kill)])
        table.writeheader()

        def log(one: Kill) -> None:
            table.writerow(asdict(one))
            stream.flush()

        for program in given.only or PROGRAMS:
            found, same = campaign(program, Path(root), rng, log)
            kills, all_same = kills + found, all_same and same
            print(f"{program}: {len(found)} kills, {sum(k.writing for k in found)} of them during a write, ", end="")
            print(f"{sum(bool(k.torn) for k in found)} torn or lost, ", end="")
            print(f"{sum(bool(k.left_at_next_open) for k in found)} leftovers, same bytes: {same}", flush=True)
    bad = [k for k in kills if k.torn or k.left_at_next_open]
    print(f"all: {len(kills)} kills, {sum(k.writing for k in kills)} during a write, {len(bad)} bad")
    return 1 if bad or not all_same else 0


if __name__ == "__main__":
    sys.exit(main())
