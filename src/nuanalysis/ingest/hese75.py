"""HESE, 7.5 years: 102 starting events with energy, zenith and morphology; no times, no right ascensions.

Fetched and verified, not read: no analysis here can use events without a direction.
"""

from __future__ import annotations

from nuanalysis.ingest._release import UpstreamRelease, files_of

RELEASE = UpstreamRelease(
    name="hese75",
    title="IceCube high-energy starting events, 7.5 years",
    folder="icecube_hese75",
    doi="10.21234/4EQJ-BB17",
    doi_confirmed=True,
    licence="LGPL-3.0",
    citation="IceCube Collaboration 2021, Phys. Rev. D 104, 022002, arXiv:2011.03545",
    files=files_of("hese75"),
    notes="The published analysis uses events above 60 TeV. The three simulation files (79 MB zip) are optional.",
)
