"""What leaves the house: the report of a run, the release with its manifest, and the check of a release.

Refuses to publish results that break their schema, to pass on upstream files that may only be cited, and to
leave a half-built release that looks whole.  Reads a run folder only: results.json, products/, figures/.
"""

from __future__ import annotations

from nuanalysis.publish._campaign import CampaignRow, campaign_rows, campaign_table, campaign_text
from nuanalysis.publish._manifest import Verification, verify
from nuanalysis.publish._release import build
from nuanalysis.publish._report import report
from nuanalysis.publish._run import check_results, load_results, recipe, results_schema

__all__ = [
    "CampaignRow",
    "Verification",
    "build",
    "campaign_rows",
    "campaign_table",
    "campaign_text",
    "check_results",
    "load_results",
    "recipe",
    "report",
    "results_schema",
    "verify",
]
