"""Records that leave a room: settings that are checked at once, and what is wrong with them in words."""

from __future__ import annotations

from nuanalysis.records._settings import Settings, faults_in_words

__all__ = ["Settings", "faults_in_words"]
