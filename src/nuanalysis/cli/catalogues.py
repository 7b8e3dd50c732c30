"""``nuanalysis catalogues``: what source catalogues there are, what is in one, selecting, checking, matching."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from nuanalysis.cli._face import JsonFlag, answer, say

app = typer.Typer(
    help="Catalogues of sources: list, show, select with a rule, check, match.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

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
IndexOption = Annotated[float, typer.Option("--index", min=1.0, max=4.0, help="Of the spectrum behind these shares.")]
OutputOption = Annotated[Path | None, typer.Option("--output", help="Write the weights to this .ecsv file.")]
SHOWN = 20  # rows of a list without a rule, for people


@app.command("ls")
def ls(as_json: JsonFlag = False) -> None:
    """List every catalogue that has a name: what it is, how many sources, whether it needs data that is not here."""
    from dataclasses import asdict

    from nuanalysis.library.catalogues import known_catalogues

    rows = known_catalogues()
    lines = []
    for row in rows:
        needs = f"; needs the release {row.needs} ({'here' if row.here else 'not here'})" if row.needs else ""
        lines += [f"{row.name:<10} {row.sources:>6,}  {row.title}{needs}"]
    lines += [
        "",
        "A file of your own: FITS, VOTable, ECSV or CSV; 'nuanalysis catalogues check FILE' says what is read.",
    ]
    answer({"catalogues": [asdict(row) for row in rows]}, as_json=as_json, text="\n".join(lines))


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
    """Say what a catalogue holds and in which units; with a rule, weight or sample, what is selected of it."""
    from nuanalysis.errors import InputError
    from nuanalysis.library import catalogues, samples
    from nuanalysis.store import atomic_write

    started = time.monotonic()
    if output is not None and output.suffix != ".ecsv":
        raise InputError(f"--output is '{output}'; expected a file that ends in .ecsv")
    asked = catalogues.parse_catalogue(name, rule=rule, weight=weight, duplicates=duplicates, within=within)
    table = catalogues.open_table(asked)
    document = {"asked": name, **catalogues.described(asked, table), "selection": None}
    lines = _described_rows(document)
    if asked.chosen or sample or output is not None or not table.file:
        selection = catalogues.selected(asked, table)
        shares = samples.event_shares(sample, selection, index=index) if sample else None
        document["selection"] = catalogues.weights_document(selection, seen_shares=shares)
        lines += _weights_rows(document["selection"], all_of_them=asked.chosen)
        if output is not None:
            atomic_write(output, catalogues.weights_ecsv(selection, seen_shares=shares))
            say(f"weights in {output}")
    document |= {"output": str(output) if output else None, "seconds": time.monotonic() - started}
    answer(document, as_json=as_json, text="\n".join([*lines, f"{document['seconds']:.2f} s"]))


@app.command("check")
def check(
    file: Name,
    duplicates: DuplicatesOption = "",
    within: WithinOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Read a catalogue and say what was understood; all faults in one message and exit code 2 otherwise."""
    from nuanalysis.library import catalogues

    started = time.monotonic()
    asked = catalogues.parse_catalogue(file, duplicates=duplicates, within=within)
    table = catalogues.open_table(asked)
    catalogues.check_sources(asked, table)
    document = {"asked": file, **catalogues.described(asked, table), "seconds": time.monotonic() - started}
    text = "\n".join([*_described_rows(document), "", f"no fault found; {document['seconds']:.2f} s"])
    answer(document, as_json=as_json, text=text)


@app.command("match")
def match(
    a: Name,
    b: Name,
    within: Annotated[float, typer.Option("--within", min=0.0, max=180.0, help="Largest separation, deg.")],
    as_json: JsonFlag = False,
) -> None:
    """For each source of A the nearest of B within an angle; which sources of both have none."""
    import numpy as np

    from nuanalysis.library import catalogues
    from nuanalysis.sky.catalogues import match as find_pairs

    started = time.monotonic()
    one, other = (catalogues.chosen_table(catalogues.parse_catalogue(name)) for name in (a, b))
    found = find_pairs(one.directions, other.directions, float(np.radians(within)))
    document = {"asked": [a, b], **catalogues.matched(one, other, found, within_deg=within)}
    document["seconds"] = time.monotonic() - started
    answer(document, as_json=as_json, text="\n".join(_matched_rows(document)))


# ---- for people ---------------------------------------------------------------------------------------------------


def _described_rows(document: dict[str, Any]) -> list[str]:
    """What a catalogue holds."""
    known = sorted(document["classes"].items(), key=lambda item: (-item[1], item[0]))
    classes = ", ".join(f"{name or '(none)'} {count:,}" for name, count in known[:12])
    more = f" and {len(known) - 12} more" if len(known) > 12 else ""
    flux = ", ".join(word for word in (document["flux_unit"] or "no unit stated", document["flux_band"]) if word)
    lines = [
        document["title"],
        f"  reference   {document['reference']}",
        f"  file        {document['file']}, sha256 {document['sha256']}" if document["file"] else "",
        f"  sources     {document['sources']:,}, {document['with_direction']:,} with a direction",
        f"  class       {classes}{more}",
        f"  flux        {document['with_flux']:,} sources; {flux}" if document["with_flux"] else "  flux        none",
        f"  extension   {document['with_extension']:,} sources; Gaussian sigma, deg",
        f"  distance    {document['with_distance']:,} sources; kpc",
    ]
    read_as = ", ".join(f"{key} = {name}" for key, name in document["read_as"].items())
    lines += [f"  read as     {read_as}"] if read_as else []
    columns = [f"{one['name']} [{one['unit']}]" if one["unit"] else one["name"] for one in document["columns"]]
    lines += [f"  columns     {', '.join(columns)}"] if columns else []
    lines += [f"  note        {note}" for note in document["notes"]]
    lines += [f"  fault       {fault}" for fault in document["faults"]]
    for group in document["duplicates"][:SHOWN]:
        lines += [f"  duplicate   {' + '.join(group)}"]
    return [line for line in lines if line]


def _weights_rows(document: dict[str, Any], *, all_of_them: bool) -> list[str]:
    """The weights of a selection."""
    rows = document["weights"]
    shown = rows if all_of_them else rows[:SHOWN]
    events = rows[0]["share_of_events"] is not None
    wide = max(len(row["name"]) for row in shown)
    heads = f"{'source':<{wide}} {'class':<9}{'ra':>9}{'dec':>9}{'sigma':>7}{'weight':>11}{'share':>9}"
    lines = ["", f"{document['label']}; deg", heads + (f"{'events':>9}" if events else "")]
    for row in shown:
        line = f"{row['name']:<{wide}} {row['class'][:8]:<9}{row['ra_deg']:9.3f}{row['dec_deg']:9.3f}"
        line += f"{row['extension_deg']:7.3f}{row['weight']:11.3e}{row['share']:9.4f}"
        lines += [line + (f"{row['share_of_events']:9.4f}" if events else "")]
    lines += [f"... and {len(rows) - len(shown)} more"] if len(shown) < len(rows) else []
    return [*lines, *(f"note: {note}" for note in document["notes"])]


def _matched_rows(document: dict[str, Any]) -> list[str]:
    """A cross-match."""
    a, b = document["catalogues"]
    pairs, alone = document["pairs"], document["unmatched"]
    lines = [f"A = {a}, B = {b}: {len(pairs)} of A have a source of B within {document['within_deg']:g} deg", ""]
    wide = max((len(pair["names"][0]) for pair in pairs), default=0)
    for pair in pairs:
        shared = "  (shared)" if pair["shared"] else ""
        lines += [f"  {pair['names'][0]:<{wide}} {pair['separation_deg']:8.4f} deg  {pair['names'][1]}{shared}"]
    for letter, rows in zip("AB", alone, strict=True):
        named = ", ".join(row["name"] for row in rows[:SHOWN])
        more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        lines += ["", f"unmatched in {letter}: {len(rows)}" + (f": {named}{more}" if rows else "")]
    return [*lines, f"{document['seconds']:.2f} s"]
