"""Extended TeV sources: those with a Gaussian sigma of 0.25 degrees or more in three public surveys.

HGPS  : H.E.S.S. Collaboration 2018, A&A 612, A1, table HGPS_SOURCES: ``Size`` of Gaussians, of shells the sigma with
        the same mean square radius.
gamma-cat : github.com/gammapy/gamma-cat, 2018-07: ``morph_sigma``, made round; none within 0.75 degrees of a source of
        HGPS, whatever the size given there.
3HWC  : Albert et al. 2020, ApJ 905, 76 (arXiv:2007.08582), numbers as in github.com/gammapy/gammapy-data@c8a18de,
        catalogs/3HWC.ecsv: the six sources found with a search radius above zero.  That is the radius of the disc they
        were searched with, not a measured size; sigma is half of it, with the mean square radius of the disc.

``tests/test_extended.py`` makes the first two parts again from the catalogues.  1LHAASO (Cao et al. 2024, ApJS 271, 25)
is left out: its table is released under CC BY-NC-SA.  Where a user has it, it is read like any other catalogue.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.sky.records import Catalogue, PointSource

REFERENCE = (
    "H.E.S.S. Collaboration 2018, A&A 612, A1; gamma-cat, github.com/gammapy/gamma-cat, 2018-07; Albert et al. 2020, "
    "ApJ 905, 76; Gaussian sigma of 0.25 deg or more"
)
LEAST_SIGMA_DEG = 0.25
APART_DEG = 0.75  # nearer ones are the same: Vela X of gamma-cat and HESS J0835-455 lie 0.63 deg apart
DISC = 0.5  # sigma of the Gaussian with the mean square radius of a disc, in radii

# Name, right ascension, declination, sigma: J2000, degrees.
HGPS = (
    ("HESS J0835-455", 128.8867, -45.6589, 0.5848),
    ("HESS J0852-463", 133.0000, -46.3700, 0.5632),
    ("HESS J1457-593", 224.4170, -59.4614, 0.3318),
    ("HESS J1458-608", 224.9148, -60.7803, 0.3731),
    ("HESS J1503-582", 225.8298, -58.2612, 0.2819),
    ("HESS J1646-458", 251.9790, -46.2584, 0.5026),
    ("HESS J1708-443", 256.9981, -44.2886, 0.2792),
    ("HESS J1713-397", 258.3550, -39.7710, 0.2816),
    ("HESS J1800-240", 270.1947, -24.0181, 0.3164),
    ("HESS J1809-193", 272.5300, -19.3295, 0.4042),
    ("HESS J1825-137", 276.2596, -13.9658, 0.4613),
    ("HESS J1837-069", 279.3719, -6.9603, 0.3555),
    ("HESS J1841-055", 280.2154, -5.6415, 0.4082),
    ("HESS J1852-000", 283.0595, 0.0989, 0.2777),
    ("HESS J1857+026", 284.3412, 2.7567, 0.2595),
    ("HESS J1908+063", 287.0960, 6.3879, 0.4857),
    ("HESS J1912+101", 288.2899, 10.1850, 0.2760),
)
GAMMA_CAT = (
    ("CTA 1", 1.6500, 72.7830, 0.2717),
    ("VER J2019+368", 304.0083, 37.1978, 0.2574),
    ("TeV J2032+4130", 308.0250, 41.5670, 0.3000),
)
# Name, right ascension, declination, radius of the disc.
HWC = (
    ("3HWC J0621+382", 95.317, 38.206, 0.5),
    ("3HWC J0634+067", 98.657, 6.730, 0.5),
    ("3HWC J1757-240", 269.297, -24.092, 1.0),
    ("3HWC J1951+266", 297.905, 26.610, 0.5),
    ("3HWC J2023+324", 305.815, 32.443, 1.0),
    ("3HWC J2043+443", 310.888, 44.301, 0.5),
)

_ROWS = (*HGPS, *GAMMA_CAT, *((name, ra, dec, DISC * radius) for name, ra, dec, radius in HWC))
EXTENDED_TEV = Catalogue(
    "extended-tev",
    "extended TeV sources",
    tuple(PointSource(name, *(float(np.radians(angle)) for angle in angles)) for name, *angles in _ROWS),
    (1.0,) * len(_ROWS),
    REFERENCE,
)
