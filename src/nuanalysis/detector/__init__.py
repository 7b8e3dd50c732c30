"""A parametric simulation of light in ice: particles, photons, modules, pulses.  It is nobody's official simulation.

Plain functions on frozen records; events are pure functions of (seed, stream, number).  What leaves this room for the
analysis leaves as EVENTS and RESPONSE datasets, like any release.
"""

from nuanalysis.detector._area import (
    Area,
    AreaRatio,
    above,
    area_ratios,
    effective_area,
    geometric_limit,
    interaction_area,
    smooth_area,
    within_bands,
)
from nuanalysis.detector._bundles import (
    TRUSTED,
    Rate,
    bundle_flux,
    effective_number,
    multiplicities,
    rate,
    single_flux,
    water_depth,
)
from nuanalysis.detector._companions import overburden
from nuanalysis.detector._datasets import pulses_dataset, pulses_from, truth_dataset, truth_from
from nuanalysis.detector._emission import (
    ACCEPTED_PER_METRE,
    Cascades,
    Sources,
    cascade_light,
    cascade_photons,
    em_length,
    emission_density,
    frank_tamm,
    hadronic_fraction,
    light_spread,
    muon_secondaries,
    shower_maximum,
    shower_shape,
)
from nuanalysis.detector._fluxes import (
    AtmosphericFlux,
    astrophysical,
    continued,
    conventional,
    flux_from_table,
    primary,
    prompt,
)
from nuanalysis.detector._generate import ENERGIES, EVEN, INDEX, Mix, generate, only
from nuanalysis.detector._hits import EventCharges, event_charges
from nuanalysis.detector._ice import (
    CENTRE_DEPTH,
    LIGHT_SPEED,
    SPEED_OF_LIGHT,
    IceGrid,
    cherenkov_angle,
    group_index,
    ice_from_table,
    ice_grid,
    phase_index,
)
from nuanalysis.detector._levels import (
    CANNOT_TELL,
    TRUTH,
    Component,
    CutFlow,
    Judged,
    Level,
    LevelCuts,
    Limited,
    Origin,
    cut_flow,
    fraction_of,
    levels_of,
    rate_of,
    threshold_at,
)
from nuanalysis.detector._lookup import (
    HOLE_ICE,
    HOLE_ICE_OLDER,
    MODULE_AREA,
    MODULE_RADIUS,
    Pairs,
    acceptance,
    delay_quantile,
    expected_charge,
    fluence,
    kernel_table,
    pairs,
    pandel,
)
from nuanalysis.detector._muons import Tracks, mean_range, propagate
from nuanalysis.detector._neutrinos import cross_section, draw_inelasticity, survival
from nuanalysis.detector._photons import light_table, simulate_photons, tail_slope
from nuanalysis.detector._records import SUMMARY, Detector, Hits, Ice, Kind, Light, Particles, Pulses, Singles, Truth
from nuanalysis.detector._response import (
    MEDIAN_PULL,
    Pull,
    Reconstructed,
    SpreadRow,
    error_law,
    migration,
    open_response,
    point_spread,
    point_spread_quantiles,
    pulls,
    weighted_quantiles,
)
from nuanalysis.detector._sample import DrawnSample, draw_sample, joined_components, weighted_events
from nuanalysis.detector._simulate import simulate_events
from nuanalysis.detector._summary import EventVariables, cleaned, event_variables, outer_layer, summarise
from nuanalysis.detector._table import LightTable, PhotonSums, probabilities
from nuanalysis.detector._table_kernels import KernelTable
from nuanalysis.detector._triggers import Triggers, triggers
from nuanalysis.detector._veto import CHARM, NUE, NUMU, Elbert, accompanied, leading_energy, passing
from nuanalysis.detector._volume import Cylinder, Hull, border_distance, chord, hull, inside, slant
