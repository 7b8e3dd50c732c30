"""A point source with SkyLLH, in SkyLLH's own environment: n_s and gamma free, right-ascension scrambles.

Not part of nuanalysis and never imported by it: SkyLLH is GPL-3.  Run as ``python point_source.py FOLDER`` on the
files that ``skyllh_export.py`` wrote there.  Says first what the data give; then answers each line ``FIRST LAST`` on
stdin with the CPU seconds of the trials FIRST..LAST-1 and their test statistics, one JSON document a line.

Built from SkyLLH's public pieces as its own point-source analyses are: Gaussian point spread, declination spline and
binned energy density from the data, splined energy ratio on a grid of gamma, scrambled data, L-BFGS-B.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from skyllh.core.analysis import SingleSourceMultiDatasetLLHRatioAnalysis
from skyllh.core.background_generator import DatasetBackgroundGenerator
from skyllh.core.config import Config
from skyllh.core.datafields import DataFieldStages
from skyllh.core.event_selection import AllEventSelectionMethod, SpatialBoxEventSelectionMethod
from skyllh.core.flux_model import PowerLawEnergyFluxProfile, SteadyPointlikeFFM
from skyllh.core.minimizer import LBFGSMinimizerImpl, Minimizer
from skyllh.core.model import DetectorModel
from skyllh.core.parameters import Parameter, ParameterModelMapper
from skyllh.core.pdfratio import SigOverBkgPDFRatio
from skyllh.core.random import RandomStateService
from skyllh.core.scrambling import DataScrambler, UniformRAScramblingMethod
from skyllh.core.signalpdf import GaussianPSFPointLikeSourceSignalSpatialPDF
from skyllh.core.source_hypo_grouping import SourceHypoGroup, SourceHypoGroupManager
from skyllh.core.source_model import PointLikeSource
from skyllh.core.test_statistic import WilksTestStatistic
from skyllh.core.trialdata import TrialDataManager
from skyllh.core.utils.analysis import pointlikesource_to_data_field_array
from skyllh.i3.background_generation import FixedScrambledExpDataI3BkgGenMethod
from skyllh.i3.backgroundpdf import DataBackgroundI3EnergyPDF, DataBackgroundI3SpatialPDF
from skyllh.i3.dataset import I3Dataset
from skyllh.i3.detsigyield import SingleParamFluxPointLikeSourceI3DetSigYieldBuilder
from skyllh.i3.pdfratio import SplinedI3EnergySigSetOverBkgPDFRatio
from skyllh.i3.signalpdf import SignalI3EnergyPDFSet


def dataset_in(folder: Path, problem: dict, cfg: Config) -> I3Dataset:
    """The exported events and response as a SkyLLH dataset with its two binnings."""
    dataset = I3Dataset(
        cfg=cfg,
        name="synthetic cascades",
        exp_pathfilenames="exp.npy",
        mc_pathfilenames="mc.npy",
        livetime=problem["livetime_days"],
        version=1,
        verqualifiers={"p": 0},
        base_path=str(folder.resolve()),
        default_sub_path_fmt="",
    )
    dataset.define_binning("sin_dec", np.array(problem["sin_dec_edges"]))
    dataset.define_binning("log_energy", np.array(problem["log10_energy_edges"]))
    dataset.add_data_preparation(add_sines)
    return dataset


def add_sines(data) -> None:
    """Add the derived columns that the density classes read."""
    data.exp.append_field("sin_dec", np.sin(data.exp["dec"]))
    data.mc.append_field("sin_dec", np.sin(data.mc["dec"]))


def analysis_of(folder: Path, problem: dict) -> SingleSourceMultiDatasetLLHRatioAnalysis:
    """The whole analysis, wired as in SkyLLH's time-integrated point-source analysis."""
    cfg = Config()
    cfg["repository"]["download_from_origin"] = False
    cfg["multiproc"]["ncpu"] = 1
    cfg["datafields"]["sin_dec"] = DataFieldStages.ANALYSIS_EXP
    source = PointLikeSource(name="source", ra=problem["ra"], dec=problem["dec"])
    n_signal = Parameter(name="ns", initial=problem["ns_start"], valmin=0.0, valmax=problem["ns_max"])
    gamma = Parameter(name="gamma", initial=problem["gamma_start"], valmin=1.0, valmax=4.0)
    grid = gamma.as_linear_grid(delta=0.1)
    flux = SteadyPointlikeFFM(Phi0=1.0, energy_profile=PowerLawEnergyFluxProfile(E0=1e5, gamma=2.0, cfg=cfg), cfg=cfg)
    group = SourceHypoGroup(
        sources=source,
        fluxmodel=flux,
        detsigyield_builders=SingleParamFluxPointLikeSourceI3DetSigYieldBuilder(cfg=cfg, param_grid=grid),
    )
    groups = SourceHypoGroupManager(group)
    detector = DetectorModel("detector")
    mapper = ParameterModelMapper(models=[detector, source])
    mapper.map_param(n_signal, models=detector)
    mapper.map_param(gamma, models=source)
    analysis = SingleSourceMultiDatasetLLHRatioAnalysis(
        cfg=cfg, shg_mgr=groups, pmm=mapper, test_statistic=WilksTestStatistic()
    )
    box = problem["box_deg"]
    chosen = (
        SpatialBoxEventSelectionMethod(shg_mgr=groups, delta_angle=np.radians(box))
        if box
        else AllEventSelectionMethod(shg_mgr=groups)
    )
    add_dataset(analysis, dataset_in(folder, problem, cfg), flux, grid, chosen, cfg)
    analysis.construct_services()
    analysis.llhratio = analysis.construct_llhratio(minimizer=Minimizer(LBFGSMinimizerImpl(cfg=cfg)))
    return analysis


def add_dataset(analysis, dataset, flux, grid, chosen, cfg) -> None:
    """Add the dataset with its densities in direction and energy, and with its scrambler."""
    data = dataset.load_and_prepare_data()
    sin_dec, log_energy = dataset.get_binning_definition("sin_dec"), dataset.get_binning_definition("log_energy")
    kernel = GaussianPSFPointLikeSourceSignalSpatialPDF(cfg=cfg, pd_event_data_field_name="kernel")
    space = SigOverBkgPDFRatio(
        cfg=cfg,
        sig_pdf=kernel,
        bkg_pdf=DataBackgroundI3SpatialPDF(cfg=cfg, data_exp=data.exp, sin_dec_binning=sin_dec),
    )
    bins = {"log10_energy_binning": log_energy, "sin_dec_binning": sin_dec}
    energy = SplinedI3EnergySigSetOverBkgPDFRatio(
        cfg=cfg,
        sig_pdf_set=SignalI3EnergyPDFSet(cfg=cfg, data_mc=data.mc, fluxmodel=flux, param_grid_set=grid, **bins),
        bkg_pdf=DataBackgroundI3EnergyPDF(cfg=cfg, data_exp=data.exp, **bins),
    )
    trial_data = TrialDataManager()
    trial_data.add_source_data_field(name="src_array", func=pointlikesource_to_data_field_array)
    # Once a trial and not in every step of the fit.  Without a field of its own SkyLLH would also not see that a trial
    # is a new one, and read the energy ratio from its cache.
    trial_data.add_data_field(
        name="kernel", func=lambda tdm, shg_mgr, pmm: kernel.calculate_pd(tdm), is_srcevt_data=True
    )
    scrambler = FixedScrambledExpDataI3BkgGenMethod(cfg=cfg, data_scrambler=DataScrambler(UniformRAScramblingMethod()))
    analysis.add_dataset(
        dataset=dataset,
        data=data,
        pdfratio=space * energy,
        tdm=trial_data,
        event_selection_method=chosen,
        bkg_generator=DatasetBackgroundGenerator(cfg=cfg, dataset=dataset, data=data, bkg_gen_method=scrambler),
    )


def trials(analysis, first: int, last: int) -> dict:
    """Scramble and fit trials first..last-1: CPU seconds of all of them and their TS."""
    start, found = time.process_time(), []
    for seed in range(first, last):
        found.append(float(analysis.do_trial(rss=RandomStateService(seed=seed))["ts"][0]))
    return {"cpu_s": time.process_time() - start, "ts": found}


def main(folder: Path) -> None:
    """Fit the data, then serve trials until stdin ends."""
    analysis = analysis_of(folder, json.loads((folder / "problem.json").read_text()))
    ts, best, _ = analysis.unblind(minimizer_rss=RandomStateService(seed=1))
    data = {"ts": float(ts), "n_signal": float(best["ns"]), "index": float(best["gamma"])}
    print(json.dumps({"skyllh": version("skyllh"), "numpy": np.__version__, "data": data}), flush=True)
    for line in sys.stdin:
        first, last = map(int, line.split())
        print(json.dumps(trials(analysis, first, last)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
