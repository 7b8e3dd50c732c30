"""The table of random streams: which seed every kind of trial gets from the seed of a run.

Trial i of a stream is drawn from (seed of the stream, i), so two streams with one seed would share their random numbers
and correlations between them would look like results.  No other file adds to a seed.
"""

from __future__ import annotations

from enum import IntEnum

_MOST = 2**63
_JOINT = 15_485_863  # steps of the streams of joint fits, which are many


class Stream(IntEnum):
    """What is added to the seed of a run."""

    SCRAMBLES = 0
    INJECTIONS = 7919
    SKIES = 32_452_843  # background skies of scans, lists and extended searches: the same on purpose
    DEEP_SKIES = 49_979_687
    CURVE_PILOT = 67_867_967
    CURVE_INJECTIONS = 86_028_121
    CURVE_SKIES = 104_395_301
    LEAK_SKIES = 70 * _JOINT
    LEAK_EMPTY = 75 * _JOINT
    LEAK_BEST_FIT = 80 * _JOINT
    ENERGIES = 2**50
    BIAS_PILOT = 2**39
    PILOT = 2**40


#: Seeds that one bias correction of joint fits takes: two rounds and, at 5, the experiments themselves.
JOINT_STAGES = (0, 1, 5)
_MOST_NULLS = 6


def joint_null(j: int) -> int:
    """First stage of the null of hypothesis j of a joint fit."""
    return 10 * (j + 1) if j < _MOST_NULLS else 100_000 + 10 * j


def joint_model(k: int) -> int:
    """First stage of the experiments of model k of a comparison."""
    return 1000 * (k + 1)


def joint_stage(stage: int) -> int:
    """What a stage of a joint fit adds to the seed; ``stage`` counts from 1."""
    return stage * _JOINT


def seed_of(seed: int, stream: int) -> int:
    """The seed of a stream."""
    return (seed + stream) % _MOST
