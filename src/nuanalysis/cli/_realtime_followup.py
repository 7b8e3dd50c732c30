"""Verbs of ``nuanalysis realtime`` on what came with an alert: neutrinos in time windows, and known sources."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, finite, say

if TYPE_CHECKING:
    from nuanalysis.answers import Answer

Output = Annotated[Path | None, typer.Option("--output", help="Folder for JSON, table and figures.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the trials.")]


def followup(
    name: Annotated[str, typer.Argument(help="An alert of ICECAT-1; without one, give --ra, --dec and --time.")] = "",
    ra: Annotated[float | None, typer.Option("--ra", min=0, max=360, help="Right ascension, ICRS, deg.")] = None,
    dec: Annotated[float | None, typer.Option("--dec", min=-90, max=90, help="Declination, ICRS, deg.")] = None,
    moment: Annotated[str, typer.Option("--time", help="UTC: 2010-08-13T07:20:00, or MJD.")] = "",
    box: Annotated[str, typer.Option("--box", help="90 % errors, deg: RA+,RA-,dec+,dec-.")] = "",
    sample: Annotated[str, typer.Option("--sample", help="Sample of events with exact times.")] = "tracks",
    windows: Annotated[str, typer.Option("--windows", help="Lengths of the windows, s.")] = "1000,172800",
    index: Annotated[float, typer.Option("--index", min=1, max=4, callback=finite, help="Index of the signal.")] = 2.5,
    trials: Annotated[int, typer.Option("--trials", min=1000, help="Trials without signal in each window.")] = 100_000,
    bursts: Annotated[int, typer.Option("--bursts", min=200, help="Trials with injected bursts.")] = 4000,
    seed: Seed = 1,
    output: Output = None,
    circular: Annotated[bool, typer.Option("--circular", help="Also the text for the draft of a circular.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Search for neutrinos in time windows around an alert, or around a place and a moment."""
    from nuanalysis.answers.followup import Followup
    from nuanalysis.answers.followup_text import follow_up_text
    from nuanalysis.cli._questions import split
    from nuanalysis.engine import progress
    from nuanalysis.engine.bench import Bench
    from nuanalysis.ingest import cache_root
    from nuanalysis.library import samples
    from nuanalysis.store import refuse_folder

    started = time.monotonic()
    if output is not None:
        refuse_folder(output, "--output")
    where = _of_name(name) if name else _of_options(ra, dec, moment, split(box, float))
    asked = Followup.of(**asdict(where), windows_s=split(windows, float), index=index, trials=trials, bursts=bursts)
    spec = samples.sample_spec(name=sample)
    samples.at_hand(spec)
    with progress.compiling(say):
        found = asked.ask(samples.load(spec, seed), Bench(cache_root() / "ensembles", progress=progress.here()))
    files = found.write(output) if output is not None else ()
    text = follow_up_text(found)
    document = {
        **found.to_dict(), "text": text, "files": [str(path) for path in files], "seconds": time.monotonic() - started
    }  # fmt: skip
    said = [str(found), *([text] if circular else []), *(f"wrote {path}" for path in files)]
    answer(document, as_json=as_json, text="\n".join(said))


@dataclass(frozen=True)
class _Where:
    """The settings of a follow-up that an alert decides."""

    ra_deg: float | None
    dec_deg: float | None
    mjd: float
    box_deg: list[float]
    alert: str = ""


def _of_name(name: str) -> _Where:
    import numpy as np

    from nuanalysis.library.icecat import known_alert

    alert = known_alert(name)
    region, box = alert.region, alert.region.box
    assert box is not None  # every alert of the catalogue has one
    ra, dec = np.degrees([region.right_ascension, region.declination]).tolist()
    return _Where(ra, dec, alert.time, np.degrees(box.sides).tolist(), alert.name)


def _of_options(ra: float | None, dec: float | None, moment: str, box: list[float]) -> _Where:
    """From options.  Raises InputError for what is missing or no time."""
    from astropy.time import Time

    from nuanalysis.errors import InputError, refuse

    given = {"--ra": ra, "--dec": dec, "--time": moment or None}
    refuse(
        [f"{flag} is missing" for flag, value in given.items() if value is None],
        "give the name of an alert, or all three",
    )
    try:
        mjd = float(moment)
    except ValueError:
        try:
            mjd = float(Time(moment, scale="utc").mjd)
        except ValueError as error:
            raise InputError(f"--time is '{moment}'; expected 2010-08-13T07:20:00 (UTC), or an MJD") from error
    return _Where(ra, dec, mjd, box)


def counterparts(
    name: Annotated[str, typer.Argument(help="An alert of ICECAT-1, such as IC170922A; or --all.")] = "",
    every: Annotated[bool, typer.Option("--all", help="All alerts against one catalogue: is there an excess?")] = False,
    catalogues: Annotated[str, typer.Option("--catalogues", help="Names with commas between.")] = "4fgl-dr2,3fhl",
    colibri: Annotated[bool, typer.Option("--colibri/--no-colibri", help="Ask Astro-COLIBRI for transients.")] = True,
    seed: Seed = 1,
    output: Output = None,
    as_json: JsonFlag = False,
) -> None:
    """List known sources in the region of an alert, with the chance of each; with --all, count them over all alerts.

    --all takes the first of the catalogues, moves every alert 1,000 times in right ascension, and asks nobody else.
    """
    from nuanalysis.answers.counterparts import all_counterparts
    from nuanalysis.answers.counterparts import counterparts as ask
    from nuanalysis.errors import InputError
    from nuanalysis.ingest import astro_colibri
    from nuanalysis.library.icecat import known_alert, known_alerts
    from nuanalysis.store import refuse_folder

    if every == bool(name):
        raise InputError("name an alert of ICECAT-1, or give --all; not both")

    started = time.monotonic()
    if output is not None:
        refuse_folder(output, "--output")
    words = tuple(word.strip() for word in catalogues.split(",") if word.strip())
    transport = astro_colibri.over_network if colibri else None
    if every:
        found: Answer = all_counterparts(known_alerts(), catalogue=words[0] if words else "", seed=seed)
    else:
        found = ask(known_alert(name), catalogues=words, seed=seed, transport=transport)
    files = found.write(output) if output is not None else ()
    document = {**found.to_dict(), "files": [str(path) for path in files], "seconds": time.monotonic() - started}
    answer(document, as_json=as_json, text="\n".join([str(found), *(f"wrote {path}" for path in files)]))


def register(app: typer.Typer) -> None:
    """Make both verbs of a group."""
    app.command("followup")(followup)
    app.command("counterparts")(counterparts)
