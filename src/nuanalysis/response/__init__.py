"""What a detector does to a flux: one file per detector sample; plain functions on a frozen Response."""

from nuanalysis.response._errors import ONE_PART, Errors, ErrorTable, Kernel, LogNormalErrors, draw_error, errors_in
from nuanalysis.response._folded import folded, folded_atmosphere, true_given_seen
from nuanalysis.response._records import (
    NOMINAL,
    NONE,
    BackgroundRate,
    Resolution,
    Response,
    Shifted,
    Systematics,
    Variation,
    acceptance,
    acceptance_by_energy,
    band_acceptance,
    band_of,
    band_rates,
    detected,
    draw_point_spread,
    draw_reconstructed_energy,
    draw_tabulated_energy,
    draw_true_energy,
    draw_variation,
    energy_densities,
    energy_density,
    error_shares,
    fit_mixture,
    point_spread,
    rebin,
    response_of,
    true_to_migration,
)
from nuanalysis.schema import Spectrum
