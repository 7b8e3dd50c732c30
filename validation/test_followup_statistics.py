"""Follow-ups: p-values of 500 pseudo-alerts are not too small, and limits hold injected bursts.

The figures are made by ``followup_null.py`` and ``followup_coverage.py``, which can be run alone with other numbers.
"""

from __future__ import annotations

import followup_coverage
import followup_null
import numpy as np
import pytest

pytestmark = [pytest.mark.real_data, pytest.mark.usefixtures("mirror")]


@pytest.mark.parametrize("box", [0.0, 1.0])
def test_p_values_of_pseudo_alerts_are_not_above_nominal_by_two_sigma(box: float) -> None:
    assert followup_null.not_met(followup_null.p_values(500, 10_000, box)) == []


def test_p_values_that_are_too_small_are_told() -> None:
    told = followup_null.not_met({1000.0: list(np.linspace(0.0, 0.5, 500))})
    assert len(told) == 3


def test_limits_hold_bursts_of_half_an_event_to_eight() -> None:
    lowest = followup_coverage.lowest_coverage(10_000)
    print(f"lowest coverage {lowest:.3f}")
    assert lowest >= followup_coverage.LEAST
