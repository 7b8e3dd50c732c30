"""A pi0-like template on a measured column of atomic hydrogen.

The real sky in HI (arms, warp, clouds); what no column map tells, how far away the gas is, is taken from the analytic
model: each column shines as that model's atoms do on the mean along the same line of sight.  Molecules (and ions) stay
analytic.  A column from the 21 cm line in the optically thin limit is low where the gas is opaque, in the plane.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.errors import InputError, refuse
from nuanalysis.schema import Floats
from nuanalysis.sky.galaxy import GAS, SOURCES, sight
from nuanalysis.sky.records import PowerLaw, Template, factorised
from nuanalysis.sky.templates import _healpix, _milky_way, pi0_like
from nuanalysis.sky.templates._healpix import value_faults
from nuanalysis.sky.templates._recipe import built_in

ATOMS = "HI"
# Galactic l, b of the Magellanic Clouds and the radius within which their gas is replaced, deg.
CLOUDS = ((280.5, -32.9, 6.0), (302.8, -44.3, 4.0))


def make(
    column: Floats,
    reference: str,
    nside: int,
    *,
    gas: str = "bronfman-ferriere",
    sources: str = "case-1998",
    halo_height: float = 4.0,
    index: float = 2.7,
) -> Template:
    """The hybrid template, relative.

    column    : (pixel,) atomic hydrogen in cm^-2, Galactic RING.    reference : where it is from.
    gas, sources, halo_height, index : as for pi0-like.
    Raises InputError that lists what is wrong with the column.
    """
    column = np.asarray(column, dtype=np.float64)
    what = "the column of gas cannot be used as a template"
    refuse(value_faults(column), what, "Expected atomic hydrogen in cm^-2, Galactic, RING.")
    if gas not in GAS or sources not in SOURCES:
        raise InputError(
            f"the hybrid was asked for with gas '{gas}' and sources '{sources}'; expected one of {', '.join(GAS)} and "
            f"one of {', '.join(SOURCES)}"
        )
    parameters = pi0_like.Parameters(gas=gas, sources=sources, halo_height=halo_height, index=index)
    cosmic_rays = pi0_like.density(parameters)
    atoms, rest = GAS[gas].phase(ATOMS), GAS[gas].without(ATOMS)
    as_it_is = sight.trace(atoms, halo_height=halo_height, weighted=False)
    lit = sight.trace(atoms, halo_height=halo_height).columns @ cosmic_rays
    others = sight.trace(rest, halo_height=halo_height)
    mean = lit / as_it_is.columns.sum(axis=1)
    values = np.stack([mean, others.columns @ cosmic_rays], axis=1)
    column_nside = hp.npix2nside(len(column))

    def intensity(longitude: Floats, latitude: Floats) -> Floats:
        per_atom, molecules = sight.read(others, values, longitude, latitude).T
        here = hp.ang2pix(column_nside, np.pi / 2 - latitude, longitude)
        return np.asarray(column[here] * per_atom + molecules)

    density = _healpix.normalised(_milky_way.averages(intensity, nside))
    density.flags.writeable = False
    reference = f"{reference}; distances and molecules: {pi0_like.reference(parameters)}"
    return built_in("pi0-hybrid", "pi0-like on a measured HI column", factorised(density), PowerLaw(index), reference)


def without_magellanic_clouds(column: Floats) -> Floats:
    """A column without the Magellanic Clouds, which are not of this Galaxy: there the median of a ring around.

    column (pixel,) Galactic RING; returns the same unit.
    """
    nside = hp.npix2nside(len(column))
    out = column.copy()
    for longitude, latitude, radius in CLOUDS:
        centre = hp.ang2vec(longitude, latitude, lonlat=True)
        inside = hp.query_disc(nside, centre, np.radians(radius))
        around = np.setdiff1d(hp.query_disc(nside, centre, np.radians(1.5 * radius)), inside)
        out[inside] = np.median(column[around])
    return out
