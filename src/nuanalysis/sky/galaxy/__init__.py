"""A physical model of the diffuse neutrinos of the Milky Way: gas x cosmic rays x yields, along lines of sight.

To add a gas model, a source law, a cosmic-ray spectrum or a yield: one file or function, and one line in ``GAS``
(gas/), ``SOURCES`` (sources.py), ``COSMIC_RAYS`` (cosmic_rays.py) or ``YIELDS`` (yields/).

Frame: kpc, the Galactic Centre at the origin, the Sun at x = -8.5, y = z = 0, y towards l = 90 deg, z towards b = 90
deg; R is the distance from the axis.  Gas in hydrogen nuclei per cm^3; the helium mixed with it enters in the yields.
Not modelled: spiral arms, warp, single clouds, convection, reacceleration, sources that shine themselves.
"""

from __future__ import annotations

from nuanalysis.sky.galaxy.cosmic_rays import COSMIC_RAYS
from nuanalysis.sky.galaxy.gas import GAS
from nuanalysis.sky.galaxy.sources import SOURCES
from nuanalysis.sky.galaxy.yields import YIELDS
