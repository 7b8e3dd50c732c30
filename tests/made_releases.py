"""Track releases of the exact layout of IceTracks-DR1 and -DR2, small and made here: events, uptimes, tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nuanalysis.ingest import tracks_dr1, tracks_dr2

EVENTS = "#     MJD[days]  log10(E/GeV)   AngErr[deg]       RA[deg]      Dec[deg]  Azimuth[deg]   Zenith[deg]"
AREA = "#  log10(E_nu/GeV)_min  log10(E_nu/GeV)_max  Dec_nu_min[deg]  Dec_nu_max[deg]   A_Eff[cm^2]"
SMEARING = (
    "# log10(E_nu/GeV)_min log10(E_nu/GeV)_max Dec_nu_min[deg] Dec_nu_max[deg] log10(E/GeV)_min log10(E/GeV)_max "
    "PSF_min[deg] PSF_max[deg] AngErr_min[deg] AngErr_max[deg] Fractional_Counts"
)
SHIFT, WIDTH = -0.4, 0.25  # of log10 reconstructed over true energy
FRACTION, KAPPA_NARROW, KAPPA_BROAD = 0.7, 20_000.0, 1_500.0
ERROR_SCALE, ERROR_SPREAD = 1.3, 0.4
N_EVENTS = 300
DAYS = 100.0


def _write(folder: Path, path: str, header: str, rows: list[str]) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join((header, *rows)) + "\n")


def events(rng: np.random.Generator, start: float, n: int = N_EVENTS) -> list[str]:
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    columns = (
        np.sort(rng.uniform(start, start + DAYS, n)),
        rng.normal(3.5, 0.7, n).clip(1.5, 7.0),
        rng.lognormal(-0.5, 0.5, n).clip(0.2, 20.0),
        rng.uniform(0, 360, n),
        dec,
        rng.uniform(0, 360, n),
        90.0 + dec,
    )
    return [" ".join(f"{value:.8f}" for value in row) for row in zip(*columns, strict=True)]


def area() -> list[str]:
    """40 energies x 50 declinations, E^2 up to 100 TeV."""
    energy, sin_dec = np.round(np.linspace(2.0, 10.0, 41), 6), np.linspace(-1.0, 1.0, 51)
    dec = np.round(np.degrees(np.arcsin(sin_dec)), 3)
    return [
        f"{energy[i]} {energy[i + 1]} {dec[j]} {dec[j + 1]} {10 ** (2.0 * min(energy[i], 5.0) - 4.0):.6g}"
        for i in range(40)
        for j in range(50)
    ]


def smearing(bands: tuple[float, ...] = (-90.0, -10.0, 10.0, 90.0)) -> list[str]:
    """A matrix of the resolution above, with bins that follow the energy, quantiles of angle, and empty bins."""
    from scipy.stats import norm

    angles = np.degrees(np.append(np.quantile(_angles(), np.linspace(0, 1, 16)[:-1]), np.pi / 4))
    errors = np.degrees(np.geomspace(0.001, 0.3, 24))
    cells = []
    for share, kappa in ((FRACTION, KAPPA_NARROW), (1 - FRACTION, KAPPA_BROAD)):
        in_angle = np.diff(1 - np.exp(-0.5 * kappa * np.radians(angles) ** 2))
        low, high = norm.cdf(np.log(np.radians(errors) * kappa**0.5 / ERROR_SCALE) / ERROR_SPREAD)[[0, -1]]
        in_error = np.diff(norm.cdf(np.log(np.radians(errors) * kappa**0.5 / ERROR_SCALE) / ERROR_SPREAD))
        cells.append(share * in_angle[:, None] * in_error / (high - low))
    joint = sum(cells)
    rows, true = [], np.linspace(2.0, 9.0, 15)
    steps = np.linspace(-3, 3, 9)
    in_energy = np.diff(norm.cdf(steps)) / np.diff(norm.cdf(steps)).sum()
    for t in range(14):
        reco = 0.5 * (true[t] + true[t + 1]) + SHIFT + WIDTH * steps
        for d in range(len(bands) - 1):
            head = f"{true[t]:.2f} {true[t + 1]:.2f} {bands[d]} {bands[d + 1]}"
            rows.append(f"{head} {reco[0]:.4f} {reco[0]:.4f} 0 0 0 0 0")
            if t == 13 or (t, d) == (0, 0):
                continue  # nothing simulated reaches the sample
            for r in range(8):
                energy = f"{reco[r]:.4f} {reco[r + 1]:.4f}"
                for p, e in np.ndindex(joint.shape):
                    cell = f"{angles[p]:.6f} {angles[p + 1]:.6f} {errors[e]:.6f} {errors[e + 1]:.6f}"
                    rows.append(f"{head} {energy} {cell} {in_energy[r] * joint[p, e]:.9f}")
    return rows


def _angles() -> np.ndarray:
    """Evenly spread quantiles of the opening angle, rad."""
    parts = []
    for n, kappa in ((int(4000 * FRACTION), KAPPA_NARROW), (int(4000 * (1 - FRACTION)), KAPPA_BROAD)):
        parts.append(np.sqrt(-2 * np.log1p(-(np.arange(n) + 0.5) / n) / kappa))
    return np.concatenate(parts)


def dr1(folder: Path, *, with_smearing: bool = True) -> Path:
    """The ten-year release."""
    rng = np.random.default_rng(1)
    for k, season in enumerate(tracks_dr1.SEASONS):
        start = 54_600.0 + 200.0 * k
        _write(folder, f"events/{season}_exp.csv", EVENTS, events(rng, start))
        _write(folder, f"uptime/{season}_exp.csv", "# MJD_start[days] MJD_stop[days]", [f"{start} {start + DAYS}"])
    _tables(folder, tracks_dr1.RESPONSES, with_smearing)
    return folder


def dr2(folder: Path, *, with_smearing: bool = True) -> Path:
    """The fourteen-year release: seasons overlap by ten days, and the last ten events of one are in the next too."""
    rng, last = np.random.default_rng(2), []
    for k, season in enumerate(tracks_dr2.SEASONS):
        start = 54_600.0 + 90.0 * k
        new = [f"{1000 + k} {n} 0 {row}" for n, row in enumerate(events(rng, start))]
        rows = [*last, *new]
        last = new[-10:]
        _write(folder, f"events/{season}_exp.csv", "#  run  event  subevent " + EVENTS.removeprefix("#"), rows)
        _write(folder, f"uptime/{season}_exp.csv", "# MJD_start[days] MJD_stop[days]", [f"{start} {start + DAYS}"])
    _tables(folder, tracks_dr2.RESPONSES, with_smearing)
    return folder


def _tables(folder: Path, seasons: tuple[str, ...], with_smearing: bool) -> None:
    for season in seasons:
        _write(folder, f"irfs/{season}_effectiveArea.csv", AREA, area())
        if with_smearing:
            _write(folder, f"irfs/{season}_smearing.csv", SMEARING, smearing())
