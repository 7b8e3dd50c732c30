"""What a public data release is: its files, checksums, addresses, licence and citation."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

from nuanalysis.store import TABLE, largest

MATRIX = 2 << 30  # bytes, unpacked, of a smearing matrix; the largest published one has about half of that


@dataclass(frozen=True, slots=True)
class UpstreamFile:
    """One file of a release.

    path    relative to the folder of the release; ``path`` and ``path + '.gz'`` are both accepted on disk
    sha256  of the uncompressed bytes, in hexadecimal; '' where no checksum is known to us
    kind    'events', 'uptime', 'effective area', 'smearing', 'resolution', 'template', 'table' or 'readme'
    rows    data rows; None where the file is not a table, or where the number is not confirmed
    url     address of this single file; '' where it comes out of the archive of the release, or only by hand
    member  its path in the archive, where that differs from ``path``
    either  files with the same non-empty tag stand for one another: one of them is enough
    required  False for files that no sample of this package needs
    """

    path: str
    sha256: str = ""
    kind: str = "table"
    rows: int | None = None
    url: str = ""
    member: str = ""
    either: str = ""
    required: bool = True

    @property
    def group(self) -> str:
        """The tag under which one file is enough."""
        return self.either or self.path

    @property
    def most(self) -> int:
        """Bytes, unpacked, that are taken of it: what is longer is not the published file."""
        return largest(MATRIX if self.kind == "smearing" else TABLE)

    @property
    def spellings(self) -> tuple[str, ...]:
        """Relative paths under which the file is accepted, best first.

        Dataverse serves a .csv that it has ingested as .tab: same columns, other bytes.
        """
        names = [self.path, *([self.member] if self.member else [])]
        names += [name.removesuffix(".csv") + ".tab" for name in names if name.endswith(".csv")]
        return tuple(spelling for name in names for spelling in (name, name + ".gz"))


def files_of(name: str) -> tuple[UpstreamFile, ...]:
    """The files of a release that stand in a table, ``files/NAME.csv``: a line each, by the fields of UpstreamFile."""
    text = (resources.files("nuanalysis.ingest") / "files" / f"{name}.csv").read_text(encoding="utf-8")
    files = []
    for row in csv.DictReader(text.splitlines()):
        rows, required = row.pop("rows", ""), row.pop("required", "yes")
        files.append(UpstreamFile(**row, rows=int(rows) if rows else None, required=required == "yes"))
    return tuple(files)


@dataclass(frozen=True, slots=True)
class UpstreamRelease:
    """A public data release: who made it, what is in it, where it is, what one may do with it.

    folder       name of its folder in a mirror and in the cache (releases may share one)
    archive_url  address of one zip with all files, or None
    version      what its publisher calls the version that is read here; '' where that is not known
    calibrated   what per-event errors were calibrated for; '' where its publisher does not say
    """

    name: str
    title: str
    folder: str
    licence: str
    citation: str
    files: tuple[UpstreamFile, ...]
    doi: str = ""
    doi_confirmed: bool = False
    archive_url: str | None = None
    version: str = ""
    notes: str = ""
    calibrated: str = ""

    @property
    def doi_text(self) -> str:
        """The DOI as it may be printed: an unconfirmed one says so; '' where there is none."""
        return self.doi if self.doi_confirmed or not self.doi else f"{self.doi} (unconfirmed)"

    @property
    def reference(self) -> str:
        """Citation and DOI in one line."""
        return f"{self.citation}; doi:{self.doi_text}" if self.doi else self.citation
