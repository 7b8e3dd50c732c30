"""What trained networks say of simulated events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nuanalysis.chain._events import Seen
from nuanalysis.chain._inputs import inputs, usable
from nuanalysis.chain._light import Medium
from nuanalysis.chain._networks import trained
from nuanalysis.errors import DataError
from nuanalysis.learn import Network, Regression, Scores, SigmaLaw, Temperature, regression_of, scores_of
from nuanalysis.schema import Floats, Ints

WIDEST = 2.0  # rad: nothing is known of a direction with a larger error


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What networks say of the usable events of a sample.

    events : their places in the sample.  scores, probability (event, 4) : before and after calibration, of each
    ``learn.Class``.  said : direction, place and energy.  sigma (event,) : calibrated error of the direction, rad.
    """

    events: Ints
    scores: Scores
    probability: Floats
    said: Regression
    sigma: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Judges:
    """Networks of classes and of directions, each with its calibration."""

    classes: Network
    temperature: Temperature
    direction: Network
    sigma: SigmaLaw


def judges(folder: Path) -> Judges:
    """The networks of a run, or those that come with the package.

    Read before events are made.  Raises DataError for a damaged network, and for one without calibration.
    """
    classes, direction = trained(folder, "classes"), trained(folder, "direction")
    if classes.temperature is None or direction.sigma is None:
        raise DataError(f"the networks in {folder} are not calibrated; train them again: nuanalysis detector train")
    return Judges(classes.network, classes.temperature, direction.network, direction.sigma)


def judge(seen: Seen, by: Judges, medium: Medium) -> Judgement:
    """What networks say of the usable events; about 500 events a second."""
    events = usable(seen)
    given = inputs(seen, events, medium)
    scores, said = scores_of(by.classes, given), regression_of(by.direction, given)
    sigma = np.minimum(by.sigma.sigma(said.kappa, np.log10(seen.variables.charge[events])), WIDEST)
    return Judgement(events, scores, by.temperature.probability(scores.logits), said, sigma)
