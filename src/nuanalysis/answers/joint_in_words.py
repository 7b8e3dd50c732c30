"""Joint fits and comparisons of models in words, for a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _words(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "unknown" if value is None else str(value)


def _chance(record: Mapping[str, Any], name: str = "p") -> str:
    """A p-value or a share of trials in words: with its error, or with the bound where no trial was counted."""
    if record[name] is None:
        return f"none: {record['reason']}"
    sigma = f", {record['sigma']:.2f} sigma" if record.get("sigma") is not None else ""
    if record["is_upper_bound"]:
        bound = f"none of {record['n_trials']}, below {record['upper_bound_90']:.2g} with 90 %"
        return f"{record[name]:.2g} ({bound}){sigma}"
    return f"{record[name]:.3g} +- {record[f'{name}_error']:.1g}{sigma}"


def _head(document: Mapping[str, Any]) -> list[str]:
    origin = "SYNTHETIC events" if document["origin"] == "synthetic" else "real events"
    injected = f", injected: {document['injected']}" if document["injected"] else ""
    return [f"{document['sample']}: {document['n_events']} {origin}{injected}, seed {document['seed']}"]


def _fitted(row: Mapping[str, Any]) -> str:
    """n_s, and the index where it is free, with their errors."""
    free = f", index {_words(row['index'])} +- {_words(row['index_error'])}" if row["index_free"] else ""
    return f"n_s {row['n_s']:.1f} +- {_words(row['n_s_error'])}{free}"


def _strength(row: Mapping[str, Any], unit: str) -> list[str]:
    """n_s and flux after the correction, with the errors of the fit and of the correction."""
    number = f"{row['n_s_corrected']:.1f} +- {_words(row['n_s_corrected_error_fit'])}"
    flux = f"{_words(row['flux'])} +- {_words(row['flux_error_fit'])}"
    model = row["in_models"]
    in_models = f" = {_words(model['best'])} +- {_words(model['error_fit'])} x model" if model else ""
    return [
        f"  corrected n_s {number} (correction +- {row['n_s_corrected_error_correction']:.1f})",
        f"  flux {flux} {unit} (correction +- {_words(row['flux_error_correction'])}){in_models}",
        f"    {row['flux_convention']}; {row['flux_held']}; uncorrected {_words(row['flux_uncorrected'])}",
    ]


def _measured(row: Mapping[str, Any]) -> str:
    """What experiments with the fitted signal say."""
    error = f"+- {row['coverage_error']:.2g}, stated 0.683"
    index = "" if row["index_coverage"] is None else f", of the index {row['index_coverage']:.3f}"
    bias = "" if row["bias"] is None else f"; fitted over injected {row['bias']:.3f} +- {row['bias_error']:.3f}"
    return f"  coverage {row['coverage']:.3f}, corrected {row['coverage_corrected']:.3f} ({error}){index}{bias}"


def joint(document: Mapping[str, Any]) -> str:
    """A joint fit."""
    lines = [*_head(document), f"TS of all together {document['ts']:.2f}, {document['n_trials']} trials of each kind"]
    for row in document["hypotheses"]:
        lines.append(row["hypothesis"])
        if row["undetermined"]:
            lines.append(f"  n_s not determined: {row['reason']}")
            continue
        lines += [
            f"  {_fitted(row)}; TS {row['ts']:.2f}, others profiled",
            f"  local p {_chance(row['p_value'])}",
            *_strength(row, document["flux_unit"]),
            _measured(row),
        ]
    found = document["correlation"]
    lines.append("correlation: of the curvature (measured +- error)")
    for name, *columns in zip(
        found["names"], found["curvature"], found["measured"], found["measured_error"], strict=True
    ):
        cells = [f"{c:6.2f} ({m:5.2f} +- {e:4.2f})" for c, m, e in zip(*columns, strict=True)]
        lines.append("  " + "  ".join(cells) + f"  {name}")
    return "\n".join([*lines, *document["notes"]])


def comparison(document: Mapping[str, Any]) -> str:
    """Two models against each other."""
    lines = _head(document)
    for letter, row in zip("AB", document["models"], strict=True):
        lines.append(f"{letter}  {row['hypothesis']}: TS {row['ts']:.2f}, {_fitted(row)}")
        lines += _strength(row, document["flux_unit"])
    power, right, ties = (document[name] for name in ("power", "right_model_has_larger_ts", "ties"))
    lines += [
        f"q = TS_B - TS_A = {document['q']:.2f}, {document['n_trials']} experiments of each model",
        f"P(q as large | A)  {_chance(document['p_a'])}",
        f"P(q as small | B)  {_chance(document['p_b'])}",
        f"power at 5 %: B against A {_chance(power['against_a'], 'share')}; "
        f"A against B {_chance(power['against_b'], 'share')}",
        f"the right model has the larger TS: of A {_chance(right['a'], 'share')}; of B {_chance(right['b'], 'share')}",
        f"both have the same TS: of A {_chance(ties['a'], 'share')}; of B {_chance(ties['b'], 'share')}",
    ]
    return "\n".join([*lines, *document["notes"]])
