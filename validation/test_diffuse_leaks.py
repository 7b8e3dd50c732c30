"""What the diffuse plane does to stacks: only pi0 is injected, at its published best fit, and the stacks are fitted.

SYNTHETIC cascades without signal, through ``workflow.leak`` as ``nuanalysis leak`` does it.  Published (IceCube 2023,
table S3): n_s 218.6, 279.6, 238.4 and p 5.9e-4, 5.9e-4, 3.4e-4 for SNR, PWN, UNID.  Where these lie among skies that
hold no source is printed.  Fitted together with the diffuse template, the stacks with their index held are at the null:
half of them at zero, the rest half a chi-square.  With the index free they have somewhat more than on skies without
any signal, so their p-values come from these skies.
"""

import numpy as np
import pytest

from nuanalysis.answers import inference, leak
from nuanalysis.engine.executors import Threads
from nuanalysis.library import samples
from nuanalysis.library.samples import sample_spec

N = 600
SEED = 2027
N_DIFFUSE = 671.1
STACKS = ("snr", "pwn", "unid")


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """The answer of the verb on skies with the diffuse signal alone."""
    folder = tmp_path_factory.mktemp("leak")
    ready = samples.load(sample_spec(name="cascades-2023", signal="none"), 1).seasons
    problems = tuple(inference.pose(one, ready, folder, SEED) for one in leak.read("template:pi0", STACKS))
    with Threads(2) as pool:
        return leak.leak_record(problems, "cascades-2023", N, pool, lambda _: None, n_diffuse=N_DIFFUSE)[0]


def test_diffuse_skies_bring_stacks_of_the_published_size_and_a_joint_fit_takes_them_away(document, capsys):
    with capsys.disabled():
        print("\n" + leak.in_words(document))
    for row in document["stacks"]:
        alone, both, held = row["alone"], row["together"], row["together_index_held"]
        # Without any source a stack has a p-value below 5 per cent in most skies, and the published is ordinary.
        assert alone["share_p_below_0_05"]["share"] > 0.5
        for where in ("skies_with_fewer_events", "skies_with_smaller_p"):
            assert 0.05 < alone["published"][where]["share"] < 0.95
        # Index held: no more than three standard errors above the null.
        assert held["share_above_3_84"]["share"] < 0.025 + 3.0 * np.sqrt(0.025 / N) + 0.01
        assert abs(held["share_at_zero"]["share"] - 0.5) < 0.12
        # Index free: near the law of skies without signal, where the stack alone is far from it.
        nothing = both["without_signal"]["share_above_3_84"]
        more = both["share_above_3_84"]["share"] - nothing["share"]
        error = np.hypot(both["share_above_3_84"]["share_error"], nothing["share_error"])
        assert abs(more) < 0.03 + 3.0 * error
        assert alone["share_above_3_84"]["share"] - nothing["share"] > 0.4
        for one in (both["halves"], held["halves"]):
            assert one["ks_p"] > 0.01 / 6  # six of them
        assert row["not_converged"] == 0
