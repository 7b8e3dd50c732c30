"""NGC 1068 in the public tracks."""

from nuanalysis.reproduce._tracks import tracks_item

ITEM = tracks_item("tracks-ngc-1068", "NGC 1068 in ten years of public tracks", "ngc-1068-ten-years")
