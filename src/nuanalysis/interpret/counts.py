"""How many events where: density on the sky, and distributions beside the published ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuanalysis.deferred import healpy as hp
from nuanalysis.deferred import xarray as xr
from nuanalysis.model import Sample
from nuanalysis.response import cascades_2023
from nuanalysis.schema import Floats


def event_density(events: tuple[xr.Dataset, ...], *, nside: int) -> Floats:
    """Events per square degree, (pixel,), RING, ICRS."""
    ra = np.concatenate([e["right_ascension"].values for e in events])
    dec = np.concatenate([e["declination"].values for e in events])
    counts = np.bincount(hp.ang2pix(nside, np.pi / 2 - dec, ra), minlength=12 * nside**2)
    return np.asarray(counts / hp.nside2pixarea(nside, degrees=True))


@dataclass(frozen=True, slots=True, eq=False)
class Marginal:
    """Counts of a sample beside a published table, (bin,) each."""

    name: str
    quantity: str
    edges: Floats
    counts: Floats
    published: Floats
    published_label: str
    log_x: bool = False
    log_y: bool = False

    @property
    def published_error(self) -> Floats:
        """Poisson errors of the published counts, (bin,)."""
        return np.sqrt(self.published)

    @property
    def bins(self) -> int:
        """Bins with anything published in them."""
        return int(np.count_nonzero(self.published > 0))

    @property
    def chi2(self) -> float:
        """Pearson chi-square of the counts against the published expectation."""
        use = self.published > 0
        return float(((self.counts[use] - self.published[use]) ** 2 / self.published[use]).sum())


def published_marginals(sample: Sample) -> tuple[Marginal, ...]:
    """sin(declination), angular error and energy of a cascade sample beside figures S1 and S2 of the release.

    The energy table is an expectation: its atmospheric part is scaled so that the total is that of the sample.
    """
    table = cascades_2023.marginals()
    sin_dec = np.histogram(np.sin(sample.array("declination")), table.sin_dec_edges)[0].astype(float)
    error = np.histogram(sample.array("angular_error"), table.angular_error_edges)[0].astype(float)
    edges = np.maximum(table.log10_energy_edges, cascades_2023.THRESHOLD_LOG10)
    use = np.diff(edges) > 0
    edges = np.append(edges[:-1][use], edges[-1])
    energy = np.histogram(sample.array("log10_energy"), edges)[0].astype(float)
    atmospheric, astrophysical = table.energy[use].T
    signal = float(sample.events.attrs.get("n_signal_expected", 0.0))
    astrophysical = astrophysical * (1.0 + signal / cascades_2023.EXPECTED_ASTROPHYSICAL)
    n_atmospheric = len(sample.array("declination")) - astrophysical.sum()
    expected = astrophysical + atmospheric * n_atmospheric / atmospheric.sum()
    angle = np.degrees(table.angular_error_edges)
    figure_s2, figure_s1 = "published data (Fig. S2)", "published expectation (Fig. S1)"
    bands, energies, name = table.sin_dec_edges, 10.0**edges, "sin(declination)"
    return (
        Marginal(name, name, bands, sin_dec, table.sin_dec[:, 0], figure_s2),
        Marginal("angular error", "angular error (deg)", angle, error, table.angular_error[:, 0], figure_s2),
        Marginal(
            "reconstructed energy", "reconstructed energy (GeV)", energies, energy, expected, figure_s1, True, True
        ),
    )
