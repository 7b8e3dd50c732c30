"""What makes a sample from released events: cuts, and the cut flow they leave.  It neither reads nor plots."""

from __future__ import annotations

from nuanalysis.selection._cuts import NO_RUNS, Check, Cut, CutFlow, Row, Runs, apply
from nuanalysis.selection.cuts import Duplicates, GoodRuns, Overlap, Quality, Range, Span
from nuanalysis.selection.windows import Window, resolution_s, window
