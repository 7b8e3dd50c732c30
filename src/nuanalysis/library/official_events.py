"""Official simulated events as records of the detector, from the release that holds them."""

from __future__ import annotations

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.detector import SUMMARY, Hits
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest import find, icecube_pulse_samples
from nuanalysis.interpret.domain_gap import Simulated, chosen_events, joined_events, summed
from nuanalysis.schema import Bools

CASCADES = ("cc-e", "nc")  # interactions that leave one cascade in the array, but for a muon among the hadrons
POINTLIKE = (0.01, 50.0)  # share of tracks in the light, and length in m, below which any other is taken for one
FORMS = ("bins", "summaries")
UNKNOWN = ("last", "mean", "spread")  # where what comes late has no time


def official_cascades(*samples: str, form: str = "bins") -> Simulated:
    """Cascades inside the array of these samples of official simulation, as one record.

    form : 'bins', charge in steps of 20 ns: last time, mean and standard deviation are unknown (NaN), as what comes
    later than 3 us stands in one bin.  'summaries', nine numbers, for the samples that have them.
    Masked are modules that are left out as a whole or for a while.  Raises InputError, and DataError where the
    release is not here: 'nuanalysis data fetch icecube-pulse-samples'.
    """
    if form not in FORMS:
        raise InputError(f"there is no form '{form}' of the official events.{did_you_mean(form, FORMS)}")
    if not samples:
        raise InputError(f"no sample is named; expected some of {', '.join(icecube_pulse_samples.SAMPLES)}")
    folder = find(icecube_pulse_samples.RELEASE)
    parts = []
    for sample in samples:
        if form == "bins":
            found = icecube_pulse_samples.read_bins(folder, sample)
            whole = _as_simulated(found, hits_of_bins(found))
        else:
            found = icecube_pulse_samples.read_summaries(folder, sample)
            whole = _as_simulated(found, hits_of_summaries(found))
        parts.append(chosen_events(whole, _are_cascades(found)))
    return joined_events(f"official simulation, {' + '.join(samples)}", parts)


def _are_cascades(found: xr.Dataset) -> Bools:
    """Events that one cascade at the vertex stands for; of the summaries more is known, and taus are among them."""
    interaction = found["interaction"].values
    if "track_share" not in found:
        return np.isin(interaction, CASCADES)
    small = (found["track_share"].values < POINTLIKE[0]) & (found["extension"].values < POINTLIKE[1])
    return np.isin(interaction, (*CASCADES, "cc-tau")) & small


def hits_of_summaries(events: xr.Dataset) -> Hits:
    """Nine numbers of each module as ``Hits``; what was saturated is left out of them already."""
    module = events["hit_module"].values.astype(np.int64)
    return Hits(
        module,
        events["values"].values.astype(np.float32),
        np.zeros(len(module), dtype=np.bool_),
        events["start"].values.astype(np.int64),
        -events["time"].values,
    )


def hits_of_bins(events: xr.Dataset) -> Hits:
    """Charge in bins of time summed up by module as ``Hits``; pulses stand in the middle of their bin.

    Last time, mean and standard deviation are NaN: of what comes after 3 us no time is known.
    """
    edges = events["bin_edges"].values
    middle = 0.5 * (edges[1:] + edges[:-1])
    middle[0], middle[-1] = edges[1], edges[-2]  # of what is earlier and later only a bound is known
    hits = summed(
        events["start"].values.astype(np.int64),
        events["hit_module"].values.astype(np.int64),
        middle[events["hit_bin"].values],
        events["charge"].values,
    )
    hits.values[:, [SUMMARY.index(name) for name in UNKNOWN]] = np.nan
    return hits


def _as_simulated(found: xr.Dataset, hits: Hits) -> Simulated:
    return Simulated(
        found.attrs["sample"],
        found["vertex"].values,
        found["direction"].values,
        found["visible_energy"].values,
        found["interaction"].values == "nc",
        found["excluded"].values | found["partly_excluded"].values,
        hits,
    )
