"""Figure 4: the scan of the whole sky."""

from nuanalysis.interpret.published import SCIENCE_2023
from nuanalysis.reproduce._records import Item

ITEM = Item(
    name="figure-4",
    title="the scan of the whole sky",
    source=f"{SCIENCE_2023}, figure 4",
    origin="none",
    cpu_minutes=None,
    make=None,
    left_out=(
        "it is a map of the data, and no directions of the events were released; table-s1 draws the same scan of a "
        "synthetic sky"
    ),
)
