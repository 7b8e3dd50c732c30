"""Records that leave a room: settings that are checked at once, and answers that show themselves.

Nothing here computes.  A record is frozen and finite; what could not be computed is ``Unknown``, with its reason.
"""

from __future__ import annotations

from nuanalysis.records._card import card_html, card_text
from nuanalysis.records._kinds import (
    CERTAIN,
    Chance,
    Interval,
    Measured,
    Position,
    Provenance,
    Scope,
    Unknown,
    certain,
    known,
)
from nuanalysis.records._layout import html, said_of, text
from nuanalysis.records._record import Carried, Record, carried, shown
from nuanalysis.records._settings import Settings, faults_in_words, made, plain, setting
from nuanalysis.records._table import table
from nuanalysis.records._words import with_error

__all__ = [
    "CERTAIN",
    "Carried",
    "Chance",
    "Interval",
    "Measured",
    "Position",
    "Provenance",
    "Record",
    "Scope",
    "Settings",
    "Unknown",
    "card_html",
    "card_text",
    "carried",
    "certain",
    "faults_in_words",
    "html",
    "known",
    "made",
    "plain",
    "said_of",
    "setting",
    "shown",
    "table",
    "text",
    "with_error",
]
