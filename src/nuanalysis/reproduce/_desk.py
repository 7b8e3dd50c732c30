"""Where an item is made: seed, effort and bench, or a finished run whose answers serve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from nuanalysis.answers import Answer, question
from nuanalysis.engine.bench import Bench
from nuanalysis.library import samples
from nuanalysis.library.samples import Samples, sample_spec
from nuanalysis.publish import CampaignRow, Entry, Results, plain_rows
from nuanalysis.records import Provenance

CASCADES = "cascades-2023"
_LEAST = {"scrambles": 200, "injections": 300, "trials": 200, "skies": 20, "twins": 4}


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """All that an item is made with.

    effort : times the trials of an item; 1 is what its ``cpu_minutes`` were measured with.
    run : results of a finished run; an answer to the same question of the same sample is taken from there.
    """

    bench: Bench
    seed: int = 1
    effort: float = 1.0
    run: Results | None = None

    def sample(self, name: str = CASCADES, **settings: Any) -> Samples:
        """A sample, drawn or read."""
        return samples.load(sample_spec(name=name, **settings), self.seed)

    def trials(self, many: int, kind: str = "trials") -> int:
        """So many trials at this effort, and never fewer than the question takes."""
        return max(_LEAST[kind], round(many * self.effort))

    def ask(self, section: str, name: str, held: Samples, **settings: Any) -> Entry:
        """The answer to a question, from the run where it was asked there, under a name of its own."""
        known = next((one for one in self._kept(section, held.name) if _is(one, name, settings)), None)
        if known is not None:
            return known
        asked = question(section).of(**settings)
        asked.at_hand()
        answer: Answer = asked.ask((held,) if asked.several else held, self.bench)  # type: ignore[arg-type]
        return Entry.model_construct(section=section, name=name, answer=answer)

    def table(self, entry: Entry) -> tuple[CampaignRow, ...]:
        """The rows of the campaign table that an answer gives."""
        return tuple(plain_rows(entry))

    def rows(self, section: str, name: str, held: Samples, **settings: Any) -> tuple[CampaignRow, ...]:
        """The rows of the campaign table that a question gives."""
        return self.table(self.ask(section, name, held, **settings))

    def provenance(self, held: Samples) -> Provenance:
        """Whose events an item is of."""
        return Provenance(
            sample=held.name,
            origin=held.origin,
            n_events=held.n_events,
            seed=self.seed,
            injected=held.injected,
            statistic=held.statistic,
            notes=held.notes,
            version=version("nuanalysis"),
        )

    def printed(self, *sources: str, drawn: bool = False) -> Provenance:
        """Of an item that needs no sample.

        drawn : whether events were drawn from the response.
        """
        return Provenance(
            sample=CASCADES if drawn else "published",
            origin="synthetic" if drawn else "real",
            n_events=0,
            seed=self.seed,
            notes=sources,
            version=version("nuanalysis"),
        )

    def _kept(self, section: str, sample: str) -> Iterator[Entry]:
        found = self.run.answers if self.run is not None else ()
        return (one for one in found if (one.section, one.sample) == (section, sample))


def _is(entry: Entry, name: str, settings: dict[str, Any]) -> bool:
    """Whether an entry answers the question of this name, and at the same TS where one is asked for."""
    ts = settings.get("ts")
    return bool(entry.name == name and (ts is None or ts == getattr(entry.answer, "ts", None)))
