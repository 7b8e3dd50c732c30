"""Tracks of ten years, IC40 to IC86-VII: the point-source release of 2021."""

from nuanalysis.ingest import tracks_dr1 as release
from nuanalysis.library.samples._track_seasons import archive_sample

SAMPLE = archive_sample(
    release,
    title="IceCube tracks of 2008-2018, ten seasons, real",
    label="IceCube tracks, ten years",
    read=lambda folder: (release.read_events(folder, season) for season in release.SEASONS),
)
