"""The table of random streams: which seed every kind of trial gets from the seed of a run.

Trial i of a stream is drawn from (seed of the stream, i), so two streams with one seed would share their random numbers
and correlations between them would look like results.  No other file adds to a seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

_MOST = 2**63
_JOINT = 15_485_863  # steps of the streams of joint fits, which are many
_MOST_NULLS = 6
_TWIN = 2**43  # wider than all streams of a seed but that of energies, which 127 twins do not reach

#: A whole seed, not added to one: of what belongs to a problem, whatever the seed of a run.  A run of seed 0 has it
#: too, for the pilot that chooses tilts; the one does not touch the other.
OF_PROBLEMS = 2**40


class Stream(IntEnum):
    """What is added to the seed of a run."""

    SCRAMBLES = 0
    INJECTIONS = 7919
    SKIES = 32_452_843  # background skies of scans, lists and extended searches: the same on purpose
    DEEP_SKIES = 49_979_687
    CURVE_PILOT = 67_867_967
    CURVE_INJECTIONS = 86_028_121
    CURVE_SKIES = 104_395_301
    PLAIN_SCRAMBLES = 122_949_823  # of the background median
    WINDOWS = 141_650_939  # of time windows without signal
    BURSTS = 160_481_183  # of time windows with injected bursts
    MOVED_ALERTS = 198_491_317  # right ascensions of alerts that are moved
    LEAK_SKIES = 70 * _JOINT
    LEAK_EMPTY = 75 * _JOINT
    READINGS = 179_424_673  # of questions on printed numbers, which draw errors and inputs
    SIMULATED_ALERTS = 217_645_199  # which events a simulated stream of alerts makes
    ENERGIES = 2**50
    THINNING = 2**51  # which simulated events of a selection are fitted, where not all are
    SPLIT = 2**52  # which simulated events of a benchmark are kept to test on
    PILOT = 2**40


@dataclass(frozen=True, slots=True)
class JointStreams:
    """Streams of experiments with a fitted signal.

    rounds : of the short ensembles that correct the fit for its bias.  experiments : of the experiments themselves.
    """

    rounds: tuple[int, ...]
    experiments: int


def _joint(stage: int) -> JointStreams:
    return JointStreams((stage * _JOINT, (stage + 1) * _JOINT), (stage + 5) * _JOINT)


#: Of the joint fit itself: its experiments are the second round.
JOINT_FIT = JointStreams((_JOINT,), 5 * _JOINT)
#: Of the best fit of a diffuse component alone, which is corrected and no more.
LEAK_BEST_FIT = _joint(80)
#: Of segments of the plane: experiments with less and with more signal than the fitted one, weakest first.
SEGMENT_STEPS = tuple(k * _JOINT for k in (90, 91, 92, 93))


def family_member(k: int, *, held: bool) -> int:
    """Of experiments with the signal of member k of a family of templates, from 0, n_s free or held."""
    return (200_000 + 10 * k + 5 * held) * _JOINT


def joint_null(j: int) -> JointStreams:
    """Of the null of hypothesis j of a joint fit, from 0."""
    return _joint(10 * (j + 1) if j < _MOST_NULLS else 100_000 + 10 * j)


def joint_model(k: int) -> JointStreams:
    """Of model k of a comparison, from 0."""
    return _joint(1000 * (k + 1))


def twin(k: int) -> int:
    """Of twin k of a synthetic sample, from 0: a whole seed, of its events and, with all streams, of its trials."""
    return _TWIN * (k + 1)


def seed_of(seed: int, stream: int) -> int:
    """The seed of a stream."""
    return (seed + stream) % _MOST


class Purpose(IntEnum):
    """What events of the open detector are made for: each has a seed of its own; none is trained on and tested with."""

    TRAINING = 0
    TESTING = 1  # scores and resolutions: even shares, flat energies
    RATES = 2  # biased muons, for the levels of the selection
    CALIBRATION = 3
    TREES = 4  # mostly muons, to grow trees on


def seed_for(seed: int, purpose: Purpose) -> int:
    """The seed of the events of a purpose: different for every seed and purpose."""
    return seed * len(Purpose) + purpose
