"""Figure S3: where the events happened in the detector."""

from nuanalysis.interpret.published import SCIENCE_2023
from nuanalysis.reproduce._records import Item

ITEM = Item(
    name="figure-s3",
    title="distance of the events to the edge of the detector",
    source=f"{SCIENCE_2023}, figure S3",
    origin="none",
    cpu_minutes=None,
    make=None,
    left_out="vertices are in the file of event contributions alone, which is not among the public copies here",
)
