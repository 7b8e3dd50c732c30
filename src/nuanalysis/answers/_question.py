"""What questions and answers are made of: settings, the problems they pose, what all of them can do and say."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from nuanalysis.answers import HYPOTHESES
from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import xarray as xr
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.ensembles import Problem, problem_fingerprint
from nuanalysis.errors import InputError
from nuanalysis.library.catalogues import PREFIX
from nuanalysis.library.hypotheses import at_hand, check_name, model_origin, read_hypotheses
from nuanalysis.library.hypotheses import hypothesis as open_hypothesis
from nuanalysis.library.samples import Samples
from nuanalysis.likelihood import FLAT, FitResult, maximise, refuse_flat
from nuanalysis.model import OWN_SPECTRUM, Hypothesis, Sample, Terms, prepare, terms
from nuanalysis.records import Position, Provenance, Record, Settings, faults_of_a_setting, made, setting, shown, table
from nuanalysis.sky.records import Catalogue, PointSource

if TYPE_CHECKING:
    from astropy.table import QTable
    from matplotlib.figure import Figure

    from nuanalysis.plot import Drawn

UNIFORM = "template:isotropic"  # of the built-in ones the one that is alike at all right ascensions


def name_of(one: object) -> str:
    """The name of one of our own nouns; a name as it is."""
    return str(getattr(one, "name", one))


def checked(given: object) -> object:
    """A name that can be told without reading a map, or one of our own nouns."""
    with faults_of_a_setting():
        if not isinstance(given, str):
            return open_hypothesis(given)
        check_name(given.replace("each:", "stack:", 1) if given.startswith("each:") else given)
        if given.partition("?")[0] == UNIFORM:
            raise InputError(FLAT.format(given))
    return given


def checked_one(given: object) -> object:
    """As ``checked``; every source of a list, each on its own, is no one hypothesis."""
    if isinstance(given, str) and given.startswith("each:"):
        raise ValueError(f"'{given}' is a list of hypotheses; ask 'sources' or 'together', or stack:{given[5:]}")
    return checked(given)


def _checked_sources(given: object) -> object:
    """The name of a list of sources that can be told without reading it, or a catalogue that Python holds."""
    if isinstance(given, str):
        with faults_of_a_setting():
            check_name(f"{PREFIX}{given.removeprefix(PREFIX)}")
    elif not isinstance(given, Catalogue):
        raise ValueError(f"expected the name of a list of sources or a catalogue, found {type(given).__name__}")
    return given


#: template:NAME, template:FILE, stack:CATALOGUE, point:RA,DEC, or a noun that Python holds.
Named = Annotated[Any, BeforeValidator(checked), PlainSerializer(name_of)]
#: The same without each:CATALOGUE, which stands for many.
One = Annotated[Any, BeforeValidator(checked_one), PlainSerializer(name_of)]
#: A list of sources: a name, NAME?rule=.., a file, or a catalogue that Python holds.
SourceList = Annotated[Any, BeforeValidator(_checked_sources), PlainSerializer(name_of)]


def repeated(names: Iterable[str], what: str) -> list[str]:
    """What is said of names that come twice; nothing where all are different."""
    twice = [name for name, times in Counter(names).items() if times > 1]
    return [f"{', '.join(twice)} named twice; expected different {what}"] if twice else []


def stacked(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Different lists of sources as stacks.  Raises ValueError for none, and for one that is named twice."""
    faults = repeated((name_of(one).removeprefix(PREFIX) for one in given), "lists of sources")
    if faults or not given:
        raise ValueError("".join(faults) or "no list of sources; expected one or more, for example snr")
    return tuple(f"{PREFIX}{one.removeprefix(PREFIX)}" if isinstance(one, str) else one for one in given)


def _enough(name: str, fewest: int, zero: str, n: int) -> int:
    if 0 < n < fewest:
        raise ValueError(f"{name} is {n}; expected {fewest} or more, or 0 for {zero}")
    return n


Index = Annotated[float | None, setting(low=1, high=4, help="index of a power law, in place of the hypothesis' own")]
IndexFree = Annotated[bool | None, setting(help="fit the index; without: only for stacks and points")]
Precision = Annotated[float, setting(low=0.001, high=0.3, help="relative statistical error of the p-value")]
Scrambled = Annotated[
    int,
    setting(low=0, high=100_000_000, help="scrambles, 200 or more; 0: as many as the precision needs"),
    AfterValidator(partial(_enough, "trials", 200, "as many as the precision needs")),
]
Injected = Annotated[
    int,
    setting(low=0, high=10_000_000, help="injected skies for flux and limit; 0: only the fit"),
    AfterValidator(partial(_enough, "injections", 300, "only the fit")),
]
Smear = Annotated[
    float, setting(low=0, high=10, unit="deg", help="smear declinations of scrambles too (IceCube 2023: 3)")
]


#: Settings that name lists of sources.
_LISTS = ("catalogue", "catalogues", "sources")


class Asked(Settings):
    """What is asked: one record is the options of a verb and the arguments in Python.

    example : settings with which it is answered in seconds, for examples and tests.
    """

    example: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def of(cls, **values: Any) -> Self:
        """The question with these settings.  Raises InputError with all faults in one message."""
        return made(cls, values, f"'{cls.__module__.rpartition('.')[2]}' cannot be asked like this")

    @classmethod
    def title(cls) -> str:
        """The question in a sentence."""
        return (cls.__doc__ or cls.__name__).strip().partition("\n")[0]


class Question(Asked):
    """What is asked of samples: its record is a section of the spec too.

    several : whether it is asked of several samples at once.
    default_sample : the sample where none is said; '' where one must be.
    """

    several: ClassVar[bool] = False
    default_sample: ClassVar[str] = ""

    @abstractmethod
    def ask(self, samples: Samples, bench: Bench) -> Answer:
        """The answer.  Raises InputError for what cannot be asked of these samples."""

    def names(self) -> tuple[str, ...]:
        """The hypotheses it names, lists of sources as stacks."""
        out: list[str] = []
        for key, value in self:
            words = [one for one in (value if isinstance(value, tuple) else (value,)) if one and isinstance(one, str)]
            if key in _LISTS:
                out += [f"{PREFIX}{word.removeprefix(PREFIX)}" for word in words]
            elif key in HYPOTHESES:
                out += [word for word in words if ":" in word]
        return tuple(out)

    def at_hand(self) -> None:
        """Raise InputError or DataError for files that are not here or cannot be read: before any sample is made."""
        for name in self.names():
            at_hand(name)


class Answer(Record):
    """What was found: shows itself as text, HTML, table, JSON and figure."""

    rows: ClassVar[str] = ""  # where the rows of its table are, as in 'catalogues.sources'; without: the answer is one
    provenance: Provenance = shown("whose events")

    @property
    def name(self) -> str:
        """The question that it answers, which is its file."""
        return type(self).__module__.rpartition(".")[2]

    def headline(self) -> tuple[str, ...]:
        """The answer in a sentence or two."""
        return ()

    def about(self) -> Mapping[str, str]:
        """More lines of the head of its table, by their keys."""
        return {}

    def to_table(self) -> QTable:
        """An astropy QTable: a row for each part of the answer where it has parts, else one row."""
        rows: Sequence[Any] = (self,)
        for name in filter(None, self.rows.split(".")):
            rows = [part for row in rows for part in getattr(row, name)]
        return table(rows, self.provenance, **self.about())

    def drawn(self) -> tuple[Drawn, ...]:
        """The figures of the answer, each with its caption and alt text."""
        return ()

    def plot(self) -> Figure:
        """The figure of the answer; the first where there are several."""
        figures = self.drawn()
        if not figures:
            raise InputError(f"this answer has nothing to draw: {'; '.join(self.headline()) or type(self).__name__}")
        return figures[0].figure

    def files(self) -> Mapping[str, bytes]:
        """Files besides figures, table and JSON, by name."""
        return {}

    def products(self) -> dict[str, xr.Dataset]:
        """Large datasets that belong to the answer, by the name of the field that carries them."""
        carried = {name: getattr(self, name) for name, field in type(self).model_fields.items() if field.exclude}
        return {name: one for name, one in carried.items() if isinstance(one, xr.Dataset)}

    def write(self, folder: str | Path) -> tuple[Path, ...]:
        """Write JSON, table, figures and whatever else belongs to the answer into a folder; returns the paths.

        Raises InputError where ``folder`` is a file, EnvironmentFault where it cannot be written.
        """
        from nuanalysis import plot, store

        folder = Path(folder)
        store.refuse_folder(folder)
        hypothesis = getattr(getattr(self, "tested", None), "hypothesis", "")
        parts = (self.name, plot.slug(self.provenance.sample), hypothesis and plot.slug(hypothesis))
        stem = "-".join(filter(None, parts))
        marked = stem + plot.mark(self.provenance.origin)
        written = {
            f"{marked}.json": (json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n").encode(),
            f"{marked}.ecsv": store.table_ecsv(self.to_table()),
            **self.files(),
        }
        for name, data in written.items():
            store.atomic_write(folder / name, data)
        figures = [plot.save(one.figure, folder, one.sidecar, table=one.table) for one in self.drawn()]
        return (*(folder / name for name in written), *figures)


class OnHypothesis(Question):
    """A question on one hypothesis."""

    hypothesis: One = setting(help="template:NAME or FILE, stack:CATALOGUE, or point:RA,DEC in degrees")
    index: Index = None
    index_free: IndexFree = None

    def posed(self, samples: Samples) -> Problem:
        """Its hypothesis, prepared on samples."""
        return pose(self.hypothesis, samples, index=self.index, index_free=self.index_free)


def pose(asked: object, samples: Samples, *, index: float | None = None, index_free: bool | None = None) -> Problem:
    """A hypothesis, by name or as it is, prepared on samples; index, index_free : see ``library.hypothesis``."""
    return prepared_on(open_hypothesis(asked, index=index, index_free=index_free), samples)


def prepared_on(hypothesis: Hypothesis, samples: Samples) -> Problem:
    """A hypothesis prepared on samples."""
    return prepared_on_seasons(hypothesis, samples.seasons, samples.seed)


def prepared_on_seasons(hypothesis: Hypothesis, seasons: tuple[Sample, ...], seed: int) -> Problem:
    """A hypothesis prepared on the seasons of a sample; seed : of its trials.

    Raises InputError for one that is alike at all right ascensions: its n_s would have no bound.
    """
    prepared = prepare(hypothesis, seasons)
    refuse_flat((prepared,))
    return Problem(prepared, problem_fingerprint(hypothesis, seasons), seed)


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
