"""From bytes that anybody may have sent to a message, or to all that is wrong with them."""

from __future__ import annotations

import json
import re
from typing import Any

from nuanalysis.alerts._messages import Message, message_of
from nuanalysis.alerts._notice import checked
from nuanalysis.alerts._voevent import read_voevent
from nuanalysis.errors import InputError

LARGEST = 6 << 20  # bytes of a message, of which a map may be a part; quoted in a file of the store it still is one
DEEPEST = 20  # levels of a JSON notice; the schemas have four


def read_message(data: bytes, what: str = "the message") -> Message:
    """The message in some bytes: a notice of IceCube or KM3NeT in JSON, or a VOEvent of IceCube.

    Raises InputError for anything else, with every fault: too long, damaged, hostile, or against the rules.
    """
    if len(data) > LARGEST:
        raise InputError(f"{what} holds {len(data):,} bytes, expected at most {LARGEST:,}")
    if data.lstrip()[:1] == b"<":
        return read_voevent(data, what)
    return message_of(checked(read_document(data, what), what), data)


def read_document(data: bytes, what: str) -> dict[str, Any]:
    """The object in JSON.  Raises InputError for what is damaged, too deep, or says a thing twice."""
    try:
        text = data.decode("utf-8")
        if _depth(text) > DEEPEST:
            raise ValueError(f"it nests deeper than {DEEPEST} levels")
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
        if not isinstance(found, dict):
            raise ValueError(f"it holds a {type(found).__name__}, expected an object")
    except (ValueError, RecursionError) as fault:
        raise InputError(f"{what} is no JSON notice: {fault}") from fault
    return found


def _once(pairs: list[tuple[str, Any]]) -> object:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"it says '{next(key for key in keys if keys.count(key) > 1)[:40]}' twice")
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"it holds {word}, which is no number")


def _depth(text: str) -> int:
    """How deep brackets nest, those in words too: no sound notice has twenty of them."""
    deepest = depth = 0
    for letter in re.findall(r"[\[\]{}]", text):
        depth += 1 if letter in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
