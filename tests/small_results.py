"""A small run folder made by hand: answers with numbers that are easy to follow, and the products that go with them."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import healpy as hp
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nuanalysis.answers import Answer
from nuanalysis.answers._experiments import Norm, Profiled, Unbiased
from nuanalysis.answers._flux import Flux, Strength
from nuanalysis.answers._posed import Fitted, Tested, position
from nuanalysis.answers.bias import BiasAnswer, Corrected, Node
from nuanalysis.answers.joint import Correlation, JointAnswer, Part, Recovered
from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.answers.scan import HottestSpot, ScanAnswer
from nuanalysis.answers.significance import SignificanceAnswer
from nuanalysis.answers.sources import Population, SourceFit, SourcesAnswer
from nuanalysis.answers.together import Member, TogetherAnswer
from nuanalysis.publish import CutRow, Entry, Input, InputFile, Results, SampleCard, Season, Spent, products
from nuanalysis.records import Chance, Interval, Measured, Provenance, Unknown
from nuanalysis.schema import EVENTS, RESPONSE, TRIALS, dataset
from nuanalysis.store import write_zip
from nuanalysis.store.sky_maps import SkyMap, sky_product

PUBLISHED_MAP = b"stands for the published pi0 map"
SCIENCE_DOI = "10.21234/8v5d-rn16"
FLUX = "TeV cm-2 s-1"
NOT_ASKED = Unknown(reason="no background skies were asked for")

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


# --- datasets ---------------------------------------------------------------------------------------------------------


def events(rng: np.random.Generator, sample: str, origin: str, number: int) -> xr.Dataset:
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


def response(name: str) -> xr.Dataset:
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


def background(rng: np.random.Generator, number: int) -> xr.Dataset:
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
    """A plane brighter towards the centre, RING in ICRS."""
    theta, phi = hp.Rotator(coord=["C", "G"])(*hp.pix2ang(nside, np.arange(hp.nside2npix(nside))))
    latitude, longitude = 90.0 - np.degrees(theta), (np.degrees(phi) + 180.0) % 360.0 - 180.0
    return np.asarray(np.exp(-0.5 * (latitude / width_deg) ** 2) * np.exp(-np.abs(longitude) / 70.0))


def ts_map(nside: int, ts: float, model_origin: str, origin: str) -> xr.Dataset:
    density = galactic_map(nside, 9.0)
    density = density - 0.6 * density.mean()
    described = {"units": "sr-1", "description": "contribution to TS"}
    return xr.Dataset(
        {"ts_density": ("pixel", ts * density / density.mean() / (4 * np.pi), described)},
        attrs={"nside": nside, "frame": "icrs", "origin": origin, "model_origin": model_origin},
    )


# --- answers ----------------------------------------------------------------------------------------------------------


def whose(sample: str = "cascades-2023", origin: str = "synthetic", *notes: str) -> Provenance:
    return Provenance(sample=sample, origin=origin, n_events=59592, seed=7, notes=notes)


def what(hypothesis: str, label: str = "", model_origin: str = "published") -> Tested:
    return Tested(
        hypothesis=hypothesis,
        label=label or hypothesis,
        model_origin=model_origin,
        model_reference="by hand",
        index=2.7,
        index_free=hypothesis.startswith("stack:"),
    )


def chance(p: float, error: float | None = None, n_trials: int = 4000, **more: object) -> Chance:
    return Chance(p=p, error=0.06 * p if error is None else error, n_trials=n_trials, **more)


def strength(n_signal: float, flux: float, error: float) -> Strength:
    return Strength(
        n_signal=Measured(value=n_signal, error=3.0),
        flux=Measured(value=flux, error=error, unit=FLUX),
        threshold_ts=0.1,
        n_trials=2000,
    )


def flux(n: float, best: float) -> Flux:
    high = 1.25 * best + (2e-12 if best == 0.0 else 0.0)
    return Flux(
        best=Measured(value=best, error=0.01 * best, unit=FLUX),
        n_signal_corrected=Measured(value=0.9 * n, error=2.0),
        interval=Interval(low=0.78 * best, high=high, level=0.68, unit=FLUX),
        upper_limit_90=Measured(value=1.4 * best + 9e-12, error=1e-13, unit=FLUX),
        convention="E^2 dN/dE at 100 TeV, per flavour, nu + nubar, whole sky",
        n_trials=2000,
    )


def measured(
    sample: str, origin: str, hypothesis: str, label: str, model_origin: str, ts: float, n: float, best: float
) -> MeasureAnswer:
    """Everything about one hypothesis."""
    stack = hypothesis.startswith("stack:")
    index = (2.9 if n > 0 else None) if stack else 2.7
    p = 0.5 * math.exp(-ts / 2)
    return MeasureAnswer(
        provenance=whose(sample, origin, *(["derived IC86-II tables stand in"] if origin == "real" else [])),
        tested=what(hypothesis, label, model_origin),
        fitted=Fitted(ts=ts, n_signal=n, index=index),
        chance=chance(p, ess=1800.0, method="tilted scrambles"),
        flux=flux(n, best),
        sensitivity=strength(180.0, 5.9e-12, 1e-13),
        discovery_potential=strength(700.0, 2.3e-11, 5e-13),
        energies=(),
        events_per_1e11=309.6,
        medians=(),
        bias=(),
        profile_n_signal=(0.0, n, 2 * n + 1.0),
        profile_ts=(0.0, ts, ts - 9.0),
    )


def together(**more: object) -> TogetherAnswer:
    members = (
        Member(tested=what("stack:snr"), ts=9.0, chance=chance(1e-3)),
        Member(tested=what("stack:pwn"), ts=11.0, chance=chance(3e-4)),
    )
    return TogetherAnswer(
        provenance=whose(),
        **{
            "best": "stack:pwn",
            "chance": chance(5e-4, 2e-5, scope="global"),
            "local": chance(3e-4, 1e-5),
            "trials_factor": 1.67,
            "smear_declination": 3.0,
            "precision": 0.05,
            "hypotheses": members,
            **more,
        },
    )


def significance() -> SignificanceAnswer:
    return SignificanceAnswer(
        provenance=whose(), tested=what("template:pi0"), ts=22.19, chance=chance(1.2e-6), smear_declination=0.0,
        background=background(np.random.default_rng(3), 300),
    )  # fmt: skip


def bias() -> BiasAnswer:
    curve = tuple(
        Node(n_injected=n, n_fitted=Measured(value=1.1 * n, error=3.0), curve=Measured(value=1.1 * n, error=1.0))
        for n in (0.0, 400.0, 800.0)
    )
    corrected = Corrected(
        n_signal_fitted=748.0, n_signal=Measured(value=680.0, error=3.0), published=671.1, source="there"
    )
    return BiasAnswer(
        provenance=whose(), tested=what("template:pi0"), curve=curve, corrected=(corrected,), n_trials=600,
        not_converged=0, injection_seed=1,
    )  # fmt: skip


def joint() -> JointAnswer:
    def norm(n: float) -> Norm:
        corrected = Unbiased(best=Measured(value=n, error=9.0), correction_error=1.0)
        return Norm(
            n_signal=Measured(value=n, error=9.0), corrected=corrected, flux=corrected.times(3e-14, FLUX),
            flux_uncorrected=n * 3e-14, convention="E^2 dN/dE", held="the spectrum is held",
        )  # fmt: skip

    names, none = ("template:pi0", "stack:snr"), chance(0.01, 0.01, 100, bound=0.023)
    each = zip(names, (500.0, 20.0), (9.0, 0.5), (none, chance(0.4)), strict=True)
    parts = tuple(
        Part(
            tested=what(name), ts=ts, norm=norm(n), profiled=Profiled(chance=found), at_bound=False,
            undetermined=False,
        ) for name, n, ts, found in each
    )  # fmt: skip
    back = tuple(
        Recovered(
            hypothesis=name, n_injected=n, bias=Measured(value=1.02, error=0.03),
            bias_of_mean=Measured(value=1.03, error=0.03), deviation=9.0, coverage=Measured(value=0.68, error=0.04),
            coverage_corrected=Measured(value=0.69, error=0.04),
        ) for name, n in zip(names, (500.0, 20.0), strict=True)
    )  # fmt: skip
    apart = Correlation(
        one=names[0], other=names[1], curvature=-0.41, measured=Measured(value=-0.44, error=0.08), covariance=-36.0
    )
    return JointAnswer(
        provenance=whose(), ts=10.0, converged=True, hypotheses=parts, recovered=back, correlations=(apart,),
        n_trials=100, not_converged=0, notes=(),
    )  # fmt: skip


def scan(skies: int = 6) -> ScanAnswer:
    ts = np.random.default_rng(4).chisquare(2, 192)
    found = SkyMap(4, ts, 10.0 * ts, np.full(192, 2.7), 0.3 * ts, 200)
    extrapolated = chance(1e-3, n_trials=200, extrapolated=True).model_copy(
        update={"error": Unknown(reason="beyond what the trials reach")}
    )
    spots = tuple(
        HottestSpot(
            hemisphere=side, at=position(1.0, dec), n_signal=88.8, index=2.6, ts=11.7, local=local,
            chance=chance(0.43, 0.11, skies, scope="global") if skies else NOT_ASKED, deep=NOT_ASKED,
        ) for side, dec, local in (("south", -0.1, extrapolated), ("north", 0.2, chance(2e-3, n_trials=200)))
    )  # fmt: skip
    both = chance(0.6, 0.11, skies, scope="global") if skies else NOT_ASKED
    return ScanAnswer(
        provenance=whose(), nside=4, pixels=192, not_converged=0, skies=skies, smear_declination=0.0, local_trials=200,
        spots=spots, chance=both, deep=NOT_ASKED, sky=sky_product(found, whose()),
    )  # fmt: skip


def sources(skies: int = 40, catalogue: str = "three", sample: str = "cascades-2023") -> SourcesAnswer:
    of_all = chance(0.2, 0.06, skies, scope="global") if skies else NOT_ASKED
    local = [chance(p, n_trials=200) for p in (8e-3, 0.3, 1.0)]
    fits = tuple(
        SourceFit(
            source=name, at=position(ra, 0.2), extension_deg=0.0, n_signal=n, index=2.6 if n else None, ts=ts,
            chance=p, converged=True,
        ) for name, ra, n, ts, p in zip("abc", (1.0, 1.02, 4.0), (46.5, 3.0, 0.0), (8.3, 0.4, 0.0), local, strict=True)
    )  # fmt: skip
    return SourcesAnswer(
        provenance=whose(sample), catalogue=catalogue, label="three sources", reference="by hand", best="a",
        local=local[0], chance=of_all, population=Population(k=2, p_threshold=0.3, p_binomial=0.2, chance=of_all),
        skies=skies, smear_declination=0.0, local_trials=200, sources=fits,
    )  # fmt: skip


# --- the run ----------------------------------------------------------------------------------------------------------


def inputs() -> tuple[Input, ...]:
    return (
        Input(
            name="cascades_2023",
            title="Observation of high-energy neutrinos from the Galactic plane: data release",
            doi=SCIENCE_DOI,
            doi_confirmed=True,
            licence="public release; licence line not yet checked",
            citation="IceCube Collaboration, Science 380, 1338 (2023), https://doi.org/10.1126/science.adc9818",
            files=(InputFile(path="MainResult/pi0.npy", sha256=hashlib.sha256(PUBLISHED_MAP).hexdigest()),),
        ),
        Input(
            name="tracks_3yr",
            title="3-year point-source release",
            doi="10.21234/B4F04V",
            doi_confirmed=False,
            licence="not stated; season re-released CC0",
            citation="IceCube Collaboration, ApJ 779, 132",
            files=(),
        ),
    )


def card(sample: str, origin: str, label: str, number: int, reference: str, note: str = "") -> SampleCard:
    seasons = tuple(Season(name=season, n_events=n, livetime_d=days) for of, season, n, days in SEASONS if of == sample)
    livetime = 86400 * sum(season.livetime_d for season in seasons)
    return SampleCard(
        sample=sample, origin=origin, label=label, n_events=number, livetime_s=livetime, reference=reference,
        note=note, seasons=seasons,
    )  # fmt: skip


def cut_flow() -> tuple[CutRow, ...]:
    return tuple(
        CutRow(
            sample=sample, season=season, cut=cut, events=int(total * kept), rate_hz=total * kept / (86400 * days),
            exposure_d=days,
        ) for sample, season, total, days in SEASONS for cut, kept in CUTS
    )  # fmt: skip


def results(*answers: Entry, number: int = 200, **more: object) -> Results:
    """A run with these answers."""
    cards = (
        card(
            "cascades-2023", "synthetic", "Synthetic twin of the 2023 cascades", number, SCIENCE_DOI,
            "π⁰ signal injected at 2.18e-11",
        ),
        card("tracks", "real", "Three real track seasons", number, "https://doi.org/10.7910/DVN/VKL316"),
    )  # fmt: skip
    return Results(
        **{
            "created": "2026-01-02T03:04:05Z",
            "name": "default",
            "spec_fingerprint": "ab" * 32,
            "seed": 7,
            "versions": {"nuanalysis": "0.1.0", "python": "3.11.9", "numpy": "2.4.6"},
            "inputs": inputs(),
            "left_out": {},
            "left_out_questions": {},
            "samples": cards,
            "cut_flow": cut_flow(),
            "answers": answers,
            "costs": (),
            **more,
        }
    )


def entry(section: str, name: str, answer: Answer) -> Entry:
    return Entry(section=section, name=name, answer=answer)


def fits(rows: tuple[tuple, ...] = RESULTS, *, nside: int = 8, trials: int = 500) -> tuple[Entry, ...]:
    """Fits with their products."""
    rng = np.random.default_rng(2023)
    made = [(row[2], measured(*row), ts_map(nside, row[5], row[4], row[1])) for row in rows]
    return tuple(
        entry("measure", name, one.model_copy(update={"trials": background(rng, trials), "map": sky}))
        for name, one, sky in made
    )


def campaign() -> tuple[Entry, ...]:
    """One answer of each kind that the campaign table knows, all of synthetic events."""
    return (
        *fits(RESULTS[:2]),
        entry("significance", "template:pi0", significance()),
        entry("bias", "template:pi0", bias()),
        entry("together", "two", together()),
        entry("joint", "apart", joint()),
        entry("scan", "sky", scan()),
        entry("sources", "few", sources()),
    )


def spent(answers: tuple[Entry, ...]) -> tuple[Spent, ...]:
    return tuple(
        Spent(section=a.section, name=a.name, sample=a.sample, core_seconds=360.0, measured="CPU time", seconds=99.0)
        for a in answers
    )


def write_results(folder: Path, found: Results) -> None:
    """results.json and products of a run."""
    (folder / "products").mkdir(parents=True, exist_ok=True)
    for product in products(found, folder):
        write_zip(product.path, product.dataset)
    (folder / "results.json").write_text(json.dumps(found.to_dict(), allow_nan=False))


def make_run(folder: Path, found: Results | None = None, *, number: int = 200) -> Path:
    """Write a small run folder; without results, that of all fits."""
    rng = np.random.default_rng(2023)
    write_results(folder, results(*fits(), number=number) if found is None else found)
    (folder / "spec.toml").write_text('name = "default"\nseed = 7\n')
    write_zip(folder / "products" / "events-cascades-2023.zip", events(rng, "cascades-2023", "synthetic", number))
    write_zip(folder / "products" / "events-tracks.zip", events(rng, "tracks", "real", number))
    write_zip(folder / "products" / "response-cascades-2023.zip", response("cascades-2023"))
    return folder
