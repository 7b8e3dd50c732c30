"""TXS 0506+056 in the public tracks."""

from nuanalysis.reproduce._tracks import tracks_item

ITEM = tracks_item(
    "tracks-txs-0506", "TXS 0506+056 in ten years of public tracks", "txs-0506-ten-years", "txs-0506-release"
)
