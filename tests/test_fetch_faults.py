"""Hostile servers, proxies, archives and disks: bounded, answered with a remedy, and nothing is left behind."""

from __future__ import annotations

import email.utils
import hashlib
import io
import os
import signal
import ssl
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from small_server import Server

from nuanalysis import ingest
from nuanalysis.errors import DataError, DownloadError, EnvironmentFault
from nuanalysis.ingest import Patience, UpstreamFile, UpstreamRelease, _download, _fetch, _release, _table

QUICK = Patience(attempts=4, pause_s=0.001, timeout_s=5.0)
TABLE = b"# x y\n" + b"".join(b"%d %d\n" % (i, i * i) for i in range(20_000))
PATH = "events/a.csv"
MOST = 1 << 20


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUANALYSIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("NUANALYSIS_DATA", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NUANALYSIS_LARGEST_MB"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as serving:
        serving.content["/a.csv"] = TABLE
        yield serving


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the release may have a MB."""
    monkeypatch.setattr(_release, "TABLE", MOST)


def toy(url: str = "", archive: str | None = None) -> UpstreamRelease:
    file = UpstreamFile(PATH, hashlib.sha256(TABLE).hexdigest(), url=url)
    return UpstreamRelease("toy", "A toy", "toy", "CC0-1.0", "Nobody 2024", (file,), archive_url=archive)


def single(server: Server) -> UpstreamRelease:
    return toy(f"{server.url}/a.csv")


def zipped(path: Path, members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def left(folder: Path) -> list[str]:
    """Everything but lock files: folders, too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix != ".lock")


# ---- servers ------------------------------------------------------------------------------------------------------


def test_a_server_is_told_who_asks(server):
    ingest.fetch(single(server), patience=QUICK)
    assert server.agents[0].startswith("nuanalysis")
    assert "requests" not in server.agents[0]


@pytest.mark.parametrize("status", ["429", "503", "408"])
@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.slow
def test_a_busy_server_is_left_alone_as_long_as_it_asks(server, status, form):
    later = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=2.0), usegmt=True)
    server.script, server.headers = [status], {"Retry-After": "1" if form == "seconds" else later}
    told, started = [], time.monotonic()
    ingest.fetch(single(server), told.append, patience=QUICK)
    assert time.monotonic() - started > (1.0 if form == "seconds" else 0.8)
    assert len(server.requests) == 2
    assert any(f"answers {status}" in line and "attempt 2 of 4" in line for line in told)


@pytest.mark.parametrize("asked", ["86400", "9" * 30])
def test_a_server_that_asks_for_a_day_is_not_waited_for(server, asked):
    server.script, server.headers = ["429"] * 9, {"Retry-After": asked}
    with pytest.raises(DownloadError, match=r"asks to be left alone for \d+ s; call again after that"):
        ingest.fetch(single(server), patience=QUICK)
    assert len(server.requests) == 1


@pytest.mark.parametrize("asked", ["soon", "-5", "", "²"])
def test_a_pause_that_is_none_counts_as_none(server, asked):
    server.script, server.headers = ["429"], {"Retry-After": asked.encode().decode("latin-1")}
    ingest.fetch(single(server), patience=QUICK)
    assert len(server.requests) == 2


def test_pauses_double(server):
    retries, told = Patience(attempts=4, pause_s=0.02, timeout_s=5.0), []
    server.script = ["500"] * 3
    ingest.fetch(single(server), told.append, patience=retries)
    pauses = [line.rpartition(" in ")[2] for line in told if "attempt" in line]
    assert pauses == ["0.02 s", "0.02 s", "0.04 s"]


@pytest.mark.parametrize("action", ["", "unsized"])
def test_more_bytes_than_such_a_file_has_are_not_taken(server, cache, small, action):
    server.content["/a.csv"] = bytes(5 * MOST)
    server.script = [action]
    with pytest.raises(DownloadError, match=r"expected at most 1,048,576.*NUANALYSIS_LARGEST_MB"):
        ingest.fetch(single(server), patience=QUICK)
    assert len(server.requests) == 1
    assert left(cache / "toy") == ["events"]


def test_a_length_that_is_no_number_is_one_that_is_not_told():
    assert _download._whole("12") == 12
    assert [_download._whole(word) for word in ("²", "-1", "9" * 5000, "")] == [None] * 4


# ---- proxies and certificates -------------------------------------------------------------------------------------


def test_a_proxy_that_does_not_answer_is_named(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    with pytest.raises(DownloadError, match=r"ProxyError.*Check the proxy that HTTPS_PROXY or HTTP_PROXY names"):
        ingest.fetch(toy("https://release.invalid/a.csv"), patience=QUICK)


def test_a_proxy_that_wants_a_password(server):
    server.script = ["407"]
    with pytest.raises(DownloadError, match=r"the proxy answers 407.*put name and password into HTTPS_PROXY"):
        ingest.fetch(single(server), patience=QUICK)


@pytest.fixture
def tls(server: Server, tmp_path: Path) -> Path:
    """The server speaks TLS with a certificate of its own maker, as a proxy that opens TLS does; its file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "us")])
    now, here = datetime.now(UTC), x509.DNSName("localhost")
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    made = made.add_extension(x509.SubjectAlternativeName([here]), critical=False)
    signed = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = tmp_path / "certificate.pem"
    path.write_bytes(signed.sign(key, hashes.SHA256()).public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (tmp_path / "key.pem").write_bytes(secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, tmp_path / "key.pem")
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
    server.url = f"https://localhost:{server.http.server_port}"
    return path


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_unknown_certificate_is_met_once_and_the_remedy_named_works(server, tls, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "localhost")
    with pytest.raises(DownloadError, match="set REQUESTS_CA_BUNDLE or SSL_CERT_FILE to the file"):
        ingest.fetch(single(server), patience=QUICK)
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        with monkeypatch.context() as named:
            named.setenv(name, str(tls))
            path = ingest.fetch(single(server), patience=QUICK) / PATH
            path.unlink()
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    with pytest.raises(EnvironmentFault, match=r"there are no certificates at /nowhere\.pem"):
        ingest.fetch(single(server), patience=QUICK)


# ---- archives -----------------------------------------------------------------------------------------------------


def test_a_member_that_unpacks_to_more_than_such_a_file_has_is_not_unpacked(tmp_path, cache, small):
    bomb = zipped(tmp_path / "bomb.zip", {PATH: bytes(100 * MOST)})
    with pytest.raises(DataError, match=r"unpack to more than such a file has \(events/a\.csv\)"):
        ingest.import_files(toy(), bomb)
    assert left(cache / "toy") == []


def test_a_member_that_says_too_little_of_itself_is_refused(tmp_path, cache, small):
    bomb = zipped(tmp_path / "bomb.zip", {PATH: bytes(8 * MOST)})
    content = bomb.read_bytes().replace((8 * MOST).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    bomb.write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        ingest.import_files(toy(), bomb)
    assert left(cache / "toy") == ["events"]


def test_bytes_are_counted_while_they_are_unpacked(tmp_path):
    with pytest.raises(DataError, match="unpacks to more than the 1,048,576 bytes"):
        list(_fetch._chunks(io.BytesIO(bytes(5 * MOST)), tmp_path / "a", MOST))


def test_a_bomb_from_a_server_is_kept_packed_only(server, cache, small, tmp_path):
    bomb = zipped(tmp_path / "bomb.zip", {PATH: bytes(100 * MOST)})
    server.content["/all.zip"] = bomb.read_bytes()
    with pytest.raises(DataError, match="The archive is kept as"):
        ingest.fetch(toy(archive=f"{server.url}/all.zip"), patience=QUICK)
    assert left(cache / "toy") == ["archive.zip.quarantine"]


@pytest.mark.parametrize("spoil", range(0, 200, 7))
@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_spoilt_archive_is_an_error_of_ours_and_leaves_nothing(tmp_path, cache, kind, spoil):
    path = zipped(tmp_path / "a.zip", {PATH: TABLE[:500]}, kind)
    content = bytearray(path.read_bytes())
    content[spoil % len(content)] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises((DataError, EnvironmentFault)):
        ingest.import_files(toy(), path)
    assert not list(cache.rglob(".incoming"))


def test_what_a_killed_call_left_is_swept_by_the_next(tmp_path, cache):
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom nuanalysis import ingest\n"
        "from nuanalysis.ingest import _fetch\nimport test_fetch_faults as tests\n"
        "_fetch._admit = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "ingest.import_files(tests.toy(), Path(sys.argv[1]))\n"
    )
    source = zipped(tmp_path / "a.zip", {PATH: TABLE})
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    killed = subprocess.run([sys.executable, "-c", program, source], env=environment, check=False, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    assert list(cache.rglob(".incoming/fresh/a.csv"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no file"):
        ingest.import_files(toy(), tmp_path / "empty")
    assert not list(cache.rglob(".incoming"))


def test_an_interrupted_import_leaves_nothing(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(_fetch, "_admit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ingest.import_files(toy(), zipped(tmp_path / "a.zip", {PATH: TABLE}))
    assert not list(cache.rglob(".incoming"))


def test_what_has_arrived_of_a_download_outlives_an_import(server, cache, tmp_path):
    server.script = ["half", "404"]
    with pytest.raises(DownloadError):
        ingest.fetch(single(server), patience=QUICK)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no file"):
        ingest.import_files(toy(), tmp_path / "empty")
    ingest.fetch(single(server), patience=QUICK)
    assert server.requests[-1][1].startswith("bytes=")
    assert left(cache / "toy") == ["events", PATH]


# ---- folders ------------------------------------------------------------------------------------------------------


def test_a_link_is_copied_as_the_file_that_it_leads_to(tmp_path, cache):
    source = tmp_path / "brought/events"
    source.mkdir(parents=True)
    (tmp_path / "elsewhere.csv").write_bytes(TABLE)
    (source / "a.csv").symlink_to(tmp_path / "elsewhere.csv")
    ingest.import_files(toy(), tmp_path / "brought")
    kept = cache / "toy" / PATH
    assert not kept.is_symlink()
    assert kept.read_bytes() == TABLE
    assert kept.stat().st_nlink == 1


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_pipes_devices_and_folders_are_no_files_of_a_release(tmp_path, cache, make):
    (tmp_path / "brought/events").mkdir(parents=True)
    make(tmp_path / "brought" / PATH)
    with pytest.raises(DataError, match="holds no file of 'toy'"):
        ingest.import_files(toy(), tmp_path / "brought")
    make(tmp_path / "a.zip")
    with pytest.raises(DataError, match=r"a device, pipe or socket|holds no file of 'toy'"):
        ingest.import_files(toy(), tmp_path / "a.zip")


def test_a_whole_disk_is_not_looked_through(tmp_path, monkeypatch):
    monkeypatch.setattr(_fetch, "MANY", 5)
    for number in range(7):
        (tmp_path / str(number)).touch()
    with pytest.raises(DataError, match="give the folder of the release itself"):
        ingest.import_files(toy(), tmp_path)


def test_a_loop_of_links_ends(tmp_path, cache):
    (tmp_path / "brought/events").mkdir(parents=True)
    (tmp_path / "brought/events/again").symlink_to(tmp_path / "brought")
    (tmp_path / "brought" / PATH).write_bytes(TABLE)
    assert ingest.import_files(toy(), tmp_path / "brought").status == "complete"


# ---- disks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fetch", "import"])
def test_a_disk_that_fills_is_an_environment_fault_and_the_next_call_goes_on(server, cache, tmp_path, how):
    """A limit on the size of files stands for the disk: the kernel refuses the write in the same place."""
    source = zipped(tmp_path / "a.zip", {PATH: TABLE})
    program = (
        "import resource, sys\nfrom pathlib import Path\nfrom nuanalysis import errors, ingest\n"
        "import test_fetch_faults as tests\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "release = tests.toy(sys.argv[2])\n"
        "try:\n"
        "    ingest.fetch(release) if sys.argv[1] == 'fetch' else ingest.import_files(release, Path(sys.argv[3]))\n"
        "except errors.EnvironmentFault as fault:\n    print(fault)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    command = [sys.executable, "-c", program, how, f"{server.url}/a.csv", str(source)]
    full = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert full.stdout.startswith("cannot write"), full.stderr
    assert "Make room or point NUANALYSIS_CACHE elsewhere" in full.stdout
    assert not (cache / "toy" / PATH).exists()
    if how == "import":
        assert not list(cache.rglob(".incoming"))
    ingest.fetch(single(server), patience=QUICK)
    assert (cache / "toy" / PATH).read_bytes() == TABLE
    if how == "fetch":
        assert server.requests[-1][1].startswith("bytes="), "what had arrived is kept"


# ---- what is read -------------------------------------------------------------------------------------------------


def test_limits_can_be_raised(monkeypatch, small):
    file = UpstreamFile("a.csv")
    assert file.most == MOST
    monkeypatch.setenv("NUANALYSIS_LARGEST_MB", "9")
    assert file.most == 9 << 20


def test_the_limit_of_rows_is_that_of_letters(tmp_path, monkeypatch):
    monkeypatch.setattr(_table, "LONGEST", 1000)
    (tmp_path / "a.csv").write_text("x y\n" + "1 " * 1000 + "\n")
    for read in (lambda path: _table.read_numbers(path, ["x"]), _table.count_rows):
        with pytest.raises(DataError, match="a row of more than 1,000 letters"):
            read(tmp_path / "a.csv")
