"""``nuanalysis realtime``: alerts, scans, follow-ups, the service; a verb is one line here and a function in a file."""

from __future__ import annotations

from importlib import import_module

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
notice = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

#: Verbs: where each is.  Its docstring is its help; heavy imports belong into the function.
VERBS = {
    "replay": "_alerts.replay",
    "watch": "_realtime_watch.watch",
    "signalness": "_alerts.signalness",
    "scan": "_realtime_scan.scan",
    "followup": "_realtime_followup.followup",
    "counterparts": "_realtime_followup.counterparts",
    "catalogue": "_alerts.catalogue",
    "serve": "_realtime_serve.serve",
    "token": "_realtime_serve.token",
}
#: Verbs of ``nuanalysis realtime notice``.
NOTICE_VERBS = {
    "check": "_alerts.check_notice",
}

for _app, _verbs in ((app, VERBS), (notice, NOTICE_VERBS)):
    for _name, _place in _verbs.items():
        _module, _, _function = _place.partition(".")
        _app.command(_name)(getattr(import_module(f"nuanalysis.cli.{_module}"), _function))
app.add_typer(notice, name="notice", help="Notices of alerts: check one.")
