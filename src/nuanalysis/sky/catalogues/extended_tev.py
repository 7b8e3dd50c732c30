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

from nuanalysis.sky.catalogues._make import equal_weights, typed

REFERENCE = (
    "H.E.S.S. Collaboration 2018, A&A 612, A1; gamma-cat, github.com/gammapy/gamma-cat, 2018-07; Albert et al. 2020, "
    "ApJ 905, 76; Gaussian sigma of 0.25 deg or more"
)
LEAST_SIGMA_DEG = 0.25
APART_DEG = 0.75  # nearer ones are the same: Vela X of gamma-cat and HESS J0835-455 lie 0.63 deg apart
DISC = 0.5  # sigma of the Gaussian with the mean square radius of a disc, in radii

# Of each survey name, right ascension, declination, sigma (3HWC: radius of the disc): J2000, degrees.
TABLE = typed("extended_tev")
HGPS, GAMMA_CAT, HWC = (tuple(row for kind, row in TABLE if kind == survey) for survey in ("HGPS", "gamma-cat", "3HWC"))
EXTENDED_TEV = equal_weights(
    "extended-tev",
    label="extended TeV sources",
    rows=(*HGPS, *GAMMA_CAT, *((name, ra, dec, DISC * size[0]) for name, ra, dec, *size in HWC)),
    reference=REFERENCE,
)
