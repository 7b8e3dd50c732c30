"""From names to prepared problems, and what every answer says of them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

import numpy as np

from nuanalysis.answers._question import Index, IndexFree, Named, Question
from nuanalysis.deferred import healpy as hp
from nuanalysis.engine.ensembles import Problem, problem_fingerprint
from nuanalysis.library.hypotheses import hypothesis as open_hypothesis
from nuanalysis.library.hypotheses import model_origin, read_hypotheses
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import FitResult, maximise
from nuanalysis.model import OWN_SPECTRUM, Hypothesis, Sample, Terms, prepare, terms
from nuanalysis.records import Position, Provenance, Record, setting, shown
from nuanalysis.sky.records import Catalogue, PointSource


def pose(asked: object, samples: Samples, *, index: float | None = None, index_free: bool | None = None) -> Problem:
    """A hypothesis, by name or as it is, prepared on samples.

    index, index_free : see ``library.hypothesis``.
    """
    return prepared_on(open_hypothesis(asked, index=index, index_free=index_free), samples)


def prepared_on(hypothesis: Hypothesis, samples: Samples) -> Problem:
    """A hypothesis prepared on samples."""
    return prepared_on_seasons(hypothesis, samples.seasons, samples.seed)


def prepared_on_seasons(hypothesis: Hypothesis, seasons: tuple[Sample, ...], seed: int) -> Problem:
    """A hypothesis prepared on the seasons of a sample; seed : of its trials."""
    return Problem(prepare(hypothesis, seasons), problem_fingerprint(hypothesis, seasons), seed)


class OnHypothesis(Question):
    """A question on one hypothesis."""

    hypothesis: Named = setting(help="template:NAME or FILE, stack:CATALOGUE, or point:RA,DEC in degrees")
    index: Index = None
    index_free: IndexFree = None

    def posed(self, samples: Samples) -> Problem:
        """Its hypothesis, prepared on samples."""
        return pose(self.hypothesis, samples, index=self.index, index_free=self.index_free)


def fit_data(problem: Problem) -> tuple[FitResult, Terms]:
    """The fit of the data, and their terms."""
    data = terms(problem.prepared)
    return maximise(data), data


def provenance_of(samples: Samples, *problems: Problem) -> Provenance:
    """Whose events, and which hypotheses stand in for others."""
    targets = [p.hypothesis.target for p in problems]
    return Provenance(
        sample=samples.name,
        origin=samples.origin,
        n_events=samples.n_events,
        seed=samples.seed,
        injected=samples.injected,
        statistic=samples.statistic,
        remarks=tuple(dict.fromkeys(remark for target in targets for remark in getattr(target, "remarks", ()))),
        notes=samples.notes,
        fingerprint=problems[0].fingerprint if len(problems) == 1 else "",
        version=version("nuanalysis"),
    )


class Tested(Record):
    """A hypothesis: its name, what it is called in figures, and where its model is from."""

    hypothesis: str = shown("hypothesis")
    label: str = shown("label", hidden=True)
    model_origin: str = shown("where the model is from", hidden=True)
    model_reference: str = shown("its reference", hidden=True)
    index: float | None = shown("spectral index held in fits, injections and fluxes; null: the template's own", None)
    index_free: bool = shown("whether the index is fitted", False)
    fingerprint: str = shown("sha256 of all that its trials depend on", "", hidden=True)

    def words(self, form: str = "") -> str:
        return f"{self.hypothesis}: {self.label}"

    def cell(self, form: str = "") -> str:
        return self.hypothesis


def tested(problem: Problem) -> Tested:
    """What was tested."""
    hypothesis = problem.hypothesis
    return Tested(
        hypothesis=hypothesis.name,
        label=hypothesis.target.label,
        model_origin=model_origin(hypothesis),
        model_reference=hypothesis.target.reference,
        index=None if hypothesis.index == OWN_SPECTRUM else hypothesis.index,
        index_free=hypothesis.index_free,
        fingerprint=problem.fingerprint,
    )


class Fitted(Record):
    """A fit of the data; index null where the spectrum is the template's own, or where nothing was fitted."""

    ts: float = shown("test statistic TS", form=".2f", short="TS")
    n_signal: float = shown("fitted signal events n_s", form=".1f", short="n_s")
    index: float | None = shown("spectral index", None, form=".2f")
    converged: bool = shown("the fit converged", True)

    @property
    def warning(self) -> str:
        """What is said behind a fit that did not converge."""
        return "" if self.converged else " The fit did NOT converge."


def fitted(problem: Problem, best: FitResult) -> Fitted:
    """The fit as it is published."""
    told = best.index != OWN_SPECTRUM and (best.n_signal > 0 or not problem.hypothesis.index_free)
    return Fitted(ts=best.ts, n_signal=best.n_signal, index=best.index if told else None, converged=best.converged)


def position(ra: float, dec: float) -> Position:
    """ICRS and Galactic coordinates of a direction in rad."""
    lon, lat = hp.Rotator(coord=["C", "G"])(np.degrees(ra), np.degrees(dec), lonlat=True)
    return Position(
        ra_deg=float(np.degrees(ra)),
        dec_deg=float(np.degrees(dec)),
        l_deg=float(np.ravel(lon)[0]) % 360.0,
        b_deg=float(np.ravel(lat)[0]),
    )


def direction(ra: float, dec: float, extension: float = 0.0) -> Hypothesis:
    """A source at right ascension and declination, of a Gaussian extension, all in rad; its index free."""
    name = f"point:{np.degrees(ra):.6g},{np.degrees(dec):.6g}"
    source = PointSource(name, ra, dec, extension)
    return Hypothesis(name, Catalogue(name, name, (source,), (1.0,), "a direction"), 2.7, True)


def open_all(
    asked: Iterable[object], samples: Samples, *, index: float | None = None, index_free: bool | None = None
) -> tuple[Problem, ...]:
    """Several hypotheses prepared on the same events; each:CATALOGUE stands for every source of it."""
    found: list[Hypothesis] = []
    for one in asked:
        if isinstance(one, str):
            found += read_hypotheses(one, index=index, index_free=index_free)
        else:
            found.append(open_hypothesis(one, index=index, index_free=index_free))
    return tuple(prepared_on(h, samples) for h in found)
