"""Networks and trees on what the modules saw: arrays of features in, scores, directions and energies out.

Prediction needs numpy alone.  Training needs JAX and optax, or scikit-learn for trees (extra ``learn``), imported only
where it happens: ``train``, ``grow`` and ``_light_training``.

The hybrid reconstruction maximises a likelihood whose expectation of light is a network, or the photon table itself.
"""

from nuanalysis.learn._calibration import (
    Reliability,
    SigmaLaw,
    Temperature,
    fit_sigma,
    fit_temperature,
    reliability,
)
from nuanalysis.learn._cascades import PARAMETERS, Cascade, Profile, cascade, moved, point_profile, profile, vertex
from nuanalysis.learn._coverage import (
    Critical,
    calibrate,
    critical_values,
)
from nuanalysis.learn._features import buckets, inputs_of
from nuanalysis.learn._hybrid import Fit, deficit_at, first_start, reconstruct, start_at
from nuanalysis.learn._images import Lattice, images_of, lattice_of
from nuanalysis.learn._light_models import LightModel, TableLight, table_light
from nuanalysis.learn._light_network import LightNetwork, NetworkLight, network_light
from nuanalysis.learn._likelihood import Value, expected_charges, fisher, log_likelihood
from nuanalysis.learn._maximise import Problem, Search, Top, first_metric, maximise
from nuanalysis.learn._metrics import (
    Estimate,
    Passing,
    angle,
    area_under_curve,
    median,
    passing,
    share,
)
from nuanalysis.learn._network import check_network, digest, predict, regression_of, scores_of, with_metrics
from nuanalysis.learn._observed import EventPulses, Observed, Trust, event_pulses, near_pulses, observe
from nuanalysis.learn._records import (
    BUCKETS,
    FEATURES,
    WHOLE,
    Card,
    Class,
    Images,
    Inputs,
    Measure,
    Network,
    Regression,
    Scores,
    Shape,
    Shard,
    Targets,
    joined,
    labels_of,
    targets_of,
)
from nuanalysis.learn._states import Settings, State
from nuanalysis.learn._training import network_of, train
from nuanalysis.learn._trees import Trees, trees_score
from nuanalysis.learn._trees_training import Growth, grow
