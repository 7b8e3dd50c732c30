"""``make bench``: all that ``nuanalysis bench`` measures and a point source with SkyLLH, written to docs.

Writes docs/benchmarks.md and docs/figures/{ratios,scaling}.png and prints the table.  Takes some minutes; wants a
quiet machine.  ``--quick`` measures the main rows only, ``--docs FOLDER`` writes somewhere else.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nuanalysis.engine.executors import ONE_THREAD

os.environ.update(ONE_THREAD)  # before numpy is loaded

from skyllh_client import SkyllhMissing, analysis
from skyllh_export import export

from nuanalysis import benchmarks
from nuanalysis.benchmarks import Effort, NotMeasured, Report, Row, Stopwatch
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
        row = benchmarks.point_beside("SkyLLH", watch, effort, note)
    lines[0] += f" {row.ours:.2g} |"
    lines.append(_line("SkyLLH, all events", found, f"{row.reference:.3g}"))
    with _program(INJECTED, BOX_DEG, folder) as (found, watch):
        (boxed,) = benchmarks.race((watch,), rounds=effort.rounds, seconds=effort.seconds)
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
    plain = benchmarks.fit_without_subtraction(benchmarks.make_twin(hypothesis, events))
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
    """Measure and write."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--quick", action="store_true", help="the main rows only")
    options.add_argument("--docs", type=Path, default=Path("docs"), help="folder to write to")
    asked = options.parse_args()
    measured = benchmarks.run(quick=asked.quick, say=say)
    report, sections = with_skyllh(measured, benchmarks.QUICK if asked.quick else benchmarks.FULL)
    figures = benchmarks.draw(report, asked.docs / "figures")
    page = benchmarks.markdown(report, {f"figures/{name}": text for name, text in figures.items()}, sections)
    (asked.docs / "benchmarks.md").write_text(page, encoding="utf-8")
    print(benchmarks.text(report))


if __name__ == "__main__":
    main()
