"""Statements about a map that look right but are not: ordering by roughness, frame by the Galactic plane, flux by size.

The first two compare the map read as said with the map read the other way, and speak up only where the other way is far
better.  Limits and how often they fire were measured on published gas and pion maps, boxes, point lists, noise and
isotropy.  The flux is compared with what the Milky Way and the whole sky are known to send.
"""

from __future__ import annotations

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.schema import Floats, Ints, Spectrum
from nuanalysis.sky.records import PowerLaw
from nuanalysis.sky.templates._healpix import HEALPIX_FRAMES

N_BLOCKS = 48  # of consecutive pixels: belts of the sky in RING order, compact fields in NESTED order
FEWEST_BLOCKS = 24  # with structure in them; a single box or a few points cannot tell
ROUGHER = 1.7  # legitimate maps reach 1.2 (with noise along rings 1.3); misread maps of gas and pions start at 2.2
SMALLEST_NSIDE = 8
LARGEST_NSIDE = 128  # roughness of finer maps is that of every n-th pixel, with ranks among them
N_RANKS = 4096  # of finer maps
PIXELS_PER_PASS = 1 << 20
PLANE = np.radians(10.0)
N_SECTORS = 12  # of longitude, 30 deg each
CONTRAST = 1.5  # of the mean within 10 deg of the plane over that at 10 to 50 deg
MOST_SECTORS, FEWEST_SECTORS = 10, 7
#: E^2 dN/dE of the extrapolated Fermi pi0 model at 100 TeV, TeV cm^-2 s^-1, per flavour, whole sky: Science 380, 1338.
PI0_FLUX, PI0_INDEX = 4.53e-12, 2.7
FLUX_ENERGIES = np.array([4.0, 4.5, 5.0])  # log10 E/GeV, where most of the information is
# Models of the Milky Way lie at 1 to 9 of it, all astrophysical neutrinos at 31 to 46; a thousandth and a thousandfold
# of a model, as by a wrong prefix of a unit, are outside of these.
FAINT, BRIGHT = 0.01, 500.0
BEYOND = 1e6  # times the next brightest: no sources of one brightness outshine the rest of a map so
LEAST_SHARE = 0.3  # of the flux within 10 deg of the plane, where isotropy has 0.17 and maps of gas have 0.6 and more


def ordering_doubt(values: Floats, said: str) -> str:
    """Why the map, (pixel,) as stored, is not in the order it is said to be in ('ring' or 'nested'); '' if it may be.

    Neighbouring pixels are compared by rank, so that neither the unit nor a bright centre matters.  Boxes, a few
    points and noise give no reason to doubt in either order.
    """
    if hp.npix2nside(len(values)) < SMALLEST_NSIDE or (factor := _rougher(values, said)) < ROUGHER:
        return ""
    other = {"ring": "NESTED", "nested": "RING"}[said]
    return (
        f"its ordering is said to be {said.upper()}, but neighbouring pixels differ {factor:.1f} times less when it is "
        f"read as {other}; say ordering={other.lower()} (and sure=ordering if the file says otherwise), or "
        "sure=ordering alone if it is right as it is"
    )


def frame_doubt(ring: Floats, said: str) -> str:
    """Why the RING map (pixel,) is not in the frame it is said to be in; '' if it may be.

    A map follows the Galactic plane in a reading if it is brighter within 10 deg of it than at 10 to 50 deg in at
    least ten of twelve sectors of longitude.  A box on the plane does not; a full belt around the celestial equator
    said to be equatorial does, and has to be vouched for.
    """
    nside = hp.npix2nside(len(ring))
    if nside < SMALLEST_NSIDE:
        return ""
    as_said = _galactic(nside, said)
    if _sectors_on_the_plane(ring, *as_said) > FEWEST_SECTORS:
        return ""
    for other in HEALPIX_FRAMES:
        where = _galactic(nside, other)
        if other == said or _sectors_on_the_plane(ring, *where) < MOST_SECTORS:
            continue
        share = _share_on_the_plane(ring, where[0])
        if share >= LEAST_SHARE:
            return (
                f"its frame is said to be {said}, but {share:.0%} of its flux lies within 10 deg of the Galactic "
                f"plane, all around it, when it is read as {other}, and {_share_on_the_plane(ring, as_said[0]):.0%} "
                f"as said; say frame={other} (and sure=frame if the file says otherwise), or sure=frame alone if it "
                "is right as it is"
            )
    return ""


def mark_doubt(values: Floats) -> str:
    """Why the brightest value of a map may be a mark for none, such as 1e20; '' if it may be one.

    values : (pixel,).  Such a mark is the same in several pixels and beyond all others, which still shine.
    """
    top = values.max()
    marked = int(np.count_nonzero(values == top))
    rest = values[(values < top) & (values > 0)]
    if marked < 2 or marked > len(values) // 2 or not len(rest) or top < BEYOND * rest.max():
        return ""
    return (
        f"{marked} of its pixels are {top:g}, {top / rest.max():.1e} times the next brightest: a mark for none? Put "
        f"UNSEEN there and say fill=0, or sure=flux if they are right"
    )


def flux_doubt(spectrum: Spectrum, flux: float) -> str:
    """Why a map, or a spectrum of the whole sky, cannot have the flux it is said to have; '' if it may.

    flux : E^2 dN/dE at 100 TeV, TeV cm^-2 s^-1, per flavour, whole sky; 0 of a relative map, which is not doubted.
    """
    usual = PI0_FLUX * PowerLaw(PI0_INDEX).shape(FLUX_ENERGIES)
    ratio = flux * spectrum.shape(FLUX_ENERGIES) / usual
    lit = ratio[ratio > 0]
    if not len(lit) or (lit.max() >= FAINT and lit.min() <= BRIGHT):
        return ""
    found, where = (lit.max(), "at most") if lit.max() < FAINT else (lit.min(), "at least")
    return (
        f"its flux is {flux:.3g} TeV cm-2 s-1 at 100 TeV (E^2 dN/dE per flavour, whole sky), and from 10 to 100 TeV "
        f"{where} {found:.2g} times the extrapolated Fermi pi0 model; check units, energies and flavour"
    )


def _galactic(nside: int, frame: str) -> Floats:
    """Galactic colatitude and longitude, rad, of the centres of RING pixels in a frame, (2, pixel)."""
    return np.array(hp.Rotator(coord=[HEALPIX_FRAMES[frame], "G"])(*hp.pix2ang(nside, np.arange(12 * nside**2))))


def _rougher(values: Floats, said: str) -> float:
    """How many times rougher the map is as said than in the other order: the median over blocks with structure."""
    ranks = _ranks(values)
    edges = np.linspace(0, len(values), N_BLOCKS, endpoint=False).astype(np.int64)
    structured = np.maximum.reduceat(ranks, edges) > np.minimum.reduceat(ranks, edges)
    if np.count_nonzero(structured) < FEWEST_BLOCKS:
        return 1.0
    as_said, otherwise = (_steps_down(ranks, nest=nest, edges=edges) for nest in (said == "nested", said == "ring"))
    # A block's share of the sum keeps the quotient finite where one reading happens to be flat.
    share = (as_said - otherwise)[structured] / np.maximum((as_said + otherwise)[structured], 1e-300)
    middle = float(np.median(share))
    return (1 + middle) / max(1 - middle, 1e-3)


def _ranks(values: Floats) -> Floats:
    """Ranks of the values; of fine maps interpolated between quantiles of some of them, which needs no sorting."""
    stride = _stride(values)
    if stride == 1:
        return np.asarray(np.unique(values, return_inverse=True)[1] + 1.0)
    quantiles = np.unique(np.quantile(values[::stride], np.linspace(0.0, 1.0, N_RANKS)))
    return np.asarray(np.interp(values, quantiles, np.arange(len(quantiles), dtype=np.float64)))


def _stride(values: Floats) -> int:
    return max(1, int(hp.npix2nside(len(values))) // LARGEST_NSIDE) ** 2


def _ring_means(ranks: Floats, *, nest: bool) -> Floats:
    """Mean of each ring, (ring + 1,): rings are counted from 1."""
    nside = hp.npix2nside(len(ranks))
    total, count = np.zeros(4 * nside), np.zeros(4 * nside)
    for start in range(0, len(ranks), PIXELS_PER_PASS):
        some = ranks[start : start + PIXELS_PER_PASS]
        ring = hp.pix2ring(nside, np.arange(start, start + len(some)), nest=nest)
        total += np.bincount(ring, some, 4 * nside)
        count += np.bincount(ring, None, 4 * nside)
    return np.asarray(total / np.maximum(count, 1))


def _steps_down(ranks: Floats, *, nest: bool, edges: Ints) -> Floats:
    """Sum over the pixels of each block of the steps down to their four neighbours, the mean of each ring taken off.

    Without that a map that varies with latitude alone would look smoother in NESTED order: pixels that follow each
    other along a ring fill a compact field there.
    """
    nside = hp.npix2nside(len(ranks))
    means = _ring_means(ranks, nest=nest)

    def off_the_mean(pixels: Ints) -> Floats:
        rings = hp.pix2ring(nside, pixels.ravel(), nest=nest).reshape(pixels.shape)
        return np.asarray(ranks[pixels] - means[rings])

    stride = _stride(ranks)
    some = np.arange(0, len(ranks), stride)
    neighbours = hp.get_all_neighbours(nside, some, nest=nest)[::2]
    steps = np.maximum(off_the_mean(some) - off_the_mean(np.where(neighbours >= 0, neighbours, some)), 0.0).sum(axis=0)
    return np.asarray(np.add.reduceat(steps, edges // stride))


def _share_on_the_plane(values: Floats, colatitude: Floats) -> float:
    return float(values[np.abs(np.pi / 2 - colatitude) < PLANE].sum() / values.sum())


def _sectors_on_the_plane(values: Floats, colatitude: Floats, longitude: Floats) -> int:
    """In how many sectors of longitude the map is brighter near the plane than farther off."""
    latitude = np.abs(np.pi / 2 - colatitude)
    sector = np.minimum((longitude % (2 * np.pi) / (2 * np.pi) * N_SECTORS).astype(np.int64), N_SECTORS - 1)
    near, off = latitude < PLANE, (latitude >= PLANE) & (latitude < 5 * PLANE)
    means = [
        np.bincount(sector[zone], values[zone], N_SECTORS) / np.maximum(np.bincount(sector[zone], None, N_SECTORS), 1)
        for zone in (near, off)
    ]
    return int(np.count_nonzero(means[0] > CONTRAST * means[1]))
