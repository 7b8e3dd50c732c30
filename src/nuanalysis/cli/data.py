"""``nuanalysis data``: which public releases are here, bringing them, checking them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nuanalysis.cli._face import JsonFlag, listed, say, told

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="Name of a release; 'nuanalysis data ls' lists them.")]


@app.command("ls")
def ls(as_json: JsonFlag = False) -> None:
    """List every release that can be read, with licence, DOI and whether it is here."""
    from nuanalysis import ingest

    listed([ingest.release_card(release) for release in ingest.RELEASES], as_json=as_json, under="releases")


@app.command("fetch")
def fetch(name: Name, as_json: JsonFlag = False) -> None:
    """Download a release into the cache (NUANALYSIS_CACHE), unless a complete copy is at hand; checked, resumable."""
    from nuanalysis import ingest

    release = ingest.release(name)
    folder = ingest.fetch(release, say)
    told(ingest.verify(release, folder), as_json=as_json)


@app.command("verify")
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Releases; all of them if none is named.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Count rows and check sha256 of what is here; exit code 3 if a file is damaged.  Absence is no failure."""
    from nuanalysis import ingest
    from nuanalysis.errors import DataError

    releases = [ingest.release(name) for name in names] if names else list(ingest.RELEASES)
    reports = [ingest.verify(release) for release in releases]
    bad = [file for report in reports for file in report.damaged]
    listed(reports, as_json=as_json, under="releases", ok=not bad)
    if bad:
        said = "; ".join(f"{file.found}: {file.message}" for file in bad)
        say(f"{len(bad)} damaged: {said}. Remove them and run 'nuanalysis data fetch NAME'.")
        raise typer.Exit(DataError.exit_code)


@app.command("check")
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Releases; all of them if none is named.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask the registry of DOIs (DataCite) whether a release has a newer version, or was replaced.  Needs a network."""
    from nuanalysis import ingest

    releases = [ingest.release(name) for name in names] if names else list(ingest.RELEASES)
    found = [ingest.registered(release) for release in releases]
    newer = [one.name for one in found if one.status == "newer"]
    closing = [f"Newer: {', '.join(newer)}. Our numbers are from the version that we read."] if newer else []
    listed(found, *closing, as_json=as_json, under="releases", newer=newer)


@app.command("import")
def import_(
    name: Name,
    path: Annotated[Path, typer.Argument(help="Folder, or zip archive, that holds files of the release.")],
    as_json: JsonFlag = False,
) -> None:
    """Check files brought by hand and copy them into the cache; nothing is copied if one is damaged."""
    from nuanalysis import ingest

    told(ingest.import_files(ingest.release(name), path, say), as_json=as_json)
