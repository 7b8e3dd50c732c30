"""Figures, from results only: arrays and records in, a matplotlib ``Figure`` out.

Refuses to compute physics, to touch pyplot's global state and to draw anything synthetic without saying so.
Every colour is told apart in grey too, by line style or marker, and no letter is smaller than 9 pt.
"""

from __future__ import annotations

from nuanalysis.plot._page import Sidecar, figure_html, save, show
from nuanalysis.plot._results import flux_comparison, likelihood_scan, stacking, ts_distribution
from nuanalysis.plot._samples import cut_flow, marginals
from nuanalysis.plot._sky import plane_crop, sky_map
from nuanalysis.plot._standard import slug, standard_figures

__all__ = [
    "Sidecar",
    "cut_flow",
    "figure_html",
    "flux_comparison",
    "likelihood_scan",
    "marginals",
    "plane_crop",
    "save",
    "show",
    "sky_map",
    "slug",
    "stacking",
    "standard_figures",
    "ts_distribution",
]
