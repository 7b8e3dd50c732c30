"""official: the published template fits repeated on the official per-event file."""

from __future__ import annotations

from nuanalysis.cli._face import JsonFlag, told


def official(json: JsonFlag = False) -> None:
    """Repeat the published template fits on the official per-event file, where a user has it."""
    from nuanalysis.ingest import cascades_2023, find
    from nuanalysis.interpret.official import repeated

    told(repeated(cascades_2023.read_event_contributions(find(cascades_2023.RELEASE))), as_json=json)
