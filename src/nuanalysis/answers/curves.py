"""Point sources against declination: sensitivity, 5 sigma discovery potential, upper limits at a list of sources.

Under scrambles of right ascension a source's own right ascension does not matter: a curve against declination serves
every source.  Trials are kept, one declination a task: a killed call goes on where it was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from nuanalysis import store, trials
from nuanalysis.answers._ensembles import or_reason, value_and_error
from nuanalysis.answers._flux import Energies
from nuanalysis.answers._point_curve import METHOD, Curve, Plan, curves_of, fits_of
from nuanalysis.answers._question import Answer, Fitted, Question, name_of, position, provenance_of
from nuanalysis.answers._sky import fitted_row
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import InputError
from nuanalysis.interpret import fluxes
from nuanalysis.library.catalogues import catalogue
from nuanalysis.library.samples import Samples, joined, refuse_shared_events
from nuanalysis.plot import DeclinationCurve, Drawn, Sidecar, declination_figure, mark
from nuanalysis.records import (
    Measured,
    Position,
    Provenance,
    Record,
    Unknown,
    faults_of_a_setting,
    setting,
    shown,
    table,
)
from nuanalysis.schema import Floats
from nuanalysis.sky.records import Catalogue, PointSource

# Nodes of the table of local p-values of a sky scan: the two share their background ensembles.
DECLINATIONS = (-79.0, -71.0, -60.0, *map(float, range(-50, 51, 10)), 60.0, 71.0, 79.0)
SIGMA = 5.0
_MOST = 82.0  # deg; nearer to a pole circles are too short for scrambles
_SENSITIVITY = "sensitivity: 90 % of the injected skies above the median of background skies"
_DISCOVERY = "5 sigma discovery potential: half of the injected skies above the local threshold"
_LIMIT = (
    "90 % upper limit: strength of which 90 % of the injected skies have a TS above that of the data, or above the "
    "median of background skies where the data have less: never below the sensitivity"
)


def _at(given: tuple[float, ...]) -> tuple[float, ...]:
    if any(not abs(dec) <= _MOST for dec in given) or len(set(given)) < len(given):
        raise ValueError(f"expected different declinations, none beyond {_MOST:g} deg: circles are too short there")
    return tuple(sorted(given))


def _indices(given: tuple[float, ...]) -> tuple[float, ...]:
    if not given or len(set(given)) < len(given) or any(not 1.0 <= index <= 4.0 for index in given):
        raise ValueError("expected one index or more, all different, each 1 to 4")
    return given


def _points(given: object) -> object:
    """Sources whose limits are those of the curve; extended ones have others."""
    with faults_of_a_setting():
        listed = catalogue(given) if given else None
    wide = [source.name for source in listed.sources if source.extension > 0] if listed else []
    if wide:
        raise ValueError(
            f"{len(wide)} of the sources are extended ({', '.join(wide[:3])}); limits against declination are those of "
            "points: ask limit of each extended source"
        )
    return given


class Curves(Question):
    """Point sources against declination: sensitivity, 5 sigma discovery potential, 90 % limits at a list of sources."""

    several: ClassVar = True
    example: ClassVar = {
        "indices": (2.0,), "declinations": (-10.0, 20.0), "sources": "snr", "trials": 200, "injections": 300
    }  # fmt: skip
    indices: Annotated[tuple[float, ...], AfterValidator(_indices)] = setting(
        (2.0, 3.0), help="indices of the injected power laws"
    )
    declinations: Annotated[tuple[float, ...], AfterValidator(_at)] = setting(
        (), unit="deg", help="where trials are run; without: 17 from -79 to 79"
    )
    step: float | None = setting(
        None, low=0.005, high=0.9, help="in place of declinations: every such step in sin(declination) within 82 deg"
    )
    sources: Annotated[Any, BeforeValidator(_points), PlainSerializer(name_of)] = setting(
        "list-109", help="limits at the points of a list of sources; '' for the curves alone"
    )
    trials: int = setting(2000, low=200, high=10_000_000, help="scrambles at each declination")
    injections: int = setting(1200, low=300, high=10_000_000, help="injected skies at each declination and index")
    index_free: bool = setting(True, help="fit the index, or hold it at the injected one")

    def model_post_init(self, context: object) -> None:
        if self.declinations and self.step:
            raise ValueError("declinations and step were both given; expected one of them")

    def nodes(self) -> tuple[float, ...]:
        """Declinations in deg, rising."""
        if self.declinations or not self.step:
            return self.declinations or DECLINATIONS
        many = int(np.floor(np.sin(np.radians(_MOST)) / self.step))
        return tuple(np.degrees(np.arcsin(self.step * np.arange(-many, many + 1))).tolist())

    def ask(self, samples: tuple[Samples, ...], bench: Bench) -> CurvesAnswer:  # type: ignore[override]
        names = [one.name for one in samples]
        if len(set(names)) < len(names):
            raise InputError(f"the samples are {', '.join(names)}; expected different ones")
        refuse_shared_events(samples)
        sources = catalogue(self.sources) if self.sources else None
        plan = Plan(self.indices, self.index_free, self.trials, self.injections)
        out: list[PointCurve] = []
        fits: dict[tuple[str, float], Floats] = {}
        for curve in curves_of(samples, plan, self.nodes(), bench):
            key = curve.samples.name, 0.0 if self.index_free else curve.index
            if key not in fits:
                fits[key] = fits_of(curve.samples, plan, sources, curve.index) if sources else np.empty((0, 4))
            out.append(_point_curve(curve, self.nodes(), sources, fits[key]))
        return CurvesAnswer(
            provenance=provenance_of(joined(samples) if len(samples) > 1 else samples[0]),
            index_free=self.index_free,
            declinations=self.nodes(),
            n_trials=self.trials,
            n_injections=self.injections,
            sources="" if sources is None else sources.name,
            curves=tuple(out),
        )


class PointFlux(Record):
    """A strength of a point source: mean events, and E^2 dN/dE per flavour, nu + nubar, at two energies."""

    n_signal: Measured = shown("mean signal events")
    flux: Measured = shown("E^2 dN/dE at 100 TeV")
    flux_1_tev: Measured = shown("E^2 dN/dE at 1 TeV")

    def cell(self, form: str = "") -> str:
        return self.flux.cell()


class Node(Record):
    """One declination of a curve; its flux on the screen is that at 100 TeV."""

    sample: str = shown("sample", hidden=True)
    origin: str = shown("events: real, synthetic or mixed", hidden=True)
    index: float = shown("index of the injected power law", hidden=True)
    dec_deg: float = shown("declination, ICRS", unit="deg", form=".2f", short="dec")
    sensitivity: PointFlux | Unknown = shown(_SENSITIVITY)
    discovery_potential: PointFlux | Unknown = shown(_DISCOVERY, short="5 sigma")
    n_signal_spread: float = shown("standard deviation of n_s without signal", form=".1f", short="spread of n_s")
    energies: Energies = shown("energies that the sensitivity comes from", hidden=True)
    background_median: Measured = shown("median TS of background skies", hidden=True)
    threshold_ts: Measured | Unknown = shown("TS of the local 5 sigma threshold", hidden=True)
    threshold_p_error: float | Unknown = shown("relative error of its p-value", form=".2g", hidden=True)
    events_per_flux: float = shown("events for a flux of 1 TeV cm-2 s-1", hidden=True)


class PointLimit(Record):
    """The upper limit of the data at one source."""

    sample: str = shown("sample", hidden=True)
    origin: str = shown("events: real, synthetic or mixed", hidden=True)
    index: float = shown("index of the excluded power law", hidden=True)
    source: str = shown("source")
    limit: PointFlux | Unknown = shown(_LIMIT, short="90 % limit")
    fitted: Fitted = shown("fit")
    at: Position = shown("where", short="RA   dec")
    is_sensitivity: bool = shown("the data have less than the median of background skies", hidden=True)
    beyond_the_curve: bool = shown("beyond the outermost declinations, whose numbers of events serve", hidden=True)


class Line(Record):
    """Fluxes at 100 TeV between the nodes, for drawing; null beside a node without a number."""

    sin_dec: tuple[float, ...] = shown("sin(declination)")
    sensitivity: tuple[float | None, ...] = shown(_SENSITIVITY, unit=fluxes.UNIT)
    discovery_potential: tuple[float | None, ...] = shown(_DISCOVERY, unit=fluxes.UNIT)


class PointCurve(Record):
    """One sample, or all jointly, and one index."""

    provenance: Provenance = shown("whose events")
    index: float = shown("index of the injected power law", hidden=True)
    convention: str = shown("what the flux is")
    nodes: tuple[Node, ...] = shown(f"E^2 dN/dE at 100 TeV, per flavour, {fluxes.UNIT}, against declination")
    limits: tuple[PointLimit, ...] = shown("90 % upper limits at 100 TeV, largest TS first", ())
    line: Line = shown("the curve between the nodes", hidden=True)

    def headline(self) -> tuple[str, ...]:
        near = _span([node.sensitivity for node in self.nodes])
        far = _span([node.discovery_potential for node in self.nodes])
        return (f"E^-{self.index:g}: sensitivity {near}, 5 sigma discovery potential {far}.",)

    def drawing(self) -> DeclinationCurve:
        whose, line = self.provenance, self.line
        return DeclinationCurve(
            whose.sample,
            whose.origin,
            self.index,
            np.sin(np.radians([node.dec_deg for node in self.nodes])),
            np.array([_numbers(node.sensitivity) for node in self.nodes]),
            np.array([_numbers(node.discovery_potential) for node in self.nodes]),
            np.array(line.sin_dec),
            np.array(line.sensitivity, dtype=np.float64),
            np.array(line.discovery_potential, dtype=np.float64),
            np.array([(np.sin(np.radians(one.at.dec_deg)), _numbers(one.limit)[0]) for one in self.limits]),
        )


def _numbers(found: PointFlux | Unknown) -> tuple[float, float]:
    """Flux at 100 TeV and its error; NaN where not known."""
    return value_and_error(found if isinstance(found, Unknown) else found.flux)


def _span(found: Sequence[PointFlux | Unknown]) -> str:
    values = sorted(one.flux.value for one in found if isinstance(one, PointFlux))
    if not values:
        return next(one.words().rstrip(".") for one in found if isinstance(one, Unknown))
    said = dict.fromkeys(f"{one:.2g}" for one in (values[0], values[-1]))
    return f"{' to '.join(said)} {fluxes.UNIT} at 100 TeV"


class CurvesAnswer(Answer):
    """Point sources against declination."""

    rows: ClassVar = "curves.nodes"
    index_free: bool = shown("index of the fits free in [1, 4]; else held at the injected one")
    declinations: tuple[float, ...] = shown("declinations with trials", unit="deg", form="g", hidden=True)
    n_trials: int = shown("scrambles at each declination")
    n_injections: int = shown("injected skies at each declination and index")
    sources: str = shown("limits at the sources of", "")
    method: str = shown("how it was found", METHOD, hidden=True)
    curves: tuple[PointCurve, ...] = shown("curves")

    def headline(self) -> tuple[str, ...]:
        samples = dict.fromkeys(one.provenance.sample for one in self.curves)
        return (
            f"Point sources of any right ascension at {len(self.declinations)} declinations from "
            f"{self.declinations[0]:g} to {self.declinations[-1]:g} deg: {', '.join(samples)}.",
        )

    def about(self) -> Mapping[str, str]:
        return {"METHOD": self.method}

    def files(self) -> Mapping[str, bytes]:
        rows = [row for one in self.curves for row in one.limits]
        if not rows:
            return {}
        limits = store.table_ecsv(table(rows, self.provenance, **self.about()))
        return {f"limits{mark(self.provenance.origin)}.ecsv": limits}

    def _missing(self) -> str:
        """What is said of declinations without a number; '' where there are none."""
        said = [
            f" E^-{one.index:g}, {one.provenance.sample}, declination {node.dec_deg:g} deg: no {what}, "
            + found.reason.rstrip(".")
            for one in self.curves
            for node in one.nodes
            for what, found in (("sensitivity", node.sensitivity), ("discovery potential", node.discovery_potential))
            if isinstance(found, Unknown)
        ]
        head = " Crosses at the foot mark declinations without a number; the curve is broken there."
        return f"{head}{';'.join(said)}." if said else ""

    def drawn(self) -> tuple[Drawn, ...]:
        origin = self.provenance.origin
        figure = declination_figure([one.drawing() for one in self.curves], origin=origin)
        said = " ".join(
            f"{one.provenance.sample}, {one.provenance.stamp} events, {one.headline()[0]}" for one in self.curves
        )
        limits = (
            f" Triangles: 90 % upper limits of the data at the sources of {self.sources}, never below the "
            "sensitivity; those of a sample with SYNTHETIC events are no limits on real sources."
        )
        caption = (
            "Sensitivity (90 % of injected skies above the background median) and local 5σ discovery potential (50 %) "
            f"of point sources, index {'free in [1, 4]' if self.index_free else 'held at the injected one'}, seed "
            f"{self.provenance.seed}, {self.n_trials} scrambles and {self.n_injections} injected skies at each "
            "declination marked; bars are statistical errors. Between marks the number of events is interpolated and "
            "divided by the acceptance, which jumps where the released effective area does. The right ascension of "
            "the source does not matter." + self._missing() + (limits if self.sources else "")
        )
        alt = f"Fluxes of point sources. {self.headline()[0]} {said}"
        return (Drawn(figure, Sidecar(f"curves{mark(origin)}", alt, caption, origin, "other")),)


def point_flux(found: trials.Strength | Unknown, per_flux: float, index: float) -> PointFlux | Unknown:
    """Mean events with their error as fluxes of a power law; what is not known remains so."""
    if isinstance(found, Unknown):
        return found
    n_signal = Measured(value=found.n_signal, error=found.error)
    flux = n_signal.over(per_flux, fluxes.UNIT)
    return PointFlux(n_signal=n_signal, flux=flux, flux_1_tev=flux.times(100.0 ** (index - 2.0), fluxes.UNIT))


def _measured(threshold: trials.Threshold | Unknown) -> Measured | Unknown:
    return threshold if isinstance(threshold, Unknown) else Measured(value=threshold.ts, error=threshold.error)


def node_of(curve: Curve, k: int, declination: float) -> Node:
    """A node of a curve; declination in deg."""
    found = curve.found[k]
    far, threshold = or_reason(found.discovery_potential, SIGMA), or_reason(found.threshold, SIGMA)
    return Node(
        sample=curve.samples.name,
        origin=curve.samples.origin,
        index=curve.index,
        dec_deg=declination,
        sensitivity=point_flux(curve.least[k], found.per_flux, curve.index),
        discovery_potential=point_flux(far, found.per_flux, curve.index),
        n_signal_spread=found.spread,
        energies=found.energies,
        background_median=Measured(value=found.median.ts, error=found.median.error),
        threshold_ts=_measured(threshold),
        threshold_p_error=threshold if isinstance(threshold, Unknown) else threshold.p_error / threshold.p,
        events_per_flux=found.per_flux,
    )


def limit_at(curve: Curve, source: PointSource, fit: Floats) -> PointLimit:
    """The limit of the data at a source; fit : test statistic, n_s, index and whether it converged."""
    dec = source.declination
    found, least = (or_reason(curve.upper_limit, dec, ts) for ts in (float(fit[0]), 0.0))
    return PointLimit(
        sample=curve.samples.name,
        origin=curve.samples.origin,
        index=curve.index,
        source=source.name,
        at=position(source.right_ascension, dec),
        fitted=fitted_row(fit),
        limit=point_flux(found, curve.per_flux(dec), curve.index),
        is_sensitivity=not isinstance(found, Unknown)
        and not isinstance(least, Unknown)
        and found.n_signal <= least.n_signal,
        beyond_the_curve=bool(not curve.sin_dec[0] <= np.sin(dec) <= curve.sin_dec[-1]),
    )


def _point_curve(curve: Curve, declinations: tuple[float, ...], sources: Catalogue | None, fits: Floats) -> PointCurve:
    nodes = tuple(node_of(curve, k, dec) for k, dec in enumerate(declinations))
    found = ((node.sensitivity, node.discovery_potential) for node in nodes)
    events = np.array([[one.n_signal.value if isinstance(one, PointFlux) else np.nan for one in row] for row in found])
    sin_dec, *lines = (line.tolist() for line in curve.line(*events.T))
    near, far = (tuple(None if math.isnan(flux) else flux for flux in line) for line in lines)
    listed = sources.sources if sources else ()
    limits = [limit_at(curve, source, fit) for source, fit in zip(listed, fits, strict=True)]
    return PointCurve(
        provenance=provenance_of(curve.samples),
        index=curve.index,
        convention=fluxes.convention(curve.plan.hypothesis(0.0, curve.index)),
        nodes=nodes,
        limits=tuple(sorted(limits, key=lambda one: -one.fitted.ts)),
        line=Line(sin_dec=tuple(sin_dec), sensitivity=near, discovery_potential=far),
    )
