"""What leaves the house: the report of a run, the release with its manifest, and the check of a release.

Refuses to publish results that break their schema, to pass on upstream files that may only be cited, and to
leave a half-built release that looks whole.  Reads a run folder only: results.json, products/, figures/.
"""

from __future__ import annotations

from nuanalysis.plot import slug
from nuanalysis.publish._campaign import campaign_rows, campaign_table, campaign_text
from nuanalysis.publish._campaign_row import CampaignRow
from nuanalysis.publish._campaign_rows import plain_rows
from nuanalysis.publish._changes import Change, FileChanges, ReleaseChanges, release_changes
from nuanalysis.publish._export import Export, pack, send
from nuanalysis.publish._figures import cut_flow_picture, draw, fluxes_beside_published, stacks_beside_published
from nuanalysis.publish._interpretation import interpretation_page
from nuanalysis.publish._invenio import Server
from nuanalysis.publish._manifest import verify
from nuanalysis.publish._published import PublishedRelease, Rebuilt, of_name, published, rebuilt, record
from nuanalysis.publish._release import build
from nuanalysis.publish._report import report, report_so_far
from nuanalysis.publish._results import (
    Amount,
    CutRow,
    Entry,
    Input,
    InputFile,
    Results,
    SampleCard,
    Season,
    Spent,
    load_results,
    products,
    read_results,
    results_schema,
    schema_text,
    with_products,
)
from nuanalysis.publish._spec import SPEC
