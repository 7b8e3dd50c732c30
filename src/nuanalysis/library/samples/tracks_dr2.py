"""Tracks of fourteen years, IC40 to IC86-XI: IceTracks-DR2, every event kept once."""

from nuanalysis.ingest import tracks_dr2 as release
from nuanalysis.library.samples._track_seasons import archive_sample

SAMPLE = archive_sample(
    release,
    title="IceCube tracks of 2008-2022, fourteen seasons, real",
    label="IceCube tracks, fourteen years",
    read=lambda folder: release.read_seasons(folder).values(),
)
