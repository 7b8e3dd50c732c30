"""The datasets of an HDF5 file whose values lie in the file itself, plainly: its checksum speaks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nuanalysis.deferred import h5py
from nuanalysis.errors import InputError, NuanalysisError, refuse

Nodes = dict[str, Any]  # a dataset of h5py by its path
MOST_NODES = 10_000
LARGEST_CHUNK = 1 << 30  # bytes; one is unpacked as a whole
REMEDY = "Copy the values into the file itself: h5repack, or f.create_dataset(name, data=values) with h5py."


def hdf5_datasets(file: Any, path: Path, what: str = "the map", *, error: type[NuanalysisError] = InputError) -> Nodes:
    """The datasets of a file by path, whatever they hold; what : how messages call the file.

    Raises ``error`` with all that leads out of the file: links to other files and to the inside of them, values that
    lie in other files, datasets put together from others.
    """
    found: Nodes = {}
    faults: list[str] = []
    seen = {_address(file)}
    groups = [("", file)]
    while groups:
        prefix, group = groups.pop()
        for name in group:
            if len(seen) + len(faults) > MOST_NODES:
                raise error(f"{what} {path} holds more than {MOST_NODES} links; keep those that are needed")
            node = _inside(group, name, f"{prefix}/{name}", faults)
            if node is None or (address := _address(node)) in seen:
                continue
            seen.add(address)
            if isinstance(node, h5py.Group):
                groups.append((f"{prefix}/{name}", node))
            elif isinstance(node, h5py.Dataset):
                faults.extend(_outside(node, f"{prefix}/{name}"))
                found[f"{prefix}/{name}".lstrip("/")] = node
    refuse(faults, f"{what} {path} reads other files, for which its checksum does not speak", REMEDY, error=error)
    return dict(sorted(found.items()))


def _address(node: Any) -> int:
    return int(h5py.h5o.get_info(node.id).addr)


def _inside(group: Any, name: str, where: str, faults: list[str]) -> Any:
    """What a link leads to; None, with a fault where it leads out, for all but hard links.

    A soft link cannot leave the file but through an external one, which is a fault itself.
    """
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        faults.append(f"{where} is a link to {link.path} in {link.filename}")
    return group[name] if isinstance(link, h5py.HardLink) else None


def _outside(node: Any, where: str) -> list[str]:
    faults = []
    if node.external:
        faults.append(f"{where} has its values in {', '.join(str(one[0]) for one in node.external)}")
    if node.is_virtual:
        faults.append(f"{where} is virtual: its values lie in other datasets")
    return faults


def holds_numbers(node: Any) -> bool:
    """Whether a dataset holds real numbers as such: no enumeration, no list in each value, no reference, no text."""
    numbers = node.shape is not None and node.dtype.kind in "fiu" and h5py.check_enum_dtype(node.dtype) is None
    return bool(numbers) and chunk_bytes(node) <= LARGEST_CHUNK


def chunk_bytes(node: Any) -> int:
    """What is unpacked as a whole to read one value of a dataset."""
    size = int(node.dtype.itemsize)
    for extent in node.chunks or ():
        size *= extent
    return size
