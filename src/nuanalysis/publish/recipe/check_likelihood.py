"""Does the released likelihood give the released test statistic?  Needs Python, numpy and astropy, nothing of ours.

    python check_likelihood.py          in the folder of the release, or with that folder as argument

Every file likelihood/*.fits.gz holds the terms of one hypothesis at its best fit, one row an event:

    TS = 2 sum_i ln(1 + (n_s / N) x_i),    x_i = W_i (S_i - <S_i>) / B_i

S signal and B background density in the direction of the event, <S> the mean of S over right ascension, W signal over
background in all else, energy first; N all events of the sample, n_s the fitted signal events.  Events that no signal
can reach have x = 0 and are not listed.  Where S may not be passed on, x stands alone, in the column EXCESS.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits

TOLERANCE = 1e-9  # of TS, relative above 1


def excess(rows: fits.FITS_rec) -> np.ndarray:
    """x of every listed event."""
    if "EXCESS" in rows.names:
        return np.asarray(rows["EXCESS"], dtype=np.float64)
    signal, mean, background, ratio = (
        np.asarray(rows[name], dtype=np.float64) for name in ("SIGNAL", "SIGNAL_MEAN", "BACKGROUND", "RATIO")
    )
    return ratio * (signal - mean) / background


def main(folder: Path) -> int:
    answers = json.loads((folder / "results.json").read_text(encoding="utf-8"))["answers"]
    files = sorted((folder / "likelihood").glob("*.fits.gz"))
    wrong = 0
    for path in files:
        with fits.open(path) as units:
            x, number = excess(units["LIKELIHOOD"].data), units["LIKELIHOOD"].header["ANSWER"]
        answer = answers[number]["answer"]
        released, n_signal = answer["fitted"]["ts"], answer["fitted"]["n_signal"]
        found = 2.0 * math.fsum(np.log1p(n_signal / answer["provenance"]["n_events"] * x))
        off = abs(found - released) / max(released, 1.0)
        agrees = off <= TOLERANCE
        wrong += not agrees
        print(
            f"{'agrees' if agrees else 'DIFFERS'}: {path.name}: TS {found:.12g}, released {released:.12g} ({off:.0e})"
        )
    print(f"{len(files)} hypotheses, {wrong} that differ by more than {TOLERANCE:g}")
    return 0 if files and not wrong else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent))
