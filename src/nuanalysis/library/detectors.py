"""A detector by its name: geometry and ice from the release that holds them."""

from __future__ import annotations

import numpy as np

from nuanalysis.detector import Detector, Ice
from nuanalysis.ingest import find, icecube_detector


def detector(ice: str = "spice-mie") -> Detector:
    """IceCube: 5,160 modules, 77 of them dead, in one of two ice models.

    ice : 'spice-mie', or 'spice-1' as a systematic variation.
    Raises InputError for an unknown model; DataError where the release is not here: 'nuanalysis data fetch
    icecube-detector' brings it.
    """
    folder = find(icecube_detector.RELEASE)
    layers = icecube_detector.read_ice(folder, ice)
    modules = icecube_detector.read_geometry(folder)
    return Detector(
        name=modules.attrs["name"],
        string=modules["string"].values.astype(np.int64),
        number=modules["number"].values.astype(np.int64),
        position=modules["position"].values,
        efficiency=modules["efficiency"].values,
        ice=Ice(
            label=layers.attrs["name"],
            reference=layers.attrs["reference"],
            height=layers["height"].values,
            scattering=layers["scattering"].values,
            absorption=layers["absorption"].values,
        ),
    )
