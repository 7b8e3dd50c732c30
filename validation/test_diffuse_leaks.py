"""What the diffuse plane does to stacks: only pi0 is injected, at its published best fit, and the stacks are fitted.

Published (IceCube 2023, table S3): n_s 218.6, 279.6, 238.4 and p 5.9e-4, 5.9e-4, 3.4e-4 for SNR, PWN, UNID.  Where
these lie among skies that hold no source is printed.  Fitted together with the diffuse template, the stacks are back
near the null: half of them at zero, the rest half a chi-square.
"""

import numpy as np
import pytest

from nuanalysis import trials
from nuanalysis.model import prepare
from nuanalysis.workflow import samples
from nuanalysis.workflow.hypotheses import read_hypothesis
from nuanalysis.workflow.spec import sample_spec

N = 600
SEED = 2027
N_DIFFUSE = 671.1
STACKS = ("snr", "pwn", "unid")
PUBLISHED = {"snr": (218.6, 5.90e-4), "pwn": (279.6, 5.93e-4), "unid": (238.4, 3.39e-4)}


@pytest.fixture(scope="module")
def leaks():
    """(trial,) columns of fits to skies with the diffuse signal alone: each stack with its index free, and with pi0."""
    ready = samples.load(sample_spec(name="cascades-2023", signal="none"), 1)
    diffuse = prepare(read_hypothesis("template:pi0"), ready)
    free = [prepare(read_hypothesis(f"stack:{name}"), ready) for name in STACKS]
    held = [prepare(read_hypothesis(f"stack:{name}", index_free=False), ready) for name in STACKS]
    alone = trials.joint_trials((diffuse, *free), SEED, 0, N // 2, (N_DIFFUSE, 0.0, 0.0, 0.0), ((1,), (2,), (3,)))
    models = ((0,), (0, 1), (0, 2), (0, 3))
    both = trials.joint_trials((diffuse, *held), SEED, 0, N, (N_DIFFUSE, 0.0, 0.0, 0.0), models)
    names = trials.joint_columns(((1,), (2,), (3,))), trials.joint_columns(models)
    return free, dict(zip(names[0], alone.T, strict=True)), dict(zip(names[1], both.T, strict=True))


def test_diffuse_skies_bring_stacks_of_the_published_size_and_a_joint_fit_takes_them_away(leaks, capsys):
    free, alone, both = leaks
    with capsys.disabled():
        for k, name in enumerate(STACKS):
            n_s, ts = alone[f"n_signal_{k}_{k + 1}"], alone[f"ts_{k}"]
            tilts = trials.choose_tilts(free[k], 25.0)
            law = trials.scramble_trials(free[k], SEED, 0, 1500, tilts)
            p = np.array([trials.p_value(law[:, 0], law[:, 3], float(t)).p if t > 0 else 1.0 for t in ts])
            n_pub, p_pub = PUBLISHED[name]
            low, mid, high = np.quantile(n_s, [0.16, 0.5, 0.84])
            p_low, p_mid, p_high = np.quantile(p, [0.16, 0.5, 0.84])
            print(
                f"\n{name}: diffuse only: n_s {mid:.0f} ({low:.0f} to {high:.0f}), published {n_pub:.0f} above "
                f"{np.mean(n_s <= n_pub):.0%} of the skies; p {p_mid:.2g} ({p_low:.2g} to {p_high:.2g}), "
                f"published {p_pub:.2g} below {np.mean(p >= p_pub):.0%}"
            )
            each = both[f"ts_{k + 1}"] - both["ts_0"]
            print(
                f"  with pi0 fitted too: {np.mean(each > 1e-6):.3f} above zero, {np.mean(each > 3.84):.4f} above 3.84 "
                f"(half chi-square: 0.5, 0.025), n_s {np.mean(both[f'n_signal_{k + 1}_{k + 1}']):.1f}"
            )
            # Without any source a stack has a p-value below 5 per cent in most skies.
            assert np.mean(p < 0.05) > 0.5
            # Joint: no more than three standard errors above the null.
            assert np.mean(each > 3.84) < 0.025 + 3.0 * np.sqrt(0.025 / N) + 0.01
            assert abs(np.mean(each > 1e-6) - 0.5) < 0.12
