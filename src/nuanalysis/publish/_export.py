"""A release as a draft at Zenodo or any other InvenioRDM, over REST.  https://inveniordm.docs.cern.ch/reference/rest_api

What is sent lies in a folder first: each folder of the release as one zip, the files beside them as they are.  Sending
goes on where it stopped: what the server holds with the right checksum is not sent again.  Until every file is there
and checked, the draft is titled as incomplete.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nuanalysis.errors import DataError, InputError
from nuanalysis.publish._crate import folder_names
from nuanalysis.publish._invenio import Server, ask, upload
from nuanalysis.publish._manifest import read_sums, verify
from nuanalysis.publish._metadata import DATACITE
from nuanalysis.publish._published import published
from nuanalysis.store import atomic_write, beside, own_tree, parsing, read_json, sweep

STATE = "export.json"
INCOMPLETE = "INCOMPLETE, still being uploaded: "
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: bytes must not depend on the clock
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file that is sent: its name at the server, where it lies here, and what the server will say of it."""

    name: str
    path: Path
    size: int
    md5: str


@dataclass(frozen=True, slots=True)
class Export:
    """What would be sent, or was.    address : of the draft or record for people, '' for a dry run."""

    release: str
    digest: str
    metadata: Mapping[str, Any]
    parcels: tuple[Parcel, ...]
    address: str = ""
    published: bool = False

    def document(self) -> dict[str, object]:
        """All of it as JSON can hold it."""
        files = [{"name": one.name, "bytes": one.size, "md5": one.md5} for one in self.parcels]
        about = {"release": self.release, "digest": self.digest, "record": self.metadata, "files": files}
        return {**about, "sent": bool(self.address), "published": self.published, "address": self.address}

    def message(self) -> str:
        """The same for people."""
        total = sum(one.size for one in self.parcels)
        lines = [f"  {one.name}  {one.size:,} bytes  md5 {one.md5}" for one in self.parcels]
        done = "published" if self.published else "a draft: look at it there, and publish it"
        last = f"{self.address} ({done})" if self.address else "Dry run: nothing was sent. --send sends it as a draft."
        return "\n".join([f"{self.release}: {len(lines)} files, {total:,} bytes", *lines, last])


def pack(folder: Path, into: Path) -> Export:
    """What would be sent of a release, written into a folder; nothing leaves the machine.

    Raises DataError for a release that does not verify or is withdrawn, EnvironmentFault where ``into`` cannot be
    written or its disk is full; no file in it is half written then.
    """
    checked = verify(folder)
    if not checked.ok:
        raise DataError(checked.message())
    known = published().get(folder.resolve().name)
    if known is not None and known.withdrawn:
        raise DataError(known.warning)
    own_tree(into, "the folder of an export")
    if into.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{into} lies inside the release {folder}; name a folder beside it")
    sweep(into)
    name = folder.resolve().name
    paths = [*read_sums(folder), "MANIFEST.sha256"]
    parcels = [_zipped(folder, one, paths, into / f"{name}-{one}.zip") for one in folder_names(paths)]
    parcels += [_copied(folder / path, into / path) for path in paths if "/" not in path]
    return Export(name, checked.digest, metadata_of(folder), tuple(sorted(parcels, key=lambda one: one.name)))


def _parcel(path: Path) -> Parcel:
    with path.open("rb") as file:
        return Parcel(path.name, path, path.stat().st_size, hashlib.file_digest(file, "md5").hexdigest())


def _zipped(folder: Path, part: str, paths: list[str], target: Path) -> Parcel:
    """One folder of a release as a zip, sorted and without a clock; the same bytes each time."""
    with beside(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(path for path in paths if path.startswith(f"{part}/")):
            entry = zipfile.ZipInfo(path, _ZIP_EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            entry.file_size = (folder / path).stat().st_size
            with (folder / path).open("rb") as source, archive.open(entry, "w") as inside:
                shutil.copyfileobj(source, inside, _CHUNK)
    return _parcel(target)


def _copied(source: Path, target: Path) -> Parcel:
    atomic_write(target, source.read_bytes())
    return _parcel(target)


def metadata_of(folder: Path) -> dict[str, Any]:
    """Metadata in the words of InvenioRDM, from datacite.json of a release."""
    path = folder / DATACITE
    if not path.is_file():
        raise DataError(f"{folder} has no {DATACITE}: it was built by an earlier version; build it again")
    remedy = "build the release again"
    said = read_json(path, "the metadata", remedy)
    with parsing(path, "the metadata", remedy, error=DataError):
        right = said["rightsList"][0]
        metadata = {
            "resource_type": {"id": "dataset"},
            "title": said["titles"][0]["title"],
            "publication_date": said["dates"][0]["date"],
            "version": said["version"],
            "publisher": said["publisher"]["name"],
            "creators": [{"person_or_org": {"type": "organizational", "name": c["name"]}} for c in said["creators"]],
            "description": said["descriptions"][0]["description"],
            "subjects": said["subjects"],
            "rights": [{"id": right["rightsIdentifier"].lower()}],
            "related_identifiers": [
                {
                    "identifier": one["relatedIdentifier"], "scheme": "doi",
                    "relation_type": {"id": one["relationType"].lower()}, "resource_type": {"id": "dataset"},
                }
                for one in said["relatedIdentifiers"]
            ],
        }  # fmt: skip
    return {"access": {"record": "public", "files": "public"}, "files": {"enabled": True}, "metadata": metadata}


# --- sending ----------------------------------------------------------------------------------------------------------


def send(export: Export, into: Path, server: Server, *, publish: bool = False) -> Export:
    """Send what ``pack`` wrote into that folder, and publish it where that is asked: that cannot be taken back.

    Raises DataError where the server refuses, keeps other bytes than were sent, or gives up after the attempts of
    ``server.patience``: call again then, and it goes on.
    """
    draft = _draft(export, into, server)
    held = {one["key"]: one for one in ask(server, "GET", f"{draft}/files")["entries"]}
    if foreign := sorted(held.keys() - {parcel.name for parcel in export.parcels}):
        raise DataError(f"the draft {draft} holds files of something else: {', '.join(foreign)}; remove them there")
    for number, parcel in enumerate(export.parcels, 1):
        server.progress(f"{number} of {len(export.parcels)}: {parcel.name}, {parcel.size:,} bytes")
        upload(server, draft, parcel.path, parcel.size, parcel.md5)
    _refuse_incomplete(export, ask(server, "GET", f"{draft}/files"))
    done = ask(server, "PUT", draft, json=export.metadata)  # now under its own title
    if publish:
        done = ask(server, "POST", f"{draft}/actions/publish", json={})
    return replace(export, address=str(done["links"]["self_html"]), published=publish)


def _draft(export: Export, into: Path, server: Server) -> str:
    """Path of the draft of this release at this server: the one of an earlier call, else a new one."""
    state = into / STATE
    about = {"server": server.address, "digest": export.digest}
    if state.is_file():
        held = read_json(state, "the record of an export", "remove it to begin a new draft")
        if {key: held.get(key) for key in about} == about:
            draft = f"/api/records/{held['id']}/draft"
            found = ask(server, "GET", draft, absent={})
            if found and not found.get("is_published"):
                return draft
            raise DataError(
                f"{state} says that this release went to {held['id']} at {server.address}, where no draft is any more: "
                "it is published, or was removed; remove that file to begin a new draft"
            )
    titled = {**export.metadata["metadata"], "title": INCOMPLETE + str(export.metadata["metadata"]["title"])}
    made = ask(server, "POST", "/api/records", json={**export.metadata, "metadata": titled}, once=True)
    atomic_write(state, (json.dumps({**about, "id": made["id"]}, indent=2) + "\n").encode())
    return f"/api/records/{made['id']}/draft"


def _refuse_incomplete(export: Export, listing: Mapping[str, Any]) -> None:
    """Raise DataError unless the server holds every file with its checksum, and nothing else."""
    held = {one["key"]: (one.get("status"), one.get("checksum")) for one in listing["entries"]}
    wanted = {parcel.name: ("completed", f"md5:{parcel.md5}") for parcel in export.parcels}
    wrong = sorted(name for name in held.keys() | wanted.keys() if held.get(name) != wanted.get(name))
    if wrong:
        raise DataError(f"the draft does not hold what was sent: {', '.join(wrong)}; call again")
