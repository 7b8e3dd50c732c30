"""Cells of tables that know the name of their column, so that a narrow screen can show each row as a card."""

from __future__ import annotations

import re

_TABLE = re.compile(r'<table class="cards[^>]*>.*?</table>', re.DOTALL)
_HEAD = re.compile(r"<th[^>]*>(.*?)</th>", re.DOTALL)
_ROW = re.compile(r"<tr[^>]*>.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<(td|th)(?: class=\"([^\"]*)\")?(?=[ >])([^>]*>\s*–\s*</t[dh]>)?")


def named_cells(page: str) -> str:
    """The page with ``data-label`` at every cell of a table of class 'cards': the words of the heading above it.

    A cell that holds a dash alone is also of class 'absent': a card leaves it out.

    The page is one that we made: what others wrote into its cells is escaped, so tags are ours.
    """
    return _TABLE.sub(lambda found: _named(found[0]), page)


def _named(table: str) -> str:
    head, end, bodies = table.partition("</thead>")
    heads = (words.replace("n<sub>s</sub>", "nₛ").replace('"', "&quot;") for words in _HEAD.findall(head))
    names = [re.sub(r"<[^>]*>|&shy;", "", words) for words in heads]
    return head + end + _ROW.sub(lambda row: _labelled(row[0], names), bodies)


def _labelled(row: str, names: list[str]) -> str:
    left = iter(names)

    def named(cell: re.Match[str]) -> str:
        kinds = " ".join(filter(None, (cell[2], "absent" if cell[3] else "")))
        said = f' class="{kinds}"' if kinds else ""
        return f'<{cell[1]}{said} data-label="{next(left, "")}"{cell[3] or ""}'

    return _CELL.sub(named, row)
