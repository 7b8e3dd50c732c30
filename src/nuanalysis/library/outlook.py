"""Detectors of today and tomorrow without events: response and expected background of a sample, by its name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nuanalysis import simulate
from nuanalysis.interpret.outlook import Detector, split_at
from nuanalysis.library.samples import arca230
from nuanalysis.response import (
    BackgroundRate,
    Response,
    acceptance_by_energy,
    cascades_2023,
    detected,
    folded,
    gen2,
    rebin,
)
from nuanalysis.schema import Floats

LIVE_SHARE = 0.963  # live time over calendar time of the cascades of 2023
SAMPLE_ENDS = 2021.41  # calendar year
NSIDES = {"cascades": 32, "tracks": 64, "showers": 32}  # of Asimov maps, as the point spread needs them


def live_years(until: int) -> float:
    """Live years of the cascades of 2023 at the end of a calendar year, going on as they did."""
    return cascades_2023.LIVETIME_S / simulate.YEAR + LIVE_SHARE * (until + 1 - SAMPLE_ENDS)


def cascade_rate() -> BackgroundRate:
    """What the twin of the cascade sample is drawn from, atmospheric and isotropic together, in released bins."""
    response, table = cascades_2023.response(), cascades_2023.marginals()
    share = rebin(table.sin_dec_edges, response.array("sin_dec_edges"))
    true = share @ detected(response, simulate.ISOTROPIC_SPECTRUM) * np.diff(table.sin_dec_edges)[:, None]
    low = np.maximum(table.log10_energy_edges, cascades_2023.THRESHOLD_LOG10)
    use = np.append(True, np.diff(low) > 0.0)
    isotropic = folded(response, true, table.sin_dec_edges, low[use]).sum(axis=1)
    isotropic *= cascades_2023.EXPECTED_ASTROPHYSICAL / isotropic.sum()
    atmospheric, _ = cascades_2023.expected_atmosphere(table, isotropic.sum(axis=1), 1.0)
    seen = atmospheric.sum(axis=1)[:, use[1:]] + isotropic
    return BackgroundRate(table.sin_dec_edges, low[use], seen / cascades_2023.LIVETIME_S)


def isotropic_rate(response: Response, table: BackgroundRate) -> Floats:
    """Events a second of the isotropic astrophysical flux of projections, in the bins of a table, (sin_dec, energy)."""
    middles = 0.5 * (table.sin_dec_edges[1:] + table.sin_dec_edges[:-1])
    seen = acceptance_by_energy(response, simulate.ISOTROPIC_SPECTRUM, np.asarray(middles), table.log10_energy_edges)
    return np.asarray(2.0 * np.pi * simulate.ISOTROPIC_NORM * np.diff(table.sin_dec_edges)[:, None] * seen)


def cascades() -> Detector:
    """IceCube's cascades of 2023."""
    return Detector(cascades_2023.NAME, cascades_2023.response(), cascade_rate(), NSIDES["cascades"])


def gen2_cascades(width: float = 1.0) -> Detector:
    """The cascades of 2023, once their area, with edges at the thresholds of Gen2; width : of the point spread."""
    thresholds: Floats = np.log10(1e3 * np.array(gen2.THRESHOLDS_TEV))
    known = cascades()
    background = split_at(known.background, thresholds)
    return replace(known, name=gen2.NAME, response=gen2.response(1.0, width), background=background)


def arca(channel: str) -> Detector:
    """KM3NeT/ARCA230 'tracks' or 'showers'.  Raises DataError where the release is not here."""
    response, table = arca230.tables(channel)
    everything = replace(table, rate=table.rate + isotropic_rate(response, table))
    return Detector(response.name, response, everything, NSIDES[channel])
