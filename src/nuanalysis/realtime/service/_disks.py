"""Which disks can hold the service: SQLite needs locks that network file systems only seem to have."""

from __future__ import annotations

import os
from pathlib import Path

from nuanalysis.errors import EnvironmentFault

NETWORK = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "9p", "ncpfs",
    "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "pvfs2", "orangefs",
)  # fmt: skip
MOUNTS = Path("/proc/self/mountinfo")


def refuse_network_disk(folder: Path, mounts: Path = MOUNTS) -> None:
    """Raises EnvironmentFault where the folder lies on a network file system; silent where the system does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    place = os.path.realpath(folder)
    found = [_mount(line) for line in lines if " - " in line]
    above = [(where, kind) for where, kind in found if place == where or place.startswith(where.rstrip("/") + "/")]
    where, kind = max(above, key=lambda one: len(one[0]), default=("", ""))
    if kind in NETWORK:
        raise EnvironmentFault(
            f"{folder} lies on {where}, a network disk ({kind}); the queue would lose scans there. "
            "Name a folder on a disk of this machine with --folder."
        )


def _mount(line: str) -> tuple[str, str]:
    """Where a line of mountinfo mounts what kind of file system; of two over each other the later one counts."""
    first, _, second = line.partition(" - ")
    return first.split()[4].replace("\\040", " "), second.split()[0]
