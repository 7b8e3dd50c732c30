"""All items on one page: published, ours, errors, verdict, pictures; what cannot be made is listed with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nuanalysis.reproduce._records import Item, Reproduced, Row, counts, valued

_HEAD = "| quantity | published | ours | pull | verdict |\n|---|---|---|---|---|"


def page(items: Sequence[Item], made: Iterable[Reproduced]) -> str:
    """The page as Markdown; items that were not made say why, or that they were not asked for.

    Pictures are those that ``Reproduced.write`` puts beside the page.
    """
    found = {one.item: one for one in made}
    parts = [_summary(items, found)]
    parts += [_section(one, found.get(one.name)) for one in items]
    return "\n\n".join(parts) + "\n"


def _summary(items: Sequence[Item], found: dict[str, Reproduced]) -> str:
    lines = ["| item | what it shows | events | verdicts | CPU minutes |", "|---|---|---|---|---|"]
    for one in items:
        here = found.get(one.name)
        said = _verdicts(here) if here else "cannot be made" if one.make is None else "needs data that are not here"
        minutes = "–" if one.cpu_minutes is None else f"{one.cpu_minutes:g}"
        lines.append(f"| [{one.name}](#{one.name}) | {one.title} | {_origin(one, here)} | {said} | {minutes} |")
    return "\n".join(lines)


def _origin(one: Item, here: Reproduced | None) -> str:
    said = here.provenance.stamp if here and here.provenance.n_events else one.origin
    return said.upper() if said == "synthetic" else said


def _verdicts(here: Reproduced) -> str:
    return ", ".join(f"{n} {word}" for word, n in counts(here.compared).items() if n) or "a picture"


def _section(one: Item, here: Reproduced | None) -> str:
    lines = [f"## {one.name}", f"{_sentence(one.title)} Source: {one.source}."]
    if here and here.compared:
        lines.append("\n".join([_HEAD, *map(_line, here.compared)]))
    notes = dict.fromkeys(row.note for row in here.compared if row.note) if here else {}
    if notes:
        lines.append("\n".join(f"- {note}" for note in notes))
    for drawn in here.drawn() if here else ():
        lines += [f"![{drawn.sidecar.alt}]({drawn.sidecar.slug}.png)", f"*{drawn.sidecar.caption}*"]
    if one.left_out:
        lines.append(f"Not made: {one.left_out}.")
    return "\n\n".join(lines)


def _sentence(title: str) -> str:
    return f"{title[:1].upper()}{title[1:]}{'' if title.endswith('?') else '.'}"


def _line(one: Row) -> str:
    published, ours = valued(one.published, one.published_error), valued(one.ours, one.error)
    cells = (one.named, published, ours, _pull(one.pull), one.verdict)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _pull(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f}".replace("-", "−")
