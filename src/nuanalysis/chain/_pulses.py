"""Pulses of simulated events, kept with their truth: all that the modules record, for whoever wants to see it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from nuanalysis.chain._events import BATCH, Recipe, array
from nuanalysis.chain._light import light, opened_light
from nuanalysis.deferred import xarray as xr
from nuanalysis.detector import generate, pulses_dataset, simulate_events, truth_dataset
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.shards import Shards, fill_shards
from nuanalysis.store.pulses import write_pulses

Kept = tuple[xr.Dataset, xr.Dataset]


def kept_pulses(recipe: Recipe, bench: Bench, name: str) -> tuple[Path, ...]:
    """Files of ``store.pulses``, one a batch of a recipe, of all events that were made; about 10 kB an event.

    The events are made again for it: what a run keeps else are their hits after cleaning.
    """
    make = partial(make_pulses, recipe, light(bench, recipe.medium.photons))
    wanted = Shards(f"pulses-{name}", recipe.key, -(-recipe.total // BATCH), make, _write, ".zarr.zip")
    return fill_shards(bench, wanted)


def make_pulses(recipe: Recipe, table_file: Path, k: int) -> Kept:
    """Truth and pulses of batch k, schemas TRUTH and PULSES."""
    where, first = array(recipe.medium), k * BATCH
    particles = generate(recipe.mix(where), seed=recipe.seed, first=first, last=min(first + BATCH, recipe.total))
    pulses = simulate_events(where, opened_light(table_file), particles, recipe.seed)
    return (
        truth_dataset(particles.truth, detector=where.name, seed=recipe.seed),
        pulses_dataset(pulses, detector=where.name, seed=recipe.seed),
    )


def _write(path: Path, kept: Kept) -> None:
    write_pulses(path, *kept)
