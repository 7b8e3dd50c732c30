"""Generated events: weights against integrals, energies against what interactions hand out, any batch alike."""

import numpy as np
import pytest

from nuanalysis.detector import ACCEPTED_PER_METRE, SPEED_OF_LIGHT, Detector, Kind, em_length, hadronic_fraction
from nuanalysis.detector import _neutrinos as neutrinos
from nuanalysis.detector._companions import overburden
from nuanalysis.detector._generate import Mix, generate, only
from nuanalysis.detector._muons import propagate, soft_fraction
from nuanalysis.detector._shining import _merged
from nuanalysis.detector._veto import NUE, accompanied
from nuanalysis.detector._volume import Cylinder, chord, hull, inside, place_in, slant
from nuanalysis.errors import InputError
from nuanalysis.response import earth

NU, NUBAR = (np.full(1, p) for p in (14, -14))
GRAMS = 6.02214076e23


def array():
    """Six strings on a hexagon of 550 m and one in the middle, from -500 to 500 m."""
    turn = np.arange(6) * np.pi / 3
    flat = np.vstack([[0.0, 0.0], 550.0 * np.column_stack([np.cos(turn), np.sin(turn)])])
    place = np.array([[x, y, z] for x, y in flat for z in np.linspace(500.0, -500.0, 60)])
    string, number = np.repeat(np.arange(1, 8), 60), np.tile(np.arange(1, 61), 7)
    return Detector("seven strings", string, number, place, np.ones(420), None)


HULL = hull(array())
AREA = 1.5 * np.sqrt(3.0) * 550.0**2


def at(kind, n=2000, seed=1, **more):
    return generate(Mix(HULL, n, shares=only(kind), **more), seed=seed, first=0, last=n)


def test_the_hull_is_the_hexagon_and_lines_cross_it():
    assert HULL.volume == pytest.approx(AREA * 1000.0)
    assert HULL.grown(10.0).volume == pytest.approx(AREA * ((550 + 10 * 2 / np.sqrt(3)) / 550) ** 2 * 1020.0)
    enter, leave = chord(HULL, np.array([[-1000.0, 0, 0], [0, 0, 900], [0, 900, 0]]), np.eye(3)[[0, 2, 0]] * [1, 1, -1])
    assert [enter[0], leave[0]] == pytest.approx([450.0, 1550.0])
    assert [enter[1], leave[1]] == pytest.approx([400.0, 1400.0])
    assert enter[2] > leave[2]
    place = place_in(HULL, np.random.default_rng(1).random((4, 20_000)))
    assert inside(HULL, place).all()
    assert (np.hypot(place[:, 0], place[:, 1]) < 200.0).mean() == pytest.approx(np.pi * 200**2 / AREA, abs=0.01)
    assert place[:, 2].mean() == pytest.approx(0.0, abs=8.0)


def test_two_strings_enclose_nothing():
    one = array()
    two = Detector("two", one.string[:120], one.number[:120], one.position[:120], np.ones(120), None)
    with pytest.raises(InputError, match="fewer than three strings"):
        hull(two)


@pytest.mark.parametrize(("log10_energy", "area"), [(3.0, 0.36), (4.0, 2.9), (5.0, 14.7), (6.0, 51.0)])
def test_a_cubic_kilometre_of_ice_is_so_many_square_metres(log10_energy, area):
    both = sum(
        neutrinos.cross_section(np.array([log10_energy]), pdg, np.array([kind]))[0]
        for pdg in (NU, NUBAR)
        for kind in (Kind.MUON_STARTING, Kind.NEUTRAL)
    )
    assert neutrinos.NUCLEONS_PER_M3 * 1e9 * both / 2 == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize(
    ("cosine", "through"), [(-1.0, (0.71, 0.175, 0.002)), (-0.8, (0.86, 0.46, 0.07)), (-0.4, (0.94, 0.75, 0.36))]
)
def test_the_earth_lets_through(cosine, through):
    """exp(-N X sigma) with the mean of neutrinos and antineutrinos, as printed; both have one logarithm each."""
    for log10_energy, printed in zip((4.0, 5.0, 6.0), through, strict=True):
        arguments = np.array([log10_energy]), np.array([cosine])
        found = np.sqrt(
            neutrinos.survival(*arguments, NU, handed_on=0.0)[0]
            * neutrinos.survival(*arguments, NUBAR, handed_on=0.0)[0]
        )
        assert found == pytest.approx(printed, rel=0.01, abs=0.006 if printed != 0.175 else 0.0)


def test_what_a_neutral_current_hands_on_and_the_resonance():
    log10_energy, down = np.array([5.0, 6.8]), np.full(2, -0.2)
    column = earth.column_depth(np.array([0.2]))[0]
    cc, nc = earth.cross_sections(log10_energy)[2:]
    muon, electron = (neutrinos.survival(log10_energy, down, np.full(2, p)) for p in (-14, -12))
    assert muon == pytest.approx(np.exp(-GRAMS * column * (cc + 0.4 * nc)), rel=1e-3)
    assert electron == pytest.approx(muon * np.exp(-GRAMS * column * earth.glashow(log10_energy)), rel=1e-3)


@pytest.mark.parametrize(("log10_energy", "nu", "nubar"), [(3.0, 0.48, 0.38), (4.0, 0.42, 0.37), (6.0, 0.28, 0.28)])
def test_mean_inelasticity(log10_energy, nu, nubar):
    u = (np.arange(20_000) + 0.5) / 20_000
    for pdg, mean in ((14, nu), (-14, nubar)):
        y = neutrinos.draw_inelasticity(np.full(20_000, log10_energy), np.full(20_000, pdg), u)
        assert y.mean() == pytest.approx(mean, abs=1e-3)


def test_a_tau_hands_a_third_to_a_lepton_and_two_thirds_to_hadrons():
    rng, n = np.random.default_rng(2), 200_000
    energy, hadronic, muon, distance = neutrinos.decay_tau(np.full(n, 1e6), rng.random((3, n)))
    assert (muon > 0).mean() == pytest.approx(0.174, abs=0.004)
    assert hadronic.mean() == pytest.approx(0.648, abs=0.005)
    assert muon[muon > 0].mean() == pytest.approx(0.35e6, rel=0.01)
    assert energy[hadronic].mean() == pytest.approx(0.65e6, rel=0.01)
    assert distance.mean() == pytest.approx(49.0, rel=0.01)


def expected_rate(pdgs, kinds, volume, low=1e3, high=1e6):
    """Interactions of a flux 1e-3 E^-2 of each neutrino in all directions: what the Earth leaves, times targets."""
    log10_energy = np.linspace(np.log10(low), np.log10(high), 301)
    cosine = (np.arange(200) + 0.5) / 100 - 1
    column = earth.column_depth(-cosine)
    rate = 0.0
    for pdg in pdgs:
        cc, nc = earth.cross_sections(log10_energy)[slice(2, 4) if pdg < 0 else slice(0, 2)]
        loss = cc + 0.4 * nc + (earth.glashow(log10_energy) if pdg == -12 else 0.0)
        left = np.exp(-GRAMS * column[:, None] * loss).mean(axis=0)
        sigma = nc if Kind.NEUTRAL in kinds else cc
        energy = 10.0**log10_energy
        rate += np.trapezoid(1e-3 * energy**-2 * left * sigma, energy) * 4 * np.pi * GRAMS * 0.9216 * volume * 1e2
    return rate


def sum_of(truth, use=slice(None)):
    one = (1e-3 * truth.energy**-2 * truth.weight)[use]
    return one.sum(), np.sqrt((one**2).sum())


@pytest.mark.parametrize(
    ("kind", "pdgs"),
    [
        (Kind.ELECTRON_CHARGED, (12, -12)),
        (Kind.NEUTRAL, (12, -12, 14, -14, 16, -16)),
        (Kind.TAU_CHARGED, (16, -16)),
        (Kind.MUON_STARTING, (14, -14)),
    ],
)
@pytest.mark.parametrize("index", [1.0, 1.7])
def test_weights_add_up_to_the_rate_of_interactions(kind, pdgs, index):
    truth = at(kind, 8000, low=1e3, high=1e6, index=index).truth
    volume = HULL.volume if kind == Kind.MUON_STARTING else HULL.grown(150.0).volume
    found, error = sum_of(truth)
    assert error < 0.03 * found
    assert found == pytest.approx(expected_rate(pdgs, (kind,), volume), abs=3.5 * error)
    assert set(truth.pdg.tolist()) == set(pdgs)


def test_muons_from_outside_have_their_vertices_there_with_the_right_rate():
    """In the cylinder but not in the hull all vertices count, near and far ones have one weight law."""
    cylinder = Cylinder(800.0, 680.0)
    truth = at(Kind.MUON_ENTERING, 25_000, low=1e3, high=1e6, cylinder=cylinder).truth
    assert not inside(HULL, truth.vertex).any()
    near = np.hypot(truth.vertex[:, 0], truth.vertex[:, 1]) < 800.0
    near &= np.abs(truth.vertex[:, 2]) < 680.0
    found, error = sum_of(truth, near)
    volume = np.pi * 800.0**2 * 1360.0 - HULL.volume
    assert error < 0.08 * found
    assert found == pytest.approx(expected_rate((14, -14), (Kind.MUON_ENTERING,), volume), abs=3.5 * error)
    assert truth.vertex[:, 2].max() < 1948.1  # nothing above the ice
    # The muon is there: its energy at the hull is below that at the vertex, and often it has stopped before.
    made = (1.0 - truth.inelasticity) * truth.energy
    assert (truth.muon_energy <= made * (1 + 1e-9)).all()


def test_ice_towards_the_surface():
    place = np.array([[0.0, 0.0, 0.0]])
    assert slant(place, np.array([1.0]))[0] == pytest.approx(1948.07, rel=1e-6)
    assert slant(place, np.array([0.0]))[0] == pytest.approx(np.sqrt(2 * 6.371e6 * 1948.07 - 1948.07**2), rel=1e-6)
    assert slant(place, np.array([-1.0]))[0] == pytest.approx(2 * 6.371e6 - 1948.07, rel=1e-6)


def test_light_of_cascades_is_what_the_interaction_hands_out():
    """nu_e: (1 - y) E + F(y E) y E, neutral currents F(y E) y E; fluctuations of hadronic light are the spread."""
    for kind in (Kind.ELECTRON_CHARGED, Kind.NEUTRAL):
        truth = at(kind, 4000, low=1e4, high=1e6).truth
        hadronic = truth.inelasticity * truth.energy
        expected = hadronic_fraction(hadronic) * hadronic
        if kind == Kind.ELECTRON_CHARGED:
            expected += (1 - truth.inelasticity) * truth.energy
        deep = inside(HULL.grown(100.0), truth.vertex) & (hadronic > 100.0)
        ratio = (truth.deposited / expected)[deep]
        assert ratio.mean() == pytest.approx(1.0, abs=0.003)
        assert ratio.std() < 0.06
        assert (truth.brightest[deep] > 0.999).all()
        ahead = ((truth.maximum - truth.vertex) * truth.direction).sum(axis=1)[deep]
        assert 3.0 < np.median(ahead) < 8.0
        assert (truth.muon_energy == 0.0).all()


def test_light_begins_at_the_vertex_and_no_source_is_ahead_of_light():
    for kind in (Kind.TAU_CHARGED, Kind.MUON_STARTING, Kind.MUON_ENTERING):
        made = at(kind, 400)
        event = np.repeat(np.arange(400), np.diff(made.light.start))
        away = np.linalg.norm(made.light.position - made.truth.vertex[event], axis=1)
        assert made.light.time * SPEED_OF_LIGHT == pytest.approx(away, abs=1e-6)
        assert inside(HULL.grown(280.0), made.light.position).all()


def test_a_track_shines_as_long_as_it_is():
    made = at(Kind.MUON_STARTING, 400, low=1e5, high=1e6)
    event = np.repeat(np.arange(400), np.diff(made.light.start))
    bare = np.bincount(event[made.light.cone], made.light.photons[made.light.cone], 400) / ACCEPTED_PER_METRE
    _, leave = chord(HULL.grown(250.0), made.truth.vertex, made.truth.direction)
    whole = made.truth.muon_energy > 2e4
    assert bare[whole] == pytest.approx(leave[whole], rel=0.03)
    assert (bare <= leave + 1e-6).all()


def test_light_of_muons_is_their_loss():
    """Of hard ones ionisation is nothing: broad light inside is energy lost, less what hadrons do not show."""
    n = 3000
    made = at(Kind.MUON_ENTERING, n, low=9e5, high=1e6)
    light, truth = made.light, made.truth
    use = (truth.muon_energy > 1e5) & (np.linalg.norm(truth.vertex, axis=1) > 1500.0)
    event = np.repeat(np.arange(n), np.diff(light.start))
    broad = np.bincount(event[~light.cone], light.photons[~light.cone], n) / ACCEPTED_PER_METRE / float(em_length(1.0))
    bare = np.bincount(event[light.cone], light.photons[light.cone], n) / ACCEPTED_PER_METRE
    ratio = broad[use].sum() / (truth.muon_energy * (1 - np.exp(-3.63e-4 * 0.9216 * bare)))[use].sum()
    assert use.sum() > 300
    assert ratio == pytest.approx(0.99, abs=0.08)


def test_small_radiation_shines_too():
    """Without single losses: secondaries below 500 MeV, and what lies between them and a thousandth of the energy."""
    one = np.ones(1)
    tracks = propagate(np.zeros(1, np.uint64), 1e6 * one, first=0 * one, stop=24 * one, least=np.inf)
    metres, place = _merged(tracks)
    v = np.array([1e-3, 5e-7])
    soft = np.diff(soft_fraction(v[::-1]))[0] * 3.63e-4 * 0.9216 * 5.254
    expected = ((0.1880 + 0.0206 * np.log(tracks.energy)) * 0.910 / 0.9216 + soft * tracks.energy) * tracks.length
    assert metres == pytest.approx(expected, rel=1e-3)
    assert place == pytest.approx(tracks.middle)


def test_an_event_is_the_same_in_any_batch():
    mix = Mix(HULL, 1000)
    whole, part = generate(mix, seed=5, first=0, last=300), generate(mix, seed=5, first=120, last=140)
    for name in whole.truth.__slots__:
        assert (getattr(whole.truth, name)[120:140] == getattr(part.truth, name)).all(), name
    a, b = whole.light.start[120], whole.light.start[140]
    for name in ("position", "direction", "time", "photons", "cone"):
        assert (getattr(whole.light, name)[a:b] == getattr(part.light, name)).all(), name
    assert (part.light.start == whole.light.start[120:141] - a).all()
    other = generate(mix, seed=6, first=120, last=140)
    assert (other.truth.energy != part.truth.energy).all()
    assert set(whole.truth.kind.tolist()) == {0, 1, 2, 3, 4, 5}
    assert len(generate(mix, seed=5, first=7, last=7).truth.kind) == 0


def test_companions_come_with_the_chance_that_is_not_a_pass():
    """Of electron neutrinos from above at 30 TeV; the neutrino itself, and one from below, is the same without."""
    alone = at(Kind.ELECTRON_CHARGED, 1500, low=2.9e4, high=3.1e4)
    found = at(Kind.ELECTRON_CHARGED, 1500, low=2.9e4, high=3.1e4, companions="conventional")
    assert (found.truth.energy == alone.truth.energy).all()
    assert (found.truth.weight == alone.truth.weight).all()
    below = found.truth.direction[:, 2] > 0.0
    assert (found.truth.deposited[below] == alone.truth.deposited[below]).all()
    assert (found.truth.deposited >= alone.truth.deposited * (1 - 1e-12)).all()
    down = found.truth.direction[:, 2] < -0.3
    cosine = -found.truth.direction[down, 2]
    depth = overburden(HULL, found.truth.vertex[down], found.truth.direction[down])
    for left in (300.0, 1000.0):
        # Up to 300 m of ice lie between, along which muons lose 72 GeV, 10 % and sometimes more.
        at_once, later = (
            accompanied(NUE, np.log10(found.truth.energy[down]), cosine, depth, left=e).mean()
            for e in (left, 1.2 * (left + 80.0))
        )
        assert later - 0.03 < (found.truth.muon_energy[down] > left).mean() < at_once + 0.03
    event = np.repeat(np.arange(1500), np.diff(found.light.start))
    away = ((found.light.position - found.truth.vertex[event]) * found.truth.direction[event]).sum(axis=1)
    assert found.light.time * SPEED_OF_LIGHT == pytest.approx(away, abs=1e-6)
    assert away.min() < -200.0  # the muon is there before


def test_bundles_enter_the_cylinder_with_the_rate_of_their_law():
    truth = at(Kind.BUNDLE, 10_000, cylinder=Cylinder(564.0, 500.0), muon_index=2.5).truth
    error = np.sqrt((truth.weight**2).sum())
    assert truth.weight.sum() == pytest.approx(5400.0, abs=3 * error)
    assert error < 0.03 * 5400.0
    assert (truth.direction[:, 2] < -0.08).all()
    assert (truth.muon_energy <= truth.energy + 1e-9).all()
    assert (truth.pdg == 0).all()


def test_the_resonance_is_of_electron_antineutrinos_with_all_of_their_energy_in_hadrons_mostly():
    truth = at(Kind.GLASHOW, 2000).truth
    assert (truth.pdg == -12).all()
    rate = truth.energy**-2 * truth.weight
    near = np.abs(truth.energy - 6.32e6) < 5e5
    assert rate[near].sum() > 0.7 * rate.sum()
    assert np.median(truth.deposited / truth.energy) > 0.85


def test_mixes_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="sum to 1"):
        Mix(HULL, 10, shares=(0.5,) * 7)
    with pytest.raises(InputError, match="within 100 GeV to 10 PeV"):
        Mix(HULL, 10, low=10.0)
    with pytest.raises(InputError, match="at least 1"):
        Mix(HULL, 0)
    with pytest.raises(InputError, match="cosines"):
        Mix(HULL, 10, cosines=(1.0, -1.0))
    with pytest.raises(InputError, match="an index above 1"):
        Mix(HULL, 10, muon_index=1.0)
    with pytest.raises(InputError, match="conventional or prompt"):
        Mix(HULL, 10, companions="charm")
    with pytest.raises(InputError, match="events 5 to 11 of 10"):
        generate(Mix(HULL, 10), seed=1, first=5, last=11)
