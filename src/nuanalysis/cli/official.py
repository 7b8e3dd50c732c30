"""official: the published template fits repeated on the official per-event file."""

from __future__ import annotations

from nuanalysis.cli._face import JsonFlag, answer


def official(json: JsonFlag = False) -> None:
    """Repeat the published template fits on the official per-event file, where a user has it."""
    from nuanalysis.ingest import cascades_2023, find
    from nuanalysis.interpret.official import PUBLISHED, fit_official

    contributions = cascades_2023.read_event_contributions(find(cascades_2023.RELEASE))
    rows = []
    for name, published in PUBLISHED.items():
        best = fit_official(contributions, name)
        rows.append(
            {
                "template": name,
                "n_signal": best.n_signal,
                "ts": best.ts,
                "published_n_signal": published.n_signal,
                "published_ts": published.ts,
                "converged": best.converged,
            }
        )
    lines = [
        f"{r['template']:<6} n_s {r['n_signal']:.1f} (published {r['published_n_signal']})  "
        f"TS {r['ts']:.2f} (published {r['published_ts']})"
        for r in rows
    ]
    answer({"n_events": contributions.sizes["event"], "results": rows}, as_json=json, text="\n".join(lines))
