"""ICECAT-1, version 4: 348 alert tracks with 90 % boxes and signalness, and the effective areas of the streams.

Fetched and verified, not read: alerts of several streams and thresholds have no common livetime and no sigma per event.
"""

from __future__ import annotations

from nuanalysis.ingest._release import UpstreamRelease, files_of

RELEASE = UpstreamRelease(
    name="icecat1",
    title="ICECAT-1: IceCube event catalogue of alert tracks, version 4",
    folder="icecube_icecat1",
    doi="10.7910/DVN/SCRUCD",
    doi_confirmed=True,
    licence="CC0-1.0",
    citation="IceCube Collaboration (Abbasi et al.) 2023, ApJS 269, 25, arXiv:2304.01174",
    files=files_of("icecat1"),
    archive_url="https://dataverse.harvard.edu/api/access/dataset/:persistentId/"
    "?persistentId=doi:10.7910/DVN/SCRUCD&format=original",
    notes="The archive of the Dataverse also holds the likelihood maps of every alert and is large.",
)
