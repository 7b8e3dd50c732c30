"""Train the light network of the hybrid reconstruction on the photon table, and say how well it follows it.

    python tools/train_light.py light-table.npz src/nuanalysis/learn/weights/light-cascade.npz

The table is a ``LightTable`` of ``nuanalysis.detector.light_table`` written with ``nuanalysis.store.write_object``; it
is made, with 12 million photons of each emission, where the file is missing (4 minutes).  Training takes 80 seconds of
one core; the same seed gives the same weights on one machine.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from nuanalysis.detector import LightTable, ice_grid, kernel_table, light_table, simulate_photons
from nuanalysis.learn import network_light, table_light
from nuanalysis.learn._light_models import TableLight
from nuanalysis.learn._light_network import NetworkLight
from nuanalysis.learn._light_training import Course, lesson, train_light
from nuanalysis.library.detectors import detector
from nuanalysis.store import read_object, write_object

PHOTONS, SEED = 12_000_000, 1
HELD_OUT = 50_000  # pairs that no training has seen: their seed is another
BANDS = ((1, 10), (10, 30), (30, 100), (100, 250), (250, 600))  # m


def table(path: Path) -> LightTable:
    """The table in a file, made first where it is missing."""
    if not path.exists():
        write_object(path, light_table(*(simulate_photons(SEED, 0, PHOTONS, cone=cone) for cone in (False, True))))
    found = read_object(path)
    assert isinstance(found, LightTable), f"{path} holds no photon table"
    return found


def misses(light: NetworkLight, truth: TableLight, seed: int) -> list[str]:
    """Lines of a table: errors of ln yield by distance, where 1 PeV gives a tenth of a photoelectron."""
    made = lesson(truth.table, truth.ice, np.random.default_rng(seed), HELD_OUT)
    nothing = np.empty(0, np.int64), np.empty(0)
    miss = light.look(made.pairs, *nothing).log_yield - made.log_yield
    lines = []
    for low, high in BANDS:
        chosen = (made.pairs.distance >= low) & (made.pairs.distance < high) & (made.log_yield > -19.0)
        rms, bias, middle = np.sqrt((miss[chosen] ** 2).mean()), miss[chosen].mean(), np.median(np.abs(miss[chosen]))
        lines.append(
            f"{low:4d}-{high:3d} m  rms {rms:.4f}  median {middle:.4f}  bias {bias:+.4f}  ({chosen.sum()} pairs)"
        )
    return lines


def main(source: str, target: str) -> None:
    """Train, write, and print the errors on pairs that training has not seen."""
    found, ice = table(Path(source)), detector().ice
    begin, worked = time.perf_counter(), time.process_time()
    course = Course()
    network = train_light(kernel_table(found), ice_grid(ice), course)
    spent, cpu = time.perf_counter() - begin, time.process_time() - worked
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    write_object(Path(target), network)
    print(f"{network.label}; {cpu:.0f} s of processor, {spent:.0f} s; {Path(target).stat().st_size:,} bytes")
    print(*misses(network_light(network, ice), table_light(found, ice), 2**31), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
