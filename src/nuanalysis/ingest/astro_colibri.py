"""Astro-COLIBRI: transients and sources around a place, asked of its public interface, or of recorded answers.

What could not be asked is ``NotSearched`` with the reason, never an empty answer: "nothing was found" is said only of
a search that took place.  The service allows a hundred searches a day and keeps an answer for half an hour: the ends
of the time range are those of the caller, not of the clock.  Interface as of its Python client 1.3.0, which is not
used here: its licence forbids commercial use.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuanalysis.errors import printable

BASE = "https://astro-colibri.science"
UID = "ASTROCOLIBRI_UID"
TIMEOUT_S = 20.0
_LONGEST = 200  # letters of what the service says of an error
_STATUS = {
    401: f"the service does not know the user; set {UID} to a valid one",
    403: "the service refuses this user",
    404: "the service does not know this request",
    429: "the hundred searches of a day are used up; ask again tomorrow",
}


@dataclass(frozen=True, slots=True)
class NotSearched:
    """A search that did not take place, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """A transient or a source: name, kind, direction in deg (None where it is not given), and time as given."""

    name: str
    kind: str
    ra_deg: float | None
    dec_deg: float | None
    time: str


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search found.  region : 'circle' or 'contour_90', as the service says; it falls back to the circle."""

    transients: tuple[Found, ...]
    sources: tuple[Found, ...]
    region: str


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: transients between two moments (ISO 8601 UTC), and around a place, deg, if one is given.

    trigger : the service's name of an alert whose 90 % contour is searched in place of the circle.
    """

    times: tuple[str, str]
    place: tuple[float, float, float] | None = None
    trigger: str = ""

    @property
    def path(self) -> str:
        """Of the interface."""
        return "/latest_transients" if self.place is None else "/cone_search"

    def body(self, uid: str = "") -> str:
        """The JSON that is sent; without a user it is the same for all of them."""
        said: dict[str, Any] = {
            "time_range": {"min": self.times[0], "max": self.times[1]}, "return_format": "json",
            "optional_parameters": [], "include_watchlist": False,
        }  # fmt: skip
        if self.place is not None:
            ra, dec, radius = self.place
            trigger = {"trigger_id": self.trigger, "margin": 0.0} if self.trigger else {}
            said["properties"] = {"position": {"ra": ra, "dec": dec}, "radius": radius, **trigger}
        return json.dumps(said | ({"uid": uid} if uid else {}), sort_keys=True)

    @property
    def key(self) -> str:
        """Name of its record: sha256 of what is asked; who asks is no part of it."""
        return hashlib.sha256(f"{self.path} {self.body()}".encode()).hexdigest()[:24]


#: What the service answers a user: status and body.  Raises OSError where it could not be asked, LookupError without a
#: record.
Transport = Callable[[Request, str], tuple[int, bytes]]


def over_network(request: Request, uid: str) -> tuple[int, bytes]:
    """Ask the service itself."""
    import requests  # type: ignore[import-untyped]

    head = {"Content-Type": "application/json"}
    answer = requests.post(BASE + request.path, data=request.body(uid), headers=head, timeout=TIMEOUT_S)
    return int(answer.status_code), bytes(answer.content)


def recorded(folder: Path) -> Transport:
    """Answers from files KEY.json with ``status`` and ``body`` in place of the network; see ``Request.key``."""

    def answer(request: Request, uid: str) -> tuple[int, bytes]:
        file = folder / f"{request.key}.json"
        if not file.is_file():
            raise LookupError(f"no recorded answer {file.name}")
        held = json.loads(file.read_text(encoding="utf-8"))
        said = held["body"]
        return int(held["status"]), (said if isinstance(said, str) else json.dumps(said)).encode()

    return answer


def search(request: Request, *, transport: Transport = over_network, uid: str | None = None) -> Searched | NotSearched:
    """Transients, and sources, of a request.    uid : of the user, by default from the environment."""
    who = os.environ.get(UID, "") if uid is None else uid
    if transport is over_network and not who:
        return NotSearched(f"{UID} is not set; the service asks for the number of a user")
    try:
        status, content = transport(request, who)
    except (OSError, LookupError) as error:  # requests' errors are OSErrors
        why = str(error) if isinstance(error, LookupError) else f"no answer from {BASE} ({type(error).__name__})"
        return NotSearched(printable(why))
    if status != 200:
        return NotSearched(_STATUS.get(status, f"the service answered with HTTP {status}"))
    try:
        return _read(json.loads(content))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return NotSearched(f"an answer that cannot be read: {printable(str(error))[:_LONGEST]}")


def _read(said: Any) -> Searched | NotSearched:
    """What a body says; an error may come under HTTP 200."""
    if "voevents" not in said:
        why = said.get("error") or said.get("message") or "an answer without 'voevents'"
        return NotSearched(f"the service reports an error: {printable(str(why))[:_LONGEST]}")
    transients = tuple(_found(one, "trigger_id", "type") for one in said["voevents"])
    sources = tuple(_found(one, "name", "class") for one in said.get("sources") or ())
    return Searched(transients, sources, str(said.get("search_region", "circle")))


def _found(one: Any, name: str, kind: str) -> Found:
    ra, dec = (None if one.get(key) is None else float(one[key]) for key in ("ra", "dec"))
    named = printable(str(one.get("source_name") or one.get(name) or "without a name"))
    return Found(named, printable(str(one.get(kind) or "")), ra, dec, printable(str(one.get("time") or "")))
