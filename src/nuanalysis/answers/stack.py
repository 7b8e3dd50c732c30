"""Stacked catalogues as documents: fit, p-value, flux and limit of each, what every source brings, and the best of all.

A p-value of one catalogue is *local*; that of the best of several, from the same scrambles, is *global*.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nuanalysis import store
from nuanalysis.answers import inference, question
from nuanalysis.answers.inference import Problem, Wanted
from nuanalysis.answers.scan import _first_line, _number, _position
from nuanalysis.engine.ensembles import Progress
from nuanalysis.engine.executors import Executor
from nuanalysis.errors import DataError, InputError, NuanalysisError, PrecisionError
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.stack_terms import event_shares, source_terms
from nuanalysis.library.catalogues import PREFIX, open_selection, parse_catalogue
from nuanalysis.library.hypotheses import read_hypothesis
from nuanalysis.model import Hypothesis
from nuanalysis.plot import save, slug, stack_figure
from nuanalysis.sky import catalogues
from nuanalysis.sky.records import Catalogue

if TYPE_CHECKING:
    from astropy.table import Table

Floats = NDArray[np.float64]
Row = Mapping[str, Any]
T = TypeVar("T")

PRECISION = 0.1  # relative statistical error of p-values, as of the verb fit
_UNDER = "under the weights of the stack, not a result on this source alone"
_ZERO = "all test statistics are zero: every scramble has at least as much"
# Column of the table of sources: unit and meaning.
COLUMNS: dict[str, tuple[str, str]] = {
    "name": ("", "source"),
    "ra_deg": ("deg", "right ascension, ICRS"),
    "dec_deg": ("deg", "declination, ICRS"),
    "l_deg": ("deg", "Galactic longitude"),
    "b_deg": ("deg", "Galactic latitude"),
    "extension_deg": ("deg", "width of the Gaussian extension; 0 for a point"),
    "weight": ("", "share of the summed flux at Earth, sums to 1"),
    "share_of_events": ("", "expected share of the events: weight x acceptance x livetime at index_of_shares; sum 1"),
    "n_s": ("", f"share_of_events x fitted n_s of the stack; {_UNDER}"),
    "flux": (fluxes.UNIT, f"weight x summed flux, E^2 dN/dE at 100 TeV, per flavour, nu + nubar; {_UNDER}"),
    "flux_upper_limit_90": (fluxes.UNIT, f"weight x 90 % upper limit on the summed flux; {_UNDER}"),
    "ts_term": ("", "contribution to the TS of the stack; negative where the events avoid the source; sums to TS"),
}


# --- what is asked ---------------------------------------------------------------------------------------------------


def all_or_none(checks: Sequence[Callable[[], object]], wanted: Sequence[Callable[[], T]]) -> list[T]:
    """What each of ``wanted`` returns, once all checks pass.

    Raises one error with all that was found, a DataError where nothing but data are missing.
    """
    found: list[T] = []
    faults: list[NuanalysisError] = []
    for check in (*checks, *(lambda one=one: found.append(one()) for one in wanted)):
        try:
            check()
        except NuanalysisError as error:
            faults.append(error)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        kind = DataError if all(isinstance(fault, DataError) for fault in faults) else InputError
        raise kind(f"{len(faults)} things stand against it:\n- " + "\n- ".join(map(str, faults)))
    return found


def read(catalogue: str, *, index: float | None, index_free: bool | None) -> Hypothesis:
    """The stack of a catalogue that a user named.  Raises InputError, DataError."""
    return read_hypothesis(PREFIX + catalogue.removeprefix(PREFIX), index=index, index_free=index_free)


def check_different(names: Sequence[str]) -> None:
    """Raise InputError where a catalogue is named twice."""
    twice = [name for name, times in Counter(n.removeprefix(PREFIX) for n in names).items() if times > 1]
    if twice:
        raise InputError(f"--catalogue names {', '.join(twice)} more than once; name each once")


def check_folder(output: Path | None) -> None:
    """Raise InputError where results cannot be written into ``output``."""
    if output is not None and output.exists() and not output.is_dir():
        raise InputError(f"--output {output} is a file; expected a folder, or a name that is free")


# --- the answer ------------------------------------------------------------------------------------------------------


def _chosen(name: str) -> dict[str, Any] | None:
    """How the sources were chosen; None for a typed list as it is."""
    name = name.removeprefix(PREFIX)
    if name in catalogues.CATALOGUES:
        return None
    found = open_selection(name)
    return {
        "listed": found.listed,
        "rule": parse_catalogue(name).choice.rule,
        "weight": parse_catalogue(name).choice.weight,
        "left_out_for_missing_values": found.unknown,
        "notes": list(found.notes),
    }


def source_rows(catalogue: Catalogue, answer: Row, shares: Floats, terms: Floats) -> list[dict[str, Any]]:
    """The table of sources, a row each in the order of the catalogue; see ``COLUMNS``.

    answer : of ``question.answer``.    shares, terms (source,): of the events, and of the test statistic.
    """
    weights = np.array(catalogue.weights) / sum(catalogue.weights)
    best, limit = answer["flux"]["best"], answer["flux"]["upper_limit_90"]
    return [
        {
            "name": source.name,
            **_position(source.right_ascension, source.declination),
            "extension_deg": float(np.degrees(source.extension)),
            "weight": weight,
            "share_of_events": share,
            "n_s": share * answer["n_s"],
            "flux": None if best is None else weight * best,
            "flux_upper_limit_90": None if limit is None else weight * limit,
            "ts_term": term,
        }
        for source, weight, share, term in zip(
            catalogue.sources, weights.tolist(), shares.tolist(), terms.tolist(), strict=True
        )
    ]


def _stacked(
    problem: Problem, sample_name: str, wanted: Wanted, n_injections: int, executor: Executor, progress: Progress
) -> dict[str, Any]:
    assert isinstance(problem.hypothesis.target, Catalogue)
    progress(f"{problem.hypothesis.name}: {len(problem.hypothesis.target.sources)} sources")
    answer = question.answer(problem, sample_name, wanted, n_injections, executor, progress)
    return with_sources(problem, answer)


def with_sources(problem: Problem, answer: Row) -> dict[str, Any]:
    """The answer to a stack with its sources, as ``stack_figure`` and ``source_table`` take it.

    answer : of ``question.answer``, or any with n_s and the flux of the same fit.
    """
    catalogue = problem.hypothesis.target
    assert isinstance(catalogue, Catalogue)
    best, data = inference.fit(problem)
    index = best.index if best.n_signal > 0 else problem.hypothesis.index
    rows = source_rows(
        catalogue, answer, event_shares(problem.prepared, index), source_terms(problem.prepared, data, best)
    )
    return {
        **answer,
        "catalogue": catalogue.name,
        "n_sources": len(rows),
        "selection": _chosen(problem.hypothesis.name),
        "index_of_shares": index,
        "sources": rows,
    }


def _global(
    problems: tuple[Problem, ...], observed: tuple[float, ...], wanted: Wanted, executor: Executor, progress: Progress
) -> dict[str, Any]:
    """The correlated global p-value of the best, or null with the reason."""
    kind = "global: the smallest local p-value of the catalogues, from the same scrambles"
    nothing = dict.fromkeys(("best", "p_global", "p_global_error", "sigma_global", "sigma_global_error"))
    if max(observed) <= 0.0:
        return {**nothing, "p_global": 1.0, "p_global_error": 0.0, "n_trials": 0, "kind": kind, "reason": _ZERO}
    try:
        return {**inference.global_p_value(problems, observed, wanted, executor, progress), "kind": kind}
    except PrecisionError as error:
        return {**nothing, "n_trials": wanted.n_trials or None, "kind": kind, "reason": str(error)}


def stack_record(
    problems: tuple[Problem, ...],
    sample_name: str,
    wanted: Wanted,
    n_injections: int,
    executor: Executor,
    progress: Progress,
) -> dict[str, Any]:
    """Everything the package says about stacked catalogues on a sample: each alone, its sources, the best of them."""
    started = time.monotonic()
    if wanted.n_trials:  # whoever says how many takes the precision that they give
        wanted = replace(wanted, precision=np.inf)
    answers = [_stacked(problem, sample_name, wanted, n_injections, executor, progress) for problem in problems]
    together = None
    if len(problems) > 1:
        together = _global(problems, tuple(one["ts"] for one in answers), wanted, executor, progress)
    described = inference.describe(problems[0], sample_name)
    return {
        **{key: described[key] for key in ("sample", "origin", "n_events", "seed", "injected", "notes")},
        "catalogues": answers,
        "global": together,
        "columns": {name: {"unit": unit, "meaning": meaning} for name, (unit, meaning) in COLUMNS.items()},
        "precision": None if wanted.n_trials else wanted.precision,
        "smear_declination_deg": float(np.degrees(wanted.smear)),
        "version": version("nuanalysis"),
        "seconds": time.monotonic() - started,
    }


# --- files -----------------------------------------------------------------------------------------------------------


def source_table(document: Row, answer: Row) -> Table:
    """The sources of one catalogue as an astropy Table; read back as a catalogue it gives the same sources."""
    from astropy.table import Column, Table

    columns = []
    for name, (unit, meaning) in COLUMNS.items():
        values = [row[name] for row in answer["sources"]]
        known = values if name == "name" else np.array(values, dtype=np.float64)  # None becomes NaN
        columns.append(Column(known, name=name, unit=unit or None, description=meaning))
    p, flux = answer["p_value"], answer["flux"]
    meta = {
        "ORIGIN": answer["origin"],
        "DESCRIPTION": f"sources of the stack {answer['label']} on the {answer['origin']} sample {answer['sample']}",
        "SAMPLE": answer["sample"],
        "INJECTED": answer["injected"],
        "CATALOGUE": answer["catalogue"],
        "REFERENCE": answer["model_reference"],
        "N_EVENTS": answer["n_events"],
        "TS": answer["ts"],
        "N_S": answer["n_s"],
        "INDEX": answer["index"],
        "INDEX_OF_SHARES": answer["index_of_shares"],
        "P_LOCAL": p["p"],
        "P_LOCAL_ERROR": p["p_error"],
        "N_TRIALS": p["n_trials"],
        "SUMMED_FLUX": flux["best"],
        "SUMMED_FLUX_LOW_68": flux["low_68"],
        "SUMMED_FLUX_HIGH_68": flux["high_68"],
        "SUMMED_FLUX_UPPER_LIMIT_90": flux["upper_limit_90"],
        "SUMMED_FLUX_UPPER_LIMIT_90_ERROR": flux["upper_limit_90_error"],
        "FLUX_CONVENTION": flux["convention"],
        "N_TRIALS_FLUX": flux["n_trials"],
        "SMEAR_DECLINATION_DEG": document["smear_declination_deg"],
        "SEED": answer["seed"],
        "FINGERPRINT": answer["fingerprint"],
        "VERSION": f"nuanalysis {document['version']}",
    }
    return Table(columns, meta=meta)


def _file_names(answers: Sequence[Row]) -> list[str]:
    """A name for the files of each catalogue, no two alike."""
    bare = [f"stack-{slug(Path(answer['catalogue'].partition('?')[0]).stem)}" for answer in answers]
    # The rules of one list or file are told apart by number: they may hold what no file name can.
    return [name if bare.count(name) == 1 else f"{name}-{bare[:k].count(name) + 1}" for k, name in enumerate(bare)]


def write(output: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Write stack.json, and table and figure of each catalogue; returns the document with the names of its files."""
    files = []
    for answer, name in zip(document["catalogues"], _file_names(document["catalogues"]), strict=True):
        figure, sidecar = stack_figure(answer, name=name)
        path = save(figure, output, sidecar, table=source_table(document, answer))
        files.append({"catalogue": answer["catalogue"], "figure": str(path), "table": str(path.with_suffix(".ecsv"))})
    said = {**document, "files": {"document": str(output / "stack.json"), "catalogues": files}}
    store.atomic_write(output / "stack.json", json.dumps(said, indent=2, allow_nan=False).encode())
    return said


# --- in words --------------------------------------------------------------------------------------------------------


def _p_words(p: float | None, error: float | None, sigma: float | None, name: str, reason: str) -> str:
    if p is None:
        return f"{name} p not determined: {reason}"
    return f"{name} p {p:.3g} +- {_number(error, '.1g')} ({_number(sigma, '.2f')} sigma)"


def _term(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"  # no minus before a zero


def _index_words(answer: Row) -> str:
    held = "" if answer["index_free"] else " (held)"
    edge = " (the end of the range)" if answer["index_free"] and answer["index"] in (1.0, 4.0) else ""
    back = answer.get("index_bias")
    words = _number(answer["index"], ".2f") + held + edge
    if back is None or back["shift"] is None:
        return words
    return (
        f"{words} +- {back['spread']:.2f}; injected at {back['injected']:.2g} it comes back "
        f"{back['shift']:+.2f} +- {back['shift_error']:.2f}: corrected {back['corrected']:.2f}"
    )


def _answer_in_words(answer: Row, rows: int) -> list[str]:
    p, flux = answer["p_value"], answer["flux"]
    local = _p_words(p["p"], p["p_error"], p["sigma"], "local", p.get("reason", ""))
    unit, limit = flux["unit"], flux["upper_limit_90"]
    chosen = answer["selection"]
    # The label of a choice says how many sources were chosen of how many, and how.
    named = answer["label"] if chosen else f"{answer['hypothesis']}: {answer['label']}, {answer['n_sources']} sources"
    strongest = sorted(answer["sources"], key=lambda row: -abs(row["ts_term"]))[:rows]
    width = max(len("source"), *(len(row["name"]) for row in strongest))
    head = f"  {'source':<{width}} {'RA':>7} {'dec':>7} {'weight':>7} {'events':>7} {'n_s':>7} {'flux':>9} {'limit':>9}"
    lines = [
        named,
        f"  TS {answer['ts']:.2f}, n_s {answer['n_s']:.1f}, index {_index_words(answer)}"
        + ("" if answer["converged"] else ", the fit did NOT converge"),
        f"  {local}, {p['n_trials']} trials",
        f"  summed flux {_number(flux['best'])} ({_number(flux['low_68'])} to {_number(flux['high_68'])}) {unit}",
        f"  90 % limit on it {_number(limit)} +- {_number(flux['upper_limit_90_error'], '.1g')} {unit}"
        if limit is not None
        else f"  no 90 % limit: {flux['upper_limit_reason']}",
        f"  {flux['convention']}",
        *(f"  note: {note}" for note in (chosen or {}).get("notes", ())),
        head + f" {'TS term':>8}",
    ]
    lines += [
        f"  {row['name']:<{width}} {row['ra_deg']:7.2f} {row['dec_deg']:7.2f} {row['weight']:7.4f} "
        f"{row['share_of_events']:7.4f} {row['n_s']:7.2f} {_number(row['flux'], '.2e'):>9} "
        f"{_number(row['flux_upper_limit_90'], '.2e'):>9} {_term(row['ts_term']):>8}"
        for row in strongest
    ]
    left = answer["n_sources"] - len(strongest)
    if left:
        rest = answer["ts"] - sum(row["ts_term"] for row in strongest)
        lines.append(f"  {left} more sources: TS {_term(rest)} together")
    return [*lines, f"  n_s, flux and limit of a source are {_UNDER}", ""]


def in_words(document: Row, *, rows: int = 10) -> str:
    """Stacked catalogues for a terminal, with the sources of the largest terms; the global p-value comes last."""
    lines = [_first_line(dict(document))]
    for answer in document["catalogues"]:
        lines += _answer_in_words(answer, rows)
    for file in document.get("files", {}).get("catalogues", ()):
        lines += [f"figure: {file['figure']}", f"table: {file['table']}"]
    found = document["global"]
    if found is None:
        return "\n".join([*lines, "one catalogue: no global p-value, its local one stands alone"])
    reason, sigma = found.get("reason", ""), found["sigma_global"]
    said = _p_words(found["p_global"], found["p_global_error"], sigma, "global", reason)
    named = f"best of {len(document['catalogues'])} catalogues: {found['best']}; " if found["best"] else ""
    return "\n".join([*lines, f"{named}{said}, {found['n_trials'] or 0} trials"])
