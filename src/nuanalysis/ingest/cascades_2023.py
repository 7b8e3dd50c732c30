"""The cascade release of the Galactic-plane paper (2023): response, rates, pi0 map, source lists, per-event terms.

It holds no directions and no times: `event_contributions_gp.csv` has likelihood ratios, energy and hull distance only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import DataError, InputError, did_you_mean
from nuanalysis.ingest import _tracks
from nuanalysis.ingest._maps import healpix_map
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease
from nuanalysis.ingest._table import (
    REPAIR,
    faults_named,
    located,
    read_matrix,
    read_npy,
    read_numbers,
    read_words,
    within,
)

EVENTS = 59_592
LIVETIME_S = 304_047_105.07
TEMPLATES = ("pi0", "kra5", "kra50")
TERMS = ("SoB_space", "SoB_space_ss", "SoB_energy")
CONTRIBUTIONS = "MainResult/event_contributions_gp.csv"
STACKING = "source_lists/stacking_catalogs_12_12_12.csv"
SOURCES_109 = "source_lists/source_list_109.csv"
RESOLUTION_SHA256 = {
    "EnergyResS6a_hist.csv": "7f01a74693a2d1452609b8f24ed34c20b4b05860e2bd377424916ce2c93b01bb",
    "EnergyResS6a_resolution.csv": "48049808f6d38d0440f8cf22750b41de9c2cb97f922dc06581b3078dbf106502",
    "EnergyResS6a_x_edges.csv": "484da4c7e28096b071aaa5c7b593e0ba50c112abe2e8cca8eeab945021974e60",
    "EnergyResS6a_y_edges.csv": "484da4c7e28096b071aaa5c7b593e0ba50c112abe2e8cca8eeab945021974e60",
    "EnergyResS6b_hist.csv": "d9bec5b622e6d496d0720c7f4820b80fac53ab861d524f2256ef66f793ca3046",
    "EnergyResS6b_resolution.csv": "47a1acdd2b9d2134d1fb8ed6cf09c955c2baa78d8b0e192c005400cb15a3e5c1",
    "EnergyResS6b_x_edges.csv": "484da4c7e28096b071aaa5c7b593e0ba50c112abe2e8cca8eeab945021974e60",
    "EnergyResS6b_y_edges.csv": "484da4c7e28096b071aaa5c7b593e0ba50c112abe2e8cca8eeab945021974e60",
    "angular_resolution.csv": "b6a9b77524f297ace8b922a41c54471bf73aa3bb25531306806ff40d6f637eda",
    "coverage.csv": "db72b5fefd71df756496d3881dd8700d9c137f14c46c365abf4a881a60357a36",
}
SHA256 = {f"ReconstructionResolution/{name}": sha256 for name, sha256 in RESOLUTION_SHA256.items()} | {
    "Digitized_Tables/Table_S4.csv": "20256220d8235268511328f6ddd1baae782cc977d426abd16150d888716b7276",
    "Fig2/effa_cascades_bins.csv": "927759712626d46719492995c7428bb9076a24783a3593ff507f2bd1dd362a94",
    "Fig2/effa_cascades_values.csv": "796d46d3245181828a07e857f671a3f70aeb7584c5d195e5ef600fe20dae1906",
    "Fig2/effa_this_work_bins.csv": "927759712626d46719492995c7428bb9076a24783a3593ff507f2bd1dd362a94",
    "Fig2/effa_this_work_values.csv": "e5ea7207b9f51aa25b1642767a65efb0e0f93942766e3f4cbed3dc61767ddbc5",
    "Fig2/effa_tracks_bins.csv": "927759712626d46719492995c7428bb9076a24783a3593ff507f2bd1dd362a94",
    "Fig2/effa_tracks_values.csv": "aaf47c9bf36c0a4f7a1a80e2c306bbfbd9a16763fb4daf996afddd5695124e46",
    "Fig2/nevents_cascades_bins.csv": "e43330e4445dd4a104b02364b7ff5c06b4396f344e47f071ec6942cdd3aa0bbf",
    "Fig2/nevents_cascades_values.csv": "79033f13e3f8d8c012441650a96455cff2823fefb9debb8d3149c748b34377fe",
    "Fig2/nevents_this_work_bins.csv": "e43330e4445dd4a104b02364b7ff5c06b4396f344e47f071ec6942cdd3aa0bbf",
    "Fig2/nevents_this_work_values.csv": "b288c072408f7db2a5a9fd6c45b5a266d53bf54c4f2b616e8ac9774537ecbd0b",
    "Fig2/nevents_tracks_bins.csv": "e43330e4445dd4a104b02364b7ff5c06b4396f344e47f071ec6942cdd3aa0bbf",
    "Fig2/nevents_tracks_values.csv": "66a6a407519b6fd12b0b5cd75c825e9dbde5719de389b73b5ce208c911c16abf",
    "FigS1/astro_nue_bins.csv": "c4bf132e142f6debdb8f7c57d1983ca29e3a696af67e0e96300b5f655c504b8b",
    "FigS1/astro_nue_values.csv": "e1a9b7c8b2174dc054789f421b04dc74adbb2307331819ad5e82e66dd789c743",
    "FigS1/astro_numu_bins.csv": "c4bf132e142f6debdb8f7c57d1983ca29e3a696af67e0e96300b5f655c504b8b",
    "FigS1/astro_numu_values.csv": "a65d68e0c32693e4f2742d2fe9f904ea5479f9ed6212ffb6f88c2fa769ada53f",
    "FigS1/astro_nutau_bins.csv": "c4bf132e142f6debdb8f7c57d1983ca29e3a696af67e0e96300b5f655c504b8b",
    "FigS1/astro_nutau_values.csv": "6c39bbcd19bbd8a2b31df3021a65a2d12d66df52eff94cabb99643978b5a765c",
    "FigS1/astro_tot_bins.csv": "c4bf132e142f6debdb8f7c57d1983ca29e3a696af67e0e96300b5f655c504b8b",
    "FigS1/astro_tot_values.csv": "769699f0ae3d3f64618ab74d60d0f582934256095995ecbbc6ca8c6570c5b8c4",
    "FigS1/atmo_nue_bins.csv": "c4bf132e142f6debdb8f7c57d1983ca29e3a696af67e0e96300b5f655c504b8b",
    "FigS1/atmo_nue_values.csv": "9ef93db5e880659fe97ed497f58be7ab377bc7001e9b636d0dd304ca76d296ab",
    "FigS1/atmo_numu_bins.csv": "c4bf132e142f6debdb8f7c57d1983ca29e3a696af67e0e96300b5f655c504b8b",
    "FigS1/atmo_numu_values.csv": "844803617730bc255275b1d0944c11066a7acc7c5dd7928bda7a8c30980306d2",
    "FigS1/atmo_nutau_bins.csv": "c4bf132e142f6debdb8f7c57d1983ca29e3a696af67e0e96300b5f655c504b8b",
    "FigS1/atmo_nutau_values.csv": "d4d5b50ab2864cfb6bdcce7928a111032e9caf352b080b2162a4024ca1b59e11",
    "FigS1/atmo_tot_bins.csv": "c4bf132e142f6debdb8f7c57d1983ca29e3a696af67e0e96300b5f655c504b8b",
    "FigS1/atmo_tot_values.csv": "09c8c6c2d06d36022c7a033fdaab9c5d89f56038469a17a5122cb3e23830b7e0",
    "FigS2/angerr_plot/astro_nu_bins.csv": "80e3277869869092e11dc2a4c3023329332741014b4ee48d88542fdce390772f",
    "FigS2/angerr_plot/astro_nu_values.csv": "125d37499bb99111ff663dca14087959639c0b973cb1136a33e7328c890d3c59",
    "FigS2/angerr_plot/atmo_nu_bins.csv": "80e3277869869092e11dc2a4c3023329332741014b4ee48d88542fdce390772f",
    "FigS2/angerr_plot/atmo_nu_values.csv": "9ad6d8877fd0157c1bf4bec149698fc82c1c29de4f05f5bc9c3f471f8fd9b872",
    "FigS2/angerr_plot/data_bins.csv": "80e3277869869092e11dc2a4c3023329332741014b4ee48d88542fdce390772f",
    "FigS2/angerr_plot/data_errors.csv": "86ecc46cc70f6bded037085018b5e88e6334371b7fd85a76f1172c59ba94336b",
    "FigS2/angerr_plot/data_values.csv": "63ff1919c30e2e648d34617bf2beb78a8daa7b3a875e20a6ce8f4fdf5331b0f7",
    "FigS2/angerr_plot/mu_bins.csv": "80e3277869869092e11dc2a4c3023329332741014b4ee48d88542fdce390772f",
    "FigS2/angerr_plot/mu_values.csv": "64d543d4e0c3ed9a34fcaff8da10329b161ce81ddc317794886cd272bb8f184d",
    "FigS2/angerr_plot/sim_tot_bins.csv": "80e3277869869092e11dc2a4c3023329332741014b4ee48d88542fdce390772f",
    "FigS2/angerr_plot/sim_tot_errors.csv": "77379c7fdd5c1f02d5d042c89208d7507006bb7788288ace75acb7f4043e0149",
    "FigS2/angerr_plot/sim_tot_values.csv": "609a31cba9272eb6e714a8bd82fb7fb52bf739df8ef68a2638bf6ebf576e6c89",
    "FigS2/sindec_plot/astro_nu_bins.csv": "b5472db5ea9c124371c1ebf04945077081b3445e9aa54c4e0f6ea6605eae7788",
    "FigS2/sindec_plot/astro_nu_values.csv": "bcfa85fba8d00b8a7305884a3b5e2c254cee92647404fbc1aa952f327c2df080",
    "FigS2/sindec_plot/atmo_nu_bins.csv": "b5472db5ea9c124371c1ebf04945077081b3445e9aa54c4e0f6ea6605eae7788",
    "FigS2/sindec_plot/atmo_nu_values.csv": "d24ec178f99847d900c844aa89f0eb3eb377267467a7ac79e02f8d6f59d8bf4b",
    "FigS2/sindec_plot/data_bins.csv": "b5472db5ea9c124371c1ebf04945077081b3445e9aa54c4e0f6ea6605eae7788",
    "FigS2/sindec_plot/data_errors.csv": "03df6731d8ed06dca29a06e80fe22da94f5f3c6a3d0d7c61ef48cd0bba13b4fa",
    "FigS2/sindec_plot/data_values.csv": "606d8982b02c8fd1b2ecfcc1d749033761197fe495518c039bd1928854bfe2a2",
    "FigS2/sindec_plot/mu_bins.csv": "b5472db5ea9c124371c1ebf04945077081b3445e9aa54c4e0f6ea6605eae7788",
    "FigS2/sindec_plot/mu_values.csv": "d269cfaf6255ab2cb8668468476fc86ab7a06b4ff4d0108eaf0069d7b9614a48",
    "FigS2/sindec_plot/sim_tot_bins.csv": "b5472db5ea9c124371c1ebf04945077081b3445e9aa54c4e0f6ea6605eae7788",
    "FigS2/sindec_plot/sim_tot_errors.csv": "a480e9762057a71130fb8fb96e2582ed62248735f9cbc1a3ee11225a01236530",
    "FigS2/sindec_plot/sim_tot_values.csv": "b2f403d73f39fd22bc64f2031128a1be44edcdb6b08d523ce65e2bb99211dc34",
    "MainResult/Fermi-LAT_pi0_map.npy": "ba67278719538b555da8af033813b5e39dad2cde6c0d98f1a4586e89f3122e26",
    "MainResult/effa_bins_energy.csv": "bda6113bd01fcccc8e7fbeec3ad2efd033ea7b503261e4d8de632f4a474eebf3",
    "MainResult/effa_bins_sindec.csv": "95a0e995b1e5f407ca2de66f7fc9e44933f3150b0c5fcc86e06c6a88ca56effd",
    "MainResult/effa_values.csv": "673510c13c2f7862b7499786ebb7dbc9470a4785ee7dde058b36b1c55e5117f0",
    "source_lists/stacking_catalogs_12_12_12.csv": "b544cdf721c1af4f2ae1fb6ea4c2811d65763801ba4b4e721ef0c7ab01ada553",
    "source_lists/source_list_109.csv": "d4a1cbc04198ddcde4fbad37e33a52b539f292f59667ae17bcb1f2226102ac23",
}
ROWS = {"MainResult/effa_values.csv": 5, STACKING: 36, SOURCES_109: 109}
# Made from the authors' repository, or typed from the paper's tables: not needed to use the release.
EXTRAS = ("source_lists/", "Digitized_Tables/")


def _kind(path: str) -> str:
    if path.startswith(("MainResult/effa", "Fig2/effa")):
        return "effective area"
    if path.endswith(".npy"):
        return "template"
    return "resolution" if path.startswith("ReconstructionResolution/") else "table"


RELEASE = UpstreamRelease(
    name="cascades-2023",
    title="Observation of high-energy neutrinos from the Galactic plane: cascade data release",
    folder="icecube_gp2023_inputs",
    doi="10.21234/8v5d-rn16",
    doi_confirmed=True,
    licence="public release; licence line of the landing page not checked: link and cite, do not republish",
    citation="IceCube Collaboration 2023, Science 380, 1338, arXiv:2307.04427",
    files=(
        *(
            UpstreamFile(
                path,
                sha256,
                kind=_kind(path),
                rows=ROWS.get(path),
                member=path.replace("Digitized_Tables", "Digitized Tables") if path.startswith("Digitized") else "",
                required=not path.startswith(EXTRAS),
            )
            for path, sha256 in SHA256.items()
        ),
        UpstreamFile(CONTRIBUTIONS, kind="events", rows=EVENTS, required=False),
    ),
    notes="One zip of about 27 MB on the release page of icecube.wisc.edu "
    "(data-releases/2023/06/observation-of-high-energy-neutrinos-from-the-galactic-plane); its own address is not "
    "confirmed: download it there and run 'nuanalysis data import cascades-2023 THE.zip'. No event directions exist.",
)


def read_effective_area(folder: Path) -> xr.Dataset:
    """Return effective_area (sin_dec 5, log10_true 120) in cm^2 with its edges.

    Times the per-flavour nu + nubar flux it gives the events of all flavours.
    """
    sin_dec = read_matrix(located(folder, RELEASE, "MainResult/effa_bins_sindec.csv"), shape=(6,))
    energy = read_matrix(located(folder, RELEASE, "MainResult/effa_bins_energy.csv"), shape=(121,))
    path = located(folder, RELEASE, "MainResult/effa_values.csv")
    area = read_matrix(path, shape=(5, 120))
    if np.any(area < 0.0) or np.any(np.diff(energy) <= 0.0) or np.any(np.diff(sin_dec) <= 0.0):
        raise DataError(f"{path}: negative areas, or bin edges beside it that do not increase. {REPAIR}")
    return _tracks.effective_area(
        sin_dec,
        np.log10(energy),
        area,
        name=RELEASE.name,
        reference=RELEASE.reference,
        flavours="all flavours for the per-flavour flux, nu + nubar",
    )


def read_pi0_map(folder: Path) -> xr.Dataset:
    """Return the published pi0 template: density (pixel,) in sr^-1, RING, equatorial, integral 1 over the sky."""
    path = located(folder, RELEASE, "MainResult/Fermi-LAT_pi0_map.npy")
    template = healpix_map(path, read_npy(path), unit="sr-1", frame="icrs", reference=RELEASE.reference)
    integral = float(template["density"].mean()) * 4.0 * np.pi
    if abs(integral - 1.0) > 1e-3:
        raise DataError(f"{path} integrates to {integral:g} over the sky, expected 1. {REPAIR}")
    return template


def read_histogram(folder: Path, name: str) -> xr.Dataset:
    """Return a published histogram: values (bin,), edges (bin_edge,) and, where released, errors (bin,).

    ``name``: its path without the ending, such as 'FigS2/sindec_plot/data', 'FigS1/astro_tot', 'Fig2/nevents_tracks'.
    Units are those of the release: sin(dec); sigma in deg; energy in GeV; counts.
    """
    known = sorted(path.removesuffix("_values.csv") for path in SHA256 if path.endswith("_values.csv"))
    known.remove("MainResult/effa")
    if name not in known:
        raise InputError(f"unknown histogram '{name}' of {RELEASE.name}.{did_you_mean(name, known)}")
    values = read_matrix(located(folder, RELEASE, f"{name}_values.csv"))
    path = located(folder, RELEASE, f"{name}_bins.csv")
    edges = read_matrix(path, shape=(values.size + 1,))
    if np.any(np.diff(edges) <= 0.0):
        raise DataError(f"{path}: bin edges do not increase. {REPAIR}")
    variables = {"values": ("bin", values), "edges": ("bin_edge", edges)}
    if f"{name}_errors.csv" in SHA256:
        variables["errors"] = ("bin", read_matrix(located(folder, RELEASE, f"{name}_errors.csv"), shape=values.shape))
    return xr.Dataset(variables, attrs={"name": name, "reference": RELEASE.reference})


def read_energy_migration(folder: Path, truth: str = "neutrino") -> xr.Dataset:
    """Return P(reconstructed | true) of energy: migration (true 29, reco 29), rows sum to 1, edges in log10(E/GeV).

    ``truth``: 'neutrino' (table S6a) or 'deposited' (S6b).
    """
    letters = {"neutrino": "a", "deposited": "b"}
    if truth not in letters:
        raise InputError(f"unknown true energy '{truth}'.{did_you_mean(truth, letters)}")
    stem = f"ReconstructionResolution/EnergyResS6{letters[truth]}"
    true, reco = (read_matrix(located(folder, RELEASE, f"{stem}_{axis}_edges.csv"), shape=(30,)) for axis in "xy")
    path = located(folder, RELEASE, f"{stem}_hist.csv")
    matrix = read_matrix(path, shape=(29, 29))
    if np.any(matrix < 0.0) or np.any(np.abs(matrix.sum(axis=1) - 1.0) > 1e-6):
        raise DataError(f"{path}: rows are true energies and each must sum to 1. {REPAIR}")
    return xr.Dataset(
        {
            "migration": (("migration_true", "migration_reco"), matrix, {"units": ""}),
            "migration_true_edges": ("migration_true_edge", np.log10(true), {"units": ""}),
            "migration_reco_edges": ("migration_reco_edge", np.log10(reco), {"units": ""}),
        },
        attrs={"truth": truth, "reference": RELEASE.reference},
    )


def read_angular_resolution(folder: Path) -> xr.Dataset:
    """Return quantiles of the opening angle (energy, quantile) in rad for this_work, this_work_contained, prev_work."""
    percents, works = (20, 50, 80), ("this_work", "this_work_contained", "prev_work")
    path = located(folder, RELEASE, "ReconstructionResolution/angular_resolution.csv")
    names = [f"{work}_{percent}p" for work in works for percent in percents]
    table = read_numbers(path, ("energy", *names))
    within(path, table, dict.fromkeys(names, (0.0, 180.0)))
    variables = {
        work: (
            ("energy", "quantile"),
            np.deg2rad(np.stack([table[f"{work}_{percent}p"] for percent in percents], axis=1)),
            {"units": "rad"},
        )
        for work in works
    }
    axes = {"log10_energy": ("energy", np.log10(table["energy"])), "quantile": np.array(percents) / 100.0}
    return xr.Dataset(variables, coords=axes, attrs={"reference": RELEASE.reference})


def _sources(
    path: Path, rows: list[dict[str, str]], names: dict[str, str], right_ascension: str, dec: str
) -> xr.Dataset:
    with faults_named(path):
        degrees = {key: np.array([float(row[key]) for row in rows]) for key in (right_ascension, dec)}
    within(path, degrees, {right_ascension: (0.0, 360.0), dec: (-90.0, 90.0)})
    variables = {new: ("source", np.array([row[old].strip() for row in rows])) for new, old in names.items()}
    return xr.Dataset(
        {
            **variables,
            "right_ascension": ("source", _tracks.wrapped(degrees[right_ascension]), {"units": "rad"}),
            "declination": ("source", np.deg2rad(degrees[dec]), {"units": "rad"}),
        },
        attrs={"reference": RELEASE.reference},
    )


def read_stacking_sources(folder: Path) -> xr.Dataset:
    """Return the 36 stacked sources: catalogue (SNR, PWN, UNID), name, types, position in rad, gamma-ray spectrum.

    Names are as released ('RX J1713.7-2946' is its typing error for -3946).  In the paper every source of a catalogue
    has equal weight at Earth; the spectra only chose them.
    """
    path = located(folder, RELEASE, STACKING)
    numbers = ("norm_TeV", "E0_TeV", "spectrum_1", "spectrum_2")
    rows = read_words(path, ("stacking_catalog", "name", "ra_deg", "dec_deg", "type", "spectrum_type", *numbers))
    names = {"catalogue": "stacking_catalog", "name": "name", "types": "type", "spectrum": "spectrum_type"}
    sources = _sources(path, rows, names, "ra_deg", "dec_deg")
    with faults_named(path):
        # Power laws have no second number: NaN says so.
        columns = {name: [float(row[name]) if row[name].strip() else np.nan for row in rows] for name in numbers}
    return sources.assign({name: ("source", np.array(values)) for name, values in columns.items()})


def read_source_list(folder: Path) -> xr.Dataset:
    """Return the 109 objects of table S5: name, type, counterpart, redshift or distance as printed, position in rad."""
    path = located(folder, RELEASE, SOURCES_109)
    rows = read_words(path, ("Names", "RA", "DEC", "Types", "SRC", "Redshift_Distances"))
    names = {"name": "Names", "types": "Types", "counterpart": "SRC", "redshift_or_distance": "Redshift_Distances"}
    return _sources(path, rows, names, "RA", "DEC")


def read_event_contributions(folder: Path) -> xr.Dataset:
    """Return the official per-event likelihood terms, dim ``event``, in the order and under the names of the release.

    index; {pi0,kra5,kra50}_{SoB_space, SoB_space_ss, SoB_energy} (signal over background); log10_energy; distance_hull
    in m (negative outside where the release says so).  TS(n) = 2 sum ln[1 + n/N (SoB_space - SoB_space_ss) SoB_energy].
    Raises DataError for a missing file or column, NaN, negative ratios or energies.
    """
    path = located(folder, RELEASE, CONTRIBUTIONS)
    ratios = tuple(f"{template}_{term}" for template in TEMPLATES for term in TERMS)
    table = read_numbers(path, ("index", *ratios, "energy", "distance_hull"))
    within(path, table, dict.fromkeys(ratios, (0.0, np.inf)) | {"energy": (1e-3, 1e12)})
    variables = {name: ("event", table[name], {"units": ""}) for name in ratios}
    return xr.Dataset(
        {
            "index": ("event", table["index"].astype(np.int64), {"units": ""}),
            **variables,
            "log10_energy": ("event", np.log10(table["energy"]), {"units": ""}),
            "distance_hull": ("event", table["distance_hull"], {"units": "m"}),
        },
        attrs={
            "sample": RELEASE.name,
            "origin": "real",
            "livetime_s": LIVETIME_S,
            "reference": RELEASE.reference,
            "note": "per-event likelihood terms only: the release holds no directions and no times",
        },
    )
