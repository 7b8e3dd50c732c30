"""Figures, from results only: arrays and records in, a matplotlib ``Figure`` out.

Refuses to compute physics, to touch pyplot's global state and to draw anything synthetic without saying so.
Every colour is told apart in grey too, by line style or marker, and no letter is smaller than 9 pt.
"""

from __future__ import annotations

from nuanalysis.plot._alert_list import alert_list_figure
from nuanalysis.plot._alert_sky import AlertEvent, AlertSky, AlertSource, Levels, alert_sky_figure
from nuanalysis.plot._correlate import BandSeries, multipole_figure, pairs_figure
from nuanalysis.plot._curves import bias_figure, chances_figure, comparison_of_models, joint_figure, median_significance
from nuanalysis.plot._declinations import DeclinationCurve, declination_figure
from nuanalysis.plot._domain_gap import domain_gap_figure
from nuanalysis.plot._event import EventView, ShownAxis, event_display
from nuanalysis.plot._event_scan import ScanView, scan_figure
from nuanalysis.plot._extended import ExtensionStrip, Ring, extended_figure
from nuanalysis.plot._layers import Layer, Marker
from nuanalysis.plot._leak import LeakPanel, leak_figure
from nuanalysis.plot._meaning import (
    DesertBand,
    LatitudeSkies,
    RatioSeries,
    RegionPanel,
    RegionSeries,
    desert_figure,
    latitude_figure,
    ratio_figure,
    spectra_figure,
)
from nuanalysis.plot._open_detector import (
    AngleCurve,
    Passing,
    ScoreClass,
    angle_figure,
    area_figure,
    level_figure,
    passing_figure,
    resolution_figure,
    score_figure,
)
from nuanalysis.plot._outlook import Kind, OutlookSeries, Tried, outlook_figure
from nuanalysis.plot._page import Drawn, Sidecar, figure_html, mark, plain, png, save, slug
from nuanalysis.plot._results import FluxRow, StackRow, flux_comparison, profile_figure, stacking, ts_figure
from nuanalysis.plot._samples import cut_flow, marginals
from nuanalysis.plot._segments import SegmentRow, segments_figure
from nuanalysis.plot._sky import PLANE_LATITUDE, plane_crop, sky_map, ts_maps
from nuanalysis.plot._skymap import MOST_MAPS, HotSpot, sky_map_page, sky_page, ts_page
from nuanalysis.plot._stack import SourceBar, stack_figure, stack_words
from nuanalysis.plot._templates import (
    Fitted,
    PlanePanel,
    comparison_figure,
    energy_name,
    plane_panels,
    region_figure,
    template_figure,
)
from nuanalysis.plot._transport import TransportCurve, TransportPanel, transport_figure
from nuanalysis.plot._typeset import typeset
from nuanalysis.plot.canvas import origin_of
