"""The runner of the service that scans: what it refuses, a published scan in rounds, a cascade by its pulses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nuanalysis.realtime.service import ScanRequest
from nuanalysis.realtime.service.sky import AdaptiveScan

PUBLISHED = {"run": 136766, "event": 7637140, "collection": "published"}


class Free:
    """A control that wants nothing, or a stop after some questions."""

    def __init__(self, questions: int = 10**9) -> None:
        self.left = questions

    def stop(self) -> bool:
        self.left -= 1
        return self.left < 0

    def workers(self) -> int:
        return 1


def request(event: dict, kind: str = "simulated", **more: object) -> ScanRequest:
    return ScanRequest.model_validate({"event": event, "real_or_simulated": kind, **more})


def pulses(n: int = 5, **more: object) -> dict:
    columns = {"pulse_module": list(range(n)), "pulse_time": [10.0] * n, "pulse_charge": [1.0] * n}
    return {"run": 1, "event": 2, "mjd": 60310.0, "topology": "shower", **columns, **more}


@pytest.mark.parametrize(
    ("event", "kind", "more", "word"),
    [
        (pulses(topology="track"), "simulated", {}, "track"),
        (pulses(), "real", {}, "simulated detector"),
        (pulses(pulse_module=[0, 1, 2, 3, 5160]), "simulated", {}, "5159"),
        ({"run": 1, "event": 100, "collection": "nobody"}, "simulated", {}, "published"),
        ({"run": 1, "event": 0, "collection": "simulated"}, "simulated", {}, "energy"),
        ({"run": 1, "event": 100, "collection": "simulated"}, "real", {}, "say so"),
        ({"run": 1, "event": 2, "collection": "published"}, "real", {}, "no published scan"),
        (PUBLISHED, "simulated", {}, "say so"),
        (PUBLISHED, "real", {"algorithm": "millipede"}, "adaptive"),
        (PUBLISHED, "real", {"stop": {"pixels": 100}}, "768"),
    ],
)
def test_what_it_cannot_do_is_said_before_it_begins(event, kind, more, word):
    faults = AdaptiveScan().faults(request(event, kind, **more))
    assert len(faults) == 1
    assert word in faults[0]


def test_the_service_reads_what_it_can_do_without_the_libraries_of_a_scan():
    import subprocess
    import sys

    code = "import sys, nuanalysis.realtime.service.sky; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numba", "healpy", "nuanalysis.chain"} & set(found)


@pytest.mark.real_data
def test_a_published_scan_comes_in_rounds_and_gives_the_same_bytes_when_broken_off(mirror, tmp_path):
    asked, partial = request(PUBLISHED, "real", max_order=9, stop={"area_tolerance": 1e-9}), []
    whole = AdaptiveScan().run(asked, tmp_path / "whole", partial.append, Free())
    assert whole.complete
    assert not whole.synthetic
    assert whole.area_90_deg2 == pytest.approx(7.462, abs=1e-3)  # published: 7.4618
    assert [one.round for one in partial] == list(range(1, whole.round))
    assert AdaptiveScan().run(asked, tmp_path / "broken", partial.append, Free(20)).round < whole.round
    assert AdaptiveScan().run(asked, tmp_path / "at once", partial.append, Free(0)) is None
    loose = request(PUBLISHED, "real", max_order=9, stop={"area_tolerance": 0.4})
    assert AdaptiveScan().run(loose, tmp_path / "loose", partial.append, Free()).pixels_done < whole.pixels_done
    again = AdaptiveScan().run(asked, tmp_path / "broken", partial.append, Free())
    assert again.files == whole.files
    leaves = json.loads(whole.files["leaves.json"])
    assert sum(1.0 / 4.0 ** np.array(leaves["order"])) == pytest.approx(12.0)
