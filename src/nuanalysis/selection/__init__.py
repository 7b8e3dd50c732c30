"""What makes a sample from released events: cuts, the cut flow they leave, marginals.

It computes; it neither reads nor plots.  One file per kind of cut or per sample.
"""

from __future__ import annotations

from nuanalysis.selection._cuts import Check, Cut, CutFlow, Row, apply
from nuanalysis.selection._histogram import Histogram, histogram
from nuanalysis.selection._runs import NO_RUNS, Runs, exposure
from nuanalysis.selection.event_cuts import Duplicates, Quality, Range
from nuanalysis.selection.time_cuts import GoodRuns, Overlap, Span

__all__ = [
    "NO_RUNS", "Check", "Cut", "CutFlow", "Duplicates", "GoodRuns", "Histogram", "Overlap", "Quality", "Range",
    "Row", "Runs", "Span", "apply", "exposure", "histogram",
]  # fmt: skip
