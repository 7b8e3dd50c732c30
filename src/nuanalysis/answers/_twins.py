"""Mean and rms over synthetic twins: the same question asked of skies that were drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from nuanalysis.records import Measured, Record, Unknown, setting, shown

_FEWEST = 2


def _some(n: int) -> int:
    if 0 < n < _FEWEST:
        raise ValueError(f"twins is {n}; expected {_FEWEST} or more, or 0 for this sample alone")
    return n


Twins = Annotated[
    int,
    setting(low=0, high=100, help="synthetic skies drawn anew, for mean and rms over them; 0: this sample alone"),
    AfterValidator(_some),
]


class Spread(Record):
    """A quantity over twins.

    mean : its error is rms over the root of their number.  rms : of one twin, about the mean.
    of_trials : the part of rms that comes from the trials of each twin, by their quoted errors; the rest is how skies
    differ.
    """

    mean: Measured = shown("mean over twins")
    rms: float = shown("rms of one twin", form=".3g")
    of_trials: float | Unknown = shown("rms that the trials alone would give", form=".3g", hidden=True)
    n_twins: int = shown("twins")

    def words(self, form: str = "") -> str:
        return f"{self.mean.words()}, rms {self.rms:.2g}, of {self.n_twins} twins"

    def cell(self, form: str = "") -> str:
        return f"{self.mean.cell()} (rms {self.rms:.2g})"


def spread_of(found: Sequence[Measured | Unknown]) -> Spread | Unknown:
    """Mean and rms of what the twins say; Unknown where one of them does not say it.

    A mean of those alone that have an answer would be that of the easy skies.
    """
    missing = [one for one in found if isinstance(one, Unknown)]
    if missing:
        return Unknown(reason=f"{len(missing)} of {len(found)} twins have no answer: {missing[0].reason}")
    known = [one for one in found if isinstance(one, Measured)]
    values, errors = np.array([one.value for one in known]), [one.error for one in known]
    rms = float(values.std(ddof=1))
    told = [error for error in errors if not isinstance(error, Unknown)]
    of_trials = float(np.sqrt(np.mean(np.square(told)))) if len(told) == len(errors) else None
    return Spread(
        mean=Measured(value=float(values.mean()), error=rms / len(values) ** 0.5, unit=known[0].unit),
        rms=rms,
        of_trials=Unknown(reason="errors of twins are not known") if of_trials is None else of_trials,
        n_twins=len(values),
    )
