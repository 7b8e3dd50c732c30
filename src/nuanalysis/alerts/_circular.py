"""The draft of a circular.  A person reads and submits it; nothing here does."""

from __future__ import annotations

import math
from importlib.resources import files

from nuanalysis.alerts._messages import datetime_of, long_name
from nuanalysis.alerts._records import Alert, Box
from nuanalysis.alerts._streams import PURITY
from nuanalysis.errors import printable

_KINDS = {
    "track": "candidate high-energy neutrino, track-like event", "shower": "candidate high-energy neutrino, cascade",
}  # fmt: skip
_CHANCES = {"gold": "high", "bronze": "moderate", "cascade": "high"}


def circular(alert: Alert, *, notice_url: str = "", sources: tuple[str, ...] | None = None) -> str:
    """The draft, plain text, marked DRAFT, and SIMULATED in subject and body where the event is synthetic.

    sources : a line for each catalogued source in the region, or the nearest one; None where nobody searched.
    """
    from jinja2 import Environment, StrictUndefined

    template = (files("nuanalysis.alerts") / "circular.txt.j2").read_text(encoding="utf-8")
    region, time = alert.region, datetime_of(alert.time)
    purity = f"{100 * PURITY[alert.tier]:.0f} %" if alert.tier in PURITY else ""
    text = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(template).render(
        synthetic=alert.origin == "synthetic",
        name=long_name(alert.name) if alert.origin == "real" else alert.name,
        kind=_KINDS[alert.topology],
        date=f"{time:%Y-%m-%d}",
        clock=f"{time:%H:%M:%S}.{time.microsecond // 10_000:02d}",
        shape="track-like" if alert.topology == "track" else "cascade",
        chance=_CHANCES[alert.tier],
        tier=alert.tier.capitalize(),
        purity=purity,
        p_astro=f"{alert.p_astro:.2f}",
        method=alert.method,
        far=f"{alert.far_per_yr:.3g}",
        energy=f"{alert.energy_tev:.3g}",
        energy_kind=alert.energy_kind,
        retracted=alert.retracted,
        doubt=alert.doubt,
        notice=notice_url,
        systematic="with" if region.systematic else "without",
        ra=_axis(region.right_ascension, region.box, region.radius, region.containment, across=True),
        dec=_axis(region.declination, region.box, region.radius, region.containment, across=False),
        near_plane="" if alert.near_plane is None else f"{alert.near_plane:.2f}",
        sources=sources,
    )  # fmt: skip
    return printable(text)


def _axis(value: float, box: Box | None, radius: float | None, containment: float, *, across: bool) -> str:
    """A coordinate with its errors, as circulars print it."""
    at, sign = math.degrees(value), "" if across else "+"
    if box is None:
        within = "no error given" if radius is None else f"within {math.degrees(radius):.2f} deg of the position"
        return f"{at:{sign}.2f} deg ({within}, {containment:.0%} containment) J2000".replace("%", " %")
    plus, minus = (
        (box.right_ascension_plus, box.right_ascension_minus)
        if across
        else (box.declination_plus, box.declination_minus)
    )
    sides = f"+{math.degrees(plus):.2f} / -{math.degrees(minus):.2f} deg {box.containment:.0%} PSF containment"
    return f"{at:{sign}.2f} ({sides}) J2000".replace("%", " %")
