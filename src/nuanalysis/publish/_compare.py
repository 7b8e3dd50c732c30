"""Our numbers beside the published ones: what may be compared, and by how many sigma they differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nuanalysis.interpret.published import PUBLISHED, UNPUBLISHED, Published

Row = Mapping[str, Any]
UNIT = 1e-12  # TeV cm^-2 s^-1
_ABSENT = "–"


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity of one result: ours, theirs and the difference, in words."""

    key: str
    quantity: str
    ours: str
    published: str
    difference: str


def _number(row: Row, *path: str) -> float:
    value: Any = row
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return math.nan if value is None else float(value)


def shown(value: float, form: str = ".1f") -> str:
    """The number, or a dash where there is none."""
    return format(value, form).replace("-", "−") if math.isfinite(value) else _ABSENT


def scientific(value: float, error: float = math.nan) -> str:
    """1.26 × 10⁻⁶, with an error in the same power of ten where there is one."""
    if not math.isfinite(value):
        return _ABSENT
    if value == 0.0:
        return "0"
    power = math.floor(math.log10(abs(value)))
    if -2 <= power <= 2:
        return shown(value, ".3f") + (f" ± {error:.3f}" if math.isfinite(error) else "")
    exponent = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    scaled = f"{value / 10.0**power:.2f}"
    return (
        f"({scaled} ± {error / 10.0**power:.2f}) ×\u00a010{exponent}".replace(" ± ", "\u00a0±\u00a0")
        if math.isfinite(error)
        else f"{scaled} ×\u00a010{exponent}"
    )


def interval(best: float, low: float, high: float) -> str:
    """21.8 +5.3 −4.9, in units of 1e-12; it may break before the minus only."""
    best, low, high = best / UNIT, low / UNIT, high / UNIT
    if not (math.isfinite(low) and math.isfinite(high)):
        return shown(best, ".2f")
    return f"{best:.1f}\u00a0+{max(high - best, 0.0):.1f} −{max(best - low, 0.0):.1f}"


def difference_in_sigma(ours: tuple[float, float, float], theirs: tuple[float, float, float]) -> float:
    """(best - best) over the two 68 % half-widths that face each other, in quadrature; (best, low, high) each.

    NaN where a width is missing or both are zero.
    """
    gap = ours[0] - theirs[0]
    inner = (ours[0] - ours[1], theirs[2] - theirs[0]) if gap > 0 else (ours[2] - ours[0], theirs[0] - theirs[1])
    width = math.hypot(*inner)
    return gap / width if math.isfinite(width) and width > 0 else math.nan


def _sigmas(value: float) -> str:
    return f"{shown(value, '.2f')}σ" if math.isfinite(value) else _ABSENT


def _sigma_words(value: float) -> str:
    return f"{value:+.1f}σ".replace("-", "−") if math.isfinite(value) else _ABSENT


def _per_cent(ours: float, theirs: float) -> str:
    ratio = ours / theirs - 1.0 if theirs > 0 else math.nan
    return f"{100.0 * ratio:+.1f} %".replace("-", "−") if math.isfinite(ratio) else _ABSENT


def _flux_line(row: Row, published: Published | None) -> Line:
    """The interval that holds systematic variations where there is one: published intervals hold them."""
    varied = math.isfinite(_number(row, "flux", "low_68_systematics"))
    ends = ("low_68_systematics", "high_68_systematics") if varied else ("low_68", "high_68")
    quantity = "best-fit flux, 68 % with systematics" if varied else "best-fit flux, 68 %"
    ours = (_number(row, "flux", "best"), _number(row, "flux", ends[0]), _number(row, "flux", ends[1]))
    if published is None:
        return Line("flux", quantity, interval(*ours), _ABSENT, _ABSENT)
    theirs = (published.flux, published.flux_low, published.flux_high)
    words = interval(*theirs) + ("" if published.flux_confirmed else " (unit unconfirmed)")
    gap = difference_in_sigma(ours, theirs) if published.flux_confirmed else math.nan
    return Line("flux", quantity, interval(*ours), words, _sigma_words(gap))


def _limit_line(row: Row, published: Published | None) -> Line:
    limit = _number(row, "flux", "upper_limit_90")
    place = _ABSENT
    if published is not None and published.flux_confirmed and math.isfinite(limit):
        place = "above the published" if limit >= published.flux else "below the published"
    return Line("limit", "90 % upper limit", shown(limit / UNIT), _ABSENT, place)


def _quoted_line(key: str, quantity: str, ours: float, theirs: float, form: str, *, relative: bool = False) -> Line:
    """Two plain numbers; their difference in per cent where that means something."""
    return Line(key, quantity, shown(ours, form), shown(theirs, form), _per_cent(ours, theirs) if relative else _ABSENT)


def compare(row: Row) -> tuple[Line, ...]:
    """Every number of one result beside the published one, fluxes in 1e-12 TeV cm^-2 s^-1.

    Published counts, p-values and sensitivities belong to one sample and are set beside that sample only;
    the flux is a property of the sky and is set beside every sample.
    """
    sky = PUBLISHED.get(row["hypothesis"])
    theirs = sky if sky is not None and sky.sample == row["sample"] else UNPUBLISHED
    p, p_error = _number(row, "p_value", "p"), _number(row, "p_value", "p_error")
    sigma, n_signal = _number(row, "p_value", "sigma"), _number(row, "fit", "n_signal")
    ts, index = _number(row, "fit", "ts"), _number(row, "fit", "index")
    kind = row["p_value"]["kind"] if "p_value" in row else "local"
    free = "fitted" if row["fit"]["index_free"] else "fixed"
    index = index if n_signal > 0 or free == "fixed" else math.nan  # without signal it means nothing
    sensitivity = _number(row, "sensitivity", "flux") / UNIT
    corrected = _number(row, "flux", "n_signal_corrected")
    discovery = _number(row, "discovery_potential_5sigma", "flux") / UNIT
    return (
        _quoted_line("n_signal", "signal events n_s", n_signal, theirs.n_signal, ".1f", relative=True),
        _quoted_line("n_corrected", "n_s, bias corrected", corrected, theirs.n_signal_corrected, ".1f", relative=True),
        _quoted_line("ts", "TS", ts, theirs.ts, ".2f"),
        _quoted_line("index", f"spectral index ({free})", index, theirs.index, ".2f"),
        Line("p", f"{kind} p-value", scientific(p, p_error), scientific(theirs.p), _ABSENT),
        Line(
            "sigma", f"{kind} significance", _sigmas(sigma), _sigmas(theirs.sigma), _sigma_words(sigma - theirs.sigma)
        ),
        _flux_line(row, sky),
        _limit_line(row, sky),
        _quoted_line("sensitivity", "sensitivity (90 %)", sensitivity, theirs.sensitivity / UNIT, ".2f", relative=True),
        _quoted_line("discovery", "5σ discovery potential", discovery, math.nan, ".1f"),
        *_model_lines(row, theirs),
        *_energy_lines(row, theirs),
    )


def _span(ends: Sequence[float]) -> str:
    return "–".join(shown(end, ".3g") for end in ends)


def _energy_lines(row: Row, theirs: Published) -> tuple[Line, ...]:
    """True energies outside which a part of the sensitivity is lost, in TeV."""
    found = row.get("energy_range")
    if not found:
        return ()
    return tuple(
        Line(
            f"energies_{round(100 * lost)}",
            f"energies, {100 * lost:.0f} % loss at each end, TeV",
            _span([10.0 ** (e - 3.0) for e in ours]),
            _span(published) if math.isfinite(published[0]) else _ABSENT,
            _ABSENT,
        )
        for lost, ours, published in zip(found["degraded"], found["log10_energy_gev"], theirs.energies, strict=True)
    )


def _model_lines(row: Row, theirs: Published) -> tuple[Line, ...]:
    """Flux and sensitivity in units of the template's own model, where it has an absolute flux."""
    if not math.isfinite(_number(row, "flux", "in_models", "flux")):
        return ()
    best, low, high = (_number(row, "flux", "in_models", key) for key in ("best", "low_68", "high_68"))
    published = (theirs.in_models, theirs.low_in_models, theirs.high_in_models)
    words = [
        f"{b:.2f}\u00a0+{max(h - b, 0.0):.2f} −{max(b - lo, 0.0):.2f}" if math.isfinite(lo) else shown(b, ".2f")
        for b, lo, h in ((best, low, high), published)
    ]
    gap = _sigma_words(difference_in_sigma((best, low, high), published))
    sensitivity = _number(row, "sensitivity", "in_models", "strength")
    return (
        Line("in_models", "best fit, in units of the model", words[0], words[1], gap),
        _quoted_line(
            "sensitivity_in_models",
            "sensitivity, in units of the model",
            sensitivity,
            theirs.sensitivity_in_models,
            ".2f",
            relative=True,
        ),
    )


_REASONS = {
    "no p-value": ("p_value", "reason"),
    "no 68 % interval": ("flux", "interval_reason"),
    "no upper limit": ("flux", "upper_limit_reason"),
    "no sensitivity": ("sensitivity", "reason"),
    "no discovery potential": ("discovery_potential_5sigma", "reason"),
}


def _reasons(row: Row) -> list[str]:
    """Why a number is not there, as the run gave it."""
    found = ((what, (row.get(part) or {}).get(key)) for what, (part, key) in _REASONS.items())
    return [f"{what.capitalize()}: {reason}" for what, reason in found if reason]


def _synthetic(row: Row) -> str:
    """What agreement with a published number means on synthetic events: it depends on what was injected."""
    signal = str(row.get("injected", ""))
    if not signal or signal.startswith(f"{row['hypothesis']} "):
        return (
            "Synthetic events: the signal was injected, so agreement with the published number is by construction of "
            "the injected flux, up to the scatter of one experiment (about 1σ). It is no evidence about the sky."
        )
    return (
        f"Synthetic events: the injected signal was {signal}, not this hypothesis. What it finds is that signal "
        "leaking in, or background. It is no evidence about the sky."
    )


def remarks(row: Row) -> tuple[str, ...]:
    """What a reader must know before believing the lines of one result."""
    said = []
    if row["origin"] == "synthetic":
        said.append(_synthetic(row))
    if row["model_origin"] == "built-in" and row["hypothesis"].startswith("template:"):
        said.append("The template is our built-in analytic stand-in, not the published map.")
    if row["model_origin"] == "user file":
        said.append("The template is a user's own file.")
    if row.get("flux"):
        said.append(f"Fluxes: {row['flux']['convention']}.")
    if not row["fit"]["converged"]:
        said.append("The fit did not converge; the numbers are its last step.")
    p_value = row.get("p_value")
    if p_value is not None:
        ess = p_value.get("ess")
        size = f", effective sample size {ess:,.0f}" if ess is not None else ""
        how = p_value.get("method", "scrambles")
        said.append(f"{p_value['kind'].capitalize()} p-value from {p_value['n_trials']:,} trials{size}; {how}.")
    return (*said, *_reasons(row), *row["notes"])


def sources(rows: Sequence[Row]) -> tuple[str, ...]:
    """Where the published numbers stand that are put beside these results."""
    return tuple(dict.fromkeys(PUBLISHED[row["hypothesis"]].source for row in rows if row["hypothesis"] in PUBLISHED))
