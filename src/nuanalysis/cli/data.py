"""``nuanalysis data``: which public releases are here, bringing them, checking them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nuanalysis.cli._face import JsonFlag, answer, say

if TYPE_CHECKING:
    from nuanalysis.ingest import ReleaseReport, UpstreamRelease

app = typer.Typer(
    help="Public data releases: list, fetch, verify, import.", no_args_is_help=True, rich_markup_mode=None
)

Name = Annotated[str, typer.Argument(help="Name of a release; 'nuanalysis data ls' lists them.")]


def _described(release: UpstreamRelease) -> dict[str, Any]:
    return {
        "name": release.name,
        "title": release.title,
        "doi": release.doi,
        "doi_confirmed": release.doi_confirmed,
        "licence": release.licence,
        "citation": release.citation,
        "archive_url": release.archive_url,
        "notes": release.notes,
    }


def _reported(report: ReleaseReport) -> dict[str, Any]:
    files = [
        {
            "path": file.path,
            "kind": file.kind,
            "found": file.found,
            "status": file.status,
            "rows": file.rows,
            "rows_expected": file.rows_expected,
            "sha256": file.sha256,
            "sha256_expected": file.sha256_expected,
            "message": file.message,
        }
        for file in report.files
    ]
    return {"name": report.name, "status": report.status, "folder": report.folder, "files": files}


def _in_words(report: ReleaseReport) -> str:
    lines = [f"{report.name}: {report.status}" + (f" in {report.folder}" if report.folder else "")]
    for file in report.files if report.status != "absent" else ():
        rows = "" if file.rows is None else f"{file.rows:,} rows"
        lines.append(f"  {file.status:<9} {rows:>15}  {file.sha256[:12]:<12}  {file.path}: {file.message}")
    return "\n".join(lines)


@app.command("ls")
def ls(as_json: JsonFlag = False) -> None:
    """List every release that can be read, with licence, DOI and whether it is here."""
    from nuanalysis.ingest import RELEASES, holdings

    places = [(release, *holdings(release)) for release in RELEASES]
    document = {
        "releases": [
            _described(release) | {"status": status, "folder": str(folder or "")} for release, folder, status in places
        ]
    }
    lines = [
        f"{release.name:<20} {status:<9} {release.doi_text or 'no DOI':<36} {release.title}\n"
        f"{'':<20} {release.licence}" + (f"\n{'':<20} {folder}" if folder else "")
        for release, folder, status in places
    ]
    answer(document, as_json=as_json, text="\n".join(lines))


@app.command("fetch")
def fetch(name: Name, as_json: JsonFlag = False) -> None:
    """Download a release into the cache (NUANALYSIS_CACHE), unless a complete copy is at hand; checked, resumable."""
    from nuanalysis import ingest

    release = ingest.release(name)
    folder = ingest.fetch(release, say)
    report = ingest.verify(release, folder)
    answer(_reported(report), as_json=as_json, text=_in_words(report))


@app.command("verify")
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Releases; all of them if none is named.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Count rows and check sha256 of what is here; exit code 3 if a file is damaged.  Absent is no failure."""
    from nuanalysis import ingest
    from nuanalysis.errors import DataError

    releases = [ingest.release(name) for name in names] if names else list(ingest.RELEASES)
    reports = [ingest.verify(release) for release in releases]
    bad = [file for report in reports for file in report.damaged]
    document = {"ok": not bad, "releases": [_reported(report) for report in reports]}
    answer(document, as_json=as_json, text="\n".join(_in_words(report) for report in reports))
    if bad:
        listed = "; ".join(f"{file.found}: {file.message}" for file in bad)
        say(f"{len(bad)} damaged: {listed}. Remove them and run 'nuanalysis data fetch NAME'.")
        raise typer.Exit(DataError.exit_code)


@app.command("import")
def import_(
    name: Name,
    path: Annotated[Path, typer.Argument(help="Folder, or zip archive, that holds files of the release.")],
    as_json: JsonFlag = False,
) -> None:
    """Check files brought by hand and copy them into the cache; nothing is copied if one is damaged."""
    from nuanalysis import ingest

    report = ingest.import_files(ingest.release(name), path, say)
    answer(_reported(report), as_json=as_json, text=_in_words(report))
