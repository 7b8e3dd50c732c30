"""What a turning sky map shows, maps and markers, and a map in few bits.

Refuses maps without a value, and negative values on a logarithmic scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import healpy as hp
from nuanalysis.errors import InputError, refuse
from nuanalysis.schema import Floats

Scale = Literal["linear", "log", "signed"]
ORIGINS = ("real", "synthetic", "model")


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One map of the page.

    values : (pixel,) HEALPix RING, ICRS; NaN and healpy's UNSEEN mean no value.    unit : quantity and unit.
    scale  : of the colours: 'linear', 'log' (no value below 0), or 'signed' (symmetric about a marked zero).
    origin : 'real', 'synthetic' or 'model' (computed, without events).
    marks  : values with names, written above the colour scale.
    """

    name: str
    values: Floats
    unit: str
    label: str
    scale: Scale
    origin: str
    description: str
    marks: tuple[tuple[float, str], ...] = ()

    def __post_init__(self) -> None:
        faults = []
        if np.ndim(self.values) != 1 or not hp.isnpixok(len(self.values)):
            faults.append(f"values of shape {np.shape(self.values)}; expected (12 nside^2,), HEALPix RING")
        else:
            found = known(self.values)
            if np.any(np.isinf(found)) or not np.any(np.isfinite(found)):
                faults.append("an infinite value or none at all; expected finite ones, NaN where there is no value")
            if self.scale == "log" and (np.any(found < 0) or not np.any(found > 0)):
                faults.append("values below 0 or none above, on a logarithmic scale; use 'signed' or 'linear'")
        if self.scale not in ("linear", "log", "signed"):
            faults.append(f"the scale '{self.scale}'; expected 'linear', 'log' or 'signed'")
        if self.origin not in ORIGINS:
            faults.append(f"the origin '{self.origin}'; expected one of {ORIGINS}")
        refuse(faults, f"the sky map '{self.name}' has")


@dataclass(frozen=True, slots=True)
class Marker:
    """A place with a name and what was found there.

    ra, dec : rad, ICRS.    kind : of source; markers of one kind share a symbol and can be hidden together.
    rows    : (label, value as text) of the fit; the labels become columns of the table.
    extension : Gaussian sigma, rad, drawn as a circle; 0 for a point.
    """

    name: str
    ra: float
    dec: float
    kind: str = ""
    rows: tuple[tuple[str, str], ...] = ()
    extension: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.ra) and abs(self.dec) <= np.pi / 2 and 0 <= self.extension < np.pi):
            raise InputError(
                f"marker '{self.name}' lies at RA {self.ra!r}, dec {self.dec!r} with extension {self.extension!r}; "
                "expected rad, finite, |dec| <= pi/2 and 0 <= extension < pi"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A map in whole numbers: on the scale (the value, or its log10) it is ``offset + (code - zero) step``.

    codes : (pixel,) uint8 or uint16; 0 where there is no value.  On a logarithmic scale 1 stands for the value 0.
    """

    codes: NDArray[np.unsignedinteger[Any]]
    scale: Scale
    offset: float
    zero: int
    step: float

    @property
    def bits(self) -> int:
        """8 or 16."""
        return 8 * int(self.codes.dtype.itemsize)

    def on_scale(self) -> Floats:
        """(pixel,) values or their log10; NaN where there is no value, -inf for the value 0 on a logarithmic scale."""
        made = self.offset + (self.codes.astype(np.float64) - self.zero) * self.step
        if self.scale == "log":
            made[self.codes == 1] = -np.inf
        made[self.codes == 0] = np.nan
        return made


def known(values: Floats) -> Floats:
    """The map, (pixel,), with NaN where there is no value."""
    values = np.asarray(values, dtype=np.float64)
    return np.where(values == hp.UNSEEN, np.nan, values)


def quantised(values: Floats, *, scale: Scale, bits: Literal[8, 16]) -> Stored:
    """A map (pixel,) in 8 or 16 bits; the extremes are kept exactly, and the zero of a signed map too."""
    kind = np.uint8 if bits == 8 else np.uint16
    last = 2**bits - 1
    with np.errstate(divide="ignore"):
        seen = np.log10(values) if scale == "log" else values
    finite = seen[np.isfinite(seen)]
    if scale == "signed":
        offset, zero = 0.0, 2 ** (bits - 1)
        step = float(np.abs(finite).max()) / (last - zero)
    else:
        offset, zero = float(finite.min()), 2 if scale == "log" else 1
        step = (float(finite.max()) - offset) / (last - zero)
    codes = np.full(len(values), float(zero))
    has = np.isfinite(seen)
    codes[has] += np.rint((seen[has] - offset) / step) if step > 0 else 0.0
    codes[np.isneginf(seen)] = 1.0
    codes[np.isnan(seen)] = 0.0
    return Stored(codes.astype(kind), scale, offset, zero, step)


def coarser(values: Floats, nside: int) -> Floats:
    """The map (pixel,) at a lower resolution: the mean of the values that each large pixel holds, NaN without any."""
    fine = hp.npix2nside(len(values))
    nested = values[hp.nest2ring(fine, np.arange(len(values)))].reshape(12 * nside**2, -1)
    number = np.isfinite(nested).sum(axis=1)
    mean = np.where(number > 0, np.nansum(nested, axis=1) / np.maximum(number, 1), np.nan)
    return np.asarray(mean[hp.ring2nest(nside, np.arange(12 * nside**2))])
