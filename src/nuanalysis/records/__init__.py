"""Records that leave a room: settings that are checked at once, and answers that show themselves.

Nothing here computes.  A record is frozen and finite; what could not be computed is ``Unknown``, with its reason.
"""

from nuanalysis.records._kinds import (
    Chance,
    Interval,
    Measured,
    Position,
    Provenance,
    Scope,
    Unknown,
    certain,
    known,
    table,
)
from nuanalysis.records._layout import Card, html, said_of, text
from nuanalysis.records._record import Carried, Record, carried, shown
from nuanalysis.records._settings import Settings, faults_in_words, faults_of_a_setting, in_short, made, plain, setting
