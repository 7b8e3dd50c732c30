"""The signal-subtracted unbinned likelihood and its maximum.

    TS(n_s) = 2 sum_i ln( 1 + (n_s / N) x_i ),   x_i = (S_i - <S_i>) / B_i

with S the signal and B the background density in direction and energy and <S> the mean of S over right
ascension (IceCube 2023, supplement; physics of signal subtraction: the data hold the signal they estimate B from).
"""

from nuanalysis.likelihood._fit import FitResult, maximise, maximise_at, scan, ts_at

__all__ = ["FitResult", "maximise", "maximise_at", "scan", "ts_at"]
