"""Figures, from results only: arrays and records in, a matplotlib ``Figure`` out.

Refuses to compute physics, to touch pyplot's global state and to draw anything synthetic without saying so.
Every colour is told apart in grey too, by line style or marker, and no letter is smaller than 9 pt.
"""

from __future__ import annotations

from nuanalysis.plot._declinations import declination_figure, declination_sidecar
from nuanalysis.plot._extended import ExtensionStrip, extended_figure
from nuanalysis.plot._layers import Layer, Marker
from nuanalysis.plot._leak import leak, leak_words
from nuanalysis.plot._page import Sidecar, figure_html, plain, png, save, show
from nuanalysis.plot._results import flux_comparison, likelihood_scan, origin_of, stacking, ts_distribution
from nuanalysis.plot._samples import cut_flow, marginals
from nuanalysis.plot._sky import Mark, plane_crop, sky_map
from nuanalysis.plot._sky_page import HotSpot, sky_page
from nuanalysis.plot._skymap import sky_map_page
from nuanalysis.plot._stack import stack_figure
from nuanalysis.plot._standard import slug, standard_figures
from nuanalysis.plot._templates import (
    Fitted,
    PlanePanel,
    comparison_figure,
    energy_name,
    plane_panels,
    region_figure,
    template_figure,
)

__all__ = [
    "ExtensionStrip",
    "Fitted",
    "HotSpot",
    "Layer",
    "Mark",
    "Marker",
    "PlanePanel",
    "Sidecar",
    "comparison_figure",
    "cut_flow",
    "declination_figure",
    "declination_sidecar",
    "energy_name",
    "extended_figure",
    "figure_html",
    "flux_comparison",
    "leak",
    "leak_words",
    "likelihood_scan",
    "marginals",
    "origin_of",
    "plain",
    "plane_crop",
    "plane_panels",
    "png",
    "region_figure",
    "save",
    "show",
    "sky_map",
    "sky_map_page",
    "sky_page",
    "slug",
    "stack_figure",
    "stacking",
    "standard_figures",
    "template_figure",
    "ts_distribution",
]
