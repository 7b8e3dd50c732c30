"""Finding, fetching, verifying and importing releases, against a real HTTP server on the loopback address."""

from __future__ import annotations

import gzip
import hashlib
import io
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_server import Server

from nuanalysis import ingest, store
from nuanalysis.errors import DataError, DownloadError, EnvironmentFault, StoreLocked
from nuanalysis.ingest import Patience, UpstreamFile, UpstreamRelease, _download

QUICK = Patience(attempts=4, pause_s=0.001, timeout_s=5.0)
TABLE = ("# x y\n" + "\n".join(f"{i} {i * i}" for i in range(50_000)) + "\n").encode()
ROWS = 50_000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as serving:
        yield serving


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NUANALYSIS_DATA", raising=False)
    return tmp_path / "cache"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def toy(*files: UpstreamFile, archive_url: str | None = None) -> UpstreamRelease:
    return UpstreamRelease(
        name="toy",
        title="A toy",
        folder="toy_folder",
        doi="10.0/toy",
        doi_confirmed=False,
        licence="CC0-1.0",
        citation="Nobody 2024",
        files=files,
        archive_url=archive_url,
    )


def single(server: Server, content: bytes = TABLE, checksum: str | None = None) -> UpstreamRelease:
    server.content["/a.csv"] = content
    known = sha256(TABLE) if checksum is None else checksum
    return toy(UpstreamFile("events/a.csv", known, rows=ROWS, url=f"{server.url}/a.csv"))


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def archived(server: Server, members: dict[str, bytes]) -> UpstreamRelease:
    server.content["/all.zip"] = zipped(members)
    return toy(
        UpstreamFile("events/a.csv", sha256(TABLE), rows=ROWS),
        UpstreamFile("readme.txt", kind="readme", required=False),
        archive_url=f"{server.url}/all.zip",
    )


def left(folder: Path) -> list[str]:
    """Files in a folder that a user may mistake for data."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return sorted(str(path.relative_to(folder)) for path in files)


def resumed_at(request: tuple[str, str]) -> int:
    return int(request[1].removeprefix("bytes=").rstrip("-") or 0)


def about(start: int, sent: int) -> bool:
    """Whether a request goes on near the last byte that was sent: at most one chunk is lost with each break."""
    return sent - 2 * _download.ARRIVAL < start <= sent


# ---- one file -----------------------------------------------------------------------------------------------------


def test_fetch_brings_a_file_once(server, cache):
    release, told = single(server), []
    folder = ingest.fetch(release, told.append, patience=QUICK)
    assert (folder / "events/a.csv").read_bytes() == TABLE
    assert left(cache) == ["toy_folder/events/a.csv"]
    assert any(f"{len(TABLE) / 1e6:.1f} MB" in line for line in told), "the size is told"
    assert ingest.verify(release).status == "complete"
    ingest.fetch(release, patience=QUICK)
    assert len(server.requests) == 1


def test_an_interrupted_download_goes_on_where_it_stopped(server):
    release = single(server)
    server.script = ["half", "half"]
    folder = ingest.fetch(release, patience=QUICK)
    assert (folder / "events/a.csv").read_bytes() == TABLE
    assert len(server.requests) == 3
    assert resumed_at(server.requests[0]) == 0
    assert about(resumed_at(server.requests[1]), len(TABLE) // 2)
    assert about(resumed_at(server.requests[2]), len(TABLE) * 3 // 4)


def test_a_later_call_goes_on_too(server):
    release = single(server)
    server.script = ["half", "404"]
    with pytest.raises(DownloadError, match="answers 404"):
        ingest.fetch(release, patience=QUICK)
    assert (ingest.fetch(release, patience=QUICK) / "events/a.csv").read_bytes() == TABLE
    assert about(resumed_at(server.requests[-1]), len(TABLE) // 2)


def test_a_complete_part_is_not_loaded_again(server, cache):
    release = single(server)
    part = cache / "toy_folder/events/.incoming/a.csv"
    part.parent.mkdir(parents=True)
    part.write_bytes(TABLE)
    folder = ingest.fetch(release, patience=QUICK)
    assert (folder / "events/a.csv").read_bytes() == TABLE
    assert server.requests == [("/a.csv", f"bytes={len(TABLE)}-")]


def test_a_part_longer_than_the_file_is_started_afresh(server, cache):
    release = single(server)
    part = cache / "toy_folder/events/.incoming/a.csv"
    part.parent.mkdir(parents=True)
    part.write_bytes(TABLE + b"rest of an older file")
    assert (ingest.fetch(release, patience=QUICK) / "events/a.csv").read_bytes() == TABLE


def test_a_server_that_sends_slices_is_asked_for_the_rest(server):
    release = single(server)
    server.script = ["half", "slice"]
    assert (ingest.fetch(release, patience=QUICK) / "events/a.csv").read_bytes() == TABLE
    assert resumed_at(server.requests[2]) == resumed_at(server.requests[1]) + 1000


@pytest.mark.parametrize("action", ["half", "unsized"])
def test_servers_without_ranges_or_sizes(server, action):
    release, server.ranges = single(server), False
    server.script = [action]
    assert (ingest.fetch(release, patience=QUICK) / "events/a.csv").read_bytes() == TABLE


@pytest.mark.parametrize("actions", [["500"], ["503", "drop"], ["drop", "half", "429"]])
def test_faults_of_line_and_server_are_tried_again(server, actions):
    release = single(server)
    server.script = list(actions)
    assert (ingest.fetch(release, patience=QUICK) / "events/a.csv").read_bytes() == TABLE


@pytest.mark.parametrize(("action", "words"), [("500", "answers 500"), ("drop", "4 attempts"), ("half", "4 attempts")])
def test_attempts_are_bounded(server, cache, action, words):
    release = single(server)
    server.script = [action] * 50
    with pytest.raises(DownloadError, match=words) as caught:
        ingest.fetch(release, patience=QUICK)
    assert len(server.requests) == QUICK.attempts
    assert "nuanalysis data import" in str(caught.value)
    assert not (cache / "toy_folder/events/a.csv").exists()


def test_a_404_is_not_tried_again(server):
    release = single(server)
    server.content.clear()
    with pytest.raises(DownloadError, match="answers 404 Not Found"):
        ingest.fetch(release, patience=QUICK)
    assert len(server.requests) == 1


def test_no_network(cache):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    release = toy(UpstreamFile("events/a.csv", sha256(TABLE), url=f"http://127.0.0.1:{port}/a.csv"))
    with pytest.raises(DownloadError, match="Connection refused"):
        ingest.fetch(release, patience=QUICK)
    assert left(cache) == []


def test_a_flipped_byte_is_quarantined(server, cache):
    release = single(server)
    server.script = ["flip"]
    with pytest.raises(DataError, match="not the published file") as caught:
        ingest.fetch(release, patience=QUICK)
    assert sha256(TABLE) in str(caught.value)
    assert left(cache) == ["toy_folder/events/a.csv.quarantine"]
    assert ingest.holdings(release) == (None, "absent")
    assert (ingest.fetch(release, patience=QUICK) / "events/a.csv").read_bytes() == TABLE


def test_a_short_file_that_the_server_believes_in_is_quarantined(server, cache):
    release = single(server, content=TABLE[: len(TABLE) // 2])
    with pytest.raises(DataError, match="not the published file"):
        ingest.fetch(release, patience=QUICK)
    assert left(cache) == ["toy_folder/events/a.csv.quarantine"]


def test_without_a_checksum_the_rows_are_counted(server):
    good = single(server, checksum="")
    ingest.fetch(good, patience=QUICK)
    (file,) = ingest.verify(good).files
    assert (file.status, file.rows, file.sha256) == ("ok", ROWS, sha256(TABLE))
    assert file.message == "checksum not published here; row count checked"


def test_without_a_checksum_too_few_rows_are_refused(server):
    with pytest.raises(DataError, match="49999 rows, expected 50000"):
        ingest.fetch(single(server, TABLE[: TABLE.rindex(b"\n", 0, -1) + 1], checksum=""), patience=QUICK)


def test_a_file_damaged_in_the_cache_is_replaced(server):
    release = single(server)
    path = ingest.fetch(release, patience=QUICK) / "events/a.csv"
    path.write_bytes(TABLE[:-1])
    assert ingest.verify(release).status == "damaged"
    assert (ingest.fetch(release, patience=QUICK) / "events/a.csv").read_bytes() == TABLE
    assert path.with_name("a.csv.quarantine").exists()


def test_a_full_disk_is_said_before_the_download(server, monkeypatch):
    release = single(server)
    usage = type(_download.shutil.disk_usage("."))(total=10, used=0, free=10)
    monkeypatch.setattr(_download.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(EnvironmentFault, match="NUANALYSIS_CACHE"):
        ingest.fetch(release, patience=QUICK)


def test_a_cache_that_cannot_be_written_is_an_error_of_ours(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "file"))
    with pytest.raises(EnvironmentFault, match="cannot write"):
        ingest.fetch(single(server), patience=QUICK)


def test_a_second_writer_is_turned_away(server, cache):
    release = single(server)
    with store.locked(cache / "toy_folder" / ".fetch", 0.0), pytest.raises(StoreLocked, match="being written by"):
        ingest.fetch(release, patience=QUICK)
    ingest.fetch(release, patience=QUICK)


# ---- archives -----------------------------------------------------------------------------------------------------


def test_members_are_found_in_any_folder_of_the_archive(server, cache):
    release = archived(server, {"deep/er/events/a.csv": TABLE, "deep/er/readme.txt": b"hello", "other.txt": b"x"})
    folder = ingest.fetch(release, patience=QUICK)
    assert left(cache) == ["toy_folder/events/a.csv", "toy_folder/readme.txt"]
    assert (folder / "events/a.csv").read_bytes() == TABLE
    assert ingest.find(release) == folder


def test_an_archive_is_resumed(server):
    release = archived(server, {"events/a.csv": TABLE})
    server.script = ["half"]
    ingest.fetch(release, patience=QUICK)
    assert [path for path, _ in server.requests] == ["/all.zip", "/all.zip"]
    assert server.requests[1][1].startswith("bytes=")


@pytest.mark.parametrize("name", ["../../evil.csv", "/evil.csv", "x/../../evil.csv", "C:\\evil.csv", "..\\evil.csv"])
def test_an_archive_that_points_outside_is_refused_whole(server, cache, name):
    release = archived(server, {"events/a.csv": TABLE, name: b"evil"})
    with pytest.raises(DataError, match="point outside"):
        ingest.fetch(release, patience=QUICK)
    assert left(cache.parent) == ["cache/toy_folder/archive.zip.quarantine"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda content: content[: len(content) // 2], "not a whole zip archive"),
        (lambda content: b"<!DOCTYPE html>" + bytes(200), "starts with b'<!DOCTYPE html>"),
        (lambda content: content[:200] + bytes([content[200] ^ 0xFF]) + content[201:], "is damaged"),
    ],
)
def test_a_damaged_archive_is_quarantined(server, cache, spoil, words):
    release = archived(server, {"events/a.csv": TABLE})
    whole = server.content["/all.zip"]
    server.content["/all.zip"] = spoil(whole)
    with pytest.raises(DataError, match=words):
        ingest.fetch(release, patience=QUICK)
    assert left(cache) == ["toy_folder/archive.zip.quarantine"]
    server.content["/all.zip"] = whole
    ingest.fetch(release, patience=QUICK)
    assert ingest.verify(release).status == "complete"


def test_an_archive_that_would_fill_the_disk_is_not_unpacked(server, cache, monkeypatch):
    release = archived(server, {"events/a.csv": TABLE})
    free = (len(server.content["/all.zip"]) + len(TABLE)) // 2
    usage = type(_download.shutil.disk_usage("."))(total=free, used=0, free=free)
    monkeypatch.setattr(_download.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(EnvironmentFault, match="make room"):
        ingest.fetch(release, patience=QUICK)
    monkeypatch.undo()
    monkeypatch.setenv("NUANALYSIS_CACHE", str(cache))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    ingest.fetch(release, patience=QUICK)
    assert resumed_at(server.requests[-1]) == len(server.content["/all.zip"]), "what had arrived is kept"


def test_a_member_with_a_wrong_checksum_is_quarantined(server, cache):
    release = archived(server, {"events/a.csv": TABLE.replace(b"7", b"8")})
    with pytest.raises(DataError, match="not the published file"):
        ingest.fetch(release, patience=QUICK)
    assert not (cache / "toy_folder/events/a.csv").exists()


def test_an_archive_of_something_else_is_refused(server):
    release = archived(server, {"events/b.csv": TABLE})
    with pytest.raises(DataError, match=r"holds no file of 'toy'; it starts with events/b\.csv"):
        ingest.fetch(release, patience=QUICK)


def test_without_any_address_the_doi_and_the_import_are_named():
    with pytest.raises(DataError, match=r"10.0/toy \(unconfirmed\).*nuanalysis data import toy"):
        ingest.fetch(toy(UpstreamFile("events/a.csv")), patience=QUICK)


# ---- places -------------------------------------------------------------------------------------------------------


def place(folder: Path, path: str, content: bytes) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)


def test_the_mirror_comes_before_the_cache_and_a_complete_copy_before_a_partial(tmp_path, cache, monkeypatch):
    release = toy(UpstreamFile("a.csv"), UpstreamFile("b.csv"), UpstreamFile("c.csv", required=False))
    with pytest.raises(DataError, match=r"nuanalysis data fetch toy.*NUANALYSIS_DATA is not set"):
        ingest.find(release)
    mirror, cached = tmp_path / "mirror/toy_folder", cache / "toy_folder"
    monkeypatch.setenv("NUANALYSIS_DATA", str(tmp_path / "mirror"))
    place(mirror, "a.csv.gz", gzip.compress(TABLE))
    assert ingest.holdings(release) == (mirror, "partial")
    for name in ("a.csv", "b.csv"):
        place(cached, name, TABLE)
    assert ingest.holdings(release) == (cached, "complete")
    place(mirror, "b.csv", TABLE)
    assert ingest.holdings(release) == (mirror, "complete")


def test_one_form_of_a_file_is_enough(cache):
    release = toy(UpstreamFile("a.parquet", either="events"), UpstreamFile("a.txt", either="events"))
    place(cache / "toy_folder", "a.txt", TABLE)
    assert ingest.verify(release).status == "complete"
    assert "another form" in ingest.verify(release).files[0].message


def test_a_complete_mirror_is_used_and_never_changed(tmp_path, cache, monkeypatch):
    release = toy(UpstreamFile("a.csv", sha256(TABLE)))
    monkeypatch.setenv("NUANALYSIS_DATA", str(tmp_path / "mirror"))
    place(tmp_path / "mirror/toy_folder", "a.csv", TABLE)
    assert ingest.fetch(release, patience=QUICK) == tmp_path / "mirror/toy_folder"
    place(tmp_path / "mirror/toy_folder", "a.csv", TABLE[:-1])
    with pytest.raises(DataError, match="mirror is never changed"):
        ingest.fetch(release, patience=QUICK)
    assert (tmp_path / "mirror/toy_folder/a.csv").read_bytes() == TABLE[:-1]
    assert not cache.exists()


def test_the_checksum_is_that_of_the_uncompressed_bytes(cache):
    release = toy(UpstreamFile("a.csv", sha256(TABLE), rows=ROWS))
    place(cache / "toy_folder", "a.csv.gz", gzip.compress(TABLE))
    assert [(file.status, file.rows) for file in ingest.verify(release).files] == [("ok", ROWS)]
    place(cache / "toy_folder", "a.csv.gz", gzip.compress(TABLE)[:-20])
    (file,) = ingest.verify(release).files
    assert file.status == "damaged"
    assert "truncated or damaged" in file.message


# ---- import -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["events/a.csv", "downloads/toy/events/a.csv.gz"])
def test_files_brought_by_hand(tmp_path, cache, where):
    release = toy(UpstreamFile("events/a.csv", sha256(TABLE), rows=ROWS))
    place(tmp_path / "brought", where, gzip.compress(TABLE) if where.endswith(".gz") else TABLE)
    report = ingest.import_files(release, tmp_path / "brought")
    assert report.status == "complete"
    assert left(cache) == ["toy_folder/events/a.csv" + (".gz" if where.endswith(".gz") else "")]


def test_a_zip_brought_by_hand(tmp_path, cache):
    release = toy(UpstreamFile("events/a.csv", sha256(TABLE), rows=ROWS))
    place(tmp_path, "brought.zip", zipped({"x/events/a.csv": TABLE}))
    assert ingest.import_files(release, tmp_path / "brought.zip").status == "complete"
    place(tmp_path, "evil.zip", zipped({"../events/a.csv": TABLE}))
    with pytest.raises(DataError, match="point outside"):
        ingest.import_files(release, tmp_path / "evil.zip")
    assert (tmp_path / "evil.zip").exists(), "the user's own file stays"


def test_nothing_is_imported_if_one_file_is_damaged(tmp_path, cache):
    release = toy(UpstreamFile("a.csv", sha256(TABLE)), UpstreamFile("b.csv", sha256(TABLE)))
    place(tmp_path / "brought", "a.csv", TABLE)
    place(tmp_path / "brought", "b.csv", TABLE[:-1])
    with pytest.raises(DataError, match="nothing was imported"):
        ingest.import_files(release, tmp_path / "brought")
    assert left(cache) == []


def test_a_folder_without_the_release_names_what_was_expected(tmp_path):
    (tmp_path / "brought").mkdir()
    with pytest.raises(DataError, match=r"expected any of a\.csv"):
        ingest.import_files(toy(UpstreamFile("a.csv")), tmp_path / "brought")
    with pytest.raises(DataError, match="does not exist"):
        ingest.import_files(toy(UpstreamFile("a.csv")), tmp_path / "nowhere")
