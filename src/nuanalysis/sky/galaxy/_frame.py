"""Lengths of the model, kpc."""

from __future__ import annotations

R_SUN = 8.5
HALO_RADIUS = 20.0  # cosmic rays are gone beyond
KPC_CM = 3.0856776e21
