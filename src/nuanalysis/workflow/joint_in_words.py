"""Joint fits and comparisons of models in words, for a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _words(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _chance(record: Mapping[str, Any]) -> str:
    """A share of trials in words: with its error, or as the bound that it is."""
    if record["is_upper_bound"]:
        return f"< {record['p']:.2g} (none of {record['n_trials']})"
    sigma = f", {record['sigma']:.2f} sigma" if record.get("sigma") is not None else ""
    return f"{record['p']:.3g} +- {record['p_error']:.1g}{sigma}"


def _head(document: Mapping[str, Any]) -> list[str]:
    origin = "SYNTHETIC events" if document["origin"] == "synthetic" else "real events"
    injected = f", injected: {document['injected']}" if document["injected"] else ""
    return [f"{document['sample']}: {document['n_events']} {origin}{injected}, seed {document['seed']}"]


def joint(document: Mapping[str, Any]) -> str:
    """A joint fit."""
    lines = [*_head(document), f"TS of all together {document['ts']:.2f}, {document['n_trials']} trials of each kind"]
    for row in document["hypotheses"]:
        free = f", index {_words(row['index'])}" if row["index_free"] else ""
        bias = "" if row["bias"] is None else f"; fitted over injected {row['bias']:.3f} +- {row['bias_error']:.3f}"
        lines += [
            f"{row['hypothesis']}",
            f"  n_s {row['n_s']:.1f} +- {_words(row['n_s_error'])}{free}; TS {row['ts']:.2f}, others profiled",
            f"  local p {_chance(row['p_value'])}",
            f"  corrected n_s {row['n_s_corrected']:.1f} +- {row['n_s_corrected_error']:.1f}{bias}",
            f"  flux {_words(row['flux'])} +- {_words(row['flux_error'])} {document['flux_unit']} "
            f"(uncorrected {_words(row['flux_uncorrected'])})",
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
        free = f", index {_words(row['index'])}" if row["index_free"] else ""
        lines.append(
            f"{letter}  {row['hypothesis']}: TS {row['ts']:.2f}, n_s {row['n_s']:.1f}{free}, "
            f"flux {_words(row['flux'])} {document['flux_unit']}"
        )
    power, right = document["power"], document["right_model_has_larger_ts"]
    lines += [
        f"q = TS_B - TS_A = {document['q']:.2f}, {document['n_trials']} experiments of each model",
        f"P(q as large | A)  {_chance(document['p_a'])}",
        f"P(q as small | B)  {_chance(document['p_b'])}",
        f"power at 5 %: B against A {_chance(power['against_a'])}; A against B {_chance(power['against_b'])}",
        f"the right model has the larger TS: of A {_chance(right['a'])}; of B {_chance(right['b'])}",
    ]
    return "\n".join([*lines, *document["notes"]])
