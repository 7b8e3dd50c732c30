"""``nuanalysis bench``: speed and memory on this machine, each beside a reference measured in the same run."""

from __future__ import annotations

from typing import Annotated

import typer

from nuanalysis.cli._face import JsonFlag, answer, say


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="The main rows only, in less than a minute.")] = False,
    json: JsonFlag = False,
) -> None:
    """Measure trials, imports, a p-value and memory; the whole takes some minutes on a quiet machine."""
    from nuanalysis import benchmarks

    report = benchmarks.run(quick=quick, say=say)
    answer(report.to_dict(), as_json=json, text=benchmarks.text(report))
