"""Scans and source lists in the words of the report: hottest spots and sources beside the published ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nuanalysis.interpret.published import CAMPAIGN_2023, PublishedSpot
from nuanalysis.plot import plain
from nuanalysis.publish._campaign import published_list
from nuanalysis.publish._compare import scientific, shown

Row = Mapping[str, Any]
_ABSENT = "–"
_LISTED = 10  # sources with the smallest local p-values


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def local_words(record: Row) -> str:
    """A local p-value with its error; one beyond what the trials reach says so."""
    p, beyond = float(record["p"]), bool(record["extrapolated"])
    return scientific(p, math.nan if beyond else _or_nan(record["p_error"])) + (" (extrapolated)" if beyond else "")


def global_words(record: Row | None) -> str:
    """A global p-value with its error, or its upper bound where no background sky had as much."""
    if record is None:
        return "not asked for"
    if record["upper_bound_90"] is not None:
        return f"< {scientific(float(record['upper_bound_90']))} (90 %)"
    return scientific(float(record["p"]), _or_nan(record["p_error"]))


def _place(ra: float, dec: float, form: str = ".2f") -> str:
    return f"{shown(ra, form)}, {shown(dec, form)}"


def _printed(p: float) -> str:
    """A published p-value, no digit added."""
    return shown(p, ".3g")


def _spot(spot: Row) -> dict[str, Any]:
    return {
        "name": spot["hemisphere"],
        "place": _place(spot["ra_deg"], spot["dec_deg"]),
        "galactic": _place(spot["l_deg"], spot["b_deg"]),
        "n_s": shown(spot["n_s"]),
        "index": shown(_or_nan(spot["index"]), ".2f"),
        "ts": shown(spot["ts"], ".2f"),
        "local": local_words(spot["p_local"]),
        "of_all": global_words(spot["p_global"]),
        "published": False,
    }


def _published_spot(name: str, theirs: PublishedSpot) -> dict[str, Any]:
    return {
        "name": f"{name}, published",
        "place": _place(theirs.ra_deg, theirs.dec_deg, ".1f"),
        "galactic": _ABSENT,
        "n_s": shown(theirs.n_signal),
        "index": shown(theirs.index),
        "ts": _ABSENT,
        "local": _printed(theirs.p_local),
        "of_all": _printed(theirs.p_global),
        "published": True,
    }


def scan_words(record: Row) -> dict[str, Any]:
    """What the report says of one scan; published spots belong to one sample and stand beside that one only."""
    published = CAMPAIGN_2023.hot_spots if record["sample"] == CAMPAIGN_2023.sample else {}
    rows = []
    for spot in record["hottest"]:
        rows.append(_spot(spot))
        if spot["hemisphere"] in published:
            rows.append(_published_spot(spot["hemisphere"], published[spot["hemisphere"]]))
    return {
        **{key: record[key] for key in ("name", "sample", "origin", "n_events", "nside", "pixels", "seed", "n_skies")},
        "local_trials": record["local_trials"],
        "smear": record["smear_declination_deg"],
        "injected": plain(record["injected"]),
        "all_sky": global_words(record["p_global_all_sky"]),
        "rows": rows,
        "published": CAMPAIGN_2023.source if published else "",
        "published_skies": CAMPAIGN_2023.scans,
    }


def _source(row: Row, theirs: PublishedSpot | None) -> dict[str, Any]:
    given = theirs is not None and math.isfinite(theirs.n_signal)
    return {
        "name": plain(row["source"]),
        "place": _place(row["ra_deg"], row["dec_deg"]),
        "n_s": shown(row["n_s"]) + (f" [{shown(theirs.n_signal)}]" if theirs is not None and given else ""),
        "index": shown(_or_nan(row["index"]), ".2f")
        + (f" [{shown(theirs.index)}]" if theirs is not None and math.isfinite(theirs.index) else ""),
        "ts": shown(row["ts"], ".2f"),
        "local": local_words(row["p_local"]),
        "published": _printed(theirs.p_local) if theirs is not None else _ABSENT,
    }


def source_list_words(record: Row) -> dict[str, Any]:
    """What the report says of one list: its best sources, then those below them that were published."""
    published = published_list(record)
    best, population = record["best"], record["population"]
    made = [(k < _LISTED, _source(row, published.get(row["source"]))) for k, row in enumerate(record["sources"])]
    named = [row["source"] in published for row in record["sources"]]
    kept = ("name", "sample", "origin", "n_events", "seed", "n_skies", "n_sources", "local_trials")
    return {
        **{key: record[key] for key in kept},
        "smear": record["smear_declination_deg"],
        "injected": plain(record["injected"]),
        "label": plain(record["label"]),
        "reference": plain(record["reference"]),
        "best": plain(best["source"]),
        "local": local_words(best["p_local"]),
        "of_all": global_words(best["p_global"]),
        "k": population["k"],
        "threshold": scientific(population["p_threshold"]),
        "binomial": scientific(population["p_binomial"]),
        "population": global_words(population["p_global"]),
        "first": [row for first, row in made if first],
        "others": [row for (first, row), known in zip(made, named, strict=True) if known and not first],
        "published": CAMPAIGN_2023.p[f"each:{record['catalogue']}"] if published else None,
        "published_skies": CAMPAIGN_2023.list_skies,
        "source": CAMPAIGN_2023.source,
    }
