"""What leaves the house: the report of a run, the release with its manifest, and the check of a release.

Refuses to publish results that break their schema, to pass on upstream files that may only be cited, and to
leave a half-built release that looks whole.  Reads a run folder only: results.json, products/, figures/.
"""

from __future__ import annotations

from nuanalysis.publish._campaign import CampaignRow, campaign_rows, campaign_table, campaign_text
from nuanalysis.publish._fits import ecsv
from nuanalysis.publish._manifest import Verification, verify
from nuanalysis.publish._published import PUBLISHED, Published
from nuanalysis.publish._release import build
from nuanalysis.publish._report import report
from nuanalysis.publish._run import check_results, load_results, recipe, results_schema
from nuanalysis.publish._sky_files import SkyMap, map_fits, multi_order_fits, plane_fits, read_sky, sky_product
from nuanalysis.publish._sky_page import sky_page
from nuanalysis.publish._skymap import Layer, Marker, sky_map_page
from nuanalysis.publish._source_list import source_list_table

__all__ = [
    "PUBLISHED",
    "CampaignRow",
    "Layer",
    "Marker",
    "Published",
    "SkyMap",
    "Verification",
    "build",
    "campaign_rows",
    "campaign_table",
    "campaign_text",
    "check_results",
    "ecsv",
    "load_results",
    "map_fits",
    "multi_order_fits",
    "plane_fits",
    "read_sky",
    "recipe",
    "report",
    "results_schema",
    "sky_map_page",
    "sky_page",
    "sky_product",
    "source_list_table",
    "verify",
]
