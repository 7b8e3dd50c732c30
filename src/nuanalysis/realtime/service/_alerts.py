"""The seam to the archive of alerts: what the service shows of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nuanalysis.alerts import Alert


class AlertArchive(Protocol):
    """Where alerts are kept: what the service shows of them."""

    def names(self) -> Sequence[str]:
        """Every alert, in order of arrival."""
        ...

    def revisions(self, name: str) -> Sequence[Alert]:
        """What is known of an alert, first revision first; empty for an unknown name."""
        ...


class NoAlerts:
    """The archive where none is kept."""

    def names(self) -> Sequence[str]:
        """None."""
        return ()

    def revisions(self, name: str) -> Sequence[Alert]:
        """None."""
        return ()
