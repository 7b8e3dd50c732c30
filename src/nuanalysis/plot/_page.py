"""From a figure to a page: PNG bytes, HTML with alt text, and files with a sidecar that says what they show."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from nuanalysis.errors import InputError
from nuanalysis.plot._typeset import typeset
from nuanalysis.plot.canvas import Figure
from nuanalysis.schema import ORIGINS as SAMPLE_ORIGINS

DPI = 160
LONGEST = 100  # letters of a name in a file name, which may hold 255 of them all
ORIGINS = (*SAMPLE_ORIGINS, "mixed")
SECTIONS = ("headline", "maps", "trials", "stacking", "samples", "other")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What stands beside a PNG in ``figures/`` as ``<slug>.json``; the report and the release read it.

    origin : 'real', 'synthetic', or 'mixed' where one figure shows both.
    section : where the report puts it: 'headline', 'maps', 'trials', 'stacking', 'samples' or 'other'.
    rank : place within the section; equal ranks go by slug.  Above 0 only for the standard figures.
    """

    slug: str
    alt: str
    caption: str
    origin: str
    section: str = "other"
    rank: int = 0

    def __post_init__(self) -> None:
        faults = []
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", self.slug):
            faults.append(f"slug {self.slug!r} is no file name (letters, digits, '.', '_', '+', '-')")
        if not self.alt.strip() or not self.caption.strip():
            faults.append("alt text or caption is empty")
        if self.origin not in ORIGINS:
            faults.append(f"origin {self.origin!r} is not among {', '.join(ORIGINS)}")
        if self.section not in SECTIONS:
            faults.append(f"section {self.section!r} is none of {', '.join(SECTIONS)}")
        if faults:
            raise InputError(f"figure '{self.slug}' cannot be published: {'; '.join(faults)}")


def slug(hypothesis: str) -> str:
    """File-name form of a name: 'template:pi0' -> 'template-pi0', 'point:83.6,-22' -> 'point-83.6_-22'.

    Samples that are analysed jointly are joined by 'and': 'cascades-2023 + tracks' -> 'cascades-2023-and-tracks'.
    """
    words = hypothesis.lower().replace(" + ", "-and-").replace(",", "_")
    short = re.sub(r"[^a-z0-9._+-]+", "-", words).strip("-.")
    if "?" not in hypothesis and len(short) <= LONGEST:
        return short
    # Rules, parameters and paths may be long; rules differ in what a file name cannot hold.
    return f"{short[:60].rstrip('-.')}-{hashlib.sha256(hypothesis.encode()).hexdigest()[:8]}"


def mark(origin: str) -> str:
    """Ending of a file name: anything synthetic inside is named."""
    return {"real": "", "synthetic": "-synthetic", "mixed": "-real-and-synthetic"}[origin]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A figure, what stands beside it, and the table behind it where there is one (an astropy Table)."""

    figure: Figure
    sidecar: Sidecar
    table: object | None = None

    def _repr_html_(self) -> str:
        return figure_html(self.figure, alt=self.sidecar.alt, caption=self.sidecar.caption)


def png(figure: Figure) -> bytes:
    """The figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with _laid_out(figure):
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


@contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """Lay the figure out before it is drawn: while it has an engine for that, matplotlib draws it twice."""
    engine = figure.get_layout_engine()
    if engine is None:
        yield
        return
    engine.execute(figure)
    figure.set_layout_engine("none")
    try:
        yield
    finally:
        figure.set_layout_engine(engine)


def plain(text: str) -> str:
    """The text without a single address that a reader's program could fetch: DOIs stay, as text."""
    text = re.sub(r"https?://(?:dx\.)?doi\.org/", "doi:", text)
    return re.sub(r"(?:[a-z][a-z0-9+.-]*:)?/{2,}(?=\w)", "", text)


def figure_html(figure: Figure, *, alt: str, caption: str) -> str:
    """One ``<figure>`` with the picture inside it, an alt text and a caption.

    IPython's ``Image(alt=...)`` loses the alt text in JupyterLab and in nbconvert; this keeps it.
    """
    if not alt.strip() or not caption.strip():
        raise InputError("a figure was shown without alt text or caption; say in words what it shows")
    picture = base64.b64encode(png(figure)).decode("ascii")
    return (
        f'<figure><img alt="{html.escape(typeset(alt))}" src="data:image/png;base64,{picture}" style="max-width:100%">'
        f"<figcaption>{html.escape(typeset(caption))}</figcaption></figure>"
    )


def save(figure: Figure, folder: Path, sidecar: Sidecar, *, table: object | None = None) -> Path:
    """Write ``<slug>.png``, its sidecar ``<slug>.json`` and, where given, the table behind it as ``<slug>.ecsv``.

    table : an astropy Table.  The sidecar is written last: a PNG without one is unfinished, and is not published.
    """
    from nuanalysis.store import atomic_write, table_ecsv

    path = folder / f"{sidecar.slug}.png"
    atomic_write(path, png(figure))
    if table is not None:
        atomic_write(path.with_suffix(".ecsv"), table_ecsv(table))
    record = json.dumps(asdict(sidecar), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    atomic_write(path.with_suffix(".json"), record.encode())
    return path
