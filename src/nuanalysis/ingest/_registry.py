"""What the registry of DOIs (DataCite) says today of a release: its version there, and what has replaced it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from nuanalysis.errors import DownloadError
from nuanalysis.ingest._download import NotFoundError, Patience, download
from nuanalysis.ingest._release import UpstreamRelease
from nuanalysis.records import Record, shown
from nuanalysis.store import parsing, read_json

REGISTRY = "https://api.datacite.org"
#: Relations of DataCite's schema 4.5 by which an older entry names the newer one.
_REPLACED_BY = ("IsPreviousVersionOf", "IsObsoletedBy", "IsContinuedBy")
_PATIENCE = Patience(attempts=3)
_ENTRY = 4_000_000  # bytes; entries have some ten thousand


class Upstream(Record):
    """A release beside its entry in the registry.

    status : 'current', 'newer' (another version, or replaced), 'no version' (one side names none), 'not registered',
    or 'no DOI'.
    """

    name: str = shown("release")
    status: str = shown("status")
    doi: str = shown("DOI", "")
    ours: str = shown("version that this package reads; empty where it is not known", "")
    there: str = shown("version in the registry; empty where none is named", "")
    updated: str = shown("when the entry was last changed", "")
    replaced_by: tuple[str, ...] = shown("DOIs that replace it", ())
    calibrated: str = shown("what per-event errors were calibrated for; empty where it is not said", "")

    def words(self, form: str = "") -> str:
        """One line: what is known here, what there; below it what its errors were calibrated for."""
        known = [f"version {self.ours}" if self.ours else "", f"registered: {self.there}" if self.there else ""]
        known += [f"replaced by {', '.join(self.replaced_by)}" if self.replaced_by else ""]
        known += [f"entry of {self.updated[:10]}" if self.updated else ""]
        more = f"\n{'':<24} per-event errors: {self.calibrated}" if self.calibrated else ""
        return f"{self.name:<24} {self.status:<15} {self.doi:<22} {', '.join(filter(None, known))}".rstrip() + more


def registered(release: UpstreamRelease, registry: str = REGISTRY, patience: Patience = _PATIENCE) -> Upstream:
    """Ask the registry about a release; one request, without anything about the caller but the name of this package.

    Raises DownloadError where the registry cannot be reached or says what cannot be read.
    """
    asked = Upstream(
        name=release.name, status="no DOI", doi=release.doi, ours=release.version, calibrated=release.calibrated
    )
    if not release.doi:
        return asked
    url = f"{registry}/dois/{quote(release.doi, safe='')}"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "entry.json"
        path.touch()  # an empty answer leaves an empty file
        try:
            download(url, path, most=_ENTRY, progress=lambda _: None, patience=patience)
        except NotFoundError:
            return asked.model_copy(update={"status": "not registered"})
        except DownloadError as error:
            why = error.__cause__ or error
            raise DownloadError(f"{url} cannot be asked: {why}. Check the network, or look the DOI up.") from error
        said = read_json(path, "the entry of a DOI", "call again later", error=DownloadError)
        with parsing(path, "the entry of a DOI", "call again later", error=DownloadError):
            return _beside(asked, said["data"]["attributes"])


def _beside(asked: Upstream, entry: Mapping[str, Any]) -> Upstream:
    """The release beside the attributes of its entry."""
    there, related = str(entry.get("version") or ""), entry.get("relatedIdentifiers") or ()
    newer = tuple(str(one["relatedIdentifier"]) for one in related if one.get("relationType") in _REPLACED_BY)
    updated, status = str(entry.get("updated") or ""), _status(asked.ours, there, newer)
    return asked.model_copy(update={"status": status, "there": there, "updated": updated, "replaced_by": newer})


def _status(ours: str, there: str, newer: tuple[str, ...]) -> str:
    if newer or (ours and there and ours != there):
        return "newer"
    return "current" if ours and there else "no version"
