"""``interpretation/`` of a run: one page of the figures that readings left there, and the files for a release."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from nuanalysis.errors import DataError, StepMissing
from nuanalysis.plot import plain
from nuanalysis.publish._figures import Shown, picture, sidecar_of
from nuanalysis.publish._texts import rendered
from nuanalysis.store import atomic_write, regular, unlinked

FOLDER, PAGE = "interpretation", "index.html"
_ENDINGS = (".png", ".json", ".ecsv", ".html")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure inside the page; the size in CSS pixels."""

    alt: str
    caption: str
    origin: str
    data: str
    width: int
    height: int


def documents(folder: Path) -> tuple[Path, ...]:
    """What answers wrote into a folder, sorted, without the page.  Raises DataError for a link or what is no file."""
    found = [path for path in sorted(folder.glob("*")) if path.suffix in _ENDINGS and path.name != PAGE]
    for path in found:
        regular(unlinked(folder, path), "the file", error=DataError)
    return tuple(found)


def page_text(folder: Path) -> str:
    """The page as text: one file with no outside address.  Raises StepMissing for a folder without figures."""
    pictures = [path for path in documents(folder) if path.suffix == ".png"]
    figures = [_figure(path) for path in pictures if os.path.lexists(path.with_suffix(".json"))]
    if not figures:
        raise StepMissing(f"no figures in {folder}; write some: nuanalysis desert --output {folder}")
    return rendered("interpretation.html.j2", {}, autoescape=True, figures=figures)


def interpretation_page(folder: Path) -> Path:
    """Write ``index.html`` of the figures in a folder, with their captions and sources; returns its path."""
    path = folder / PAGE
    atomic_write(path, page_text(folder).encode("utf-8"))
    return path


def _figure(path: Path) -> Figure:
    about = sidecar_of(path.with_suffix(".json"))
    data, width, height = picture(Shown(path, about))
    encoded = base64.b64encode(data).decode("ascii")
    return Figure(plain(about.alt), plain(about.caption), about.origin, encoded, width // 2, height // 2)
