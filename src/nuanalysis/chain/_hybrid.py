"""Hybrid fits of simulated events: their pulses are made again, and each is fitted from what a network says of it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path

import numpy as np

from nuanalysis.chain._events import Recipe, Seen, array
from nuanalysis.chain._judge import WIDEST, Judgement
from nuanalysis.chain._kept import opened_as, trained_as
from nuanalysis.chain._light import Medium, light, opened_light
from nuanalysis.detector import Pulses, Truth, generate, hull, inside, simulate_events
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.provenance import room_fingerprint
from nuanalysis.engine.shards import Shards, fill_shards
from nuanalysis.errors import InputError
from nuanalysis.learn import (
    Critical,
    Fit,
    LightNetwork,
    NetworkLight,
    Problem,
    SigmaLaw,
    critical_values,
    deficit_at,
    event_pulses,
    network_light,
    observe,
    profile,
    start_at,
)
from nuanalysis.learn import reconstruct as fit_of
from nuanalysis.schema import Bools, Floats, Ints
from nuanalysis.store import write_object

PIECE = 25  # events of a piece; values do not depend on it
_LIGHT = files("nuanalysis.learn") / "weights" / "light-cascade.npz"
_TIMED = 10  # fits that are made again to know what one costs


@dataclass(frozen=True, slots=True, eq=False)
class Starts:
    """Events to be fitted and what a network says of them, (event,) each, vectors (event, 3).

    number : of the event in its recipe, rising.  vertex : m.  direction : of motion.  log10_energy : E/GeV deposited.
    """

    number: Ints
    vertex: Floats
    direction: Floats
    log10_energy: Floats

    def __len__(self) -> int:
        return len(self.number)

    def part(self, k: int) -> Starts:
        """Events of piece k."""
        return Starts(*(getattr(self, one.name)[k * PIECE : (k + 1) * PIECE] for one in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """Hybrid fits of events, (event,) each, vectors (event, 3).

    number : of the event in its recipe, rising.  vertex, maximum : of the interaction, and middle of the light, m.
    direction : of motion.  log10_energy : E/GeV of an electromagnetic cascade as bright.  sigma : rad, of the Fisher
    information, not calibrated.  deficit : twice the fall of ln L at the true direction, or NaN.  iterations : of all
    searches.  converged : False where the last search did not end or nothing could be fitted; then the start stands.
    """

    number: Ints
    vertex: Floats
    maximum: Floats
    direction: Floats
    log10_energy: Floats
    sigma: Floats
    deficit: Floats
    iterations: Ints
    converged: Bools


@dataclass(frozen=True, slots=True, eq=False)
class HybridErrors:
    """What makes errors and contours of hybrid fits hold what they should.

    sigma : of the direction, from that of the Fisher information and the charge.  critical : values of the deficit.
    data : the events that both were taken from, in words.
    """

    sigma: SigmaLaw
    critical: Critical
    data: str


def hybrid_errors(folder: Path) -> HybridErrors:
    """The laws of a run, else those that come with the package.  Raises DataError where there are neither."""
    return trained_as(HybridErrors, folder, "hybrid")


def starts_of(seen: Seen, judged: Judgement, chosen: Bools | Ints) -> Starts:
    """Starts of some of the judged events, by their places among these."""
    said = judged.said
    number = seen.truth.number[judged.events[chosen]]
    return Starts(number, said.vertex[chosen], said.direction[chosen], said.log10_energy[chosen])


def pulses_again(recipe: Recipe, table_file: Path, number: int) -> tuple[Truth, Pulses]:
    """One event of a recipe, as it was made: the truth and its pulses."""
    where = array(recipe.medium)
    particles = generate(recipe.mix(where), seed=recipe.seed, first=number, last=number + 1)
    return particles.truth, simulate_events(where, opened_light(table_file), particles, recipe.seed)


def fitted(recipe: Recipe, bench: Bench, name: str, starts: Starts, *, contours: bool = True) -> Fits:
    """Hybrid fits of events of a recipe, made where they are missing, in pieces that any executor makes alike.

    contours : whether the deficit at the truth is wanted too, a quarter of the time; NaN without.
    Raises InputError where there is nothing to fit.
    """
    make = partial(fit_piece, recipe, light(bench, recipe.medium.photons), starts, contours)
    wanted = Shards(f"fits-{name}", _key(recipe, starts, contours), -(-len(starts) // PIECE), make, write_object)
    return _joined([opened_as(Fits, path) for path in fill_shards(bench, wanted)])


def fit_piece(recipe: Recipe, table_file: Path, starts: Starts, contours: bool, k: int) -> Fits:
    """Piece k of the fits."""
    own = starts.part(k)
    rows = [_row(recipe, table_file, own, contours, i) for i in range(len(own))]
    return Fits(own.number, *(np.array(column) for column in zip(*rows, strict=True)))


def _row(
    recipe: Recipe, table_file: Path, starts: Starts, contours: bool, i: int
) -> tuple[Floats | float | int | bool, ...]:
    """An event's columns of ``Fits`` but for the number."""
    truth, pulses = pulses_again(recipe, table_file, int(starts.number[i]))
    where, model = array(recipe.medium), light_model(recipe.medium)
    try:
        seen = event_pulses(pulses, 0)
        found = _fit(recipe.medium, starts, i, pulses)
        deficit = np.nan
        if contours:
            problem = Problem(observe(where, seen, found.maximum), model, profile(found.energy))
            deficit = deficit_at(problem, found.top, truth.direction[0])
    except InputError:  # no light where the start is
        nothing = starts.vertex[i], starts.vertex[i], starts.direction[i], starts.log10_energy[i]
        return (*nothing, WIDEST, np.inf, 0, False)
    sigma = float(np.hypot(*found.errors[5:]) / np.sqrt(2.0))
    return (
        found.vertex, found.maximum, found.direction, np.log10(found.energy), sigma, deficit, found.iterations,
        found.converged,
    )  # fmt: skip


def _fit(medium: Medium, starts: Starts, i: int, pulses: Pulses) -> Fit:
    """The fit of the only event of some pulses, from start i."""
    where, seen, energy = array(medium), event_pulses(pulses, 0), float(10.0 ** starts.log10_energy[i])
    middle = starts.vertex[i] + profile(energy).middle * starts.direction[i]
    start = start_at(where, seen, middle, energy, starts.direction[i])
    return fit_of(where, seen, light_model(medium), start=start)


@lru_cache(maxsize=2)
def light_model(medium: Medium) -> NetworkLight:
    """The light network that comes with the package, in the ice of a medium; opened once per process."""
    return network_light(opened_as(LightNetwork, Path(str(_LIGHT))), array(medium).ice)


def _key(recipe: Recipe, starts: Starts, contours: bool) -> str:
    """sha256 of all that fits depend on but their number: events, starts, code and weights of the reconstruction."""
    said = hashlib.sha256(json.dumps([recipe.key, PIECE, room_fingerprint("learn")]).encode())
    said.update(_LIGHT.read_bytes() + b"no contours" * (not contours))
    for one in fields(starts):
        said.update(np.ascontiguousarray(getattr(starts, one.name)).tobytes())
    return said.hexdigest()


def _joined(parts: Sequence[Fits]) -> Fits:
    return Fits(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Fits)))


def seconds_of_a_fit(recipe: Recipe, bench: Bench, starts: Starts) -> float:
    """Processor seconds of a fit, without its pulses: some are made again for it."""
    table_file, spent = light(bench, recipe.medium.photons), 0.0
    chosen = np.linspace(0, len(starts) - 1, min(_TIMED, len(starts))).astype(np.int64)
    for turn, i in enumerate([chosen[0], *chosen]):  # the first is not counted: it loads what is compiled
        _, pulses = pulses_again(recipe, table_file, int(starts.number[i]))
        began = time.process_time()
        _fit(recipe.medium, starts, int(i), pulses)
        spent += (time.process_time() - began) * (turn > 0)
    return spent / len(chosen)


def with_fits(judged: Judgement, fits: Fits, seen: Seen, errors: HybridErrors) -> Judgement:
    """A judgement whose direction, vertex, energy and error are those of the fits, where there are fits."""
    place, said = places(judged, fits, seen), judged.said
    changed = {"direction": fits.direction, "vertex": fits.vertex, "log10_energy": fits.log10_energy,
               "kappa": fits.sigma**-2.0}  # fmt: skip
    new = replace(said, **{name: _put(getattr(said, name), place, values) for name, values in changed.items()})
    charge = seen.variables.charge[judged.events[place]]
    return replace(judged, said=new, sigma=_put(judged.sigma, place, calibrated(fits, charge, errors)))


def places(judged: Judgement, fits: Fits, seen: Seen) -> Ints:
    """Places of fitted events among the judged ones, (fit,)."""
    return np.searchsorted(seen.truth.number[judged.events], fits.number)


def calibrated(fits: Fits, charge: Floats, errors: HybridErrors) -> Floats:
    """Errors of the directions of fits, rad; charge (event,) : photoelectrons after cleaning."""
    return np.minimum(errors.sigma.sigma(fits.sigma**-2.0, np.log10(charge)), WIDEST)


def contained(fits: Fits, medium: Medium) -> Bools:
    """Fits whose vertex is inside the hull of the strings, (event,)."""
    return inside(hull(array(medium)), fits.vertex)


def critical_of(fits: Fits, medium: Medium, errors: HybridErrors) -> Floats:
    """Deficits within which contours of 50 and 90 per cent lie, (event, 2)."""
    return critical_values(errors.critical, contained(fits, medium), fits.log10_energy)


def _put(values: Floats, place: Ints, new: Floats) -> Floats:
    out = values.copy()
    out[place] = new
    return out
