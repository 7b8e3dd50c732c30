"""``nuanalysis templates``: what templates there are, what is in one, building, checking and comparing them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nuanalysis.cli._face import JsonFlag, answer, say

if TYPE_CHECKING:
    from nuanalysis.sky.records import Template

app = typer.Typer(
    help="Templates of diffuse emission: list, show, build, check, compare.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[
    str,
    typer.Argument(
        help="pi0, a built-in NAME?key=value&key=value, or FILE?frame=...&ordering=...&units=...; see 'ls'."
    ),
]
FigureOption = Annotated[Path | None, typer.Option("--figure", help="Write a picture to this .png file.")]
FluxOption = Annotated[
    float,
    typer.Option(
        "--flux", min=0.0,
        help="E^2 dN/dE at 100 TeV, TeV cm-2 s-1, all sky, for the table of regions; 0: the model's own.",
    ),
]  # fmt: skip
EnergyOption = Annotated[float, typer.Option("--energy", min=1e-2, max=1e6, help="Where to compare, TeV.")]
SHOWN_LOG10_ENERGIES = (3.0, 5.0, 6.0)  # GeV, of the maps of a template that changes with energy


@app.command("ls")
def ls(as_json: JsonFlag = False) -> None:
    """List every template that has a name: what it is, where it is from, whether it needs data that is not here."""
    from dataclasses import asdict

    from nuanalysis.library.templates import known_templates

    rows = known_templates()
    lines = []
    for row in rows:
        needs = f"; needs the release {row.needs} ({'here' if row.here else 'not here'})" if row.needs else ""
        instead = f", {row.stand_in} stands in" if row.stand_in and not row.here else ""
        lines += [f"{row.name:<20} {row.origin:<10} {row.summary}{needs}{instead}"]
    lines += [
        "",
        "A file of your own: a map as .fits, .npy or HDF5 (.h5), a list of sources as .csv or .ecsv; 'nuanalysis "
        "templates check FILE' says what is read.",
    ]
    answer({"templates": [asdict(row) for row in rows]}, as_json=as_json, text="\n".join(lines))


@app.command("show")
def show(name: Name, flux: FluxOption = 0.0, figure: FigureOption = None, as_json: JsonFlag = False) -> None:
    """Say what a template is made of, what it sends from each region of the plane, and draw it."""
    from nuanalysis.library import templates

    started = time.monotonic()
    templates.check_template(name)
    if templates.is_file(name):
        template, read_as = _read(name)
        _finish(
            {"asked": name, **templates.described(template, flux=flux), **read_as}, template, figure, started, as_json
        )
        return
    built = templates.recipe_of(name)
    template = templates.open_template(name)
    document = {"asked": name, **templates.described(template, flux=flux)}
    if built is not None:
        document |= {"recipe": built.recipe.summary, "parameters": templates.parameters_of(built)}
    _finish(document, template, figure, started, as_json)


def _read(file: str) -> tuple[Template, dict[str, Any]]:
    """The template of a user's file, and what was understood of it."""
    from dataclasses import asdict
    from math import isfinite

    from nuanalysis.sky import templates

    template, understood = templates.understood(templates.parse(file))
    index = understood.index if isfinite(understood.index) else None
    return template, {"understood": asdict(understood) | {"index": index}}


@app.command("check")
def check(
    file: Annotated[str, typer.Argument(help="A map of your own, as FILE or FILE?frame=...&ordering=...&units=...")],
    flux: FluxOption = 0.0,
    figure: FigureOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Read a map of your own and say what was understood; all faults in one message and exit code 2 otherwise."""
    from nuanalysis.errors import InputError
    from nuanalysis.library.templates import described, is_file

    if not is_file(file):
        raise InputError(
            f"'{file}' is the name of a template, not a file of your own: run 'nuanalysis templates show {file}' (for "
            "a file of this name say ./ before it)"
        )
    started = time.monotonic()
    template, read_as = _read(file)
    _finish({"asked": file, **described(template, flux=flux), **read_as}, template, figure, started, as_json)


@app.command("build")
def build(
    name: Name,
    output: Annotated[Path, typer.Option("--output", help="HEALPix FITS file to write; not overwritten.")],
    as_json: JsonFlag = False,
) -> None:
    """Build a template and write it as HEALPix FITS (equatorial, RING, with units and energies)."""
    from nuanalysis.errors import InputError
    from nuanalysis.library import templates
    from nuanalysis.store import atomic_write

    if not output.name.endswith((".fits", ".fits.gz")):
        raise InputError(f"--output is '{output}'; expected a file that ends in .fits or .fits.gz")
    if output.exists():
        raise InputError(f"--output {output} exists; choose another name or remove it first")
    started = time.monotonic()
    built = templates.recipe_of(name)
    kept = built is not None and templates.cache_path(built).is_file()
    template = templates.open_template(name)
    seconds = time.monotonic() - started
    atomic_write(output, templates.fits_bytes(template, packed=output.name.endswith(".gz")))
    document = {
        "asked": name, "name": template.name, "output": str(output), "bytes": output.stat().st_size,
        "nside": template.nside, "energies": len(template.maps), "flux": template.flux or None,
        "from_cache": kept, "seconds_to_build": seconds, "seconds": time.monotonic() - started,
    }  # fmt: skip
    how = "read from the cache" if kept else "built" if built is not None else "read"
    text = (
        f"{output}: {template.label}, nside {template.nside}, {len(template.maps)} "
        f"{'energy' if len(template.maps) == 1 else 'energies'}, {document['bytes']:,} bytes; {how} in {seconds:.2f} s"
    )
    answer(document, as_json=as_json, text=text)


@app.command("compare")
def compare(
    a: Name,
    b: Name,
    energy: EnergyOption = 100.0,
    figure: FigureOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare two templates: cosine similarity, shares of the regions, profiles along and across the plane."""
    import numpy as np

    from nuanalysis.interpret import template_comparison
    from nuanalysis.library import templates

    started = time.monotonic()
    first, second = templates.open_template(a), templates.open_template(b)
    at = float(np.log10(energy) + 3.0)
    found = template_comparison.compare(first, second, at)
    notes = [note for template in (first, second) for note in templates.out_of_reach(template, at)]
    document: dict[str, Any] = {"asked": [a, b], **templates.compared(found), "notes": notes}
    if figure is not None:
        from nuanalysis import plot

        _draw(figure, plot.comparison_figure(first, second, found))
    document |= {"figure": str(figure) if figure else None, "seconds": time.monotonic() - started}
    answer(document, as_json=as_json, text="\n".join(_compared_rows(document)))


def _finish(document: dict[str, Any], template: Template, figure: Path | None, started: float, as_json: bool) -> None:
    if figure is not None:
        from nuanalysis import plot
        from nuanalysis.interpret.template_comparison import profiles

        at = SHOWN_LOG10_ENERGIES if len(template.maps) > 1 else SHOWN_LOG10_ENERGIES[1:2]
        _draw(figure, plot.template_figure(template, [profiles(template, energy) for energy in at]))
    document |= {"figure": str(figure) if figure else None, "seconds": time.monotonic() - started}
    answer(document, as_json=as_json, text="\n".join(_shown_rows(document)))


def _draw(path: Path, figure: Any) -> None:
    from nuanalysis.errors import InputError
    from nuanalysis.plot import png
    from nuanalysis.store import atomic_write

    if path.suffix != ".png":
        raise InputError(f"--figure is '{path}'; expected a file that ends in .png")
    atomic_write(path, png(figure))
    say(f"picture in {path}")


def _shown_rows(document: dict[str, Any]) -> list[str]:
    """What a template is, for people."""
    energies = document["energies_tev"]
    morphology = (
        f"maps at {len(energies)} energies, {energies[0]:g} to {energies[-1]:g} TeV" if energies
        else "the same map at all energies"
    )  # fmt: skip
    known = document["flux"]
    share = document["share_at_30_tev"]
    said = f"{known:.3g} TeV cm-2 s-1 at 100 TeV (E^2 dN/dE, per flavour, all sky)" if known else "relative"
    lines = [
        f"{document['name']}: {document['label']} ({document['origin']})",
        f"  reference   {document['reference']}",
        f"  map         equatorial RING, nside {document['nside']}; {morphology}",
        f"  spectrum    {document['spectrum']}",
        f"  flux        {said}",
        *([f"  at 30 TeV   {share:.3g} of the whole astrophysical flux"] if share is not None else []),
        f"  brightest   l = {document['brightest']['l_deg']:.2f}, b = {document['brightest']['b_deg']:.2f} deg",
        f"  sha256      {document['sha256']}",
        *(f"  note        {note}" for note in document["doubts"]),
    ]
    if "understood" in document:
        lines += _understood_rows(document["understood"])
    if "parameters" in document:
        lines += ["", f"built as: {document['recipe']}"]
        for row in document["parameters"]:
            allowed = (
                f"one of {', '.join(row['choices'])}" if row["choices"]
                else f"{_end(row['low'])} to {_end(row['high'])}"
            )  # fmt: skip
            lines += [f"  {row['name']:<16} {row['value']!s:<18} {row['help']} (default {row['default']}; {allowed})"]
    used = document["flux_of_table"]
    heads = f"{'region':<27}{'sr':>8}{'share':>9}"
    if used:
        heads += f"{'at 5 TeV':>12}{'at 100 TeV':>12}   mean E^2 dN/dE for {used:.3g}, TeV cm-2 s-1 sr-1"
    lines += ["", heads]
    for row in document["regions"]:
        line = f"{row['label']:<27}{row['solid_angle']:8.4f}{row['share']:9.4f}"
        lines += [line + (f"{row['e2_flux_5_tev']:12.2e}{row['e2_flux_100_tev']:12.2e}" if used else "")]
    return [*lines, f"{document['seconds']:.2f} s"]


def _understood_rows(read: dict[str, Any]) -> list[str]:
    """How a file was read, for people."""
    number, low, high = read["energies"]
    energies = "none" if not number else f"{low:g} GeV" if number == 1 else f"{number}, {low:g} to {high:g} GeV"
    return [
        "",
        f"read as {read['format']}",
        f"  frame       {read['frame']}" + (f", {read['ordering']}" if read["ordering"] else ""),
        f"  units       {read['units']}" + (f", {read['flavour']}" if read["flavour"] else ""),
        f"  energies    {energies}",
        f"  integral    {read['integral']:.4g} over the sky, in these units, at 100 TeV or the one energy",
        *([] if read["index"] is None else [f"  index       {read['index']:.2f} at 100 TeV"]),
        *(f"  note        {note}" for note in read["notes"]),
    ]


def _end(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def _compared_rows(document: dict[str, Any]) -> list[str]:
    """A comparison, for people."""
    a, b = document["templates"]
    lines = [f"A = {a}, B = {b}, at {document['energy_tev']:g} TeV"]
    lines += [*(f"  note: {note}" for note in document["notes"]), "", "cosine similarity"]
    for row in document["cosine"]:
        width = f"both smeared by {row['width_deg']:g} deg" if row["width_deg"] else "as they are"
        lines += [f"  {width:<28}{row['cosine']:.4f}"]
    absolute = any(row["flux_ratio"] is not None for row in document["regions"])
    lines += ["", f"{'region':<27}{'share A':>9}{'share B':>9}{'A/B':>8}" + (f"{'flux A/B':>10}" if absolute else "")]
    for row in document["regions"]:
        ratio, flux = (("-" if row[key] is None else f"{row[key]:.3f}") for key in ("share_ratio", "flux_ratio"))
        shares = "".join(f"{share:9.4f}" for share in row["share"])
        lines += [f"{row['label']:<27}{shares}{ratio:>8}" + (f"{flux:>10}" if absolute else "")]
    edges = document["longitude_profile"]["edges_deg"]
    lines += ["", f"{'l (deg), |b| < 8':<27}{'A':>9}{'B':>9}   1e-3 of the flux per degree"]
    for low, high, *pair in zip(edges[:-1], edges[1:], *document["longitude_profile"]["share_per_degree"], strict=True):
        lines += [f"{f'{low:.0f} to {high:.0f}':<27}" + "".join(f"{1e3 * value:9.2f}" for value in pair)]
    return [*lines, f"{document['seconds']:.2f} s"]
