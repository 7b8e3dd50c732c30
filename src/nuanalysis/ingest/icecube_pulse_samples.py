"""Official simulation, small samples: 271 cascade-like events as networks see them, with truth and their answers.

Two forms of the same selection (cascade level 5, IC86-2013, hole ice 30): of version 2.0.0 of dnn_reco nine numbers for
each module (``read_summaries``), of 0.2.0 the charge in bins of time (``read_bins``).  For comparisons, never for
training.  What bins and exclusions mean stands in the configuration files beside the data in icecube/dnn_reco.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest._icetray_tables import (
    WHOLE,
    Tables,
    at_modules,
    chosen,
    module_rows,
    motion,
    open_tables,
    per_event,
)
from nuanalysis.ingest._release import UpstreamRelease, files_of
from nuanalysis.ingest._table import located, spoiled
from nuanalysis.schema import Floats, Ints

#: Events of each sample; both forms hold the same ones, but nue-medium exists in bins only.
SAMPLES = {"nue-low": 9, "nue-medium": 188, "numu-low": 4, "numu-medium": 32, "nutau-low": 2, "nutau-medium": 36}
ONLY_BINS = ("nue-medium",)
SPELLED = {"nue": "NuE", "numu": "NuMu", "nutau": "NuTau"}
SUMMARIES, BINS = "dnn_reco_v2.0.0", "dnn_reco_v0.2.0"
VALUES = 9
#: Edges of the bins of time in ns since the true time of the vertex (pulse_time_binning of the configuration).
BIN_EDGES = np.concatenate([[-np.inf], np.arange(-500.0, 3001.0, 20.0), [np.inf]])
#: How the networks are called here, and in the files.
NETWORKS = {
    "mese": "mese_v2__all_gl_both2",  # for cascades, the newer one
    "paper": "dnn_reco_paper_hese__m7_after_sys",  # for cascades, that of JINST 16, P07041
    "tutorial": "getting_started_model",  # energies only
    "track": "l2_direction_red_summary_stats_fast_01",  # a first look at tracks: no measure for cascades
    "quick": "l2_energy_visible_red_summary_stats_fast_01",  # energy only
}
AXES = tuple(f"PrimaryDirection{axis}" for axis in "XYZ")
#: What happened, by the flags of the labels; who lies outside the array has no other flag.
INTERACTIONS = {
    "cc-e": "p_starting_cc_e", "cc-mu": "p_starting_cc_mu", "cc-tau": "p_starting_cc_tau", "nc": "p_starting_nc",
    "glashow": "p_starting_glashow", "outside": "p_outside_cascade", "entering": "p_entering",
}  # fmt: skip
WEIGHTS = ("weight_conv", "weight_prompt", "weight_E250", "weight_E269", "veto_conv", "veto_prompt")

RELEASE = UpstreamRelease(
    name="icecube-pulse-samples",
    title="Official IceCube simulation: 271 cascade-like events as inputs of networks, truth, reference networks",
    folder="icecube_pulse_samples",
    licence="MIT (icecube/dnn_reco)",
    citation="icecube/dnn_reco; IceCube Collaboration (Abbasi et al.) 2021, JINST 16, P07041, arXiv:2101.11589",
    files=files_of("icecube_pulse_samples"),
    notes="Test data of a program, not a release of simulation: no archive, a few events of each kind.",
)


def read_summaries(folder: Path, sample: str) -> xr.Dataset:
    """Return the events of a sample with nine numbers for each module: dims event, hit, summary, module, axis.

    start (boundary,) : hits of event i stand from start[i] to start[i + 1].  hit_module (hit,) : 60 (string - 1) +
    number - 1.  values (hit, summary) : charge, charge in the first 500 and 100 ns, first time, times at which 20 and
    50 % of the charge are in, last time, mean and standard deviation of times weighted by charge.  Times in ns since
    the start of the 6 us with the largest charge, cut to -5 and +14 us about it: a pulse of noise can be first or last.
    excluded (event, module) : bad and *bright* ones; the numbers leave out the bad ones alone, and hold most of the
    light of an energetic event in bright ones: mask them with this.  partly_excluded (event, module) : saturated for a
    while; that light is left out of the numbers.  Elsewhere the charge is that of ``read_bins`` to 0.6 %.
    track_share (event,) : of the visible energy, that of muons and taus; extension (event,) : from the vertex to the
    last light in m.  Truth and networks: ``_truth`` and ``_answers``.  Raises InputError, DataError.
    """
    stem = "dnn_data_inputs9_InIceDSTPulses"
    with open_tables(_where(folder, SUMMARIES, sample)) as tables:
        key = _events(tables, sample)
        rows = module_rows(tables, f"{stem}_bin_values", f"{stem}_bin_indices", key)
        if len(rows.number) % VALUES or not np.all(rows.number.reshape(-1, VALUES) == np.arange(VALUES)):
            raise spoiled(f"{tables.path} has modules without all {VALUES} values")
        zero = f"{stem}_global_time_offset"
        parts = [
            _truth(tables, key, zero),
            _answers(tables, key),
            _exclusions(tables, "dnn_data__charge_bins_bin_exclusions", key),
        ]
        shape = per_event(tables, "LabelsMCCascade", ("energy_fraction_track", "cascade_max_extension"), key)
    hits = {
        "track_share": ("event", shape["energy_fraction_track"], {"units": ""}),
        "extension": ("event", shape["cascade_max_extension"], {"units": "m"}),
        "start": ("boundary", rows.start // VALUES, {"units": ""}),
        "hit_module": ("hit", rows.module[::VALUES], {"units": ""}),
        "values": (("hit", "summary"), rows.value.reshape(-1, VALUES), {"units": "photoelectron, ns"}),
    }
    return _whole([*parts, xr.Dataset(hits)], sample, "2.0.0")


def read_bins(folder: Path, sample: str) -> xr.Dataset:
    """Return the events of a sample with the charge of each module in bins of time: dims event, hit, module, axis.

    start (boundary,) and hit_module (hit,) as in ``read_summaries``, a hit for each bin that is not empty; hit_bin
    (hit,) between bin_edges; charge (hit,) in photoelectrons.  Bins 0 and 176 hold what is earlier than 500 ns before,
    and later than 3 us after, the *true* time of the vertex, which is the zero of times here: ``time`` is 0.
    excluded (event, module) : bad and bright ones, which have no hits.  partly_excluded (event, module) : saturated for
    a while, and without charge then; window_module, window_bin (window,) with window_start (boundary,) say when.
    weight_..., veto_... (event,) : as in the table weights_mese.
    Truth and networks: ``_truth`` and ``_answers``.  Raises InputError, DataError.
    """
    with open_tables(_where(folder, BINS, sample)) as tables:
        key = _events(tables, sample)
        rows = module_rows(tables, "dnn_data_bin_values", "dnn_data_bin_indices", key)
        if np.any((rows.number < 0) | (rows.number > len(BIN_EDGES) - 2)):
            raise spoiled(f"{tables.path} has bins of time beyond 0 and {len(BIN_EDGES) - 2}")
        parts = [
            _truth(tables, key, "dnn_data_global_time_offset"),
            _answers(tables, key),
            _exclusions(tables, "dnn_data_bin_exclusions", key),
        ]
        weights = per_event(tables, "weights_mese", WEIGHTS, key)
    hits = {
        "start": ("boundary", rows.start, {"units": ""}),
        "hit_module": ("hit", rows.module, {"units": ""}),
        "hit_bin": ("hit", rows.number, {"units": ""}),
        "charge": ("hit", rows.value, {"units": "photoelectron"}),
        "bin_edges": ("bin_edge", BIN_EDGES, {"units": "ns"}),
    }
    weighted = {name: ("event", weights[name].astype(np.float64), {"units": ""}) for name in WEIGHTS}
    return _whole([*parts, xr.Dataset(weighted), xr.Dataset(hits)], sample, "0.2.0")


def _where(folder: Path, version: str, sample: str) -> Path:
    known = [name for name in SAMPLES if version == BINS or name not in ONLY_BINS]
    if sample not in known:
        raise InputError(f"there is no sample '{sample}' in this form.{did_you_mean(sample, known)}")
    flavour, energies = sample.split("-")
    return located(folder, RELEASE, f"{version}/{SPELLED[flavour]}_{energies}_energy_DNN_l5.hdf5")


def _events(tables: Tables, sample: str) -> Ints:
    """The keys of the events, (event,).  Raises DataError for another number of them, or one that occurs twice."""
    key: Ints = tables.read("MCCascade", ())["key"]
    if len(key) != SAMPLES[sample] or len(np.unique(key)) != len(key):
        raise spoiled(f"{tables.path} holds {len(key)} events, expected {SAMPLES[sample]} different ones")
    return key


def _truth(tables: Tables, key: Ints, offset: str) -> xr.Dataset:
    """Truth: run, event_id, pdg, interaction (event,); vertex, direction of motion (event, axis); time; energies.

    pdg is 0 where the light is of a muon that enters.  time : of the vertex, ns since the zero of the times of the
    hits.  energy : of the neutrino, GeV; visible_energy : what counts as light, deposited_energy : all that is left in
    the array.  Zenith and azimuth point *back*: they are turned here.
    """
    mc = per_event(tables, "MCCascade", ("x", "y", "z", "time", "zenith", "azimuth", "pdg_encoding"), key)
    energies = ("PrimaryEnergy", "EnergyVisible", "TotalDepositedEnergy")
    labels = per_event(tables, "LabelsDeepLearning", (*energies, *INTERACTIONS.values()), key)
    zero = per_event(tables, offset, ("value",), key)["value"]
    direction = motion(mc["zenith"], mc["azimuth"])
    flags = np.stack([labels[flag] > 0.5 for flag in INTERACTIONS.values()], axis=1)
    if not np.all(flags.any(axis=1)):
        raise spoiled(f"{tables.path} has events whose labels name no interaction")
    truth = {
        "run": ("event", mc["Run"].astype(np.int64), {"units": ""}),
        "event_id": ("event", mc["Event"].astype(np.int64), {"units": ""}),
        "pdg": ("event", mc["pdg_encoding"].astype(np.int64), {"units": ""}),
        "interaction": ("event", np.array(list(INTERACTIONS))[flags.argmax(axis=1)]),
        "vertex": (("event", "axis"), np.stack([mc[axis] for axis in "xyz"], axis=1), {"units": "m"}),
        "direction": (("event", "axis"), direction, {"units": ""}),
        "time": ("event", mc["time"] - zero, {"units": "ns"}),
        "energy": ("event", labels["PrimaryEnergy"], {"units": "GeV"}),
        "visible_energy": ("event", labels["EnergyVisible"], {"units": "GeV"}),
        "deposited_energy": ("event", labels["TotalDepositedEnergy"], {"units": "GeV"}),
    }
    return xr.Dataset(truth, coords={"axis": ["x", "y", "z"]})


def _answers(tables: Tables, key: Ints) -> xr.Dataset:
    """What the networks of ``NETWORKS`` said, as far as the file has them; NAME is what they are called there.

    NAME_direction (event, axis) of motion, NAME_direction_error (event, axis) of its components; NAME_energy (event,)
    visible, GeV, NAME_energy_error (event,) of its natural logarithm.
    """
    found = xr.Dataset()
    errors = tuple(f"{axis}_uncertainty" for axis in AXES)
    for name, spelled in NETWORKS.items():
        table = f"DeepLearningReco_{spelled}"
        if tables.has(table, (*AXES, *errors)):
            said = per_event(tables, table, (*AXES, *errors), key)
            vectors, spread = (_stacked([said[one] for one in names]) for names in (AXES, errors))
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
            if not np.all(length > 0.0):
                raise spoiled(f"{tables.path}: table {table} has directions without length")
            found[f"{name}_direction"] = (("event", "axis"), vectors / length, {"units": ""})
            found[f"{name}_direction_error"] = (("event", "axis"), spread, {"units": ""})
        if tables.has(table, ("EnergyVisible", "EnergyVisible_log_uncertainty")):
            said = per_event(tables, table, ("EnergyVisible", "EnergyVisible_log_uncertainty"), key)
            found[f"{name}_energy"] = ("event", said["EnergyVisible"], {"units": "GeV"})
            found[f"{name}_energy_error"] = ("event", said["EnergyVisible_log_uncertainty"], {"units": ""})
    return found


def _stacked(columns: list[Floats]) -> Floats:
    return np.stack(columns, axis=1)


def _exclusions(tables: Tables, name: str, key: Ints) -> xr.Dataset:
    """Modules that are left out as a whole and for a while, and the bins of the latter."""
    rows = module_rows(tables, name, name, key)
    windows = chosen(rows, rows.number != WHOLE)
    found = {
        "excluded": (("event", "module"), at_modules(chosen(rows, rows.number == WHOLE)), {"units": ""}),
        "partly_excluded": (("event", "module"), at_modules(windows), {"units": ""}),
        "window_start": ("boundary", windows.start, {"units": ""}),
        "window_module": ("window", windows.module, {"units": ""}),
        "window_bin": ("window", windows.number, {"units": ""}),
    }
    return xr.Dataset(found)


def _whole(parts: list[xr.Dataset], sample: str, version: str) -> xr.Dataset:
    about = {"sample": sample, "origin": "official simulation", "version": version}
    return xr.merge(parts).assign_attrs(**about, reference=RELEASE.reference, licence=RELEASE.licence)
