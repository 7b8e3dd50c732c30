"""The page of a model card: one HTML file that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nuanalysis.plot import plain
from nuanalysis.records import Chance, Interval, Measured, Unknown

if TYPE_CHECKING:
    from nuanalysis.answers.model_card import ModelCardAnswer

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #5b6370; --line: #d5d9df; --paper: #ffffff; --mark: #fdf3cf }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --faint: #a3abb6; --line: #3a4049; --paper: #15181c; --mark: #4a3f14 }
}
body { margin: 0 auto; max-width: 46rem; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper) }
h1 { font-size: 1.35rem; line-height: 1.3 } h2 { font-size: 1.05rem; margin-top: 1.6rem }
.stamp { background: var(--mark); padding: .1rem .4rem; font-weight: 600 }
.first { font-size: 1.15rem } .faint { color: var(--faint) }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td.number, th.number { text-align: right; white-space: nowrap }
""".strip()
_DETECTOR_NOTE = (
    "Expected local significance of the median experiment without trials (Asimov); statistical, nothing but exposure "
    "changes. Published sensitivities to the Galactic plane were found neither of KM3NeT nor of IceCube-Gen2."
)
_GAMMA_NOTE = (
    "R is the flux of neutrinos at half the energy over what the pp relation allows from the gamma rays of the same "
    "region. R above 1 is more than these gamma rays allow, and no fraction. LHAASO masks sources, Tibet in part."
)


_CAUTION = (
    " The directions of the real events are not public: what is fitted, excluded or allowed here is so in these drawn "
    "events, and says what an analysis of the real ones can reach, not what it found."
)


def _words(one: Measured | Interval | Chance | Unknown) -> str:
    """A number for people; why there is none."""
    return html.escape(one.words()).replace("+-", "±")


def _table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    first, *others = head
    top = f"<th>{first}</th>" + "".join(f'<th class="number">{one}</th>' for one in others)
    body = "".join(
        "<tr>" + "".join(f"<td{' class=number' if k else ''}>{one}</td>" for k, one in enumerate(line)) + "</tr>"
        for line in lines
    )
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _numbers(card: ModelCardAnswer) -> str:
    models = card.in_models
    lines = [
        ("test statistic TS", f"{card.fitted.ts:.2f}"),
        ("signal events n<sub>s</sub>", f"{card.fitted.n_signal:.1f}"),
        ("local p-value", _words(card.chance)),
        ("flux, E² dN/dE at 100 TeV, all sky", _words(card.flux)),
        ("68 % interval", _words(card.interval)),
        ("90 % upper limit", _words(card.upper_limit_90)),
    ]
    if models is not None:
        lines += [
            ("flux of the model", f"{models.model_flux:.3g} TeV cm⁻² s⁻¹"),
            ("flux over that of the model", _words(models.best)),
            ("68 % interval, in models", _words(models.interval)),
            ("90 % upper limit, in models", _words(models.upper_limit_90)),
        ]
    return _table(("what", "found"), lines)


def _gammas(card: ModelCardAnswer) -> str:
    lines = []
    for one in card.gamma_rays:
        found = one.ratio
        span = f"{found.low:.2f} to {found.high:.2f}"
        lines.append((html.escape(f"{one.data}, {one.whose}"), f"{found.median:.2f}", span, f"{found.above_one:.2f}"))
    return _table(("gamma rays, flux of", "mean R", "68 %", "P(R &gt; 1)"), lines)


def _outlook(card: ModelCardAnswer) -> str:
    def cell(value: float | Unknown) -> str:
        return "–" if isinstance(value, Unknown) else f"{value:.1f}σ"

    lines = [
        (html.escape(one.detector), f"{one.years:.1f}", cell(one.model), cell(one.best_fit)) for one in card.outlook
    ]
    return _table(("detector", "live years", "if the model", "if the best fit"), lines)


def card_page(card: ModelCardAnswer) -> str:
    """The whole page."""
    whose, tested = card.provenance, card.tested
    notes = [*whose.remarks, *whose.notes]
    said = "".join(f"<li>{html.escape(plain(note))}</li>" for note in dict.fromkeys(notes))
    title = html.escape(plain(tested.label))
    caution = "" if whose.origin == "real" else _CAUTION
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Model card: {title}</title><style>
{_STYLE}
</style></head><body>
<h1>{title}</h1>
<p class="first">{html.escape(plain(card.headline()[0])).replace("+-", "±")}</p>
<p><span class="stamp">{html.escape(whose.stamp)}</span> {html.escape(plain(whose.words()))}.{caution}</p>
<h2>What the events say</h2>
{_numbers(card)}
<h2>Beside diffuse gamma rays</h2>
<p class="faint">{_GAMMA_NOTE}</p>
{_gammas(card)}
<h2><span class="stamp">PROJECTION</span> What will be seen</h2>
<p class="faint">{_DETECTOR_NOTE}</p>
{_outlook(card)}
<h2>What this rests on</h2>
<p>Model: {html.escape(plain(tested.hypothesis))}, {html.escape(tested.model_origin)};
{html.escape(plain(tested.model_reference))}. Statistic: {html.escape(whose.statistic)}. Seed {whose.seed}. nuanalysis
{html.escape(whose.version)}. Fingerprint {html.escape(whose.fingerprint[:16])}.</p>
<ul class="faint">{said}</ul>
</body></html>
"""
