"""Every fit of a run as one row of a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nuanalysis.answers.measure import MeasureAnswer
from nuanalysis.publish._numbers import Number, ends, error, value
from nuanalysis.records import Chance, Record, Unknown, shown, table

if TYPE_CHECKING:
    from astropy.table import QTable

_FLUX = "TeV cm-2 s-1"
_WHAT = "E^2 dN/dE at 100 TeV, per flavour, whole sky or all sources, for the spectrum of the hypothesis"


class FitRow(Record):
    """A hypothesis on a sample; null for what is not known."""

    sample: str = shown("sample")
    origin: str = shown("real or synthetic")
    hypothesis: str = shown("hypothesis")
    label: str = shown("label")
    model_origin: str = shown("where the model is from")
    ts: float = shown("test statistic")
    n_signal: float = shown("fitted signal events")
    index: float | None = shown("spectral index")
    index_free: bool = shown("index fitted, not fixed")
    converged: bool = shown("the fit converged")
    p_local: Number = shown("local p-value from trials")
    p_local_error: Number = shown("its statistical error")
    sigma_local: float | None = shown("one-sided significance", None)
    n_trials: int | None = shown("trials behind the p-value", None)
    flux_best: float = shown(_WHAT, unit=_FLUX)
    flux_low_68: Number = shown("lower end of the 68 % interval", unit=_FLUX)
    flux_high_68: Number = shown("upper end of the 68 % interval", unit=_FLUX)
    flux_upper_limit_90: Number = shown("90 % upper limit", unit=_FLUX)
    sensitivity_n: float | None = shown("90 % above the background median", None)
    sensitivity_flux: float | None = shown("90 % above the background median", None, unit=_FLUX)
    discovery_n: float | None = shown("50 % above 5 sigma", None)
    discovery_flux: float | None = shown("50 % above 5 sigma", None, unit=_FLUX)


def _row(one: MeasureAnswer) -> FitRow:
    more: dict[str, float | None] = {}
    if isinstance(one.chance, Chance):
        more |= {"sigma_local": one.chance.sigma, "n_trials": one.chance.n_trials}
    for what, reached in (("sensitivity", one.sensitivity), ("discovery", one.discovery_potential)):
        if not isinstance(reached, Unknown):
            more |= {f"{what}_n": reached.n_signal.value, f"{what}_flux": reached.flux.value}
    low, high = ends(one.flux.interval)
    return FitRow.model_validate(
        {
            **one.fitted.to_dict(),
            **more,
            "sample": one.provenance.sample,
            "origin": one.provenance.origin,
            "hypothesis": one.tested.hypothesis,
            "label": one.tested.label,
            "model_origin": one.tested.model_origin,
            "index_free": one.tested.index_free,
            "p_local": value(one.chance),
            "p_local_error": error(one.chance),
            "flux_best": one.flux.best.value,
            "flux_low_68": low,
            "flux_high_68": high,
            "flux_upper_limit_90": value(one.flux.upper_limit_90),
        }
    )


def fit_table(fits: Iterable[MeasureAnswer], **head: str) -> QTable:
    """A row for each fit, with units; head : more lines of the head."""
    return table([_row(one) for one in fits], None, **head)
