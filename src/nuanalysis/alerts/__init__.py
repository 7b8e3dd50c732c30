"""Alerts: what is worth telling of a single event, how it is said, and how probable it is that it came from the sky.

Nothing here waits, listens or sends.
"""

from nuanalysis.alerts._cascades import CascadeStream, cascade_stream
from nuanalysis.alerts._catalogue import GEOMETRIC, QUADRATURE, VETOED, alerts_of, circular_radius, definition_at
from nuanalysis.alerts._circular import circular
from nuanalysis.alerts._messages import (
    Key,
    Message,
    datetime_of,
    degrees,
    future,
    in_order,
    long_name,
    mjd_of,
    notice_json,
    notice_of,
    parse_time,
    short_name,
    utc_text,
)
from nuanalysis.alerts._notice import ICECUBE, SIMULATION, Km3netNotice, Notice
from nuanalysis.alerts._reading import read_message
from nuanalysis.alerts._records import JULIAN_YEAR_S, TIERS, Alert, Box, Origin, Region, Tense, Tier, Topology
from nuanalysis.alerts._signalness import (
    BAND,
    PUBLISHED,
    AlertTable,
    Season,
    Signalness,
    far_per_yr,
    from_area,
    from_sample,
    from_table,
)
from nuanalysis.alerts._store import AlertStore, Receipt, Revision, Standing
from nuanalysis.alerts._streams import ORDER, PURITY, Flux, expected_per_year, expected_rate, printed, tier_of
from nuanalysis.alerts._voevent import read_voevent, voevent
