"""Which tilts make a good mixture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nuanalysis.likelihood._kernels import ceiling_of
from nuanalysis.model import Prepared
from nuanalysis.trials._scrambles import PLAIN, Tilt, _scaled_energy, scrambled

Floats = NDArray[np.float64]
_TILT_INDEX = (1.2, 2.0, 2.6, 3.2, 3.8)  # a free index fluctuates anywhere in [1, 4]


def uncertainty(prepared: Prepared) -> Floats:
    """Expected standard deviation of n_s under the null at each spectral node, (node,), from one plain scramble."""
    terms = scrambled(prepared, 0, 0, PLAIN[0])
    return np.array(
        [terms.n_events / np.sqrt(max(float((terms.x(g) ** 2).sum()), 1e-300)) for g in range(len(terms.index))]
    )


def choose_tilts(prepared: Prepared, ts: float) -> tuple[Tilt, ...]:
    """A mixture that covers test statistics from 0 to ``ts``: n* in steps of 1.5 standard deviations, n* = 0 included.

    With a free index the tilts are spread over five indices.  A tilt is kept below the strength at which some
    density would come near zero.
    """
    spread = uncertainty(prepared)
    reach = np.sqrt(max(ts, 0.0))
    steps = np.arange(1.5, reach + 0.75, 1.5)
    nodes = [0] if len(prepared.index) == 1 else [int(np.argmin(abs(prepared.index - g))) for g in _TILT_INDEX]
    terms = scrambled(prepared, 0, 0, PLAIN[0])
    tops = {g: 0.5 * float(ceiling_of(terms.x(g))) * terms.n_events for g in nodes}
    for g in nodes:
        mean = np.concatenate(
            [prepared.mixing[g] @ p.lookup.mean * _scaled_energy(prepared, p, g) for p in prepared.parts]
        )
        tops[g] = min(tops[g], 0.5 * terms.n_events / max(float(mean.max(initial=0.0)), 1e-300))
    wanted = [(min(t * spread[g], tops[g]), g) for t in steps for g in nodes]
    if not wanted:
        return PLAIN
    share = 0.7 / len(wanted)
    return (Tilt(0.0, nodes[0], 0.3), *(Tilt(float(n), g, share) for n, g in wanted))
