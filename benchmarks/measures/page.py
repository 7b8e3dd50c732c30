"""A report as text for a terminal, and as a page of the documentation."""

from __future__ import annotations

from measures.records import Curve, Machine, NotMeasured, Report, Row

_SLACK = 0.1  # of a power: caches and noise bend a straight line by this much
REFERENCES = """\
Each number stands beside a reference that was measured in the same run, in turn with it, so that a busy machine hits
both. Times are CPU seconds of one core, the best of several rounds; the spread says how far the median round lies above
the best. A ratio above 1 means that the reference needs more. On 2026-11-22 the numpy twin of the first row took
4.15 ms; where it takes longer, the core is slower, and a missed budget may be due to that.

- **numpy twin**: the same trial as one would write it down with numpy, healpy and scipy: random right ascension,
  `ang2pix` or the exact kernel of every source and event, `log1p`, scipy's bounded minimiser; with a free index Newton
  at all 16 spectral nodes at once and L-BFGS-B between the two best. It maximises the same likelihood. Where ours sums
  sources one by one, its TS is ours to six digits; where ours reads maps, wide classes of angular error have wide
  pixels and sources of a stack share classes 10 % apart, so that the two differ by some per cent of TS.
- **numpy twin, brute force**: a p-value from plain scrambles of the twin to the same precision, two cores; their number
  is 1 / (p e²) for a relative error e. Extrapolated from the time of a few, not run.
- **stand-alone fits, pixel by pixel**: the same fits as of a scan, each direction prepared by itself. Extrapolated from
  the time of one.
- **every pixel of every sky**: background skies fitted whole instead of where they are promising. Extrapolated.
- **import numpy**, **import of its dependencies**: a fresh Python process that imports just these.\
"""


def number(value: float) -> str:
    """Three significant digits, thousands apart; powers of ten where that is shorter."""
    if value >= 1e6:
        return f"{value:.1e}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _of_budget(row: Row | NotMeasured) -> str:
    return "none" if row.budget is None else f"{number(row.budget)} {row.unit}"


def _met(value: bool | None) -> str:
    return {True: "yes", False: "**no**", None: ""}[value]


def _machine(machine: Machine) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions)
    where = f"{machine.cpu}, {machine.cores} cores, {machine.memory_gb:.0f} GB, {machine.system}"
    return f"{machine.date}; {where}; load {machine.load:.1f} when it began; {versions}"


def _busy(machine: Machine) -> str:
    """A warning where other work filled the machine; empty where it did not."""
    if machine.load < 0.5 * machine.cores:
        return ""
    return (
        f"**The machine was busy with other work** (load {machine.load:.1f} on {machine.cores} cores): "
        "wall-clock times are upper bounds, and CPU times suffer too, from shared caches."
    )


def text(report: Report) -> str:
    """The table for a terminal, one line a row and its note below."""
    lines = [_machine(report.machine), "", f"{'':<64}{'ours':>12}{'reference':>13}{'ratio':>9}  budget"]
    for row in report.rows:
        met = {True: "met", False: "NOT MET", None: ""}[row.met]
        ours, other = f"{number(row.ours)} {row.unit}", f"{number(row.reference)} {row.unit}"
        lines.append(f"{row.what:<64}{ours:>12}{other:>13}{number(row.ratio):>9}  {_of_budget(row)} {met}".rstrip())
        lines.append(f"    {row.measure}; beside {row.reference_name}" + (f"; {row.note}" if row.note else ""))
    lines += [f"{row.what:<64}{'not measured: ' + row.reason}" for row in report.not_measured]
    return "\n".join(lines)


def markdown(report: Report, figures: dict[str, str], sections: tuple[str, ...] = ()) -> str:
    """The page of the documentation; figures {path relative to the page: caption}, sections to go below the table."""
    parts = [
        "# Benchmarks",
        "Written by `make bench`; do not edit. Numbers of two machines are two tables.",
        f"Measured {_machine(report.machine)}.",
        _busy(report.machine),
        "Events are **synthetic** except where a row says real.",
        REFERENCES,
        "## Budgets",
        _table(report.rows),
        *([_notes(report.rows)] if any(row.note for row in report.rows) else []),
        *sections,
        "## Growth of the cost" if report.curves else "",
        _growth(report.curves) if report.curves else "",
        *(f"![{caption}]({path})\n\n*{caption}*" for path, caption in figures.items()),
        "## Not measured here" if report.not_measured else "",
        _absent(report.not_measured) if report.not_measured else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(rows: tuple[Row, ...]) -> str:
    head = "| what | ours | reference | ratio | budget | met | spread | rounds × repetitions |\n" + "|---" * 8 + "|"
    return "\n".join([head, *(_line(k, row) for k, row in enumerate(rows, start=1))])


def _line(k: int, row: Row) -> str:
    mark = f" [{k}]" if row.note else ""
    ours = f"{number(row.ours)} {row.unit}"
    beside = f"{number(row.reference)} {row.unit}, {row.reference_name}"
    cells = (f"{row.what}{mark}; {row.measure}", ours, beside, number(row.ratio), _of_budget(row), _met(row.met))
    return "| " + " | ".join((*cells, f"{100 * row.spread:.0f} %", f"{row.rounds} × {row.repetitions}")) + " |"


def _notes(rows: tuple[Row, ...]) -> str:
    return "\n".join(f"- [{k}] {row.note}." for k, row in enumerate(rows, start=1) if row.note)


def _growth(curves: tuple[Curve, ...]) -> str:
    head = "| what | from | to | cost grows as | budget | met |\n|---|---|---|---|---|---|"
    return "\n".join([head, *(_growth_line(curve) for curve in curves)])


def _growth_line(curve: Curve) -> str:
    power = curve.exponent_budget
    ends = [f"{curve.x[k]:,.0f} {curve.quantity}: {number(curve.y[k])} ms" for k in (curve.first, -1)]
    budget = "" if power is None else {0.0: "flat", 1.0: "linear"}.get(power, f"power {power:g}")
    met = None if power is None else curve.exponent <= power + _SLACK
    cells = (f"{curve.name}, {curve.label}", *ends, f"{curve.quantity}^{curve.exponent:.2f}", budget, _met(met))
    return "| " + " | ".join(cells) + " |"


def _absent(rows: tuple[NotMeasured, ...]) -> str:
    head = "| what | budget | why |\n|---|---|---|"
    return "\n".join([head, *(f"| {row.what} | {_of_budget(row)} | {row.reason} |" for row in rows)])
