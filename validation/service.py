"""The service of sky scans under kills, and how long its answers take.  With the analytic stand-in as its runner.

    python validation/service.py kills --seed 1 --output service-kills.csv
    python validation/service.py times

``kills``: 25 times SIGKILL to the service and 25 times to a worker, at drawn moments, while clients submit scans and
repeat what was not answered.  Then every key that a client used must be one scan, done once, with the bytes of a scan
that nobody killed.  A line of the table is a kill: what the scans did, and how long until each that lost its worker was
worked on again (or was waiting behind others, which the queue then shows).  A worker is killed when the scan that was
hit before has done a round since: five in a row without one are a failure of the scan, by design.  Exit status 1 where
a scan was lost, doubled, different or left for more than 90 s.

``times``: from the request to the first partial and to the final result, for rounds of 2 s that compute; the times of
GET status while two scans compute; a hundred identical requests at once.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from analytic_scan import AnalyticScan
from small_service import Running, asked, open_files, running

from nuanalysis.realtime.service import ScanRequest

KILLS, LONGEST_S = 25, 90.0
FILES = ("map.fits", "contours.json", "leaves.ecsv", "leaves.json")
LEFT = ("starting", "running", "partial")


@dataclass(frozen=True)
class Kill:
    """kind : service or worker.  during : what was under way.  again_s : until all that lost a worker were worked on,
    or waited behind others."""

    kind: str
    number: int
    during: str
    scans_hit: int
    again_s: float


def body(event: int) -> dict[str, object]:
    return asked(event, classifiers={"round_s": 0.3, "width_deg": 2.0 + 0.01 * event}, max_order=6)


def twin(event: int) -> dict[str, bytes]:
    """The files of a scan that nobody killed; its waits are no part of what is computed."""

    class Wishes:
        def stop(self) -> bool:
            return False

        def workers(self) -> int:
            return 64

    request = ScanRequest.model_validate(body(event))
    with tempfile.TemporaryDirectory() as folder:
        return AnalyticScan().run(request, Path(folder), lambda found: None, Wishes()).files


def states(service: Running) -> dict[str, tuple[str, int]]:
    found = service.http.get("/v1/scans", params={"limit": 200, "deleted": True}).json()["scans"]
    return {one["id"]: (one["state"], one["attempt"]) for one in found}


def worked_on_again(service: Running, hit: dict[str, tuple[str, int]], since: float) -> float:
    """Seconds until no scan that was hit still has the attempt, and an active state, that it had."""
    while True:
        now = states(service)
        if not any(now[scan][0] in LEFT and now[scan][1] == attempt for scan, (_, attempt) in hit.items()):
            return time.monotonic() - since
        if time.monotonic() - since > 2 * LONGEST_S:
            return float("inf")
        time.sleep(0.05)


def goes_on(service: Running, scan: str) -> None:
    """Wait until the scan has done one round more, or ended."""
    before = service.status(scan)["progress"]["round"]
    now = service.status(scan)
    while not now["is_final"] and now["progress"]["round"] <= before:
        time.sleep(0.1)
        now = service.status(scan)


def submit(service: Running, event: int) -> str | None:
    """Id of the scan; None where the answer was lost with the service."""
    try:
        answer = service.post(body(event), f"key-{event}")
        answer.raise_for_status()
        return str(answer.json()["id"])
    except httpx.TransportError:
        return None


def kills(seed: int) -> tuple[list[Kill], list[str]]:
    """Kill, and say what was found wrong."""
    rng, table, wrong = random.Random(seed), [], []
    keys: dict[int, str | None] = {}
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "service", "--queued", "1000") as service:
        for number in range(KILLS):
            keys[len(keys)] = None
            event = len(keys) - 1
            posting = rng.random() < 0.3
            poster = threading.Thread(target=lambda event=event: keys.update({event: submit(service, event)}))
            poster.start()
            if posting:
                time.sleep(rng.uniform(0.0, 0.05))
            else:
                poster.join()
                time.sleep(rng.uniform(0.0, 5.0))
            hit = {scan: at for scan, at in states(service).items() if at[0] in LEFT}
            killed = time.monotonic()
            service.process.kill()
            poster.join()
            service.kill()
            service.start()
            for event, scan in keys.items():  # what was not answered is asked again
                if scan is None:
                    keys[event] = submit(service, event)
            after = worked_on_again(service, hit, killed)
            during = "a POST" if posting else "scanning" if hit else "nothing"
            table.append(Kill("service", number, during, len(hit), after))
            print(table[-1], flush=True)
        number = 0
        while number < KILLS:
            if not service.workers():
                keys[len(keys)] = None
                keys[len(keys) - 1] = submit(service, len(keys) - 1)
            time.sleep(rng.uniform(0.0, 4.0))
            before, workers = states(service), sorted(service.workers())
            if not workers:
                continue
            attempts = {scan: at for scan, at in before.items() if at[0] in LEFT}
            victim = rng.choice(workers)
            words = open_files(Path(f"/proc/{victim}"))
            hit = {scan: at for scan, at in attempts.items() if scan in words} if words else {}
            killed = time.monotonic()
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it had just ended
            after = worked_on_again(service, hit, killed)
            table.append(Kill("worker", number, next(iter(hit.values()), ("beginning",))[0], len(hit), after))
            print(table[-1], flush=True)
            number += 1
            for scan in hit:
                goes_on(service, scan)
        end = time.monotonic() + 600.0
        while any(state not in ("done", "failed", "cancelled") for state, _ in states(service).values()):
            if time.monotonic() > end:
                wrong.append("not all scans were done after 600 s")
                break
            time.sleep(0.2)
        found = states(service)
        wrong += [f"key {event} has no scan" for event, scan in keys.items() if scan not in found]
        if len(found) != len(set(keys.values())) or len(found) != len(keys):
            wrong.append(f"{len(found)} scans for {len(keys)} keys")
        for event, scan in keys.items():
            steps = service.http.get(f"/v1/scans/{scan}").json()["steps"]
            ends = [step["state"] for step in steps if step["state"] in ("done", "failed", "cancelled")]
            if ends != ["done"]:
                wrong.append(f"scan {scan} ended as {ends}: {steps[-1]['cause']}")
                continue
            files = {name: service.http.get(f"/v1/scans/{scan}/result/{name}").content for name in FILES}
            if files != twin(event):
                wrong.append(f"scan {scan} has other bytes than its twin")
        print(f"{len(keys)} scans, {sum(at for _, at in found.values())} attempts")
    wrong += [f"{kill} left a scan for too long" for kill in table if kill.again_s > LONGEST_S]
    return table, wrong


def cpu_s(service: Running) -> float:
    """CPU time that the service itself has used, s."""
    fields_ = Path(f"/proc/{service.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields_[11]) + int(fields_[12])) / os.sysconf("SC_CLK_TCK")


def times() -> None:
    """Print what the targets ask for."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "service") as service:
        waits = {"round_s": 2.0, "busy": True}
        first, last = [], []
        for event in range(5):
            began = time.monotonic()
            scan = service.post(asked(event, classifiers=waits), f"t{event}").json()["id"]
            service.until(scan, "partial")
            first.append(time.monotonic() - began)
            service.until(scan, "done")
            last.append(time.monotonic() - began)
        steps = service.http.get(f"/v1/scans/{scan}").json()["steps"]
        moments = [datetime.fromisoformat(step["time"]) for step in steps]
        after = [(at - moments[0]).total_seconds() for at in moments]
        print(", ".join(f"{step['state']} {at:.1f} s" for step, at in zip(steps, after, strict=True)))
        print(
            f"submit to first partial: {max(first):.1f} s at most of 5, to final: {max(last):.1f} s (5 rounds of 2 s)"
        )

        two = [service.post(asked(k, classifiers=waits | {"round_s": 60.0}), f"l{k}").json()["id"] for k in (7, 8)]
        for scan in two:
            service.until(scan, "running", "partial")
        taken, before = [], cpu_s(service)
        for k in range(1000):
            began = time.perf_counter()
            service.status(two[k % 2])
            taken.append(1000 * (time.perf_counter() - began))
            time.sleep(0.01)
        taken.sort()
        load = os.getloadavg()[0]
        print(
            f"GET status while 2 scans compute: median {taken[500]:.1f}, 95 % {taken[950]:.1f}, 99 % {taken[990]:.1f}, "
            f"longest {taken[-1]:.1f} ms of 1,000; CPU of the service {cpu_s(service) - before:.2f} ms each; "
            f"load {load:.1f} on {os.cpu_count()} cores"
        )

        ids, threads = [], []
        for _ in range(100):
            threads.append(threading.Thread(target=lambda: ids.append(service.post(asked(99), "same").json()["id"])))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        scans = [one for one in states(service) if one in ids]
        print(f"100 identical requests at once: {len(ids)} answers, {len(set(ids))} id, {len(scans)} scan")


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kills", "times"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    if given.what == "times":
        times()
        return 0
    table, wrong = kills(given.seed)
    if given.output:
        with given.output.open("w", newline="") as file:
            rows = csv.DictWriter(file, [field.name for field in fields(Kill)])
            rows.writeheader()
            rows.writerows(map(asdict, table))
    for kind in ("service", "worker"):
        again = sorted(kill.again_s for kill in table if kill.kind == kind)
        print(
            f"{kind}: {len(again)} kills, worked on again after {again[len(again) // 2]:.1f} s, "
            f"at most {again[-1]:.1f} s"
        )
    print("\n".join(wrong) or "no scan lost, doubled, stuck or different")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
