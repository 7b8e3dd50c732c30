"""A follow-up in plain words, for the draft of a circular: a person reads, mends and sends it."""

from __future__ import annotations

from nuanalysis.answers._followup import SearchedWindow
from nuanalysis.answers.followup import FOLLOW_UP_P, FollowupAnswer
from nuanalysis.records import Measured

_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def follow_up_text(answer: FollowupAnswer) -> str:
    """The text: events in coincidence and p of every window, sensitivity and its energies, limits.

    Synthetic events are said to be SIMULATED, in the first line; a p-value below 0.01 asks others to look.
    """
    synthetic = answer.provenance.origin != "real"
    head = ["DRAFT" + (", SIMULATED events: not an observation" if synthetic else ""), ""]
    place = f"RA {answer.place.ra_deg:.2f} deg, Dec {answer.place.dec_deg:+.2f} deg (ICRS)"
    where = f"{answer.alert} ({place})" if answer.alert else place
    opening = (
        f"Public track events of {answer.season} were searched for further neutrinos from {where}, "
        f"in {len(answer.windows)} time window{'s' * (len(answer.windows) > 1)} centred on MJD {answer.mjd:.5f} (UTC)"
    )
    left = ", the event of the alert itself left out." if answer.own_events else "."
    body = [opening + left, "", *(line for one in answer.windows for line in (_window(one, answer.index), ""))]
    low, high = answer.windows[0].flux.energy_low_gev, answer.windows[0].flux.energy_high_gev
    energies = (
        f"For a spectrum E^-{answer.index:g}, 90 % of the events expected from this direction have neutrino energies "
        f"between {_energy(low)} and {_energy(high)}. Fluences are E^2 dN/dE at 1 TeV of muon neutrinos and "
        f"antineutrinos together, from the {answer.area}."
    )
    return "\n".join([*head, *body, energies, *_look(answer)])


def _window(one: SearchedWindow, index: float) -> str:
    count = _COUNTS[one.n_coincident] if one.n_coincident < len(_COUNTS) else str(one.n_coincident)
    events = f"{count} event{'s' * (one.n_coincident != 1)}"
    found = (
        f"Window of {_length(one.length_s)}: {events} in spatial coincidence, {one.n_events} on the whole sky where "
        f"{one.n_background.value:.3g} are expected of background; {_chance(one)}."
    )
    flux = one.flux
    if isinstance(flux.sensitivity, Measured):
        found += (
            f" Sensitivity to an E^-{index:g} burst: {_range(flux.sensitivity_low, flux.sensitivity_high)} GeV cm^-2"
        )
        found += " over the 90 % region." if flux.sensitivity_low != flux.sensitivity_high else "."
    if isinstance(flux.limit, Measured):
        found += f" Upper limit (90 %): {flux.limit.value:.2g} GeV cm^-2."
    return found


def _chance(one: SearchedWindow) -> str:
    if one.chance.bound is not None:
        return f"p < {one.chance.bound:.1g} (90 %: none of {one.chance.n_trials:,} trials)"
    return f"p = {one.chance.p:.2g}" + ("" if one.ts > 0.0 else " (TS = 0)")


def _range(low: float | None, high: float | None) -> str:
    ends = [f"{end:.2g}" for end in (low, high) if end is not None]
    return ends[0] if len(set(ends)) == 1 else " to ".join(ends)


def _length(seconds: float) -> str:
    return f"{seconds / 86400.0:g} d" if seconds >= 86400.0 else f"{seconds:,.0f} s"


def _energy(gev: float) -> str:
    for size, unit in ((1e6, "PeV"), (1e3, "TeV")):
        if gev >= size:
            return f"{float(f'{gev / size:.2g}'):g} {unit}"
    return f"{float(f'{gev:.2g}'):g} GeV"


def _look(answer: FollowupAnswer) -> list[str]:
    """The line that asks others to look, where a window is rare enough; windows are counted."""
    rare = [one for one in answer.windows if one.chance.p < FOLLOW_UP_P]
    if not rare:
        return []
    windows = " and ".join(_length(one.length_s) for one in rare)
    return [
        "",
        f"p is below {FOLLOW_UP_P:g} in the window of {windows} ({len(answer.windows)} windows tried, p not corrected "
        "for that): observations of this field are encouraged.",
    ]
