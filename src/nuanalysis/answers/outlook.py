"""What will IceCube, KM3NeT/ARCA and IceCube-Gen2 see of a template?  PROJECTIONS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator

from nuanalysis import trials as ensembles
from nuanalysis.answers._ensembles import or_nan, or_reason
from nuanalysis.answers._outlook_lines import ARCA, GEN2, ICECUBE, Line, Part, arca, gen2_line, icecube
from nuanalysis.answers._outlook_trials import QUANTILES, Experiments, experiments, problem_of
from nuanalysis.answers._question import Answer
from nuanalysis.answers._reading import Reading, read_from
from nuanalysis.errors import InputError
from nuanalysis.interpret import fluxes
from nuanalysis.interpret.outlook import LEAST, Asimov, expected
from nuanalysis.interpret.published import PUBLISHED, SCIENCE_2023
from nuanalysis.library import outlook as detectors
from nuanalysis.library.hypotheses import check_name, hypothesis
from nuanalysis.model import Hypothesis
from nuanalysis.plot import Drawn, Kind, OutlookSeries, Sidecar, Tried, mark, outlook_figure
from nuanalysis.records import Measured, Record, Unknown, faults_of_a_setting, known, setting, shown
from nuanalysis.response import arca230, cascades_2023, gen2
from nuanalysis.simulate import YEAR

TRACKS, SHOWERS, BOTH = "ARCA tracks", "ARCA showers", "IceCube to the end + ARCA"
BANDS = (-90.0, -30.0, -10.0, 10.0, 30.0, 90.0)  # of declination, deg
GEN2_THRESHOLD = 10.0  # TeV, of the line
GEN2_YEARS = 10.0  # of the table over assumptions
RULE = (
    f"a ring of declination takes part, in each bin of energy and part of the point spread, where it holds {LEAST:g} "
    "background events or more at the longest livetime of its series"
)
CAUTIONS = (
    "PROJECTION: no event of these was seen, and no plan of a collaboration is quoted",
    "IceCube goes on as the cascades of 2011 to 2021 did; the Upgrade and better reconstructions are not exposure and "
    "are left out",
    "ARCA: nu_mu CC tracks and nu_e CC showers of the full detector of 230 lines; signal of tau neutrinos and neutral "
    "currents is left out; years count from the day it stands",
    "Gen2: the cascade response of 2023 with a larger area above a threshold; every number of it is assumed",
    "systematic errors are a floor that no exposure lowers, those of the cascades for all detectors",
)


def _template(name: str) -> str:
    with faults_of_a_setting():
        check_name(name)
        if not name.startswith("template:"):
            raise InputError(f"'{name}' is no template; expected template:NAME or FILE")
    return name


def _dates(years: tuple[float, ...]) -> tuple[float, ...]:
    if not years or not all(0.1 <= one <= 40.0 for one in years):
        raise ValueError(f"years are {', '.join(f'{one:g}' for one in years) or 'none'}; expected 0.1 to 40 each")
    return tuple(sorted(set(years)))


Dates = Annotated[tuple[float, ...], AfterValidator(_dates)]


class Outlook(Reading):
    """What IceCube, KM3NeT/ARCA and IceCube-Gen2 will see of a template.  PROJECTIONS."""

    example: ClassVar = {"hypothesis": "template:pi0-like", "flux": 2e-11, "trials": 0}
    hypothesis: Annotated[str, AfterValidator(_template)] = setting("template:pi0", help="template:NAME or FILE")
    flux: float | None = setting(
        None, above=0, high=1, unit=fluxes.UNIT, help="E^2 dN/dE at 100 TeV per flavour; without: published best fit"
    )
    years: Dates = setting((1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 12.0, 15.0), help="years of ARCA and Gen2")
    until: int = setting(2030, low=2022, high=2045, help="year at whose end IceCube's cascades stop")
    trials: int = setting(100, low=0, high=100_000, help="experiments at each date of trial_years; 0: Asimov alone")
    trial_years: Dates = setting((3.0,), help="years of ARCA at which experiments are made")

    def model_post_init(self, context: object) -> None:
        if self.flux is None and self.hypothesis not in PUBLISHED:
            names = ", ".join(name for name in PUBLISHED if name.startswith("template:"))
            raise ValueError(f"no best fit of '{self.hypothesis}' was published; say a flux, or take one of {names}")
        if 0 < self.trials < 30:
            raise ValueError(f"trials is {self.trials}; expected 30 or more, or 0 for Asimov alone")

    def ask(self) -> OutlookAnswer:
        tested = hypothesis(self.hypothesis)
        strengths = _fluxes(tested, self.flux)
        lines, assumed, floor = _lines(tested, self._last), _assumed(tested), systematic_error(tested)
        plain = tuple(one.line for one in assumed if one.width == 1.0)
        usual = next(one for one in plain if (one.threshold, one.area) == (GEN2_THRESHOLD, gen2.AREA))
        dates = [_rows(one, self._years(one), strengths, floor) for one in lines.values()]
        tried = tuple(self._tried(tested, lines, strengths[1])) if self.trials else ()
        sources = (SCIENCE_2023, arca230.REFERENCE, "arXiv:2308.09427, arXiv:2008.04323 (Gen2, abstracts)", *CAUTIONS)
        return OutlookAnswer(
            provenance=read_from(sources, self.seed, origin="synthetic", of="projection"),
            hypothesis=tested.name,
            label=tested.target.label,
            convention=fluxes.convention(tested),
            flux=Flux3(low=strengths[0], best=strengths[1], high=strengths[2]),
            floor=floor,
            dates=(*(row for rows in dates for row in rows), *_rows(usual, self.years, strengths, floor, plain)),
            experiments=tried,
            declinations=tuple(_by_declination(one, strengths[1]) for one in lines.values()),
            gen2=tuple(
                Gen2Row(threshold=one.line.threshold, area=one.line.area, width=one.width, years=GEN2_YEARS,
                        sigma=one.line.at(GEN2_YEARS, strengths[1]).sigma)
                for one in assumed
            ),
            until=self.until,
        )  # fmt: skip

    @property
    def _last(self) -> float:
        """Live years of IceCube's cascades at their end."""
        return detectors.live_years(self.until)

    def _years(self, one: Line) -> tuple[float, ...]:
        if one.name != ICECUBE:
            return self.years
        between = map(detectors.live_years, range(2022, self.until + 1, 2))
        return (cascades_2023.LIVETIME_S / YEAR, *between, self._last)

    def _tried(self, tested: Hypothesis, lines: Mapping[str, Line], flux: float) -> Iterator[Trial]:
        """Experiments of IceCube to its last date, and of ARCA and of both at the dates that are asked for."""
        last, channels = self._last, ("arca230-tracks", "arca230-showers")
        plans: list[tuple[str, tuple[str, ...], tuple[float, ...], float]] = [
            (ICECUBE, (cascades_2023.NAME,), (last,), last)
        ]
        for years in self.trial_years:
            plans.append((ARCA, channels, (years, years), years))
            plans.append((BOTH, (cascades_2023.NAME, *channels), (last, years, years), years))
        for name, samples, livetimes, at in plans:
            made = experiments(problem_of(tested, samples, livetimes, self.seed), flux, self.trials)
            yield trial_of(name, at, made, lines[name].at(at, flux))


def _rows(
    line: Line, years: Sequence[float], strengths: tuple[float, ...], floor: float, others: Sequence[Line] = ()
) -> tuple[Date, ...]:
    """A row for each date: the best flux, and the envelope over fluxes and over the line with other assumptions."""
    out = []
    for at in dict.fromkeys(years):
        best = line.at(at, strengths[1])
        if not np.isfinite(best.relative_error):
            raise InputError(
                f"{line.name} cannot see it: the map has no structure in right ascension, or no ring has enough events"
            )
        band = [one.at(at, flux).sigma for one in (line, *others) for flux in set(strengths)]
        row = Date(
            detector=line.name, years=at, sigma=best.sigma, least=min(band), most=max(band),
            low=max(best.sigma - 1.0, 0.0), high=best.sigma + 1.0, error=best.relative_error,
            with_floor=float(np.hypot(best.relative_error, floor)),
            index_error=known(line.index_error(at, strengths[1]), "nothing tells its flux and index apart"),
        )  # fmt: skip
        out.append(row)
    return tuple(out)


def _lines(tested: Hypothesis, icecube_years: float) -> dict[str, Line]:
    cascades, both = icecube(tested, icecube_years), arca(tested)
    return {
        one.name: one
        for one in (
            cascades,
            replace(both, name=TRACKS, parts=both.parts[:1]),
            replace(both, name=SHOWERS, parts=both.parts[1:]),
            both,
            replace(both, name=BOTH, parts=(Part(cascades.parts[0].seen, icecube_years), *both.parts)),
        )
    }


@dataclass(frozen=True, slots=True, eq=False)
class Assumed:
    """Gen2 with one set of assumptions; width : of its point spread over that of the cascades."""

    line: Line
    width: float


def _assumed(tested: Hypothesis) -> tuple[Assumed, ...]:
    """Every threshold and area, with the point spread of the cascades and a sharper one."""
    return tuple(
        Assumed(gen2_line(seen, threshold, area), width)
        for width in sorted(gen2.WIDTHS, reverse=True)
        for seen in (expected(detectors.gen2_cascades(width), tested),)
        for threshold in gen2.THRESHOLDS_TEV
        for area in (gen2.AREAS[0], gen2.AREA, gen2.AREAS[1])
    )


def _fluxes(tested: Hypothesis, flux: float | None) -> tuple[float, float, float]:
    """The flux at -1, 0 and +1 sigma of its published fit, TeV cm^-2 s^-1; a flux that was said has no error."""
    if flux is not None:
        return (flux,) * 3
    fit = PUBLISHED[tested.name]
    if np.isfinite(fit.flux):
        return fit.flux_low, fit.flux, fit.flux_high
    model = fluxes.model_flux(tested)
    return fit.low_in_models * model, fit.in_models * model, fit.high_in_models * model


def systematic_error(tested: Hypothesis) -> float:
    """Relative systematic error of a flux: acceptance and energy scale of the cascades; for its index, else for 2.7."""
    errors = cascades_2023.SYSTEMATICS
    scale = np.log(10.0) * errors.energy_shift * ((tested.index or 2.7) - 1.0)
    return float(np.hypot(errors.acceptance, scale))


def trial_of(name: str, years: float, made: Experiments, seen: Asimov) -> Trial:
    """What experiments say, beside Asimov."""
    null = (made.null_ts, made.log_weight)
    middle = or_reason(ensembles.median_significance, made.ts, null)
    ends = [
        or_reason(ensembles.median_significance, np.full(2, np.quantile(made.ts, q)), null)
        for q in (QUANTILES[0], QUANTILES[2])
    ]
    low, median, high = np.quantile(made.strength, QUANTILES)
    count = len(made.ts)
    return Trial(
        detector=name,
        years=years,
        n_trials=count,
        ts=float(np.median(made.ts)),
        sigma=middle if isinstance(middle, Unknown) else Measured(value=middle.sigma, error=middle.error),
        low=ends[0] if isinstance(ends[0], Unknown) else ends[0].sigma,
        high=ends[1] if isinstance(ends[1], Unknown) else ends[1].sigma,
        bias=Measured(value=float(median), error=float(1.25 * made.strength.std() / np.sqrt(count))),
        error=float(0.5 * (high - low) / median) if median > 0 else Unknown(reason="the median fit is zero"),
        asimov=seen.sigma,
        asimov_error=seen.relative_error,
    )


def _by_declination(one: Line, flux: float) -> ByDeclination:
    found = one.at(10.0, flux).share_between(np.sin(np.radians(BANDS)))
    return ByDeclination(detector=one.name, edges=BANDS, shares=tuple(found.tolist()))


class Flux3(Record):
    """The flux at -1, 0 and +1 sigma of its published fit; thrice the same where it was said."""

    low: float = shown("flux, -1 sigma", unit=fluxes.UNIT, form=".3g")
    best: float = shown("flux", unit=fluxes.UNIT, form=".3g")
    high: float = shown("flux, +1 sigma", unit=fluxes.UNIT, form=".3g")


class Date(Record):
    """What a detector is expected to see after some years (Asimov)."""

    detector: str = shown("detector")
    years: float = shown("live years", form=".4g")
    sigma: float = shown("significance of the median experiment", form=".2f", short="sigma")
    low: float = shown("16 % of the experiments", form=".2f", short="16 %")
    high: float = shown("84 % of the experiments", form=".2f", short="84 %")
    least: float = shown("least over fluxes and assumptions", form=".2f", short="least")
    most: float = shown("most over fluxes and assumptions", form=".2f", short="most")
    error: float = shown("statistical error of the flux over the flux", form=".3f", short="error")
    with_floor: float = shown("the same with systematic errors", form=".3f", short="with floor")
    index_error: float | Unknown = shown(
        "statistical error of the index, or of a tilt of its own spectrum, the flux free", form=".3f", short="of index"
    )


class Trial(Record):
    """The same from pseudo-experiments with the likelihood of the analysis."""

    detector: str = shown("detector")
    years: float = shown("live years", form=".4g")
    n_trials: int = shown("experiments")
    ts: float = shown("median TS", form=".2f")
    sigma: Measured | Unknown = shown("significance of the median experiment", short="sigma")
    low: float | Unknown = shown("16 % of the experiments", form=".2f", short="16 %")
    high: float | Unknown = shown("84 % of the experiments", form=".2f", short="84 %")
    bias: Measured = shown("median fitted flux over the injected one", short="fitted over injected")
    error: float | Unknown = shown(
        "half width of 68 % of the fitted fluxes over their median", form=".3f", short="error"
    )
    asimov: float = shown("Asimov significance", form=".2f", short="Asimov")
    asimov_error: float = shown("Asimov error of the flux over the flux", form=".3f", hidden=True)


class ByDeclination(Record):
    """Where the information is from: shares of the expected TS."""

    detector: str = shown("detector")
    edges: tuple[float, ...] = shown("edges of declination", unit="deg", form="g")
    shares: tuple[float, ...] = shown("shares of TS", form=".3f")


class Gen2Row(Record):
    """Gen2 with one set of assumptions."""

    threshold: float = shown("threshold", unit="TeV", form="g")
    area: float = shown("area over that of the cascades of 2023", form="g")
    width: float = shown("width of the point spread over theirs", form="g")
    years: float = shown("live years", form="g")
    sigma: float = shown("significance of the median experiment", form=".2f", short="sigma")


class OutlookAnswer(Answer):
    """What detectors are expected to see of a template.  PROJECTION."""

    rows: ClassVar = "dates"
    hypothesis: str = shown("hypothesis")
    label: str = shown("label", hidden=True)
    convention: str = shown("what the flux is")
    flux: Flux3 = shown("injected flux")
    floor: float = shown("systematic error of the flux over the flux, a floor", form=".3f")
    dates: tuple[Date, ...] = shown("expected (Asimov)")
    experiments: tuple[Trial, ...] = shown("pseudo-experiments")
    declinations: tuple[ByDeclination, ...] = shown("shares of the expected TS by declination")
    gen2: tuple[Gen2Row, ...] = shown("Gen2 by its assumptions")
    until: int = shown("year at whose end IceCube's cascades stop", hidden=True)
    rule: str = shown("which rings take part", RULE)

    def headline(self) -> tuple[str, ...]:
        last = {one.detector: one for one in self.dates}
        told = "; ".join(f"{name} {one.sigma:.1f} sigma in {one.years:.3g} yr" for name, one in last.items())
        return (f"PROJECTION of {self.hypothesis} at {self.flux.best:.3g} {fluxes.UNIT}: {told}.",)

    def drawn(self) -> tuple[Drawn, ...]:
        origin, kinds = self.provenance.origin, (ICECUBE, ARCA, BOTH, GEN2)
        series = [_drawn_series(kind, [one for one in self.dates if one.detector == kind]) for kind in kinds]
        tried = [
            Tried(
                one.detector, one.years, one.sigma.value, _or(one.low, one.sigma), _or(one.high, one.sigma), one.error
            )
            for one in self.experiments
            if isinstance(one.sigma, Measured) and not isinstance(one.error, Unknown)
        ]
        words = (
            f"{self.hypothesis} at {self.flux.best:.3g} ({self.flux.low:.3g} to {self.flux.high:.3g}) {fluxes.UNIT}. "
            f"Lines: Asimov; {self.rule}. "
        )
        rest = (
            f" IceCube until the end of {self.until} where ARCA is added, whose years are shown. Sources and "
            f"assumptions: {'; '.join(self.provenance.notes)}."
        )
        shows: dict[Kind, str] = {
            "significance": "Bands: flux -1 to +1 sigma of its published fit, for Gen2 also thresholds of 5 to 30 TeV "
            "and 5 to 13 times the area. Points: pseudo-experiments, median and 16 to 84 %.",
            "error": "Points: pseudo-experiments. Both include the systematic error of the flux.",
            "index": "Statistical errors alone; flux at 100 TeV and index (or a tilt of its own spectrum) are fitted.",
        }
        titles: dict[Kind, str] = {
            "significance": "Expected significance",
            "error": "Expected error of the flux",
            "index": "Expected error of the index, the flux free,",
        }
        out = []
        for kind, title in titles.items():
            figure = outlook_figure(
                series, tried, kind=kind, floor=self.floor, label=f"PROJECTION: {self.label}", origin=origin
            )
            alt = f"{title} against live years, a projection. {' '.join(self.headline())}"
            name = f"outlook-{kind}{mark(origin)}"
            out.append(
                Drawn(figure, Sidecar(name, alt, f"PROJECTION. {title} of {words}{shows[kind]}{rest}", origin, "other"))
            )
        return tuple(out)


def _or(end: float | Unknown, middle: Measured) -> float:
    return middle.value if isinstance(end, Unknown) else end


def _drawn_series(name: str, rows: Sequence[Date]) -> OutlookSeries:
    columns = ("years", "sigma", "least", "most", "error", "with_floor", "index_error")
    found = (np.array([or_nan(getattr(one, column)) for one in rows]) for column in columns)
    return OutlookSeries(name, *found)
