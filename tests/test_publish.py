"""What leaves the house: the report, the release, and its verification."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import healpy as hp
import jsonschema
import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.table import Table
from nuanalysis.publish._run import recipe_text
from numpy.typing import NDArray
from scipy.stats import norm

from nuanalysis import plot, publish
from nuanalysis.cli import release as verbs
from nuanalysis.errors import DataError, InputError, StepMissing
from nuanalysis.interpret.published import PUBLISHED
from nuanalysis.plot import plain
from nuanalysis.publish import _compare
from nuanalysis.publish._manifest import release_files, write_sums
from nuanalysis.schema import EVENTS, RESPONSE, TRIALS, dataset
from nuanalysis.store import read_zip, write_zip

PUBLISHED_MAP = b"stands for the published pi0 map"
SCIENCE_DOI = "10.21234/8v5d-rn16"


def _events(rng: np.random.Generator, sample: str, origin: str, number: int) -> xr.Dataset:
    values = {
        "mjd": np.sort(rng.uniform(55700.0, 56000.0, number)),
        "right_ascension": rng.uniform(0.0, 2 * np.pi, number),
        "declination": np.arcsin(rng.uniform(-1.0, 1.0, number)),
        "log10_energy": rng.uniform(2.7, 5.0, number),
        "angular_error": rng.uniform(0.1, 0.4, number),
    }
    if origin == "synthetic":
        values["component"] = rng.integers(0, 4, number)
    reference = "see https://doi.org/10.1126/science.adc9818"
    return dataset(EVENTS, values, {"sample": sample, "origin": origin, "livetime_s": 3.04e8, "reference": reference})


def _response(name: str) -> xr.Dataset:
    values = {
        "effective_area": np.geomspace(1.0, 1e6, 12).reshape(3, 4),
        "sin_dec_edges": np.linspace(-1.0, 1.0, 4),
        "log10_true_edges": np.linspace(2.0, 7.0, 5),
        "migration": np.full((1, 2, 2), 0.5),
        "band_sin_dec_edges": np.array([-1.0, 1.0]),
        "migration_true_edges": np.array([2.0, 4.0, 7.0]),
        "migration_reco_edges": np.array([2.0, 4.0, 7.0]),
        "psf_log10_true": np.array([3.0, 4.0, 5.0]),
        "psf_narrow_fraction": np.full((1, 3), 0.4),
        "psf_kappa_narrow": np.full((1, 3), 100.0),
        "psf_kappa_broad": np.full((1, 3), 10.0),
    }
    return dataset(RESPONSE, values, {"name": name, "reference": "IceCube 2023", "flavours": "nue numu nutau"})


def _trials(rng: np.random.Generator, number: int) -> xr.Dataset:
    """Half a delta at zero and half a chi-square, drawn from a tilted ensemble so that the weights matter."""
    tilt = 0.5  # exponential tilt exp(tilt ts / 2) of the chi-square part
    positive = rng.random(number) < 1.0 / (1.0 + np.sqrt(1.0 - tilt))
    ts = np.where(positive, rng.chisquare(1, number) / (1.0 - tilt), 0.0)
    total = 0.5 + 0.5 / np.sqrt(1.0 - tilt)
    values = {
        "ts": ts,
        "n_signal": 50.0 * np.sqrt(ts),
        "index": np.full(number, 2.7),
        "log_weight": np.log(total) - 0.5 * tilt * ts,
        "converged": np.ones(number),
    }
    return dataset(TRIALS, values, {"fingerprint": "0" * 64, "seed": 1, "kind": "background"})


def galactic_map(nside: int, width_deg: float) -> NDArray[np.float64]:
    """A plane brighter towards the centre, RING in ICRS, mean of zero outside the plane."""
    theta, phi = hp.Rotator(coord=["C", "G"])(*hp.pix2ang(nside, np.arange(hp.nside2npix(nside))))
    latitude, longitude = 90.0 - np.degrees(theta), (np.degrees(phi) + 180.0) % 360.0 - 180.0
    return np.asarray(np.exp(-0.5 * (latitude / width_deg) ** 2) * np.exp(-np.abs(longitude) / 70.0))


def _map(nside: int, ts: float, model_origin: str, origin: str) -> xr.Dataset:
    density = galactic_map(nside, 9.0)
    density = density - 0.6 * density.mean()
    signal = galactic_map(nside, 7.0)
    per_sr = {"units": "sr-1"}
    return xr.Dataset(
        {
            "ts_density": (
                "pixel",
                ts * density / density.mean() / (4 * np.pi),
                {**per_sr, "description": "contribution to TS"},
            ),
            "signal_density": (
                "pixel",
                signal / signal.mean() / (4 * np.pi),
                {**per_sr, "description": "template, as detected"},
            ),
        },
        attrs={"nside": nside, "frame": "icrs", "origin": origin, "model_origin": model_origin},
    )


def _result(
    sample: str, origin: str, hypothesis: str, label: str, model_origin: str, ts: float, n: float, best: float
) -> dict[str, Any]:
    free = hypothesis.startswith("stack:")
    return {
        "sample": sample,
        "origin": origin,
        "hypothesis": hypothesis,
        "label": label,
        "model_origin": model_origin,
        "fit": {"ts": ts, "n_signal": n, "index": 2.9 if free else 2.7, "index_free": free, "converged": True},
        "p_value": {
            "p": float(0.5 * np.exp(-ts / 2)),
            "p_error": float(0.03 * np.exp(-ts / 2)),
            "sigma": float(np.sqrt(ts)),
            "sigma_error": 0.02,
            "n_trials": 4000,
            "ess": 1800.0,
            "kind": "local",
            "method": "tilted scrambles",
        },
        "flux": {
            "best": best,
            "low_68": 0.78 * best,
            "high_68": 1.25 * best + (2e-12 if best == 0.0 else 0.0),
            "upper_limit_90": 1.4 * best + 9e-12,
            "unit": "TeV cm^-2 s^-1",
            "convention": "E^2 dN/dE at 100 TeV, per flavour, nu + nubar, whole sky",
        },
        "sensitivity": {"n_signal": 180.0, "flux": 5.9e-12, "flux_error": 1e-13, "n_trials": 2000},
        "discovery_potential_5sigma": {"n_signal": 700.0, "flux": 2.3e-11, "flux_error": 5e-13, "n_trials": 2000},
        "expected_per_flux": {"flux": 1e-11, "n": 309.6},
        "scan": {"n_signal": [0.0, n, 2 * n + 1.0], "ts": [0.0, ts, ts - 9.0]},
        "seed": 7,
        "notes": ["derived IC86-II tables stand in"] if origin == "real" else [],
    }


def _inputs() -> list[dict[str, Any]]:
    return [
        {
            "name": "cascades_2023",
            "title": "Observation of high-energy neutrinos from the Galactic plane: data release",
            "doi": SCIENCE_DOI,
            "doi_confirmed": True,
            "licence": "public release; licence line not yet checked",
            "citation": "IceCube Collaboration, Science 380, 1338 (2023), https://doi.org/10.1126/science.adc9818",
            "files": [{"path": "MainResult/pi0.npy", "sha256": hashlib.sha256(PUBLISHED_MAP).hexdigest()}],
        },
        {
            "name": "tracks_3yr",
            "title": "3-year point-source release",
            "doi": "10.21234/B4F04V",
            "doi_confirmed": False,
            "licence": "not stated; season re-released CC0",
            "citation": "IceCube Collaboration, ApJ 779, 132",
            "files": [],
        },
    ]


RESULTS = (
    ("cascades-2023", "synthetic", "template:pi0", "Galactic π⁰ template", "published", 22.9, 741.0, 2.2e-11),
    ("cascades-2023", "synthetic", "stack:snr", "Supernova remnants", "built-in", 9.1, 201.0, 6.0e-12),
    ("cascades-2023", "synthetic", "stack:pwn", "Pulsar wind nebulae", "built-in", 11.3, 255.0, 4.1e-12),
    ("cascades-2023", "synthetic", "stack:unid", "Unidentified sources", "built-in", 12.6, 248.0, 4.9e-12),
    ("tracks", "real", "template:pi0", "Galactic π⁰ template", "published", 0.4, 61.0, 9.0e-12),
    ("tracks", "real", "stack:snr", "Supernova remnants", "built-in", 0.0, 0.0, 0.0),
)


SEASONS = (
    ("cascades-2023", "IC86", 60000, 3519.06),
    ("tracks", "IC40", 36900, 376.36),
    ("tracks", "IC79", 93133, 316.05),
    ("tracks", "IC86-2011", 138322, 332.96),
)
CUTS = (("all events", 1.0), ("good runs", 0.97), ("quality", 0.8), ("declination and energy", 0.71))


def _cut_flow() -> list[dict[str, Any]]:
    return [
        {
            "sample": sample,
            "season": season,
            "cut": cut,
            "events": int(total * kept),
            "rate_hz": total * kept / (86400 * days),
            "exposure_d": days,
        }
        for sample, season, total, days in SEASONS
        for cut, kept in CUTS
    ]


def _samples(events: int) -> list[dict[str, Any]]:
    return [
        {
            "sample": "cascades-2023",
            "origin": "synthetic",
            "label": "Synthetic twin of the 2023 cascades",
            "n_events": events,
            "livetime_s": 304047105.07,
            "reference": SCIENCE_DOI,
            "note": "π⁰ signal injected at 2.18e-11",
            "seasons": ["IC86"],
        },
        {
            "sample": "tracks",
            "origin": "real",
            "label": "Three real track seasons",
            "n_events": events,
            "livetime_s": 8.86e7,
            "reference": "https://doi.org/10.7910/DVN/VKL316",
            "note": "",
            "seasons": ["IC40", "IC79", "IC86-2011"],
        },
    ]


def make_run(
    folder: Path, *, nside: int = 8, events: int = 200, trials: int = 500, results: tuple[Any, ...] = RESULTS
) -> Path:
    """Write a small run folder that keeps the contract of architecture.md section 4."""
    rng = np.random.default_rng(2023)
    products = folder / "products"
    products.mkdir(parents=True)
    (folder / "spec.toml").write_text('name = "default"\nseed = 7\n')
    write_zip(products / "events-cascades-2023.zip", _events(rng, "cascades-2023", "synthetic", events))
    write_zip(products / "events-tracks.zip", _events(rng, "tracks", "real", events))
    write_zip(products / "response-cascades-2023.zip", _response("cascades-2023"))
    for sample, origin, hypothesis, _, model_origin, ts, _, _ in results:
        name = f"{sample}-{plot.slug(hypothesis)}.zip"
        write_zip(products / f"trials-{name}", _trials(rng, trials))
        write_zip(products / f"map-{name}", _map(nside, ts, model_origin, origin))
    document = {
        "schema_version": "1",
        "name": "default",
        "created": "2026-01-02T03:04:05Z",
        "spec_fingerprint": "ab" * 32,
        "versions": {"nuanalysis": "0.1.0", "python": "3.11.9", "numpy": "2.4.6"},
        "inputs": _inputs(),
        "samples": _samples(events),
        "cut_flow": _cut_flow(),
        "results": [_result(*row) for row in results],
    }
    (folder / "results.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its figures, report and release; tests that spoil anything copy it first."""
    run = make_run(tmp_path_factory.mktemp("runs") / "default")
    plot.standard_figures(run, PUBLISHED)
    publish.report(run)
    publish.build(run, "DR0.1")
    return run


@pytest.fixture
def spoilt(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be spoilt."""
    return Path(shutil.copytree(finished, tmp_path / "default"))


def release_of(run: Path) -> Path:
    return run / "release" / "nuanalysis-default-DR0.1"


class _Page(HTMLParser):
    """What a reader's program would see: pictures, anything it would fetch, headings, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[dict[str, str]] = []
        self.fetched: list[str] = []
        self.text = ""
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag == "img":
            self.pictures.append(found)
        named = [found[key] for key in ("src", "href", "srcset", "data", "action", "poster") if key in found]
        self.fetched += [address for address in named if not address.startswith(("#", "data:"))]

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


# ------------------------------------------------------------------------------------------------ results.json


def test_the_schema_is_one_and_accepts_what_the_contract_says(finished: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(publish.results_schema())
    document = publish.load_results(finished)
    assert document["results"][0]["fit"]["n_signal"] == 741.0


def _together() -> dict[str, Any]:
    return {
        "name": "stacks", "sample": "cascades-2023", "origin": "synthetic", "seed": 7, "precision": 0.05,
        "hypotheses": ["stack:snr", "stack:pwn"], "n_hypotheses": 2, "smear_declination_deg": 3.0, "n_trials": 4000,
        "best": "stack:pwn", "p_local": 3e-4, "p_local_error": 1e-5, "p_global": 5e-4, "p_global_error": 2e-5,
        "sigma_global": 3.29, "sigma_global_error": 0.01, "trials_factor": 1.67, "kind": "global: of two", "local": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [("p_global", 1.2), ("p_global_error", -1.0), ("n_hypotheses", 1), ("kind", "local"), ("best", 3), ("seed", None)],
)
def test_a_comparison_with_an_impossible_number_breaks_the_schema(key: str, value: object, finished: Path) -> None:
    document = publish.load_results(finished) | {"together": [_together()]}
    assert publish.check_results(document, source="results.json")
    with pytest.raises(DataError, match=f"together/0/{key}"):
        publish.check_results(document | {"together": [_together() | {key: value}]}, source="results.json")


def test_without_comparisons_there_is_no_campaign_anywhere(finished: Path) -> None:
    assert "Campaign" not in (finished / "report" / "index.html").read_text()
    assert publish.campaign_table(publish.load_results(finished)) == b""
    assert not [name for name in release_files(release_of(finished)) if "campaign" in name]


def test_a_comparison_that_failed_says_why_instead_of_a_number(spoilt: Path) -> None:
    document = publish.load_results(spoilt)
    failed = dict.fromkeys(("best", "p_local", "p_local_error", "p_global", "p_global_error", "trials_factor"))
    document["together"] = [_together() | failed | {"reason": "too few <trials> at //x.org"}]
    (spoilt / "results.json").write_text(json.dumps(document))
    publish.report(spoilt)
    page = page_of(spoilt / "report" / "index.html")
    assert "No global p-value: too few <trials>" in page.text
    assert page.fetched == []
    [row] = [r for r in publish.campaign_rows(document) if r.kind == "global" and r.quantity.startswith("stacks")]
    assert np.isnan(row.ours)
    assert "declinations smeared by 3 deg" in row.quantity
    assert row.note.startswith("too few")


def test_the_campaign_table_shows_published_rows_of_their_own_sample_only(spoilt: Path) -> None:
    document = publish.load_results(spoilt) | {"together": [_together()]}
    rows = publish.campaign_rows(document)
    assert sum(row.quantity.startswith("template:pi0: local") for row in rows) == 1
    assert {row.origin for row in rows if row.origin} == {"synthetic"}
    assert np.isnan(rows[-1].core_hours)
    assert "not measured" in rows[-1].note


def test_data_release_points_to_the_files_of_the_package() -> None:
    folder = Path(__file__).parent.parent / "data_release"
    for name in ("release.toml", "results.schema.json", "CHANGES.md"):
        assert (folder / name).read_text(encoding="utf-8") == recipe_text(name)


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (("results", 0, "fit", "ts"), -1.0, "results/0/fit/ts"),
        (("results", 1, "flux", "unit"), "GeV", "results/1/flux/unit"),
        (("samples", 0, "origin"), "simulated", "samples/0/origin"),
        (("spec_fingerprint",), "abc", "spec_fingerprint"),
        (("created",), "yesterday", "created"),
        (("schema_version",), "2", "schema_version"),
    ],
)
def test_results_against_the_schema_are_refused_by_name(
    spoilt: Path, path: tuple[Any, ...], value: Any, word: str
) -> None:
    document = json.loads((spoilt / "results.json").read_text())
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    (spoilt / "results.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=word):
        publish.report(spoilt)


def test_all_faults_come_at_once() -> None:
    with pytest.raises(DataError) as refused:
        publish.check_results({"schema_version": "2", "name": "x"}, source="here")
    assert "spec_fingerprint" in str(refused.value)
    assert "schema_version" in str(refused.value)


def test_results_that_are_missing_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(StepMissing, match="nuanalysis run"):
        publish.report(tmp_path)
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(DataError, match="no JSON"):
        publish.report(tmp_path)


# ---------------------------------------------------------------------------------------------------- report


def test_the_report_needs_nothing_from_outside(finished: Path) -> None:
    path = finished / "report" / "index.html"
    page = page_of(path)
    assert page.fetched == []
    bare = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", path.read_text(encoding="utf-8"))
    assert not re.search(r"https?:|//\w|@import|url\(", bare)
    assert "doi:10.1126/science.adc9818" in bare


def test_every_picture_of_the_report_has_an_alt_text_and_a_caption(finished: Path) -> None:
    page = page_of(finished / "report" / "index.html")
    assert len(page.pictures) == len(list((finished / "figures").glob("*.png"))) > 10
    assert all(len(picture["alt"]) > 30 for picture in page.pictures)
    assert page.counts["figcaption"] == len(page.pictures)
    assert page.counts["h1"] == 1
    assert page.counts["caption"] == page.counts["table"]


def test_the_report_says_what_is_synthetic_local_and_published(finished: Path) -> None:
    text = page_of(finished / "report" / "index.html").text
    for words in ("SYNTHETIC", "REAL", "by construction", "local", "748.0", "4.71σ", "5.98", "21.8", "218.6", "3.40σ"):
        assert words in text, words
    for words in ("10.21234/B4F04V (unconfirmed)", "abab", "MANIFEST.sha256", "derived IC86-II tables stand in"):
        assert words in text, words


def test_a_run_without_results_or_figures_still_has_a_report(tmp_path: Path) -> None:
    run = make_run(tmp_path / "default")
    document = json.loads((run / "results.json").read_text())
    document |= {"results": [], "cut_flow": [], "inputs": []}
    (run / "results.json").write_text(json.dumps(document))
    assert "holds no results" in page_of(publish.report(run)).text
    assert publish.verify(publish.build(run)).ok


def test_text_from_a_run_cannot_become_markup(spoilt: Path) -> None:
    document = json.loads((spoilt / "results.json").read_text())
    document["samples"][0]["note"] = "<script src=http://evil.example/x.js></script>"
    (spoilt / "results.json").write_text(json.dumps(document))
    page = page_of(publish.report(spoilt))
    assert "script" not in page.counts
    assert page.fetched == []
    assert "<script src=evil.example/x.js>" in page.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("see https://doi.org/10.1/x", "see doi:10.1/x"),
        ("http://dx.doi.org/10.1/x", "doi:10.1/x"),
        ("at https://icecube.wisc.edu/a, ftp://b.org", "at icecube.wisc.edu/a, b.org"),
        ("//cdn.example/x", "cdn.example/x"),
        ("1 / 2, a//, TeV/(cm2 s)", "1 / 2, a//, TeV/(cm2 s)"),
    ],
)
def test_addresses_become_text(text: str, said: str) -> None:
    assert plain(text) == said


def test_a_figure_without_its_picture_is_refused_and_one_without_sidecar_left_out(spoilt: Path) -> None:
    (spoilt / "figures" / "half-written.png").write_bytes(b"x")
    publish.report(spoilt)
    (spoilt / "figures" / "no-picture.json").write_text(
        json.dumps({"slug": "a", "alt": "b", "caption": "c", "origin": "real", "section": "other"})
    )
    with pytest.raises(DataError, match="no-picture"):
        publish.report(spoilt)


def test_figures_of_results_that_are_gone_go_too(spoilt: Path) -> None:
    own = plot.Sidecar("of-a-notebook", "alt", "caption", "real")
    plot.save(plot.likelihood_scan(np.arange(3.0), np.arange(3.0), label="x", origin="real"), spoilt / "figures", own)
    document = json.loads((spoilt / "results.json").read_text())
    document["results"] = document["results"][-1:]
    (spoilt / "results.json").write_text(json.dumps(document))
    drawn = plot.standard_figures(spoilt, PUBLISHED)
    assert {path.stem for path in (spoilt / "figures").glob("*.png")} == {"of-a-notebook", *(p.stem for p in drawn)}
    assert not list((spoilt / "figures").glob("ts-cascades*"))


# -------------------------------------------------------------------------------------- ours beside theirs


def line(lines: tuple[_compare.Line, ...], quantity: str) -> _compare.Line:
    return next(one for one in lines if one.quantity.startswith(quantity))


def test_differences_by_hand() -> None:
    row = _result(*RESULTS[0])
    row["flux"] |= {"best": 31.8e-12, "low_68": 25.8e-12, "high_68": 40e-12}
    lines = _compare.compare(row)
    # (31.8 - 21.8) / sqrt(6.0^2 + 5.3^2) = 1.249
    assert line(lines, "best-fit flux").difference == "+1.2σ"
    assert line(lines, "signal events").difference == "−0.9 %"  # 741 / 748
    assert line(lines, "sensitivity").difference == "−1.3 %"  # 5.90 / 5.98
    assert line(lines, "local significance").difference == "+0.1σ"  # sqrt(22.9) - 4.71 = 0.075
    assert line(lines, "best-fit flux").published == "21.8\u00a0+5.3 −4.9"


def test_numbers_of_one_sample_are_not_set_beside_another() -> None:
    lines = _compare.compare(_result(*RESULTS[4]))
    assert line(lines, "signal events").published == "–"
    assert line(lines, "local significance").published == "–"
    assert line(lines, "best-fit flux").published.startswith("21.8")
    assert line(lines, "90 % upper limit").difference == "below the published"


def test_unconfirmed_units_are_quoted_but_not_compared() -> None:
    flux = line(_compare.compare(_result(*RESULTS[1])), "best-fit flux")
    assert "unconfirmed" in flux.published
    assert flux.difference == "–"


def test_the_bias_corrected_number_stands_beside_the_published_one() -> None:
    row = _result(*RESULTS[0])
    row["flux"]["n_signal_corrected"] = 671.1
    found = line(_compare.compare(row), "n_s, bias corrected")
    assert (found.ours, found.published, found.difference) == ("671.1", "671.1", "+0.0 %")


def test_a_number_that_is_not_there_has_its_reason(spoilt: Path) -> None:
    document = json.loads((spoilt / "results.json").read_text())
    row = document["results"][0]
    row["p_value"] |= dict.fromkeys(("p", "p_error", "sigma", "sigma_error", "ess")) | {"reason": "too few trials"}
    row["flux"] |= {"low_68": None, "high_68": None, "upper_limit_90": None, "interval_reason": "range too short"}
    row["sensitivity"] |= {"n_signal": None, "flux": None, "flux_error": None, "reason": "not reached"}
    (spoilt / "results.json").write_text(json.dumps(document))
    text = page_of(publish.report(spoilt)).text
    for words in ("No p-value: too few trials", "No 68 % interval: range too short", "No sensitivity: not reached"):
        assert words in text
    plot.standard_figures(spoilt, PUBLISHED)
    page = page_of(publish.report(spoilt))
    assert not [words for words in (page.text, *(p["alt"] for p in page.pictures)) if re.search(r"\bnan\b", words)]
    assert publish.verify(publish.build(spoilt)).ok


def test_an_index_without_signal_is_not_shown() -> None:
    assert line(_compare.compare(_result(*RESULTS[5])), "spectral index").ours == "–"


@pytest.mark.parametrize(
    ("value", "words"),
    [(1.26e-6, "1.26 ×\u00a010⁻⁶"), (0.409, "0.409"), (0.0, "0"), (float("nan"), "–"), (5.9e-4, "5.90 ×\u00a010⁻⁴")],
)
def test_scientific(value: float, words: str) -> None:
    assert _compare.scientific(value) == words


def test_published_numbers_are_consistent_in_themselves() -> None:
    for one in PUBLISHED.values():
        assert norm.isf(one.p) == pytest.approx(one.sigma, abs=0.01)


# --------------------------------------------------------------------------------------------------- release


def test_two_builds_are_byte_identical(finished: Path, spoilt: Path) -> None:
    first = {name: (release_of(finished) / name).read_bytes() for name in release_files(release_of(finished))}
    publish.build(spoilt, "DR0.1")
    second = {name: (release_of(spoilt) / name).read_bytes() for name in release_files(release_of(spoilt))}
    assert [name for name in first if first[name] != second.get(name)] == []
    assert first.keys() == second.keys()
    assert publish.verify(release_of(finished)).digest == publish.verify(release_of(spoilt)).digest


def test_the_release_holds_every_product(finished: Path) -> None:
    names = set(release_files(release_of(finished)))
    for name in (
        "README.md", "LICENSE", "CITATION.cff", "CHANGES.md", "citations.ecsv", "citations.bib", "environment.json",
        "results.json", "results.schema.json", "spec.toml", "manifest.json", "fits/fits.ecsv", "fits/fits.json",
        "cut-flow/cut-flow.ecsv", "report/index.html", "events/events-tracks.fits", "events/events-tracks.ecsv.gz",
        "events/events-cascades-2023-synthetic.zarr.zip", "response/response-cascades-2023.fits",
        "maps/map-cascades-2023-template-pi0-synthetic.fits", "trials/trials-tracks-template-pi0.zarr.zip",
    ):  # fmt: skip
        assert name in names, name


def test_events_read_back_from_fits_with_units(finished: Path) -> None:
    written = read_zip(finished / "products" / "events-cascades-2023.zip")
    path = release_of(finished) / "events" / "events-cascades-2023-synthetic.fits"
    with fits.open(path, checksum=True) as opened:
        header, columns = opened["EVENTS"].header, opened["EVENTS"].columns
        assert opened[0].header["ORIGIN"] == header["ORIGIN"] == "synthetic"
        assert [columns[name].unit for name in ("RA", "DEC", "ENERGY", "MJD", "TIME")] == [
            "deg",
            "deg",
            "TeV",
            "d",
            "s",
        ]
        place = 1 + columns.names.index("RA")
        assert header[f"TUCD{place}"] == "pos.eq.ra"
        assert "ICRS" in header.comments[f"TTYPE{place}"]
        assert header["RADESYS"] == "ICRS"
    table = Table.read(path, hdu="EVENTS")
    np.testing.assert_allclose(np.radians(table["RA"]), written["right_ascension"], rtol=1e-14)
    np.testing.assert_allclose(np.log10(table["ENERGY"]) + 3, written["log10_energy"], rtol=1e-14)
    np.testing.assert_array_equal(table["MJD"], written["mjd"])
    np.testing.assert_array_equal(table["COMPONENT"], written["component"])
    np.testing.assert_allclose(table["TIME"] / 86400 + header["MJDREFI"], written["mjd"], rtol=1e-12)


def test_events_are_the_same_in_all_three_formats(finished: Path) -> None:
    folder = release_of(finished) / "events"
    binary = Table.read(folder / "events-tracks.fits", hdu="EVENTS")
    text = Table.read(folder / "events-tracks.ecsv.gz", format="ascii.ecsv")
    assert text.colnames == binary.colnames
    assert str(text["RA"].unit) == "deg"
    assert text.meta["ORIGIN"] == "real"
    for name in binary.colnames:
        np.testing.assert_array_equal(text[name], binary[name])
    xr.testing.assert_identical(
        read_zip(folder / "events-tracks.zarr.zip"), read_zip(finished / "products" / "events-tracks.zip")
    )


def test_the_response_reads_back(finished: Path) -> None:
    written = read_zip(finished / "products" / "response-cascades-2023.zip")
    path = release_of(finished) / "response" / "response-cascades-2023.fits"
    area = Table.read(path, hdu="EFFECTIVE AREA")
    np.testing.assert_array_equal(area["EFFAREA"], written["effective_area"])
    assert str(area["EFFAREA"].unit) == "cm2"
    np.testing.assert_allclose(area["ENERG_HI"][0], 10.0 ** (written["log10_true_edges"].values[1:] - 3))
    np.testing.assert_array_equal(Table.read(path, hdu="ENERGY DISPERSION")["MATRIX"], written["migration"])
    np.testing.assert_array_equal(Table.read(path, hdu="POINT SPREAD")["KAPPA_N"], written["psf_kappa_narrow"])


def test_maps_are_healpix_for_everybody(finished: Path) -> None:
    path = release_of(finished) / "maps" / "map-tracks-template-pi0.fits"
    values, header = hp.read_map(path, h=True, dtype=np.float64)
    written = read_zip(finished / "products" / "map-tracks-template-pi0.zip")
    np.testing.assert_array_equal(values, written["ts_density"])
    said = dict(header)
    assert (said["ORDERING"], said["COORDSYS"], said["NSIDE"], said["TUNIT1"]) == ("RING", "C", 8, "sr-1")


def test_trials_and_fits_read_back(finished: Path) -> None:
    release = release_of(finished)
    trials = Table.read(release / "trials" / "trials-cascades-2023-template-pi0-synthetic.fits", hdu="TRIALS")
    written = read_zip(finished / "products" / "trials-cascades-2023-template-pi0.zip")
    np.testing.assert_array_equal(trials["LOG_WEIGHT"], written["log_weight"])
    rows = Table.read(release / "fits" / "fits.ecsv", format="ascii.ecsv")
    assert list(rows["origin"]) == [row[1] for row in RESULTS]
    assert str(rows["flux_upper_limit_90"].unit) == "TeV / (s cm2)"
    assert rows["n_signal"][0] == 741.0
    assert json.loads((release / "fits" / "fits.json").read_text())["results"][0]["seed"] == 7


def test_a_published_template_is_not_passed_on(finished: Path) -> None:
    folder = release_of(finished) / "maps"
    for ending in (".fits", ".zarr.zip"):
        name = "map-cascades-2023-template-pi0-synthetic" + ending
        path = folder / name
        columns = Table.read(path, hdu=1).colnames if ending == ".fits" else list(read_zip(path).data_vars)
        assert [column.lower() for column in columns] == ["ts_density"]
    own = read_zip(folder / "map-cascades-2023-stack-snr-synthetic.zarr.zip")
    assert set(own.data_vars) == {"ts_density", "signal_density"}


def test_a_map_that_does_not_say_where_it_is_from_is_taken_for_published(spoilt: Path) -> None:
    path = spoilt / "products" / "map-cascades-2023-stack-snr.zip"
    sky = read_zip(path)
    del sky.attrs["model_origin"]
    write_zip(path, sky)
    publish.build(spoilt, "DR0.1")
    released = read_zip(release_of(spoilt) / "maps" / "map-cascades-2023-stack-snr-synthetic.zarr.zip")
    assert "signal_density" not in released


def test_a_file_that_may_only_be_cited_stops_the_build(spoilt: Path) -> None:
    before = release_files(release_of(spoilt))
    (spoilt / "notebooks").mkdir()
    (spoilt / "notebooks" / "03.ipynb").write_bytes(PUBLISHED_MAP)
    with pytest.raises(DataError, match=r"notebooks/03.ipynb is cascades_2023/MainResult/pi0.npy"):
        publish.build(spoilt, "DR0.1")
    assert release_files(release_of(spoilt)) == before
    assert [path.name for path in (spoilt / "release").iterdir()] == ["nuanalysis-default-DR0.1"]


def test_everything_synthetic_says_so(finished: Path) -> None:
    release = release_of(finished)
    listed = {item["path"]: item["origin"] for item in json.loads((release / "manifest.json").read_text())["files"]}
    for path in release.rglob("*.fits"):
        name = path.relative_to(release).as_posix()
        with fits.open(path) as opened:
            origins = {hdu.header["ORIGIN"] for hdu in opened}
        assert origins == {listed[name]}
        assert ("synthetic" in path.name) == (origins == {"synthetic"})
    assert listed["figures/fluxes-real-and-synthetic.png"] == "mixed"
    assert "SYNTHETIC" in (release / "README.md").read_text()


def test_a_product_against_its_schema_stops_the_build(spoilt: Path) -> None:
    path = spoilt / "products" / "events-tracks.zip"
    events = read_zip(path)
    events["declination"][3] = np.nan
    write_zip(path, events)
    with pytest.raises(DataError, match="declination"):
        publish.build(spoilt, "DR0.2")
    assert not (spoilt / "release" / "nuanalysis-default-DR0.2").exists()


def test_a_damaged_product_stops_the_build(spoilt: Path) -> None:
    path = spoilt / "products" / "trials-tracks-template-pi0.zip"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="trials-tracks-template-pi0"):
        publish.build(spoilt, "DR0.2")


@pytest.mark.parametrize("version", ["1.0", "DR1", "DR01.0", "DR0.1/../../x", "dr0.1"])
def test_a_version_of_another_form_is_refused(finished: Path, version: str) -> None:
    with pytest.raises(InputError, match=r"DRn\.m"):
        publish.build(finished, version)


def test_what_a_killed_build_left_is_cleared_away(spoilt: Path) -> None:
    left = spoilt / "release" / ".nuanalysis-default-DR0.1.building"
    left.mkdir()
    (left / "half").write_text("x")
    publish.build(spoilt, "DR0.1")
    assert [path.name for path in (spoilt / "release").iterdir()] == ["nuanalysis-default-DR0.1"]
    assert publish.verify(release_of(spoilt)).ok


def test_citation_file_is_yaml_and_names_no_unconfirmed_doi(finished: Path) -> None:
    yaml = pytest.importorskip("yaml")
    read = yaml.safe_load((release_of(finished) / "CITATION.cff").read_text())
    assert read["cff-version"] == "1.2.0"
    assert {reference["type"] for reference in read["references"]} == {"data"}  # 'dataset' is no type of a reference
    assert [reference.get("doi") for reference in read["references"]] == [SCIENCE_DOI, None]
    assert "unconfirmed" in read["references"][1]["notes"]
    assert "not stated" in (release_of(finished) / "LICENSE").read_text()


# ------------------------------------------------------------------------------------------------------ verify


def test_sha256sum_agrees_with_our_manifest(finished: Path) -> None:
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("no sha256sum on this machine")
    checked = subprocess.run([program, "-c", "--quiet", "MANIFEST.sha256"], cwd=release_of(finished), check=False)
    assert checked.returncode == 0


def test_a_flipped_byte_is_found_and_named(spoilt: Path) -> None:
    path = release_of(spoilt) / "events" / "events-tracks.fits"
    data = bytearray(path.read_bytes())
    data[-3000] ^= 1
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(data)
    checked = publish.verify(release_of(spoilt))
    assert not checked.ok
    assert (checked.first_bad, checked.expected) == ("events/events-tracks.fits", expected)
    assert checked.found == hashlib.sha256(data).hexdigest()
    assert expected in checked.message()


def test_missing_and_unexpected_files_are_named(spoilt: Path) -> None:
    (release_of(spoilt) / "README.md").unlink()
    (release_of(spoilt) / "events" / "extra.fits").write_text("x")
    checked = publish.verify(release_of(spoilt))
    assert (checked.changed, checked.missing, checked.unexpected) == ((), ("README.md",), ("events/extra.fits",))


@pytest.mark.parametrize("text", ["", "no manifest\n", "0" * 64 + "  ../outside\n", "0" * 64 + "  /etc/hosts\n"])
def test_a_manifest_that_is_none_is_refused(spoilt: Path, text: str) -> None:
    (release_of(spoilt) / "MANIFEST.sha256").write_text(text)
    with pytest.raises(DataError, match=r"MANIFEST\.sha256"):
        publish.verify(release_of(spoilt))


def test_two_manifests_that_disagree_are_refused(spoilt: Path) -> None:
    release = release_of(spoilt)
    index = json.loads((release / "manifest.json").read_text())
    index["files"] = index["files"][1:]
    (release / "manifest.json").write_text(json.dumps(index))
    write_sums(release)
    with pytest.raises(DataError, match="disagree"):
        publish.verify(release)


# --------------------------------------------------------------------------------------------------------- cli


def invoke(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    """The one JSON document that a verb puts on stdout."""
    verbs.app([str(argument) for argument in arguments], standalone_mode=False)
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_the_verbs_answer_with_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "default", results=RESULTS[-1:])
    built = invoke(capsys, "build", run, "--version", "DR1.2", "--json")
    assert built["version"] == "DR1.2"
    checked = invoke(capsys, "verify", built["release"], "--json")
    assert checked["ok"] is True
    assert (checked["digest"], checked["files"]) == (built["digest"], built["files"])
    told = invoke(capsys, "report", run, "--json")
    assert Path(told["report"]).is_file()


def test_verify_ends_with_a_data_error(spoilt: Path) -> None:
    (release_of(spoilt) / "LICENSE").write_text("mine now")
    with pytest.raises(DataError, match="first bad file LICENSE") as refused:
        verbs.app(["verify", str(release_of(spoilt))], standalone_mode=False)
    assert refused.value.exit_code == 3
