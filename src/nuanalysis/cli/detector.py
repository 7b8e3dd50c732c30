"""``nuanalysis detector``: the open detector, from light in the ice to a sample, a verb for each step; and scores."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from nuanalysis.chain import STEPS
from nuanalysis.cli._face import JsonFlag, say, told
from nuanalysis.cli._questions import all_or_none, given, option
from nuanalysis.engine.settings import EngineSettings
from nuanalysis.records import made

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
RUN = Path("runs/open-detector")


def _verb(name: str) -> Callable[..., None]:
    """The command of a step: its settings and those of the executor are the options."""
    step = getattr(import_module(f"nuanalysis.chain.{name}"), name.capitalize())

    def run(**values: Any) -> None:
        from nuanalysis.engine import progress
        from nuanalysis.engine.bench import Bench
        from nuanalysis.store import refuse_folder

        asked, engine = all_or_none(
            lambda: step.of(**given(step, values)),
            lambda: made(EngineSettings, given(EngineSettings, values), "this executor cannot be used"),
        )
        folder = values["folder"]
        refuse_folder(folder, "--folder")
        executor = engine.open()
        with progress.compiling(say), executor:
            found = asked.take(Bench(folder, executor, progress.here()))
        told(found, as_json=values["json"])

    place = typer.Option(RUN, "--folder", help="Folder of events, networks and results.")
    folder = inspect.Parameter("folder", inspect.Parameter.KEYWORD_ONLY, default=place, annotation=Path)
    flag = inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JsonFlag)
    fields = step.model_fields | EngineSettings.model_fields
    parameters = [folder, *(option(key, field) for key, field in fields.items()), flag]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__doc__ = inspect.getdoc(step)
    return run


for _name in STEPS:
    app.command(_name)(_verb(_name))


@app.command()
def score(
    predictions: Annotated[Path, typer.Argument(help="Table of predictions, .ecsv or .csv.")],
    folder: Annotated[Path, typer.Option("--folder", help="Folder of the run that made the benchmark.")] = RUN,
    benchmark: Annotated[
        Path | None, typer.Option("--benchmark", help="Folder of the benchmark itself, in place of --folder.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Score anybody's predictions on the benchmark: separation, angles, pulls, vertices, calibration."""
    from nuanalysis.chain import score as scoring

    told(scoring.score(predictions, folder / "benchmark" if benchmark is None else benchmark), as_json=as_json)
