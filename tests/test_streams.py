"""The table of random streams: no two streams of a run share their random numbers, and no other file adds to a seed."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nuanalysis.model.kernels import draw_uniform, trial_key
from nuanalysis.trials import streams
from nuanalysis.trials._joint import signal_generator
from nuanalysis.trials.streams import (
    JOINT_FIT,
    LEAK_BEST_FIT,
    JointStreams,
    Stream,
    family_member,
    joint_model,
    joint_null,
    seed_of,
)

SOURCE = Path(__file__).resolve().parents[1] / "src" / "nuanalysis"
MOST_HYPOTHESES = 8
MAKERS = ("trials/streams.py", "model/kernels.py")  # the table, and the hash that makes numbers of a seed
NOT_YET: set[str] = set()
SEEDS = (0, 1, 12_345, 2**63 - 1)


def every() -> dict[str, int]:
    """What each stream adds to the seed, by name: the table, and joint fits of up to eight hypotheses."""
    joint: dict[str, JointStreams] = {"joint fit": JOINT_FIT, "diffuse alone": LEAK_BEST_FIT}
    joint |= {f"null {j}": joint_null(j) for j in range(MOST_HYPOTHESES)}
    joint |= {f"model {k}": joint_model(k) for k in (0, 1)}
    found: dict[str, int] = {name: int(member) for name, member in Stream.__members__.items()}
    found |= {f"member {k}, held {held}": family_member(k, held=held) for k in range(24) for held in (False, True)}
    for name, one in joint.items():
        found |= {f"{name}, round {k}": stream for k, stream in enumerate(one.rounds)}
        if one is not LEAK_BEST_FIT:  # it has rounds only
            found[f"{name}, experiments"] = one.experiments
    return found


def test_the_table_has_no_two_equal_offsets():
    twice = [offset for offset, times in Counter(every().values()).items() if times > 1]
    assert [name for name, offset in every().items() if offset in twice] == []
    assert len(Stream.__members__) == len(list(Stream))  # an equal value would be another name of the first


def test_no_hypothesis_of_a_long_joint_fit_meets_another_stream():
    known = set(every().values())
    for j in range(MOST_HYPOTHESES, 200):
        mine = {*joint_null(j).rounds, joint_null(j).experiments}
        assert len(mine) == 3
        assert not mine & known
        known |= mine


@pytest.mark.parametrize("seed", SEEDS)
def test_no_two_streams_share_their_first_numbers(seed):
    """Right ascensions and signal of the first trials; seeds go round at 2^63."""
    seen: dict[bytes, str] = {}
    for name, offset in every().items():
        own = seed_of(seed, offset)
        assert 0 <= own < 2**63
        for trial in range(3):
            u = np.empty(4)
            draw_uniform(np.uint64(trial_key(own, trial, 0)), u)
            signal = np.random.Generator(np.random.Philox(key=[own, trial])).random(4)
            for drawn in (u, signal):
                assert drawn.tobytes() not in seen, f"{name} shares its numbers with {seen[drawn.tobytes()]}"
                seen[drawn.tobytes()] = name


def test_equal_streams_would_be_seen(monkeypatch):
    monkeypatch.setattr(streams, "_MOST_NULLS", 100)
    mine = every()
    assert mine["null 6, round 0"] == mine["LEAK_SKIES"]
    with pytest.raises(AssertionError):
        test_the_table_has_no_two_equal_offsets()
    with pytest.raises(AssertionError):
        test_no_two_streams_share_their_first_numbers(1)


def test_numbers_of_problems_are_not_those_of_a_run():
    """Their seed is one number for all runs.  Seed 0 alone meets it, with the pilot that chooses its tilts."""
    for seed in (1, 2, 2027):
        assert streams.OF_PROBLEMS not in {seed_of(seed, offset) for offset in every().values()}
    assert seed_of(0, Stream.PILOT) == streams.OF_PROBLEMS


def test_no_stream_of_a_twin_meets_another():
    """A twin has a seed of its own with every stream; a hundred of them beside the sample."""
    known = set(every().values())
    for k in range(100):
        mine = {streams.twin(k) + offset for offset in every().values()}
        assert not mine & known
        known |= mine


def test_the_signals_of_the_hypotheses_of_one_trial_differ():
    drawn = {signal_generator(5, 3, j).random(4).tobytes() for j in range(MOST_HYPOTHESES)}
    assert len(drawn) == MOST_HYPOTHESES


def moved_seeds(source: str) -> list[str]:
    """Sums and products with something called a seed: a stream that the table does not know."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.BinOp | ast.AugAssign)
        and isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.BitXor)
        if any(_is_seed(side) for side in _sides(node))
    ]


def _sides(node: ast.BinOp | ast.AugAssign) -> tuple[ast.expr, ast.expr]:
    return (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)


def _is_seed(node: ast.expr) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return bool(re.search(r"(^|_)seed(_|$)", name.lower()))


def fixed_seeds(source: str) -> list[str]:
    """Calls of ``seed_of`` and of trials whose seed or stream is a number and not a name."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] == "seed_of"
        and any(isinstance(one, ast.Constant) for one in node.args)
    ]


def test_no_other_file_adds_to_a_seed():
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name, source = str(path.relative_to(SOURCE)), path.read_text(encoding="utf-8")
        if name not in MAKERS and (said := moved_seeds(source) + fixed_seeds(source)):
            found[name] = said
    assert found.keys() - NOT_YET == set(), found
    assert NOT_YET - found.keys() == set()  # every exception is still needed


@pytest.mark.parametrize(
    "source", ["(seed + 7) % 2**63", "problem.seed + _SEED_STEP", "x = 3 * sky.seed", "seed += 1", "1 + _PILOT_SEED"]
)
def test_an_offset_elsewhere_would_be_seen(source):
    assert moved_seeds(source)


def test_a_number_for_a_stream_would_be_seen():
    assert fixed_seeds("seed_of(problem.seed, 7919)")
    assert not fixed_seeds("seed_of(problem.seed, Stream.SKIES)")
