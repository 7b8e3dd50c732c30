"""What the diffuse plane does to stacks: only pi0 is injected, at its published best fit, and the stacks are fitted.

SYNTHETIC cascades without signal, asked as ``nuanalysis leak`` asks.  Published (IceCube 2023,
table S3): n_s 218.6, 279.6, 238.4 and p 5.9e-4, 5.9e-4, 3.4e-4 for SNR, PWN, UNID.  Where these lie among skies that
hold no source is printed.  Fitted together with the diffuse template, the stacks with their index held are at the null:
half of them at zero, the rest half a chi-square.  With the index free they have somewhat more than on skies without
any signal, so their p-values come from these skies.
"""

from dataclasses import replace

import numpy as np
import pytest

from nuanalysis.answers.leak import Leak
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import Threads
from nuanalysis.library import samples
from nuanalysis.library.samples import sample_spec

N = 600
SEED = 2027
N_DIFFUSE = 671.1
STACKS = ("snr", "pwn", "unid")


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    """The answer of the verb on skies with the diffuse signal alone."""
    events = replace(samples.load(sample_spec(name="cascades-2023", signal="none"), 1), seed=SEED)
    asked = Leak(diffuse="template:pi0", catalogues=STACKS, n_diffuse=N_DIFFUSE, skies=N)
    return asked.ask(events, Bench(tmp_path_factory.mktemp("leak"), Threads(2)))


def test_diffuse_skies_bring_stacks_of_the_published_size_and_a_joint_fit_takes_them_away(answer, capsys):
    with capsys.disabled():
        print(f"\n{answer}")
    laws = {(law.stack, law.of): law for law in answer.laws}
    published = {row.stack: row for row in answer.placed if row.fit == "published"}
    for row in answer.stacks:
        name = row.tested.hypothesis
        alone, both, nothing, held = (
            laws[name, of] for of in ("alone", "with the diffuse", "alone, no signal at all", "with it, index held")
        )
        # Without any source a stack has a p-value below 5 per cent in most skies, and the published is ordinary.
        assert row.below.p > 0.5
        assert 0.05 < published[name].fewer.p < 0.95
        assert 0.05 < published[name].smaller.p < 0.95
        # Index held: no more than three standard errors above the null.
        assert held.above.p < 0.025 + 3.0 * np.sqrt(0.025 / N) + 0.01
        assert abs(held.at_zero.p - 0.5) < 0.12
        # Index free: near the law of skies without signal, where the stack alone is far from it.
        error = np.hypot(both.above.error, nothing.above.error)
        assert abs(both.above.p - nothing.above.p) < 0.03 + 3.0 * error
        assert alone.above.p - nothing.above.p > 0.4
        for one in (both, held):
            assert one.halves > 0.01 / 6  # six of them
        assert row.not_converged == 0
