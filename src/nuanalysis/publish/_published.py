"""Releases that were published: the manifest of each, kept for ever, and which of them were withdrawn.

A release that anybody builds again is held to the manifest of the published one.  Files that tell of the circumstances
of a run (when, how long, on how many workers) differ from run to run; all others are the same bytes, given the same
environment and the date of the published release.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path

from pydantic import TypeAdapter

from nuanalysis.errors import DataError, InputError, did_you_mean, refuse
from nuanalysis.publish._manifest import INDEX, SUMS, parse_sums, read_sums, verify
from nuanalysis.records import Record, shown
from nuanalysis.store import atomic_write, parsing, read_json, read_toml

LIST = "published.toml"
#: Versions of the code by release, apart: the code that made a release reads the list to build it again, and knows only
#: the fields that there were.
CODES = "code.toml"
#: What tells of circumstances, and the lists that hold its checksums.
_CIRCUMSTANCES = (
    "notebooks/", "report/", "fits/campaign", "costs.json", "datapackage.json", "ro-crate-metadata.json", INDEX,
)  # fmt: skip


class PublishedRelease(Record):
    """A release that was published.  A withdrawn one stays where it is; here it says why, and what to use instead."""

    name: str = shown("name")
    created: str = shown("when its results were made, UTC")
    digest: str = shown("sha256 of its manifest")
    code: str = shown("version of nuanalysis that made it", "")
    doi: str = shown("DOI", "")
    withdrawn: str = shown("why it was withdrawn; empty where it stands", "")
    successor: str = shown("what to use instead of a withdrawn one", "")

    @property
    def version(self) -> str:
        """DRn.m."""
        return self.name.rsplit("-", 1)[-1]

    @property
    def warning(self) -> str:
        """What is said of a withdrawn release; '' of one that stands."""
        if not self.withdrawn:
            return ""
        return f"{self.name} is WITHDRAWN: {self.withdrawn}. Use {self.successor} instead."


class Rebuilt(Record):
    """A release that was built again, against the published one of its name."""

    name: str = shown("release")
    same_bytes: bool = shown("whether it is the same in every byte")
    content: str = shown("sha256 of the list of its files but for circumstances")
    differ: tuple[str, ...] = shown("files that differ and should not")
    circumstances: tuple[str, ...] = shown("files that tell of the run and differ")

    @property
    def ok(self) -> bool:
        """Whether every file is the published one, circumstances apart."""
        return not self.differ

    def headline(self) -> tuple[str, ...]:
        if self.same_bytes:
            return (f"{self.name} is the published release in every byte.",)
        if self.ok:
            told = f"but for {len(self.circumstances)} files that tell of the run"
            return (f"{self.name} is the published release, {told}.",)
        return (f"{self.name} is NOT the published release: {', '.join(self.differ[:20])} differ.",)


def manifests() -> Path:
    """The folder of manifests that comes with the package; data_release/manifests is a link to it."""
    return Path(str(files("nuanalysis.publish"))) / "recipe" / "manifests"


def published(folder: Path | None = None) -> dict[str, PublishedRelease]:
    """Every published release, by name.  Raises DataError for a list that its manifests do not bear out."""
    place = manifests() if folder is None else folder
    listed = place / LIST
    if not listed.is_file():
        return {}
    what, remedy = "the list of published releases", "restore it"
    rows = read_toml(listed, what, remedy, error=DataError).get("release", [])
    with parsing(listed, what, remedy, error=DataError):
        codes = _codes(place)
        found = {row["name"]: PublishedRelease.from_dict({**row, "code": codes.get(row["name"], "")}) for row in rows}
    refuse(_faults(place, found.values(), len(rows)), f"{listed} is not so", error=DataError)
    return found


def _codes(place: Path) -> dict[str, str]:
    """Version of the code by release.  Raises DataError where a version is no word."""
    listed, what, remedy = place / CODES, "the versions of published releases", "restore it"
    if not listed.is_file():
        return {}
    codes = read_toml(listed, what, remedy, error=DataError)
    with parsing(listed, what, remedy, error=DataError):
        return TypeAdapter(dict[str, str]).validate_python(codes, strict=True)


def _faults(place: Path, listed: Iterable[PublishedRelease], rows: int) -> Iterable[str]:
    named = {one.name: one for one in listed}
    if len(named) < rows:
        yield "a release is listed twice"
    kept = {path.name.removesuffix(".sha256") for path in place.iterdir() if path.name.endswith(".sha256")}
    yield from (f"{name} is listed without its manifest" for name in sorted(named.keys() - kept))
    yield from (f"the manifest of {name} is there, {name} is not listed" for name in sorted(kept - named.keys()))
    for name in sorted(named.keys() & kept):
        one, digest = named[name], hashlib.sha256((place / f"{name}.sha256").read_bytes()).hexdigest()
        if digest != one.digest:
            yield f"the manifest of {name} has sha256 {digest}, expected {one.digest}"
        if not one.code:
            yield f"{name} has no version of the code in {CODES}"
        if bool(one.withdrawn) != bool(one.successor):
            yield f"{name} is withdrawn without reason or successor"


def of_name(name: str, folder: Path | None = None) -> PublishedRelease:
    """The published release of a name.  Raises InputError for an unknown one."""
    known = published(folder)
    if name not in known:
        hint = did_you_mean(name, known) if known else " None was published yet."
        raise InputError(f"no release '{name}' was published.{hint}")
    return known[name]


def _told(path: str) -> bool:
    """Whether a file tells of the circumstances of a run."""
    return path.startswith(_CIRCUMSTANCES)


def content_digest(sums: Mapping[str, str]) -> str:
    """sha256 of the list of files but for circumstances: the same for everybody who builds a release again."""
    lines = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums) if not _told(name))
    return hashlib.sha256(lines.encode()).hexdigest()


def rebuilt(release: Path, folder: Path | None = None) -> Rebuilt:
    """A release against the published one of its name, by content.

    Raises InputError where none of that name was published, DataError for a release that does not verify.
    """
    checked = verify(release)
    if not checked.ok:
        raise DataError(checked.message())
    name = release.resolve().name
    one = of_name(name, folder)
    place = manifests() if folder is None else folder
    was = parse_sums((place / f"{name}.sha256").read_text(encoding="utf-8"), f"{name}.sha256")
    now = read_sums(release)
    differ = sorted(path for path in was.keys() | now.keys() if was.get(path) != now.get(path))
    return Rebuilt(
        name=name,
        same_bytes=checked.digest == one.digest,
        content=content_digest(now),
        differ=tuple(path for path in differ if not _told(path)),
        circumstances=tuple(path for path in differ if _told(path)),
    )


def record(release: Path, folder: Path, doi: str = "") -> PublishedRelease:
    """Keep the manifest of a release in a folder of manifests, and list it.

    Raises DataError for a release that does not verify, InputError for a name that has another manifest already: a
    published release does not change, its successor has another number.
    """
    checked = verify(release)
    if not checked.ok:
        raise DataError(checked.message())
    index = read_json(release / INDEX, "the manifest", "build it again")
    code = read_json(release / "environment.json", "the versions", "build it again")["versions"]["nuanalysis"]
    name, created = release.resolve().name, str(index["created"])
    known = published(folder)
    one = known.get(name) or PublishedRelease(name=name, created=created, digest=checked.digest, code=str(code))
    if one.digest != checked.digest:
        raise InputError(f"{one.name} was published with other bytes; raise m of DRn.m")
    one = one.model_copy(update={"doi": doi or one.doi})
    listed = sorted({**known, one.name: one}.values(), key=lambda each: each.name)
    atomic_write(folder / CODES, _codes_text(listed).encode())
    atomic_write(folder / f"{one.name}.sha256", (release / SUMS).read_bytes())
    atomic_write(folder / LIST, _list_text(listed).encode())
    return one


def _list_text(listed: Iterable[PublishedRelease]) -> str:
    """The list in its one form: JSON's strings are TOML's."""
    head = "# Releases that were published.  A withdrawn one stays: say why in `withdrawn`, and its `successor`.\n"
    tables = (
        "\n[[release]]\n"
        + "".join(f"{key} = {_quoted(value)}\n" for key, value in one.to_dict().items() if key != "code")
        for one in listed
    )
    return head + "".join(tables)


def _codes_text(listed: Iterable[PublishedRelease]) -> str:
    head = "# Version of nuanalysis that made each release; what follows the g is the commit.\n\n"
    return head + "".join(f"{_quoted(one.name)} = {_quoted(one.code)}\n" for one in listed)


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
