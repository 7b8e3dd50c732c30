"""What the trees of the last level read of an event."""

from __future__ import annotations

import numpy as np

from nuanalysis.chain._events import Seen, taken
from nuanalysis.chain._judge import Judgement
from nuanalysis.learn import Class
from nuanalysis.schema import Floats

NAMES = (
    "odds_muon", "odds_track", "log_kappa", "log_energy", "height", "log_charge", "log_modules", "early_fraction",
    "hull_distance", "inertia_ratio", "line_speed", "before_vertex", "outer_early", "cos_zenith",
)  # fmt: skip


def variables(seen: Seen, judged: Judgement) -> Floats:
    """(event, name) of the judged events, in the order of NAMES."""
    of, logits = taken(seen.variables, judged.events), judged.scores.logits
    return np.column_stack(
        [
            judged.scores.cascade_over_muons,
            logits[:, Class.CASCADE] - logits[:, Class.STARTING_TRACK],
            np.log(judged.said.kappa),
            judged.said.log10_energy,
            judged.said.vertex[:, 2],
            np.log10(np.maximum(of.charge, 1e-3)),
            np.log10(np.maximum(of.modules, 1)),
            of.early_fraction,
            of.hull_distance,
            of.inertia_ratio,
            of.line_speed,
            np.log1p(np.maximum(of.before_vertex, 0.0)),
            np.log1p(np.maximum(of.outer_early, 0.0)),
            -judged.said.direction[:, 2],
        ]
    )
