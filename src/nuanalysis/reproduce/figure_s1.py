"""Figure S1: reconstructed energies of the sample."""

from __future__ import annotations

from nuanalysis.interpret.published import SCIENCE_2023
from nuanalysis.reproduce._desk import Desk
from nuanalysis.reproduce._records import Item, Made
from nuanalysis.reproduce.figure_s2 import of_marginals


def make(desk: Desk) -> Made:
    return of_marginals(desk, "reconstructed energy")


ITEM = Item(
    name="figure-s1",
    title="reconstructed energies of the events",
    source=f"{SCIENCE_2023}, figure S1 and its data release",
    origin="synthetic",
    cpu_minutes=0.1,
    make=make,
    left_out="muons have no published energies; atmospheric neutrinos are scaled so that the sum is that of the sample",
)
