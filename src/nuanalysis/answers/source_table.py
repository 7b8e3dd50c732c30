"""A list of sources fitted one by one, as a table: units in the columns, what local and global mean in the head."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nuanalysis.store.fits import ecsv

Document = Mapping[str, Any]


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


# Column: unit and meaning.  Local p-values are taken from a record of their own.
_COLUMNS: dict[str, tuple[str, str]] = {
    "ra_deg": ("deg", "right ascension, ICRS"),
    "dec_deg": ("deg", "declination, ICRS"),
    "l_deg": ("deg", "Galactic longitude"),
    "b_deg": ("deg", "Galactic latitude"),
    "extension_deg": ("deg", "width of the Gaussian extension; 0 for a point"),
    "n_s": ("", "fitted signal events"),
    "index": ("", "fitted spectral index; NaN where no signal was fitted"),
    "ts": ("", "test statistic"),
}


def _said(chance: Mapping[str, Any] | None) -> str:
    if chance is None:
        return "not asked for"
    error = f" +- {chance['p_error']:.2g}" if chance["p_error"] is not None else ""
    bound = f", below {chance['upper_bound_90']:.2g} with 90 %" if chance["upper_bound_90"] is not None else ""
    return f"{chance['p']:.4g}{error} from {chance['n_skies']} background skies{bound}"


def source_list_table(document: Document, head: Mapping[str, str] | None = None) -> bytes:
    """The sources as ECSV, smallest local p-value first; ``document`` as the workflow's ``sources_record`` gives it."""
    rows = document["sources"]
    columns: dict[str, tuple[Any, str, str]] = {"source": ([row["source"] for row in rows], "", "name")}
    columns |= {
        name: ([_number(row[name]) for row in rows], unit, meaning) for name, (unit, meaning) in _COLUMNS.items()
    }
    local = [row["p_local"] for row in rows]
    what = f"p-value, {local[0]['kind']}"
    columns |= {
        "p_local": ([p["p"] for p in local], "", what),
        "p_local_error": ([_number(p["p_error"]) for p in local], "", "its statistical error; NaN where extrapolated"),
        "sigma_local": ([_number(p["sigma"]) for p in local], "", "the same, one-sided"),
        "extrapolated": ([bool(p["extrapolated"]) for p in local], "", "p_local lies beyond what the trials reach"),
        "converged": ([bool(row["converged"]) for row in rows], "", "the fit converged"),
    }
    best, population = document["best"], document["population"]
    meta = {
        "ORIGIN": document["origin"],
        "SAMPLE": document["sample"],
        "CATALOGUE": document["catalogue"],
        "REFERENCE": document["reference"],
        "SEED": document["seed"],
        "N_SKIES": document["n_skies"],
        "LOCAL_TRIALS": document["local_trials"],
        "SMEAR_DECLINATION_DEG": document["smear_declination_deg"],
        "METHOD": document["method"],
        "BEST": best["source"],
        "P_GLOBAL_OF_BEST": _said(best["p_global"]),
        "POPULATION": f"{population['k']} sources with p_local <= {population['p_threshold']:.4g}; "
        f"{population['kind']}: {population['p_binomial']:.4g}",
        "P_GLOBAL_OF_POPULATION": _said(population["p_global"]),
    }
    return ecsv(columns, {**meta, **(head or {})})
