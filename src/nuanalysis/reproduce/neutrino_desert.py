"""The Milky Way as a neutrino desert: our estimate beside the published statement, whose derivation was not read."""

from __future__ import annotations

from nuanalysis.answers.desert import Desert
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made, row

SOURCE = "Fang, Gallagher & Halzen, arXiv:2306.17275, abstract"
_NOTE = "published: one to two orders of magnitude, 10 to 100, without inputs or error"


def make(desk: Desk) -> Made:
    answer = Desert.of(seed=desk.seed).ask()
    nan = float("nan")
    simple = [(f"at {one.energy:g} TeV, all at 8 kpc, n0 0.01 Mpc^-3, xi_z 2.4", one.ratio) for one in answer.plain]
    named = [(f"at {answer.energy:g} TeV, median of the band over all inputs", answer.ratio.median), *simple]
    what = "luminosity of an average galaxy over that of the Milky Way"
    rows = tuple(row(f"{what} {how}", ratio, nan, nan, note=_NOTE) for how, ratio in named)
    return Made(answer.provenance, rows, answer.drawn())


ITEM = Item(
    name="neutrino-desert",
    title="how much fainter the Milky Way is than the average galaxy, beside the published statement",
    source=SOURCE,
    origin="printed",
    cpu_minutes=0.5,
    make=make,
    left_out="the derivation of the paper: only its abstract was read; the relation is the usual one",
)
