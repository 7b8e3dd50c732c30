"""``nuanalysis catalogues``: what source catalogues there are, what is in one, selecting, checking, matching."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from nuanalysis.cli._face import JsonFlag, finite, listed, say, told

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[
    str,
    typer.Argument(help="A name from 'ls', or a FILE (FITS, VOTable, ECSV, CSV), with ?key=value&key=value after it."),
]
RuleOption = Annotated[
    str, typer.Option("--rule", help="Which sources, for example \"class == 'SNR' and flux > 1e-12 and dec > -60\".")
]
WeightOption = Annotated[
    str, typer.Option("--weight", help="equal (at Earth), flux, 1/distance^2, or a column of numbers.")
]
DuplicatesOption = Annotated[str, typer.Option("--duplicates", help="keep, merge or first; default: refuse them.")]
WithinOption = Annotated[str, typer.Option("--within", help="Nearer sources are duplicates, deg.")]
SampleOption = Annotated[
    str, typer.Option("--sample", help="A sample: adds each source's share of its expected events.")
]
IndexOption = Annotated[
    float, typer.Option("--index", min=1.0, max=4.0, callback=finite, help="Spectral index behind these shares.")
]
OutputOption = Annotated[Path | None, typer.Option("--output", help="Write the weights to this .ecsv file.")]


@app.command("ls")
def ls(as_json: JsonFlag = False) -> None:
    """List every catalogue that has a name: what it is, how many sources, whether it needs data that is not here."""
    from nuanalysis.library.catalogues import known_catalogues

    closing = "A file of your own: FITS, VOTable, ECSV or CSV; 'nuanalysis catalogues check FILE' says what is read."
    listed(known_catalogues(), "", closing, as_json=as_json, under="catalogues")


@app.command("show")
def show(
    name: Name,
    rule: RuleOption = "",
    weight: WeightOption = "",
    duplicates: DuplicatesOption = "",
    within: WithinOption = "",
    sample: SampleOption = "",
    index: IndexOption = 2.7,
    output: OutputOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Say what a catalogue holds and in which units; with a rule, weight or sample, what is selected from it."""
    from nuanalysis.library import catalogue_cards, catalogues, samples
    from nuanalysis.store import atomic_write, refuse_file

    started = time.monotonic()
    if output is not None:
        refuse_file(output, "--output", ".ecsv")
    if sample:
        samples.at_hand(samples.sample_spec(name=sample))
    asked = catalogues.parse_catalogue(name, rule=rule, weight=weight, duplicates=duplicates, within=within)
    table = catalogues.open_table(asked)
    card, selection, closing = catalogue_cards.catalogue_card(asked, table), None, []
    if asked.chosen or sample or output is not None or not table.file:
        chosen = catalogues.selected(asked, table)
        shares = samples.event_shares(sample, chosen, index=index) if sample else None
        selection = catalogue_cards.selection_card(chosen, seen_shares=shares)
        closing = [str(selection)]
    if selection is not None and output is not None:
        atomic_write(output, catalogue_cards.weights_ecsv(selection))
        say(f"weights in {output}")
    told(
        card,
        *closing,
        since=started,
        as_json=as_json,
        asked=name,
        selection=selection and selection.to_dict(),
        output=str(output) if output else None,
    )


@app.command("check")
def check(
    file: Name,
    duplicates: DuplicatesOption = "",
    within: WithinOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Read a catalogue and say what was understood; if it has faults, list all of them and exit with code 2."""
    from nuanalysis.library import catalogues
    from nuanalysis.library.catalogue_cards import catalogue_card

    started = time.monotonic()
    asked = catalogues.parse_catalogue(file, duplicates=duplicates, within=within)
    table = catalogues.open_table(asked)
    catalogues.check_sources(asked, table)
    told(catalogue_card(asked, table), "no fault found", since=started, as_json=as_json, asked=file)


@app.command("match")
def match(
    a: Name,
    b: Name,
    within: Annotated[
        float, typer.Option("--within", min=0.0, max=180.0, callback=finite, help="Largest separation, deg.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """For each source of A, find the nearest one of B within an angle; say which sources of both have none."""
    import numpy as np

    from nuanalysis.library import catalogues
    from nuanalysis.library.catalogue_cards import match_card
    from nuanalysis.sky.catalogues import match as find_pairs

    started = time.monotonic()
    one, other = (catalogues.chosen_table(catalogues.parse_catalogue(name)) for name in (a, b))
    found = find_pairs(one.directions, other.directions, float(np.radians(within)))
    card = match_card(one, other, found, within_deg=within)
    told(card, since=started, as_json=as_json, asked=[a, b])
