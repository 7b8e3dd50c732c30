"""Do detectors see the same flux?  One flux fitted to all samples, and one to each group of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nuanalysis.likelihood import maximise_at
from nuanalysis.model import Prepared, Terms
from nuanalysis.schema import Floats, Ints
from nuanalysis.trials._injection import emissions, experiment, flux_node


def split(data: Terms, starts: Ints, groups: Sequence[Sequence[int]]) -> list[Terms]:
    """The terms of each group of samples alone, in the n_s of all samples together: their fits compare as fluxes do.

    starts (sample + 1,) : the first event of each sample, see ``experiment``.
    """
    out = []
    for group in groups:
        held = np.concatenate([np.arange(starts[k], starts[k + 1]) for k in group])
        part = {name: getattr(data, name)[held] for name in ("group", "scale")}
        out.append(replace(data, difference=data.difference[:, held], **part))
    return out


def consistency_trials(
    prepared: Prepared, groups: Sequence[Sequence[int]], seed: int, first: int, last: int, n_mean: float
) -> Floats:
    """Experiments with one flux, index held: joint n_s and TS, then those of each group, (trial, 2 + 2 group).

    The TS of the groups exceed that of all together by a chi-square with one degree of freedom less than there are
    groups, where no fit is at its bound of zero.
    """
    sources, node, rows = emissions(prepared), flux_node(prepared), []
    for trial in range(first, last):
        data, starts = experiment(prepared, sources, seed, trial, n_mean)
        fits = [maximise_at(one, node) for one in (data, *split(data, starts, groups))]
        rows.append([value for fit in fits for value in (fit.n_signal, fit.ts)])
    return np.array(rows)
