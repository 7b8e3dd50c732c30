"""reproduce: published tables and figures made again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, finite, say

if TYPE_CHECKING:
    from nuanalysis.reproduce import Desk, Reproduced


def reproduce(
    what: Annotated[str, typer.Argument(metavar="ls|all|ITEM", help="ls, all, or an item such as table-1.")],
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of synthetic events and trials.")] = 1,
    effort: Annotated[
        float, typer.Option("--effort", min=0.001, max=1000.0, callback=finite, help="Factor on the item's trials.")
    ] = 1.0,
    run: Annotated[
        Path | None, typer.Option("--run", help="Folder of a finished run, whose answers are used where they fit.")
    ] = None,
    executor: Annotated[str, typer.Option("--executor", help="serial, threads, processes or dask.")] = "threads",
    workers: Annotated[int, typer.Option("--workers", min=1, max=256)] = 2,
    output: Annotated[Path | None, typer.Option("--output", help="Folder for JSON, tables, figures and page.")] = None,
    json: JsonFlag = False,
) -> None:
    """Make a published table or figure again: our numbers, the published ones, their difference in standard errors."""
    from nuanalysis.reproduce import ITEMS, item

    if what == "ls":
        _list(json)
        return
    names = tuple(one for one in ITEMS if item(one).make is not None) if what == "all" else (item(what).name,)
    desk = _desk(seed, effort, run, executor, workers)
    made: list[Reproduced] = []
    for name in names:
        made += _made(name, desk, alone=what != "all")
        if output is not None and made and made[-1].item == name:
            made[-1].write(output)
    if output is not None and what == "all":
        _write_page(output, made)
    document = made[0].to_dict() if what != "all" else {"items": [one.to_dict() for one in made]}
    answer(document, as_json=json, text="\n\n".join(map(str, made)))


def _list(json: bool) -> None:
    from nuanalysis.reproduce import ITEMS, item

    rows = [item(name) for name in ITEMS]
    documents = [
        {
            **{key: getattr(one, key) for key in ("title", "origin", "cpu_minutes", "source", "left_out")},
            "item": one.name,
            "can_be_made": one.make is not None,
        }
        for one in rows
    ]
    words = ["cannot be made" if one.make is None else f"{_cost(one.cpu_minutes)}, {one.origin}" for one in rows]
    lines = [f"{one.name:18s} {said:23s} {one.title}" for one, said in zip(rows, words, strict=True)]
    answer({"items": documents}, as_json=json, text="\n".join(lines))


def _cost(minutes: float | None) -> str:
    return "not timed" if minutes is None else f"{minutes:g} CPU min"


def _desk(seed: int, effort: float, run: Path | None, executor: str, workers: int) -> Desk:
    from nuanalysis import publish
    from nuanalysis.engine import progress
    from nuanalysis.engine.bench import Bench
    from nuanalysis.engine.settings import EngineSettings
    from nuanalysis.ingest import cache_root
    from nuanalysis.records import made
    from nuanalysis.reproduce import Desk

    engine = made(EngineSettings, {"executor": executor, "workers": workers}, "this executor cannot be used")
    found = publish.load_results(run) if run is not None else None
    return Desk(Bench(cache_root() / "ensembles", engine.open(), progress.here()), seed, effort, found)


def _made(name: str, desk: Desk, *, alone: bool) -> list[Reproduced]:
    """The item; nothing, said on stderr, where its release is not here and others are made too."""
    from nuanalysis.errors import DataError
    from nuanalysis.reproduce import reproduce as work

    say(f"{name}: begun")
    try:
        return [work(name, desk)]
    except DataError as error:
        if alone:
            raise
        say(f"{name}: left out, {error}")
        return []


def _write_page(folder: Path, made: list[Reproduced]) -> None:
    from nuanalysis.reproduce import ITEMS, item, page
    from nuanalysis.store import atomic_write

    atomic_write(folder / "index.md", page([item(name) for name in ITEMS], made).encode())
