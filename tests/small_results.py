"""A small run folder made from records, with numbers that are chosen by hand: no analysis is run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import healpy as hp
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nuanalysis.answers._ensembles import chance_of
from nuanalysis.answers._flux import Energies, Flux, Strength
from nuanalysis.answers._question import Fitted, Tested
from nuanalysis.answers.bias import BiasAnswer, Corrected, Node
from nuanalysis.answers.expect import ExpectAnswer
from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.answers.scan import ScanAnswer, Spot
from nuanalysis.answers.significance import SignificanceAnswer
from nuanalysis.answers.sources import BinomialTest, Source, SourcesAnswer
from nuanalysis.answers.together import Member, TogetherAnswer
from nuanalysis.publish import CutRow, Entry, Input, InputFile, Results, SampleCard, Season
from nuanalysis.records import Chance, Interval, Measured, Position, Provenance, Unknown
from nuanalysis.schema import EVENTS, LIKELIHOOD, RESPONSE, TRIALS, dataset
from nuanalysis.store import write_zip
from nuanalysis.store.sky_maps import sky_dataset

PUBLISHED_MAP = b"stands for the published pi0 map"
SCIENCE_DOI = "10.21234/8v5d-rn16"
FLUX = "TeV cm-2 s-1"
#: Sample, origin, hypothesis, label, where the model is from, TS, n_s, flux.
RESULTS = (
    ("cascades-2023", "synthetic", "template:pi0", "Galactic π⁰ template", "published", 22.9, 741.0, 2.2e-11),
    ("cascades-2023", "synthetic", "stack:snr", "Supernova remnants", "built-in", 9.1, 201.0, 6.0e-12),
    ("cascades-2023", "synthetic", "stack:pwn", "Pulsar wind nebulae", "built-in", 11.3, 255.0, 4.1e-12),
    ("cascades-2023", "synthetic", "stack:unid", "Unidentified sources", "built-in", 12.6, 248.0, 4.9e-12),
    ("tracks", "real", "template:pi0", "Galactic π⁰ template", "published", 0.4, 61.0, 9.0e-12),
    ("tracks", "real", "stack:snr", "Supernova remnants", "built-in", 0.0, 0.0, 0.0),
)
#: Sample, season, events, days.
SEASONS = (("cascades-2023", "cascades-2023", 200, 3519.06), ("tracks", "tracks", 200, 1025.37))
CUTS = (("all events", 1.0), ("good runs", 0.97), ("quality", 0.8), ("declination and energy", 0.71))


# --- datasets ---------------------------------------------------------------------------------------------------------


def events(rng: np.random.Generator, sample: str, origin: str, number: int, days: float = 3519.06) -> xr.Dataset:
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
    attrs = {"sample": sample, "origin": origin, "livetime_s": 86400.0 * days, "reference": reference}
    return dataset(EVENTS, values, attrs)


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


def trials(rng: np.random.Generator, number: int) -> xr.Dataset:
    """Half a delta at zero and half an exponential, p = exp(-TS / 2) / 2, from an ensemble that is tilted to TS 23."""
    tilt = 0.9  # exp(tilt ts / 2)
    positive = rng.random(number) < 1.0 / (2.0 - tilt)
    ts = np.where(positive, rng.exponential(2.0, number) / (1.0 - tilt), 0.0)
    total = 0.5 + 0.5 / (1.0 - tilt)
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


def ts_map(nside: int, ts: float, model_origin: str, origin: str) -> xr.Dataset:
    density, signal = galactic_map(nside, 9.0), galactic_map(nside, 7.0)
    density = density - 0.6 * density.mean()
    of_ts = {"units": "sr-1", "description": "contribution to TS"}
    of_model = {"units": "sr-1", "description": "template, as detected"}
    return xr.Dataset(
        {
            "ts_density": ("pixel", ts * density / density.mean() / (4 * np.pi), of_ts),
            "signal_density": ("pixel", signal / signal.mean() / (4 * np.pi), of_model),
        },
        attrs={"nside": nside, "frame": "icrs", "origin": origin, "model_origin": model_origin},
    )


# --- answers ----------------------------------------------------------------------------------------------------------


def provenance(sample: str = "cascades-2023", origin: str = "synthetic") -> Provenance:
    notes = ("derived IC86-II tables stand in",) if origin == "real" else ()
    return Provenance(sample=sample, origin=origin, n_events=200, seed=7, notes=notes)


def hypothesis_of(hypothesis: str, label: str = "a label", model_origin: str = "built-in") -> Tested:
    free = hypothesis.startswith("stack:")
    return Tested(
        hypothesis=hypothesis,
        label=label,
        model_origin=model_origin,
        model_reference="by hand",
        index=None if free else 2.7,
        index_free=free,
    )


def strength(n: float, flux: float, error: float) -> Strength:
    return Strength(
        n_signal=Measured(value=n, error=3.0),
        flux=Measured(value=flux, error=error, unit=FLUX),
        threshold_ts=Measured(value=0.5, error=0.03),
        threshold_p_error=0.02,
        n_trials=2000,
    )


def local(p: float, error: float, n: int = 4000, **more: Any) -> Chance:
    return Chance(p=p, error=error, n_trials=n, method="tilted scrambles", **more)


def of_all(p: float, error: float, n: int = 1000, **more: Any) -> Chance:
    return Chance(p=p, error=error, n_trials=n, scope="global", method="background skies", **more)


def measured(
    sample: str, origin: str, hypothesis: str, label: str, model_origin: str, ts: float, n: float, best: float
) -> MeasureAnswer:
    """An answer of one of the rows of RESULTS, without its large datasets."""
    free = hypothesis.startswith("stack:")
    flux = Flux(
        best=Measured(value=best, error=1e-12, unit=FLUX),
        n_signal_corrected=Measured(value=0.95 * n, error=20.0),
        interval=Interval(
            low=0.78 * best,
            low_error=2e-13,
            high=1.25 * best + (2e-12 if best == 0.0 else 0.0),
            high_error=3e-13,
            level=0.68,
            unit=FLUX,
        ),
        upper_limit_90=Measured(value=1.4 * best + 9e-12, error=3e-13, unit=FLUX),
        convention="E^2 dN/dE at 100 TeV, per flavour, nu + nubar, whole sky",
        n_trials=1500,
    )
    return MeasureAnswer(
        provenance=provenance(sample, origin),
        tested=hypothesis_of(hypothesis, label, model_origin),
        fitted=Fitted(ts=ts, n_signal=n, index=(2.9 if n > 0 else None) if free else 2.7),
        chance=local(0.5 * float(np.exp(-ts / 2)), 0.03 * float(np.exp(-ts / 2)), ess=1800.0),
        flux=flux,
        sensitivity=strength(180.0, 5.9e-12, 1e-13),
        discovery_potential=strength(700.0, 2.3e-11, 5e-13),
        energies=(
            Energies(degraded=0.05, log10_low=3.2, log10_high=5.4),
            Energies(degraded=0.16, log10_low=3.5, log10_high=5.0),
        ),
        events_per_1e11=309.6,
        medians=(),
        bias=tuple(
            Node(
                n_injected=at, n_fitted=Measured(value=1.08 * at, error=6.0), curve=Measured(value=1.08 * at, error=3.0)
            )
            for at in (0.0, 0.5 * n, n, 1.5 * n)
        )
        if n > 700
        else (),
        profile_n_signal=(0.0, n, 2 * n + 1.0),
        profile_ts=(0.0, ts, ts - 9.0),
    )


def together(hypotheses: tuple[str, ...] = ("stack:snr", "stack:pwn"), **changes: Any) -> TogetherAnswer:
    rows = tuple(Member(tested=hypothesis_of(name), ts=9.0, chance=local(3e-4, 1e-5)) for name in hypotheses)
    given = {
        "provenance": provenance(),
        "best": hypotheses[-1],
        "chance": of_all(5e-4, 2e-5, 4000),
        "local": local(3e-4, 1e-5),
        "trials_factor": 1.67,
        "smear_declination": 3.0,
        "precision": 0.05,
        "hypotheses": rows,
    }
    return TogetherAnswer(**{**given, **changes})


def at_published_ts(hypothesis: str = "template:pi0") -> tuple[SignificanceAnswer, BiasAnswer]:
    one = Corrected(n_signal_fitted=748.0, n_signal=Measured(value=668.0, error=4.0), published=671.1, source="there")
    about = {"provenance": provenance(), "tested": hypothesis_of(hypothesis)}
    chance = local(1.27e-6, 3e-8, 20_000)
    return (
        SignificanceAnswer(**about, ts=22.19, chance=chance, smear_declination=0.0),
        BiasAnswer(**about, curve=(), corrected=(one,), n_trials=6000, not_converged=0, injection_seed=9),
    )


def position(ra: float, dec: float) -> Position:
    return Position(ra_deg=ra, dec_deg=dec, l_deg=100.0, b_deg=-5.0)


def scanned(sample: str = "cascades-2023", chance: Chance | Unknown | None = None, **changes: Any) -> ScanAnswer:
    """A scan at nside 4 with a map; chance : of each hemisphere."""
    found = of_all(0.54, 0.06) if chance is None else chance
    spots = tuple(
        Spot(
            hemisphere=half,
            at=position(ra, dec),
            fitted=Fitted(ts=15.1, n_signal=90.2, index=2.9),
            local=local(6.2e-4, 5e-5, 2000),
            chance=found,
        )
        for half, ra, dec in (("south", 248.0, -51.0), ("north", 337.8, 17.5))
    )
    whose, pixels = provenance(sample), np.arange(192, dtype=float)
    columns = {"ts": pixels % 7, "n_signal": pixels, "index": np.full(192, 2.5), "log10_p": pixels / 60.0}
    for spot in spots:
        pixel = hp.ang2pix(4, spot.at.ra_deg, spot.at.dec_deg, lonlat=True)
        values = (spot.fitted.ts, spot.fitted.n_signal, spot.fitted.index, -np.log10(spot.local.p))
        for name, value in zip(columns, values, strict=True):
            columns[name][pixel] = value
    given = {
        "provenance": whose,
        "nside": 4,
        "hottest": spots,
        "chance": found,
        "n_skies": 0 if isinstance(found, Unknown) else 1000,
        "n_deep": 0,
        "smear_declination": 0.0,
        "local_trials": 2000,
        "n_pixels": 192,
        "not_converged": 0,
        "plane": False,
        "sky": sky_dataset(columns, whose, 2000),
    }
    return ScanAnswer(**{**given, **changes})


def listed(
    catalogue: str = "three", sample: str = "cascades-2023", chance: Chance | Unknown | None = None
) -> SourcesAnswer:
    found = of_all(0.3, 0.02, 3000) if chance is None else chance
    names = ("PMN J1650-5044", "a", "b") if catalogue == "list-109" else ("a", "b", "c")
    sources = tuple(
        Source(
            name=name,
            at=position(50.0 * k, -20.0),
            extension_deg=0.0,
            fitted=Fitted(ts=9.0 - k, n_signal=80.0 - k, index=2.9),
            local=local(0.002 * (k + 1), 1e-4, 1000),
        )
        for k, name in enumerate(names)
    )
    return SourcesAnswer(
        provenance=provenance(sample),
        catalogue=catalogue,
        label="three sources",
        reference="by hand",
        best=names[0],
        chance=found,
        population=BinomialTest(k=2, p_threshold=0.004, p_binomial=1e-4, chance=found),
        n_skies=0 if isinstance(found, Unknown) else 3000,
        smear_declination=0.0,
        local_trials=1000,
        sources=sources,
    )


def expected() -> ExpectAnswer:
    """Of a question that has no layout of its own."""
    return ExpectAnswer(
        provenance=provenance(),
        hypothesis="template:pi0",
        label="Galactic π⁰ template",
        flux=2e-11,
        flux_unit=FLUX,
        n_expected=619.2,
        convention="see //x.org <b>",
        livetime_s=3e8,
    )


# --- results and run folders ------------------------------------------------------------------------------------------


def inputs() -> tuple[Input, ...]:
    opened = InputFile(path="MainResult/pi0.npy", sha256=hashlib.sha256(PUBLISHED_MAP).hexdigest())
    cascades = Input(
        name="cascades_2023",
        title="Observation of high-energy neutrinos from the Galactic plane: data release",
        doi=SCIENCE_DOI,
        doi_confirmed=True,
        licence="public release; licence line not yet checked",
        citation="IceCube Collaboration, Science 380, 1338 (2023), https://doi.org/10.1126/science.adc9818",
        files=(opened,),
    )
    tracks = Input(
        name="tracks_3yr",
        title="3-year point-source release",
        doi="10.21234/B4F04V",
        doi_confirmed=False,
        licence="not stated; season re-released CC0",
        citation="IceCube Collaboration, ApJ 779, 132",
        files=(),
    )
    return cascades, tracks


def _card(sample: str, origin: str, label: str, reference: str, note: str) -> SampleCard:
    seasons = tuple(Season(name=name, n_events=n, livetime_d=days) for of, name, n, days in SEASONS if of == sample)
    return SampleCard(
        sample=sample,
        origin=origin,
        label=label,
        n_events=200,
        livetime_s=86400.0 * sum(one.livetime_d for one in seasons),
        reference=reference,
        note=note,
        seasons=seasons,
    )


def cut_flow() -> tuple[CutRow, ...]:
    return tuple(
        CutRow(
            sample=sample,
            season=season,
            cut=cut,
            events=round(total * kept / CUTS[-1][1]),
            rate_hz=total * kept / CUTS[-1][1] / (86400 * days),
            exposure_d=days,
        )
        for sample, season, total, days in SEASONS
        for cut, kept in CUTS
    )


def entry(section: str, name: str, answer: Any) -> Entry:
    return Entry(section=section, name=name, answer=answer)


def results(rows: Iterable[tuple[Any, ...]] = RESULTS, more: Iterable[Entry] = (), **changes: Any) -> Results:
    """Results of rows as in RESULTS, and of further answers."""
    given = {
        "created": "2026-01-02T03:04:05Z",
        "name": "default",
        "spec_fingerprint": "ab" * 32,
        "seed": 7,
        "versions": {"nuanalysis": "0.1.0", "python": "3.11.9", "numpy": "2.4.6"},
        "inputs": inputs(),
        "left_out": {},
        "left_out_questions": {},
        "samples": (
            _card("cascades-2023", "synthetic", "Synthetic twin of the 2023 cascades", SCIENCE_DOI, "π⁰ injected"),
            _card("tracks", "real", "Three real track seasons", "https://doi.org/10.7910/DVN/VKL316", ""),
        ),
        "cut_flow": cut_flow(),
        "answers": (*(entry("measure", row[2], measured(*row)) for row in rows), *more),
        "costs": (),
    }
    return Results(**{**given, **changes})


def write_results(folder: Path, found: Results) -> Path:
    """Write results.json and the large datasets of answers."""
    for one in found.answers:
        for kind, values in one.answer.products().items():
            one.product(folder, kind).parent.mkdir(parents=True, exist_ok=True)
            write_zip(one.product(folder, kind), values)
    (folder / "results.json").write_text(json.dumps(found.to_dict()))
    return folder


def with_datasets(answer: MeasureAnswer, rng: np.random.Generator, *, nside: int = 8, n: int = 500) -> MeasureAnswer:
    """The answer with trials, a map and the terms of its events, as a run keeps them."""
    about, background = answer.provenance, trials(rng, n)
    sky = ts_map(nside, answer.fitted.ts, answer.tested.model_origin, about.origin)
    chance = chance_of(background, answer.fitted.ts)
    held = {"trials": background, "map": sky, "chance": chance, "likelihood": likelihood(answer, rng)}
    return answer.model_copy(update=held)


def likelihood(answer: MeasureAnswer, rng: np.random.Generator) -> xr.Dataset:
    """Terms of a part of the events, of which the test statistic is the sum: the last of them makes it so."""
    about, n = answer.provenance, 150
    c = answer.fitted.n_signal / about.n_events
    x = rng.uniform(-0.1, 0.3, n) / max(c, 1.0)
    if c > 0.0:
        x[-1] = np.expm1(0.5 * answer.fitted.ts - np.log1p(c * x[:-1]).sum()) / c
    background, ratio, mean = rng.uniform(0.05, 0.1, n), rng.uniform(0.5, 2.0, n), rng.uniform(0.0, 0.1, n)
    signal = mean + x * background / ratio
    lift = max(0.0, -float(signal.min()))  # densities are not negative
    values = {
        "season": np.zeros(n, dtype=np.int64), "row": rng.permutation(about.n_events)[:n], "signal": signal + lift,
        "signal_mean": mean + lift, "background": background, "ratio": ratio,
    }  # fmt: skip
    named = {"hypothesis": answer.tested.hypothesis, "model_origin": answer.tested.model_origin}
    attrs = {"sample": about.sample, "origin": about.origin, "seasons": [about.sample], **named}
    return dataset(LIKELIHOOD, values, attrs)


def make_run(folder: Path, found: Results | None = None, *, number: int = 200) -> Path:
    """Write a small run folder: spec, results, events, a response, trials and maps."""
    rng = np.random.default_rng(2023)
    found = results() if found is None else found
    (folder / "products").mkdir(parents=True)
    (folder / "spec.toml").write_text('name = "default"\nseed = 7\n')
    spec = hashlib.sha256((folder / "spec.toml").read_bytes()).hexdigest()
    (folder / "run.json").write_text(json.dumps({"schema": 1, "notebooks": {"01": {"inputs": {"spec": spec}}}}))
    write_zip(folder / "products" / "events-cascades-2023.zip", events(rng, "cascades-2023", "synthetic", number))
    write_zip(folder / "products" / "events-tracks.zip", events(rng, "tracks", "real", number, 1025.37))
    for name in ("cascades-2023", "tracks"):
        write_zip(folder / "products" / f"response-{name}.zip", response(name))
    filled = tuple(
        one.model_copy(update={"answer": with_datasets(one.answer, rng)}) if one.section == "measure" else one
        for one in found.answers
    )
    return write_results(folder, found.model_copy(update={"answers": filled}))


def change(folder: Path, **changes: Any) -> Results:
    """Write results.json anew with other values; returns them."""
    from nuanalysis.publish import load_results

    found = load_results(folder).model_copy(update=changes)
    write_results(folder, found)
    return found


def unknown(reason: str) -> Unknown:
    return Unknown(reason=reason)
