"""Tokens: 32 random bytes that a client shows; the service keeps their sha256, scopes and expiry."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nuanalysis.errors import DataError, EnvironmentFault, InputError, refuse
from nuanalysis.realtime.service._records import SCOPES, Scope
from nuanalysis.store import locked

FILE = "tokens.json"
BYTES = 32
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token.  Times in s since 1970."""

    label: str
    sha256: str
    scopes: tuple[Scope, ...]
    made: float
    expires: float


def make_token(
    folder: Path, label: str, scopes: Sequence[str], days: float, clock: Callable[[], float] = time.time
) -> str:
    """Make a token and return it, the only time that it is seen; the same label replaces an earlier one.

    Raises InputError with every fault: label, scopes, or days not above 0 and up to 3,660.
    """
    faults = [f"scope '{one}'; expected {', '.join(SCOPES)}" for one in scopes if one not in SCOPES]
    if not _LABEL.fullmatch(label):
        faults.append(f"label '{label}'; expected 1 to 64 letters, digits, '.', '_', '@' or '-'")
    if not scopes:
        faults.append(f"no scope; expected some of {', '.join(SCOPES)}")
    if not 0.0 < days <= 3660.0:
        faults.append(f"{days:g} days; expected above 0, at most 3,660")
    refuse(faults, "no token was made")
    secret, now, path = secrets.token_urlsafe(BYTES), clock(), folder / FILE
    allowed: tuple[Scope, ...] = tuple(one for one in SCOPES if one in scopes)
    made = Token(label, _digest(secret), allowed, now, now + 86_400 * days)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(path, 10.0):
        _write(path, (*(one for one in read_tokens(path) if one.label != label), made))
    return secret


def drop_token(folder: Path, label: str) -> None:
    """Make a token void.  Raises InputError where there is none of this label."""
    path = folder / FILE
    with locked(path, 10.0):
        kept = read_tokens(path)
        if label not in {one.label for one in kept}:
            raise InputError(
                f"no token '{label}' in {path}; there are {', '.join(one.label for one in kept) or 'none'}"
            )
        _write(path, tuple(one for one in kept if one.label != label))


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens of a file, none where there is none.  Raises EnvironmentFault where others can read or write it."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read ({error.strerror}); allow it and call again") from error
    if stat.S_IMODE(mode) & 0o077:
        raise EnvironmentFault(f"{path} has mode {stat.S_IMODE(mode):04o}; expected 0600, others could change it")
    try:
        return tuple(Token(**{**one, "scopes": tuple(one["scopes"])}) for one in json.loads(text))
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error}); remove it and make new tokens") from error


def _write(path: Path, tokens: tuple[Token, ...]) -> None:
    """Replace the file; at no moment can others read it."""
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    scratch.touch(mode=0o600)
    scratch.write_text(json.dumps([asdict(one) for one in tokens], indent=1), encoding="utf-8")
    scratch.replace(path)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Tokens:
    """The tokens of a folder; the file is read again where it has changed."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = folder / FILE, clock
        self._read: tuple[Token, ...] = ()
        self._stamp: tuple[int, int] | None = None

    def all(self) -> tuple[Token, ...]:
        """Every token that is kept, expired ones too."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
        except FileNotFoundError:
            stamp = (0, 0)
        if stamp != self._stamp:
            self._read, self._stamp = read_tokens(self._path), stamp
        return self._read

    def find(self, secret: str) -> Token | None:
        """The token that was shown, None where it is unknown or expired.  Takes as long for every wrong one."""
        shown = _digest(secret)
        found = None
        for one in self.all():
            if secrets.compare_digest(one.sha256, shown):
                found = one
        return found if found is not None and found.expires > self._clock() else None
