"""Speed and memory on this machine, each beside a reference measured in the same run; the answer goes to stdout.

All rows take some minutes and want a quiet machine; ``--quick`` measures the main rows only, in less than a minute.
``--docs FOLDER``, as ``make bench`` calls it, also fits a point source with SkyLLH and writes FOLDER/md and
FOLDER/figures/{ratios,scaling}.png.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nuanalysis.engine.executors import ONE_THREAD

os.environ.update(ONE_THREAD)  # before numpy is loaded

from measures import page
from measures.clock import Stopwatch, race
from measures.records import NotMeasured, Report, Row
from measures.report import run
from measures.rows import FULL, QUICK, Effort, point_beside
from measures.twins import fit_without_subtraction, make_twin
from skyllh_client import SkyllhMissing, analysis
from skyllh_export import export

from nuanalysis.library import samples
from nuanalysis.library.hypotheses import read_hypothesis
from nuanalysis.library.samples import SampleSpec
from nuanalysis.likelihood import maximise
from nuanalysis.model import Sample, prepare, terms
from nuanalysis.sky.records import Catalogue, PointSource

SOURCE = "point:266.4,-29"  # as the other rows of a point source
BOX_DEG = 10.0  # the default of SkyLLH's published point-source analyses
INJECTED = 200.0
Program = AbstractContextManager[tuple[dict[str, Any], Stopwatch]]


def source() -> PointSource:
    """The source of all point-source rows."""
    target = read_hypothesis(SOURCE).target
    assert isinstance(target, Catalogue)
    return target.sources[0]


def load(n_signal: float) -> Sample:
    """The synthetic sample with a number of expected signal events at the source."""
    signal = SOURCE if n_signal else "none"
    return samples.load(SampleSpec(name="cascades-2023", signal=signal, n_signal=n_signal), seed=1).seasons[0]


def beside_skyllh(effort: Effort, folder: Path) -> tuple[Row, str]:
    """The row beside SkyLLH with all events, and the section of the page: fits of one sample, times of a trial."""
    lines = _our_fits()
    with _program(INJECTED, 0.0, folder) as (found, _):
        version = found["skyllh"]
    with _program(0.0, 0.0, folder) as (_, watch):
        note = f"SkyLLH {version}, all events, sample without signal; docs/benchmarks.md says what differs"
        row = point_beside("SkyLLH", watch, effort, note)
    lines[0] += f" {row.ours:.2g} |"
    lines.append(_line("SkyLLH, all events", found, f"{row.reference:.3g}"))
    with _program(INJECTED, BOX_DEG, folder) as (found, watch):
        (boxed,) = race((watch,), rounds=effort.rounds, seconds=effort.seconds)
        lines.append(_line(f"SkyLLH, {BOX_DEG:g} deg box", found, f"{1e3 * boxed.best:.3g}"))
    words = (Path(__file__).parent / "skyllh" / "page.md").read_text(encoding="utf-8").strip()
    return row, words.format(version=version, injected=INJECTED, fits="\n".join(lines))


def _line(name: str, found: dict[str, Any], milliseconds: str) -> str:
    best = found["data"]
    return f"| {name} | {best['ts']:.1f} | {best['n_signal']:.0f} | {best['index']:.2f} | {milliseconds} |"


def _program(n_signal: float, box: float, folder: Path) -> Program:
    """SkyLLH on the sample with so much signal; box in deg, 0 for all events."""
    where = folder / f"{n_signal:g}-{box:g}"
    export(load(n_signal), source(), where, box)
    return analysis(where)


def _our_fits() -> list[str]:
    """Lines of the table of fits: ours, and the plain twin with SkyLLH's form of the likelihood."""
    hypothesis, events = read_hypothesis(SOURCE), (load(INJECTED),)
    best = maximise(terms(prepare(hypothesis, events)))
    plain = fit_without_subtraction(make_twin(hypothesis, events))
    return [
        f"| nuanalysis | {best.ts:.1f} | {best.n_signal:.0f} | {best.index:.2f} |",
        f"| our densities, S / B - 1 | {plain.ts:.1f} | {plain.n_signal:.0f} | {plain.index:.2f} | |",
    ]


def with_skyllh(report: Report, effort: Effort) -> tuple[Report, tuple[str, ...]]:
    """The report with the rows of SkyLLH, or with the reason why they are missing."""
    say("  beside SkyLLH")
    try:
        with TemporaryDirectory() as folder:
            row, section = beside_skyllh(effort, Path(folder))
    except SkyllhMissing as error:
        missing = NotMeasured("point", "point source beside SkyLLH", "ms", 3.0, str(error))
        return replace(report, not_measured=(missing, *report.not_measured)), ()
    return replace(report, rows=(*report.rows, row)), (section,)


def say(message: str) -> None:
    """Progress on stderr."""
    print(message, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print, and write where asked."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--quick", action="store_true", help="the main rows only, in less than a minute")
    options.add_argument("--json", action="store_true", help="one JSON document on stdout; progress stays on stderr")
    options.add_argument("--docs", type=Path, help="measure SkyLLH too, and write page and figures to this folder")
    asked = options.parse_args()
    report = run(quick=asked.quick, say=say)
    if asked.docs:
        report = document(report, QUICK if asked.quick else FULL, asked.docs)
    print(json.dumps(report.to_dict(), indent=2, allow_nan=False) if asked.json else page.text(report))


def document(measured: Report, effort: Effort, folder: Path) -> Report:
    """Write page and figures of the report, with SkyLLH; returns it whole."""
    from measures.figures import draw

    report, sections = with_skyllh(measured, effort)
    figures = {f"figures/{name}": text for name, text in draw(report, folder / "figures").items()}
    (folder / "benchmarks.md").write_text(page.markdown(report, figures, sections), encoding="utf-8")
    return report


if __name__ == "__main__":
    main()
