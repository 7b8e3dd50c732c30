"""Verbs of ``nuanalysis realtime`` about alerts and their notices."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from nuanalysis.cli._face import JsonFlag, finite, say, told
from nuanalysis.records import Record, shown


class NoticeCard(Record):
    """What a message says."""

    form: str = shown("form")
    mission: str = shown("mission")
    name: str = shown("event")
    id: str = shown("identifier")
    revision: int = shown("revision")
    alert_type: str = shown("type")
    tense: str = shown("tense")
    topology: str = shown("topology")
    time: str = shown("time of the event, UTC")
    sent: str = shown("time of the notice, UTC")
    ra_deg: float = shown("right ascension, ICRS", unit="deg", form=".4f")
    dec_deg: float = shown("declination, ICRS", unit="deg", form=".4f")
    radius_deg: float | None = shown("radius", unit="deg")
    containment: float = shown("it holds")
    radius_definition: str = shown("what the radius is")
    systematic: bool = shown("systematic errors included")
    energy_tev: float | None = shown("energy", unit="TeV")
    p_astro: float | None = shown("p_astro")
    far_per_yr: float | None = shown("false alarms per year", unit="yr-1")
    origin: str = shown("origin")
    sha256: str = shown("sha256 of the bytes")


def replay(
    output: Annotated[Path, typer.Option("--output", help="Folder of the store of alerts and the release entry.")],
    as_json: JsonFlag = False,
) -> None:
    """Take the 348 alerts of ICECAT-1 through the chain: alert, notice, check, store, release entry."""
    from nuanalysis.realtime.replay import replay as replay_catalogue
    from nuanalysis.store import refuse_folder

    started = time.monotonic()
    refuse_folder(output, "--output")
    say(f"replaying into {output}")
    told(replay_catalogue(output), as_json=as_json, since=started)


def catalogue(
    output: Annotated[Path | None, typer.Option("--output", help="Folder for JSON, table and figure.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """What ICECAT-1 holds: rates, probabilities, gaps, what was expected, and which alerts public tracks hold."""
    from nuanalysis import plot
    from nuanalysis.answers.alert_catalogue import alert_catalogue
    from nuanalysis.library.icecat import known_alerts
    from nuanalysis.store import refuse_folder

    if output is not None:
        refuse_folder(output, "--output")
    alerts = known_alerts()
    found, files = alert_catalogue(alerts), list[Path]()
    if output is not None:
        drawn = plot.alert_list_figure(alerts, sample="ICECAT-1", origin="real")
        files = [*found.write(output), plot.save(drawn.figure, output, drawn.sidecar, table=drawn.table)]
    told(found, *(f"wrote {path}" for path in files), as_json=as_json, files=[str(path) for path in files])


def signalness(
    dec: Annotated[float, typer.Option("--dec", callback=finite, help="Declination, ICRS, deg.")],
    energy: Annotated[
        float, typer.Option("--energy", callback=finite, help="Energy, TeV; the method decides which energy.")
    ],
    ra: Annotated[float | None, typer.Option("--ra", help="Right ascension, deg: printed only.")] = None,
    spectrum_index: Annotated[
        float | None, typer.Option("--spectrum-index", help="Index of another flux than E^-2.19, 1 to 5.")
    ] = None,
    norm: Annotated[
        float | None, typer.Option("--norm", help="Flux at 100 TeV, 1e-18 GeV^-1 cm^-2 s^-1 sr^-1, nu_mu+nubar; 1.01.")
    ] = None,
    method: Annotated[str, typer.Option("--method", help="table, area, sample or cascade.")] = "table",
    as_json: JsonFlag = False,
) -> None:
    """How probable it is that an event like this is astrophysical, and how often others look like it."""
    from nuanalysis.errors import InputError, did_you_mean
    from nuanalysis.realtime.signalness import METHODS
    from nuanalysis.realtime.signalness import signalness as ask

    chosen = next((one for one in METHODS if one == method), None)
    if chosen is None:
        raise InputError(f"unknown method '{method}'.{did_you_mean(method, METHODS)}")
    told(ask(dec, energy, method=chosen, index=spectrum_index, norm=norm, ra_deg=ra), as_json=as_json)


def check_notice(
    file: Annotated[Path, typer.Argument(help="A notice in JSON (IceCube, KM3NeT) or a VOEvent of IceCube.")],
    as_json: JsonFlag = False,
) -> None:
    """Read a notice and say what it tells; if it has faults, list all of them and exit with code 2."""
    from nuanalysis.alerts import degrees, read_message, utc_text
    from nuanalysis.store import content

    found = read_message(content(file, "the notice", most=8 << 20), str(file))
    region, alert = found.region, found.alert
    card = NoticeCard(
        form=found.form, mission=found.mission, name=found.name, id="+".join(found.ids), revision=found.revision,
        alert_type=found.alert_type, tense=found.tense, topology=found.topology, time=utc_text(found.time),
        sent=utc_text(found.sent), ra_deg=degrees(region.right_ascension), dec_deg=degrees(region.declination),
        radius_deg=None if region.radius is None else degrees(region.radius), containment=region.containment,
        radius_definition=region.radius_definition, systematic=region.systematic,
        energy_tev=alert.energy_tev if alert else None, p_astro=alert.p_astro if alert else None,
        far_per_yr=alert.far_per_yr if alert else None, origin="synthetic" if found.synthetic else "real",
        sha256=found.sha256,
    )  # fmt: skip
    told(card, "no fault found", as_json=as_json, file=str(file))
