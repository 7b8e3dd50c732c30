"""``nuanalysis release``: the report of a run, its data release, and the check of a release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, say, told

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
RunFolder = Annotated[Path, typer.Argument(help="A run folder, runs/<name>.")]


def _draw(run_folder: Path) -> int:
    """Draw the figures of the run; those that notebooks left stay."""
    from nuanalysis import publish

    return len(publish.draw(publish.load_results(run_folder), run_folder))


@app.command()
def build(
    run_folder: RunFolder,
    version: Annotated[
        str,
        typer.Option("--version", help="DRn.m: n new data or selection, m correction; default: the recipe's."),
    ] = "",
    again: Annotated[
        str, typer.Option("--again", help="Name of a published release: built again, with its version and date.")
    ] = "",
    alerts: Annotated[
        str, typer.Option("--alerts", help="Folder alerts/ that 'nuanalysis realtime' wrote, to go into the release.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Build the data release of a run, with manifest and checksums, and verify it."""
    from nuanalysis import publish
    from nuanalysis.errors import DataError, InputError
    from nuanalysis.workflow.spec import fingerprint_of

    dated = ""
    if again:
        one = publish.of_name(again)
        if version not in ("", one.version):
            raise InputError(f"--version {version} is not that of {again}; leave it out")
        version, dated = one.version, one.created

    say(f"drawing figures of {run_folder}")
    _draw(run_folder)
    say("building the release")
    folder = publish.build(
        run_folder, version, fingerprint=fingerprint_of, dated=dated, alerts=Path(alerts) if alerts else None
    )
    checked = publish.verify(folder)
    if not checked.ok:
        raise DataError(checked.message())
    document = {
        "release": str(folder),
        "version": folder.name.rsplit("-", 1)[-1],
        "files": checked.files,
        "digest": checked.digest,
    }
    answer(document, as_json=as_json, text=f"{folder}\n{checked.message()}")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="The folder of a release.")],
    as_json: JsonFlag = False,
) -> None:
    """Compare every file of a release with its manifest; exit code 3 if they differ."""
    from dataclasses import asdict

    from nuanalysis import publish
    from nuanalysis.errors import DataError

    checked = publish.verify(folder)
    if not checked.ok:
        raise DataError(checked.message())
    known = publish.published().get(checked.folder)
    warning = known.warning if known else ""
    text = "\n".join(filter(None, (checked.message(), warning)))
    answer({**asdict(checked), "ok": checked.ok, "withdrawn": warning}, as_json=as_json, text=text)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(help="The folder of the earlier release.")],
    after: Annotated[Path, typer.Argument(help="The folder of the later release.")],
    as_json: JsonFlag = False,
) -> None:
    """Say what changed from one release to another: counts, positions, numbers in standard errors, files."""
    from nuanalysis import publish

    found = publish.release_changes(before, after)
    answer(found.to_dict(), as_json=as_json, text=found.prose().rstrip())


@app.command()
def rebuilt(
    folder: Annotated[Path, typer.Argument(help="The folder of a release that was built again.")],
    as_json: JsonFlag = False,
) -> None:
    """Compare a release with the published one of its name; exit code 3 if files differ that should not."""
    from nuanalysis import publish
    from nuanalysis.errors import DataError

    found = publish.rebuilt(folder)
    if not found.ok:
        raise DataError(" ".join(found.headline()))
    told(found, as_json=as_json)


@app.command()
def record(
    folder: Annotated[Path, typer.Argument(help="The folder of a release that is being published.")],
    into: Annotated[Path, typer.Option(help="Folder of manifests.")] = Path("data_release/manifests"),
    doi: Annotated[str, typer.Option(help="DOI of the release, if it has one.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Keep the manifest of a release that is being published, and list it."""
    from nuanalysis import publish

    told(publish.record(folder, into, doi), as_json=as_json)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="The folder of a release.")],
    into: Annotated[Path, typer.Argument(help="Folder for what is sent; keep it to go on with an upload.")],
    server: Annotated[str, typer.Option(help="Zenodo, or another InvenioRDM.")] = "https://zenodo.org",
    send: Annotated[bool, typer.Option("--send", help="Send it as a draft; without this, nothing is sent.")] = False,
    publish_it: Annotated[
        bool, typer.Option("--publish", help="Publish the draft, for ever, once all of it is there.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Pack a release for Zenodo, and with --send send it; the token is read from NUANALYSIS_EXPORT_TOKEN."""
    import os

    from nuanalysis import ingest, publish
    from nuanalysis.errors import InputError

    if publish_it and not send:
        raise InputError("--publish needs --send")
    found = publish.pack(folder, into)
    if send:
        token = os.environ.get("NUANALYSIS_EXPORT_TOKEN", "")
        if not token:
            raise InputError("NUANALYSIS_EXPORT_TOKEN is not set; put a token of your account there, nowhere else")
        to = publish.Server(server, token, say, ingest.Patience())
        found = publish.send(found, into, to, publish=publish_it)
    answer(found.document(), as_json=as_json, text=found.message())


@app.command()
def report(run_folder: RunFolder, as_json: JsonFlag = False) -> None:
    """Draw the figures of a run and write report/index.html, one file with no outside address."""
    from nuanalysis import publish

    drawn = _draw(run_folder)
    say(f"{drawn} figures drawn")
    path = publish.report(run_folder)
    answer({"report": str(path), "figures": drawn}, as_json=as_json, text=str(path))


@app.command()
def interpretation(
    folder: Annotated[Path, typer.Argument(help="Folder where desert, hadronic, outlook, transport wrote figures.")],
    as_json: JsonFlag = False,
) -> None:
    """Write index.html of the figures in a folder, with captions and sources: one file with no outside address."""
    from nuanalysis import publish

    path = publish.interpretation_page(folder)
    answer({"page": str(path)}, as_json=as_json, text=str(path))


@app.command()
def schema() -> None:
    """Print the JSON Schema of results.json, made from the records of all answers."""
    from nuanalysis import publish

    print(publish.schema_text(), end="")
