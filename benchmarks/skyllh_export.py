"""Events and response of one of our samples as the files a SkyLLH analysis reads: exp.npy, mc.npy, problem.json.

The response goes over as weighted pseudo-events, one for each (declination, true energy, reconstructed energy) cell:
SkyLLH's own classes then build the signal density in energy for any gamma from them, as from a simulation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nuanalysis.model import Sample
from nuanalysis.response import acceptance, energy_density
from nuanalysis.sky.records import PointSource

Floats = NDArray[np.float64]
_STEPS = 8  # pseudo-events in each bin of true energy


@dataclass(frozen=True, slots=True)
class _OneBin:
    """A spectrum that is flat in energy inside one bin of log10 true energy and zero elsewhere."""

    low: float
    high: float

    def shape(self, log10_energy: Floats) -> Floats:
        """1 inside the bin, 0 outside."""
        return np.asarray((log10_energy >= self.low) & (log10_energy < self.high), dtype=np.float64)


def _cells_of_bin(sample: Sample, low: float, high: float) -> tuple[Floats, Floats]:
    """Effective area, cm2 (row,), and probability of each energy bin (row, bin), for one bin of true energy."""
    edges, spectrum = sample.binning.sin_dec_edges, _OneBin(low, high)
    middles = np.linspace(edges[:-1], edges[1:], 17, axis=1)[:, 1::2]
    area = acceptance(sample.response, spectrum, middles).mean(axis=1) / (10**high - 10**low)
    with np.errstate(invalid="ignore"):
        density = energy_density(sample.response, spectrum, edges, sample.binning.log10_energy_edges)
    return area, np.nan_to_num(density)


def pseudo_events(sample: Sample) -> NDArray[np.void]:
    """The response as a structured array of weighted events; mcweight in GeV cm2 sr."""
    edges, energies = sample.binning.sin_dec_edges, sample.binning.log10_energy_edges
    true = sample.response.array("log10_true_edges")
    dec = np.arcsin(0.5 * (edges[1:] + edges[:-1]))
    reco = 0.5 * (energies[1:] + energies[:-1])
    tables = []
    for low, high in pairwise(true):
        area, density = _cells_of_bin(sample, low, high)
        fine = np.linspace(low, high, _STEPS + 1)
        width = np.diff(10**fine)
        middle = 10 ** (0.5 * (fine[1:] + fine[:-1]))
        weight = (2 * np.pi * np.diff(edges) * area)[:, None, None] * density[:, :, None] * width
        grid = np.broadcast_arrays(dec[:, None, None], reco[None, :, None], middle, weight)
        tables.append(np.stack([g.ravel() for g in grid]))
    cells = np.concatenate(tables, axis=1)
    cells = cells[:, cells[3] > 0]
    names = ("run", "time", "ra", "dec", "ang_err", "log_energy", "true_ra", "true_dec", "true_energy", "mcweight")
    out = np.zeros(cells.shape[1], dtype=[(name, np.float64) for name in names])
    out["dec"] = out["true_dec"] = cells[0]
    out["log_energy"], out["true_energy"], out["mcweight"] = cells[1:]
    out["ang_err"] = 0.1
    return out


def events(sample: Sample) -> NDArray[np.void]:
    """The sample's events as a structured array with SkyLLH's column names."""
    names = ("run", "time", "ra", "dec", "ang_err", "log_energy")
    columns = ("mjd", "right_ascension", "declination", "angular_error", "log10_energy")
    out = np.zeros(sample.events.sizes["event"], dtype=[(name, np.float64) for name in names])
    for name, column in zip(names[1:], columns, strict=True):
        out[name] = sample.array(column)
    edges = sample.binning.log10_energy_edges
    out["log_energy"] = np.clip(out["log_energy"], edges[0], edges[-1] - 1e-9)
    return out


def export(sample: Sample, source: PointSource, folder: Path, box_deg: float = 0.0) -> None:
    """Write the three files.  box_deg : half side of SkyLLH's box about the source; 0 for all events."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "exp.npy", events(sample))
    np.save(folder / "mc.npy", pseudo_events(sample))
    problem = {
        "ra": source.right_ascension,
        "dec": source.declination,
        "livetime_days": sample.livetime / 86400.0,
        "sin_dec_edges": sample.binning.sin_dec_edges.tolist(),
        "log10_energy_edges": sample.binning.log10_energy_edges.tolist(),
        "box_deg": box_deg,
        "ns_start": 10.0,
        "ns_max": 1000.0,
        "gamma_start": 2.7,
    }
    (folder / "problem.json").write_text(json.dumps(problem, indent=1))
