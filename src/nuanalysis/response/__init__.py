"""What a detector does to a flux: one file per detector sample; plain functions on a frozen Response."""

from nuanalysis.response._records import (
    Response,
    Spectrum,
    acceptance,
    detected,
    draw_point_spread,
    draw_reconstructed_energy,
    draw_true_energy,
    energy_density,
    folded_atmosphere,
    point_spread,
)

__all__ = [
    "Response",
    "Spectrum",
    "acceptance",
    "detected",
    "draw_point_spread",
    "draw_reconstructed_energy",
    "draw_true_energy",
    "energy_density",
    "folded_atmosphere",
    "point_spread",
]
