"""``nuanalysis templates``: what templates there are, what is in one, building, checking and comparing them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nuanalysis.cli._face import JsonFlag, finite, listed, say, told

if TYPE_CHECKING:
    from nuanalysis.library.template_cards import TemplateCard
    from nuanalysis.sky.records import Template

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

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
        "--flux", min=0.0, max=1.0, callback=finite,
        help="E^2 dN/dE at 100 TeV, TeV cm-2 s-1, all sky, for the table of regions; 0: the model's own.",
    ),
]  # fmt: skip
EnergyOption = Annotated[
    float, typer.Option("--energy", min=1e-2, max=1e6, callback=finite, help="Energy of the comparison, TeV.")
]


@app.command("ls")
def ls(as_json: JsonFlag = False) -> None:
    """List every template that has a name: what it is, where it is from, whether it needs data that is not here."""
    from nuanalysis.library.templates import known_templates

    closing = (
        "A file of your own: a map as .fits, .npy or HDF5 (.h5), a list of sources as .csv or .ecsv; 'nuanalysis "
        "templates check FILE' says what is read, 'nuanalysis templates check --help' what can be said of it."
    )
    listed(known_templates(), "", closing, as_json=as_json, under="templates")


@app.command("show")
def show(name: Name, flux: FluxOption = 0.0, figure: FigureOption = None, as_json: JsonFlag = False) -> None:
    """Say what a template is made of, what it sends from each region of the plane, and draw it."""
    from nuanalysis.library import templates
    from nuanalysis.library.template_cards import template_card

    started = time.monotonic()
    _check(figure)
    templates.check_template(name)
    if templates.is_file(name):
        _finish(name, *_read(name, flux), figure, started, as_json)
        return
    template = templates.open_template(name)
    card = template_card(template, flux=flux, built=templates.recipe_of(name))
    _finish(name, template, card, figure, started, as_json)


def _read(file: str, flux: float) -> tuple[Template, TemplateCard]:
    """The template of a user's file, and what was understood of it."""
    from nuanalysis.library.template_cards import template_card
    from nuanalysis.sky import templates

    template, understood = templates.understood(templates.parse(file))
    return template, template_card(template, flux=flux, understood=understood)


@app.command("check")
def check(
    file: Annotated[str, typer.Argument(help="A map of your own, as FILE or FILE?frame=...&ordering=...&units=...")],
    flux: FluxOption = 0.0,
    figure: FigureOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Read a map of your own and say what was understood; if it has faults, list all of them and exit with code 2.

    What a file does not state is said after a ?, with & between: frame, ordering, units, flavour; energy and index of
    a map at one energy; energies, energies_unit and bins (centres, edges) of maps at several; hdu and column of a FITS
    file, map of an HDF5 file, nside of a list; fill=0 where pixels without a value do not shine; sure=ordering,
    sure=frame, sure=flux for what is right although it looks wrong.
    """
    from nuanalysis.errors import InputError
    from nuanalysis.library.templates import is_file

    if not is_file(file):
        raise InputError(
            f"'{file}' is the name of a template, not a file of your own: run 'nuanalysis templates show {file}' (for "
            "a file of this name put ./ before it)"
        )
    started = time.monotonic()
    _check(figure)
    _finish(file, *_read(file, flux), figure, started, as_json)


@app.command("build")
def build(
    name: Name,
    output: Annotated[Path, typer.Option("--output", help="HEALPix FITS file to write; not overwritten.")],
    as_json: JsonFlag = False,
) -> None:
    """Build a template and write it as HEALPix FITS (equatorial, RING, with units and energies)."""
    from nuanalysis.library.template_files import write_template
    from nuanalysis.store import refuse_file

    started = time.monotonic()
    refuse_file(output, "--output")
    told(write_template(name, output), as_json=as_json, seconds=time.monotonic() - started)


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
    from nuanalysis.library.template_cards import compared

    started = time.monotonic()
    _check(figure)
    for name in (a, b):
        templates.check_template(name)
    first, second = templates.open_template(a), templates.open_template(b)
    found = template_comparison.compare(first, second, float(np.log10(energy) + 3.0))
    card = compared(first, second, found)
    if figure is not None:
        from nuanalysis import plot

        _draw(figure, plot.comparison_figure(first, second, found))
    told(card, as_json=as_json, since=started, asked=[a, b], figure=figure and str(figure))


def _finish(
    name: str, template: Template, card: TemplateCard, figure: Path | None, started: float, as_json: bool
) -> None:
    if figure is not None:
        from nuanalysis import plot
        from nuanalysis.interpret.template_comparison import shown_profiles

        _draw(figure, plot.template_figure(template, shown_profiles(template)))
    told(card, as_json=as_json, since=started, asked=name, figure=figure and str(figure))


def _check(figure: Path | None) -> None:
    """Refuse a name of a picture before the work that leads to it."""
    from nuanalysis.store import refuse_file

    if figure is not None:
        refuse_file(figure, "--figure", ".png")


def _draw(path: Path, figure: Any) -> None:
    from nuanalysis.plot import png
    from nuanalysis.store import atomic_write

    atomic_write(path, png(figure))
    say(f"picture in {path}")
