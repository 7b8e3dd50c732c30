"""The report: one HTML file that needs nothing else, from results.json and figures/ of a run."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

from nuanalysis.plot import plain
from nuanalysis.publish._campaign import campaign_rows
from nuanalysis.publish._compare import compare, remarks, sources
from nuanalysis.publish._run import Row, Shown, doi_text, load_figures, load_results, recipe, recipe_text
from nuanalysis.publish._sky_report import scan_words, source_list_words
from nuanalysis.store import atomic_write, sha256_file


def _picture(shown: Shown) -> dict[str, Any]:
    """What the template needs of a figure; the size in CSS pixels, so that nothing jumps while it loads."""
    data = shown.path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    section = "sky" if shown.slug.startswith("sky-") else shown.section  # a scan's map stands with its tables
    texts = {"alt": plain(shown.alt), "caption": plain(shown.caption), "origin": shown.origin, "section": section}
    return {**texts, "picture": base64.b64encode(data).decode("ascii"), "width": width // 2, "height": height // 2}


def _compared(row: Row) -> dict[str, Any]:
    said = {**row, "label": plain(row["label"])}
    lines = compare(row)
    told = [plain(text) for text in remarks(row)]
    return {"row": said, "lines": lines, "by": {line.key: line for line in lines}, "remarks": told}


def _sections(figures: list[dict[str, Any]], more: dict[str, bool]) -> list[tuple[str, str]]:
    """Anchor and name of every section there is; more: those that hang on results, not on figures."""
    drawn = {figure["section"] for figure in figures} - more.keys()
    always = {"headline", "samples", "inputs", "provenance"} | {anchor for anchor, there in more.items() if there}
    names = {
        "headline": "Headline numbers", "campaign": "Campaign", "sky": "Sky", "maps": "Sky maps",
        "trials": "Test statistic", "stacking": "Stacking", "samples": "Samples", "other": "Further figures",
        "inputs": "Inputs", "provenance": "Provenance",
    }  # fmt: skip
    return [(anchor, name) for anchor, name in names.items() if anchor in always | drawn]


def _inputs(run: dict[str, Any]) -> list[dict[str, Any]]:
    forbidden = recipe().cite_only
    return [{**item, "cite_only": any(doi in (item["doi"] or "") for doi in forbidden)} for item in run["inputs"]]


def render(run_folder: Path) -> str:
    """The report as text.  Raises StepMissing without results.json, DataError where run files are damaged."""
    from jinja2 import Environment, StrictUndefined

    run = load_results(run_folder)
    figures = [_picture(shown) for shown in load_figures(run_folder)]
    compared = [_compared(row) for row in run["results"]]
    stacks = [one for one in compared if one["row"]["hypothesis"].startswith("stack:")]
    origins = {sample["sample"]: sample["origin"] for sample in run["samples"]}
    rows = campaign_rows(run)
    scans = [scan_words(one) for one in run.get("scans", [])]
    lists = [source_list_words(one) for one in run.get("source_lists", [])]
    there = {"campaign": bool(rows), "sky": bool(scans or lists), "stacking": bool(stacks)}
    drawn = [figure["origin"] != "real" for figure in figures]
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters.update(plain=plain, doi=doi_text)
    return environment.from_string(recipe_text("report.html.j2")).render(
        run={**run, "inputs": _inputs(run)},
        figures=figures,
        compared=compared,
        stacks=stacks,
        campaign=[(row, row.words(), plain(row.note)) for row in rows],
        together=run.get("together", []),
        joint=run.get("joint", []),
        scans=scans,
        lists=lists,
        origins=origins,
        sources=sources(run["results"]),
        sections=_sections(figures, there),
        any_synthetic="synthetic" in origins.values()
        or any(drawn)
        or any(r["origin"] == "synthetic" for r in run["results"]),
        seeds=sorted({row["seed"] for row in run["results"]}),
        results_sha256=sha256_file(run_folder / "results.json"),
    )


def report(run_folder: Path) -> Path:
    """Write ``report/index.html`` of the run and return its path: one file with no outside address at all.

    Shows the figures that lie in ``figures/`` with their sidecars; draw those first.
    """
    path = run_folder / "report" / "index.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, render(run_folder).encode("utf-8"))
    return path
