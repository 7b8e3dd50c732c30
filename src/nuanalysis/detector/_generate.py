"""Events before their light has travelled: what happens, where, how often, and where light is made.

Event i of a seed is the same in whichever batch it is made.  Weights are of the whole ``Mix``: a rate is the sum over
all of its ``total`` events; of n of them it is total / n times the sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import scipy
from nuanalysis.detector import _bundles as bundles
from nuanalysis.detector import _neutrinos as neutrinos
from nuanalysis.detector._companions import ORIGINS, companion_energies, companions, overburden
from nuanalysis.detector._emission import Cascades
from nuanalysis.detector._event_kernels import event_keys, part_keys, uniforms
from nuanalysis.detector._ice import SPEED_OF_LIGHT
from nuanalysis.detector._muons import Keys, mean_range
from nuanalysis.detector._records import Kind, Particles, Truth
from nuanalysis.detector._shining import COUNTED, Muons, Showers, shine, summary
from nuanalysis.detector._volume import Cylinder, Hull, chord, crossing, enter, place_in, slant
from nuanalysis.errors import refuse
from nuanalysis.schema import Floats, Ints

_EVENTS, _MUONS = 1, 2  # streams of random numbers of a seed
_DRAWS = 17  # numbers of an event, in the order in which they are used below
_MUON_DRAWS = 3
_GLASHOW_RANGE = (4e6, 1e7)  # GeV; the resonance is 0.3 PeV wide
_CYLINDER = Cylinder()
_BUNDLE_COSINES = (0.087, 1.0)  # to 85 deg, where the parametrisation ends
_FARTHER = 1.6  # mean ranges that a muon may come; what comes farther is under 1e-3 of the mean way of muons
ENERGIES, INDEX = (400.0, 2e6), 1.0  # GeV, of neutrinos, drawn ~ E^-index: flat in log E
#: Shares of the kinds for training: electron, neutral, tau, starting and entering muons, bundles, Glashow.
EVEN = (0.25, 0.10, 0.10, 0.15, 0.15, 0.25, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Mix:
    """What is generated: everything but the seed and which events.

    hull : of the strings.  total : events of the whole sample.  shares : of each ``Kind``, in order; they sum to 1.
    low, high, index : neutrinos ~ E^-index between two energies in GeV.  cosines : of the zenith of neutrinos.
    cylinder : where bundles and muons from outside enter.  muon_index : of one muon of a bundle, drawn
    ~ (E + shift)^-index in ``biased`` of them; the natural index is about 3.8, and 1.5 makes rare hard ones common.
    In a share ``rich`` the number of muons m falls as m^(1 - nu) in place of m^-nu: they cost the most light.
    companions : 'conventional' or 'prompt' gives atmospheric neutrinos of that origin the hardest muon of their shower,
    where one comes; such a sample goes with that flux alone.
    """

    hull: Hull
    total: int
    shares: tuple[float, ...] = EVEN
    low: float = ENERGIES[0]
    high: float = ENERGIES[1]
    index: float = INDEX
    cosines: tuple[float, float] = (-1.0, 1.0)
    cylinder: Cylinder = _CYLINDER
    muon_index: float = 2.0
    biased: float = 0.8
    rich: float = 0.2
    companions: str | None = None

    def __post_init__(self) -> None:
        refuse(_faults(self), "no events of this mix", "correct it and call again")


def _faults(mix: Mix) -> list[str]:
    found = []
    if len(mix.shares) != len(Kind) or min(mix.shares) < 0.0 or abs(sum(mix.shares) - 1.0) > 1e-9:
        found.append(f"shares {mix.shares}, expected {len(Kind)} of them, not negative, that sum to 1")
    if not 100.0 <= mix.low < mix.high <= 1e7:
        found.append(f"energies from {mix.low:g} to {mix.high:g} GeV, expected a range within 100 GeV to 10 PeV")
    if not -1.0 <= mix.cosines[0] < mix.cosines[1] <= 1.0:
        found.append(f"cosines of the zenith {mix.cosines}, expected a range within -1 to 1")
    if mix.total < 1:
        found.append(f"{mix.total} events in all, expected at least 1")
    if not (0.0 <= mix.biased < 1.0 and 0.0 <= mix.rich < 1.0 and mix.muon_index > 1.0):
        given = f"biased {mix.biased:g}, rich {mix.rich:g} and muon_index {mix.muon_index:g}"
        found.append(f"{given}, expected two shares in [0, 1) and an index above 1")
    if mix.companions is not None and mix.companions not in ORIGINS:
        found.append(f"companions '{mix.companions}', expected {' or '.join(ORIGINS)}, or None")
    return found


def only(kind: Kind) -> tuple[float, ...]:
    """Shares of a mix of one kind."""
    return tuple(float(one == kind) for one in Kind)


def generate(mix: Mix, *, seed: int, first: int, last: int) -> Particles:
    """Events ``first`` to ``last`` (not with it) of a mix.  Raises InputError where they are not part of it."""
    refuse(
        [] if 0 <= first <= last <= mix.total else [f"events {first} to {last} of {mix.total}"],
        "no such events",
        "ask for a range within the total of the mix",
    )
    number = np.arange(first, last)
    u = uniforms(event_keys(seed, _EVENTS, number), _DRAWS)
    kind = np.searchsorted(np.cumsum(mix.shares), u[0], side="right").clip(0, len(Kind) - 1).astype(np.int64)
    keys = event_keys(seed, _MUONS, number)
    bundle = kind == Kind.BUNDLE
    i, j = np.flatnonzero(~bundle), np.flatnonzero(bundle)
    one, other = _neutrino_batch(mix, i, kind[i], u[:, i], keys[i]), _bundle_batch(mix, j, kind[j], u[:, j], keys[j])
    return _particles(mix, _together(one, other, np.argsort(np.concatenate([i, j]))), kind, number)


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Events as they begin, (event,) each as in ``Truth``, and what will shine, with places in the whole batch."""

    pdg: Ints
    energy: Floats
    inelasticity: Floats
    vertex: Floats
    direction: Floats
    number_of_muons: Ints
    weight: Floats
    muons: Muons
    showers: Showers


def _direction(cosine: Floats, azimuth: Floats) -> Floats:
    """Unit vectors of motion (event, 3) of what comes from a zenith and an azimuth."""
    sine = np.sqrt(np.maximum(1.0 - cosine**2, 0.0))
    return -np.column_stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine])


def _share(mix: Mix, kind: Ints) -> Floats:
    """Expected number of events of the kind of each, (event,)."""
    return np.asarray(mix.total * np.array(mix.shares)[kind])


# --- neutrinos ---------------------------------------------------------------------------------------------------


def _energies(mix: Mix, kind: Ints, u: Floats) -> tuple[Floats, Floats]:
    """Energies and their density per GeV, (event,) each."""
    resonant = kind == Kind.GLASHOW
    low, high = (np.where(resonant, g, e) for g, e in zip(_GLASHOW_RANGE, (mix.low, mix.high), strict=True))
    power = 1.0 - np.where(resonant, 1.0, mix.index)
    flat = np.abs(power) < 1e-9
    p = np.where(flat, 1.0, power)
    norm = np.where(flat, np.log(high / low), (high**p - low**p) / p)
    energy = np.where(flat, low * (high / low) ** u, (low**p + u * (high**p - low**p)) ** (1.0 / p))
    return energy, energy ** (power - 1.0) / norm


def _particle(kind: Ints, u: Floats) -> tuple[Ints, Ints]:
    """PDG number of the neutrino, and among how many it was drawn, (event,) each."""
    pdg, many = np.zeros(len(kind), np.int64), np.ones(len(kind), np.int64)
    for one, particles in neutrinos.PARTICLES.items():
        of = kind == one
        many[of] = len(particles)
        pdg[of] = np.array(particles)[(u[of] * len(particles)).astype(np.int64)]
    return pdg, many


def _entering(mix: Mix, direction: Floats, muon: Floats, u: Floats) -> tuple[Floats, Floats]:
    """Vertices (event, 3) outside of the hull of neutrinos whose muons may reach the cylinder, and the volume of each.

    muon (event,) : energy of the muon, GeV.  The place of entry is even over the cylinder, the vertex even along the
    line from as far back as a muon may come (or the surface) to the end of the cylinder, but for the hull.
    """
    point, up = enter(mix.cylinder, direction, u[:3]), -direction[:, 2]
    back = np.minimum(_FARTHER * mean_range(muon), slant(point, up))
    into, out = chord(mix.hull, point, direction)
    within = np.maximum(out - into, 0.0)
    length = back + crossing(mix.cylinder, point, direction) - within
    along = u[3] * length - back
    along = np.where((within > 0.0) & (along > into), along + within, along)
    return point + along[:, None] * direction, mix.cylinder.projected(up) * length


def _neutrino_batch(mix: Mix, event: Ints, kind: Ints, u: Floats, keys: Keys) -> _Batch:
    cosine = mix.cosines[0] + u[1] * (mix.cosines[1] - mix.cosines[0])
    direction = _direction(cosine, 2.0 * np.pi * u[2])
    energy, density = _energies(mix, kind, u[3])
    pdg, many = _particle(kind, u[4])
    log10_energy = np.log10(energy)
    y = np.where(kind == Kind.GLASHOW, 0.0, neutrinos.draw_inelasticity(log10_energy, pdg, u[5]))
    made = neutrinos.products(kind, energy, y, u[10:15])
    starting, grown = kind == Kind.MUON_STARTING, mix.hull.grown(COUNTED)
    vertex = np.where(starting[:, None], place_in(mix.hull, u[6:10]), place_in(grown, u[6:10]))
    volume = np.where(starting, mix.hull.volume, grown.volume)
    far = np.flatnonzero(kind == Kind.MUON_ENTERING)
    vertex[far], volume[far] = _entering(mix, direction[far], made.muon[far], u[6:10, far])
    targets = neutrinos.NUCLEONS_PER_M3 * neutrinos.cross_section(log10_energy, pdg, kind) * volume
    muons = _neutrino_muons(event, made, vertex, direction, keys)
    count = (made.muon + made.later_muon > 0.0).astype(np.int64)
    if mix.companions is not None:
        above = overburden(mix.hull, vertex, direction)
        hard = companion_energies(mix.companions, pdg, energy, cosine, above, u[16])
        muons = _joined_muons(muons, companions(mix.hull, event, vertex, direction, hard, keys))
        count += hard > 0.0
    sphere = 2.0 * np.pi * (mix.cosines[1] - mix.cosines[0])
    survival = neutrinos.survival(log10_energy, cosine, pdg)
    return _Batch(
        pdg=pdg,
        energy=energy,
        inelasticity=y,
        vertex=vertex,
        direction=direction,
        number_of_muons=count,
        weight=targets * sphere * survival * many / (_share(mix, kind) * density),
        muons=muons,
        showers=_neutrino_showers(event, made, vertex, direction, keys),
    )


def _neutrino_muons(event: Ints, made: neutrinos.Products, vertex: Floats, direction: Floats, keys: Keys) -> Muons:
    energy = made.muon + made.later_muon
    use = np.flatnonzero(energy > 0.0)
    after = np.where(made.later_muon > 0.0, made.distance, 0.0)[use]
    place = vertex[use] + after[:, None] * direction[use]
    key = part_keys(keys[use], np.zeros(len(use), np.int64))
    return Muons(event[use], place, direction[use], after / SPEED_OF_LIGHT, energy[use], key)


def _neutrino_showers(event: Ints, made: neutrinos.Products, vertex: Floats, direction: Floats, keys: Keys) -> Showers:
    energy = np.concatenate([made.hadronic, made.electromagnetic, made.later])
    use = np.flatnonzero(energy > 0.0)
    which = np.tile(np.arange(len(event)), 3)[use]
    zero, flags = np.zeros(len(event)), np.ones(len(event), bool)
    after = np.concatenate([zero, zero, made.distance])[use]
    hadronic = np.concatenate([flags, ~flags, made.later_hadronic])[use]
    part = np.repeat(np.arange(1, 4), len(event))[use]
    place = vertex[which] + after[:, None] * direction[which]
    cascades = Cascades(energy[use], hadronic, place, direction[which], after / SPEED_OF_LIGHT)
    return Showers(event[which], cascades, _normal(part_keys(keys[which], part)))


def _normal(keys: Keys) -> Floats:
    """One standard normal number of each key."""
    return np.asarray(scipy.special.ndtri(np.clip(uniforms(keys, 1)[0], 1e-15, None)))


# --- bundles -----------------------------------------------------------------------------------------------------


def _bundle_batch(mix: Mix, event: Ints, kind: Ints, u: Floats, keys: Keys) -> _Batch:
    low, high = _BUNDLE_COSINES
    cosine = low + u[1] * (high - low)
    direction = _direction(cosine, 2.0 * np.pi * u[2])
    point = enter(mix.cylinder, direction, u[6:9])
    h = bundles.water_depth(bundles.SURFACE - point[:, 2])
    flux = bundles.bundle_flux(h, cosine)
    count, many = bundles.multiplicities(h, cosine, u[4], rich=mix.rich)
    muons, tilt = _bundle_muons(mix, event, point, direction, (h, cosine, count), u[[5, 3]], keys)
    start = np.cumsum(count) - count
    return _Batch(
        pdg=np.zeros(len(event), np.int64),
        energy=np.maximum.reduceat(muons.energy, start) if len(event) else np.zeros(0),
        inelasticity=np.zeros(len(event)),
        vertex=point,
        direction=direction,
        number_of_muons=count,
        weight=2.0 * np.pi * (high - low) * mix.cylinder.projected(cosine) * flux * many * tilt / _share(mix, kind),
        muons=muons,
        showers=_no_showers(),
    )


def _bundle_muons(
    mix: Mix,
    event: Ints,
    point: Floats,
    direction: Floats,
    law_at: tuple[Floats, Floats, Ints],
    u: Floats,
    keys: Keys,
) -> tuple[Muons, Floats]:
    """Muons of bundles on the plane of their entry, and the weights (event,) of their distances and energies.

    law_at : km of water, cosine of the zenith and number of muons, (event,) each.  u (2, event) : whether, and which
    muon, is drawn by the biased law.
    """
    count = law_at[2]
    start, of = np.concatenate([[0], np.cumsum(count)]), np.repeat(np.arange(len(count)), count)
    h, cosine, several = law_at[0][of], law_at[1][of], count[of] > 1
    number = np.arange(len(of)) - start[of]
    v = uniforms(part_keys(keys[of], number), _MUON_DRAWS)
    hard = np.zeros(len(of), bool)
    hard[(start[:-1] + (u[1] * count).astype(np.int64))[u[0] < mix.biased]] = True
    near, nearer = bundles.closer(v[0], hard & several)
    away = bundles.distances(*bundles.spread(h, cosine, count[of]), near)
    law = bundles.energy_law(h, cosine, count[of], away)
    biased = bundles.Law(law.shift, np.full(len(of), mix.muon_index))
    energy = np.where(hard, biased.draw(v[1]), law.draw(v[1]))
    ratio = np.where(several, nearer, 1.0) * biased.density(energy) / law.density(energy)
    place = point[of] + _aside(direction[of], away, 2.0 * np.pi * v[2])
    key = part_keys(keys[of], number + bundles.LARGEST)
    muons = Muons(event[of], place, direction[of], np.zeros(len(of)), energy, key)
    return muons, bundles.tilted_weights(ratio, start, mix.biased)


def _aside(direction: Floats, away: Floats, turn: Floats) -> Floats:
    """Vectors (muon, 3) of length ``away`` across the direction."""
    axis = np.where(np.abs(direction[:, 2:]) < 0.9, [0.0, 0.0, 1.0], [1.0, 0.0, 0.0])
    one = np.cross(direction, axis)
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    return np.asarray(away[:, None] * (np.cos(turn)[:, None] * one + np.sin(turn)[:, None] * np.cross(direction, one)))


def _no_showers() -> Showers:
    none, places = np.zeros(0), np.zeros((0, 3))
    return Showers(np.zeros(0, np.int64), Cascades(none, np.zeros(0, bool), places, places, none), none)


# --- together ----------------------------------------------------------------------------------------------------


def _joined_muons(one: Muons, other: Muons) -> Muons:
    return Muons(*(np.concatenate([getattr(one, k), getattr(other, k)]) for k in Muons.__slots__))


def _together(one: _Batch, other: _Batch, order: Ints) -> _Batch:
    """Neutrinos, then bundles, put into the order of the events; bundles have no showers of their own."""

    def both(a: Floats, b: Floats) -> Floats:
        return np.asarray(np.concatenate([a, b])[order])

    return _Batch(
        pdg=np.concatenate([one.pdg, other.pdg])[order],
        energy=both(one.energy, other.energy),
        inelasticity=both(one.inelasticity, other.inelasticity),
        vertex=both(one.vertex, other.vertex),
        direction=both(one.direction, other.direction),
        number_of_muons=np.concatenate([one.number_of_muons, other.number_of_muons])[order],
        weight=both(one.weight, other.weight),
        muons=_joined_muons(one.muons, other.muons),
        showers=one.showers,
    )


def _particles(mix: Mix, batch: _Batch, kind: Ints, number: Ints) -> Particles:
    light, leading = shine(batch.muons, batch.showers, len(kind), mix.hull)
    seen = summary(light, mix.hull)
    truth = Truth(
        kind=kind,
        pdg=batch.pdg,
        energy=batch.energy,
        inelasticity=batch.inelasticity,
        vertex=batch.vertex,
        time=np.zeros(len(kind)),
        direction=batch.direction,
        deposited=seen.deposited,
        brightest=seen.brightest,
        muon_energy=leading,
        muons=batch.number_of_muons,
        maximum=np.where(np.isnan(seen.maximum), batch.vertex, seen.maximum),
        weight=batch.weight,
        number=number,
    )
    return Particles(truth, light)
