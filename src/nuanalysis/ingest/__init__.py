"""Other people's data releases: one file each, read into EVENTS and RESPONSE datasets.  Writes only to the cache."""

from __future__ import annotations

from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.ingest import (
    arca230,
    atmospheric_flux,
    cascades_2023,
    galactic_templates,
    hese75,
    icecat1,
    icecube_detector,
    icecube_pulse_samples,
    irf_plenum,
    open_detector,
    realtime_scans,
    source_catalogues,
    tracks_dr1,
    tracks_dr2,
    tracks_ic40,
    tracks_ic79,
    tracks_ic86_2011,
    uhecr,
)
from nuanalysis.ingest._download import Patience, agent, certificates
from nuanalysis.ingest._fetch import fetch, import_files
from nuanalysis.ingest._find import (
    FileReport,
    ReleaseCard,
    ReleaseReport,
    cache_root,
    find,
    holdings,
    release_card,
    verify,
)
from nuanalysis.ingest._gcn_table import read_gcn_table
from nuanalysis.ingest._registry import REGISTRY, Upstream, registered
from nuanalysis.ingest._release import UpstreamFile, UpstreamRelease

RELEASES = (
    tracks_ic40.RELEASE,
    tracks_ic79.RELEASE,
    tracks_ic86_2011.RELEASE,
    tracks_dr1.RELEASE,
    tracks_dr2.RELEASE,
    cascades_2023.RELEASE,
    hese75.RELEASE,
    icecat1.RELEASE,
    galactic_templates.RELEASE,
    irf_plenum.RELEASE,
    source_catalogues.RELEASE,
    open_detector.RELEASE,
    icecube_detector.RELEASE,
    atmospheric_flux.RELEASE,
    icecube_pulse_samples.RELEASE,
    realtime_scans.RELEASE,
    uhecr.RELEASE,
    arca230.RELEASE,
)


def release(name: str) -> UpstreamRelease:
    """Return the release of that name.  Raises InputError with the nearest name."""
    known = {record.name: record for record in RELEASES}
    if name not in known:
        raise InputError(f"unknown release '{name}'.{did_you_mean(name, known)}")
    return known[name]
