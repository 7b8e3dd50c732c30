"""Reference pages from the code itself: a page names what it wants in a comment, ``<!-- questions -->``, and gets it.

``questions`` and ``samples`` come from the records, ``options`` and ``verbs`` from the command line: neither can be out
of date.  ``<!-- file NAME -->`` is a file of the repository whose links are made to hold inside the site.
Docstrings are written for ``help()``; ``definitions`` gives their lines "name : meaning" the form that Sphinx reads.
"""

from __future__ import annotations

import posixpath
import re
import types
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from nuanalysis import answers, cli
from nuanalysis.cli._questions import _help as help_of
from nuanalysis.library.samples import SampleSpec
from nuanalysis.records import Unknown, said_of

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
_FIELD = re.compile(r" {4}(?=\w+(?:, \w+)* : )")


def _cell(text: object) -> str:
    """Text in a cell of a table."""
    return re.sub(r"\s+", " ", str(text)).replace("|", r"\|").replace("<", "&lt;").replace("*", r"\*").strip() or "–"


def _said(text: str) -> str:
    """A docstring in one paragraph."""
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip()


def _table(head: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(map(_cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _kind(annotation: Any) -> str:
    """A type in words: a record by its name, several with commas, ``Unknown`` as 'or unknown'."""
    if get_origin(annotation) in (types.UnionType, Union):
        parts = [one for one in get_args(annotation) if one not in (type(None), Unknown)]
        end = " or unknown" * (Unknown in get_args(annotation)) + " or null" * (type(None) in get_args(annotation))
        return ", ".join(map(_kind, parts)) + end
    if get_origin(annotation) is tuple:
        return f"several: {_kind(get_args(annotation)[0])}"
    if args := get_args(annotation):
        return _kind(args[0]) if hasattr(annotation, "__metadata__") else " or ".join(map(str, args))
    return {"str": "text", "float": "number", "int": "whole number", "bool": "yes or no", "Any": "name or object"}.get(
        name := getattr(annotation, "__name__", str(annotation)), name
    )


def _settings(model: Any) -> str:
    fields = model.model_fields.items()
    return _table(
        ("setting", "type", "what it is"), ((f"`{key}`", _kind(f.annotation), help_of(f)) for key, f in fields)
    )


def _answer(model: Any) -> str:
    fields = [(key, field) for key, field in model.model_fields.items() if not field.exclude]
    rows = ((f"`{key}`", _kind(f.annotation), f.description or key, said_of(f, "unit")) for key, f in fields)
    return _table(("field", "type", "what it holds", "unit"), rows)


def questions() -> str:
    """Every question: its settings, the settings of its example, and the fields of its answer."""
    out = []
    for name in (*answers.QUESTIONS, *answers.READINGS):
        kind = _asked(name)
        of = "several samples" if getattr(kind, "several", False) else "one sample"
        needs = "Needs no sample." if name in answers.READINGS else f"Asked of {of}."
        out += [f"## {name}", f"{_said(kind.title())} {needs}", _settings(kind)]
        out += [f"Its answer, `{answers.answer_of(name).__name__}`:"]
        out += [_answer(answers.answer_of(name))]
    return "\n\n".join(out)


def samples() -> str:
    """Settings of a sample."""
    return _settings(SampleSpec)


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """A verb, or all verbs of a group, each with its whole name."""
    if hasattr(command, "commands"):
        for word, one in sorted(command.commands.items()):
            yield from _commands(one, f"{name} {word}")
    else:
        yield name, command


def _options(command: Any, only: Collection[str] = ()) -> str:
    """The options of a command; only : of these names."""

    def words(one: Any) -> str:
        if one.param_type_name == "argument":
            return f"`{one.name.upper()}`"
        return ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))

    rows = (
        (words(one), ("required. " if one.required else "") + (getattr(one, "help", "") or ""))
        for one in command.params
        if one.name in only or not only
    )
    return _table(("option", "what it is"), rows)


def _command(name: str) -> Any:
    from typer.main import get_command

    word = name.replace("_", "-")
    return get_command(cli.build([word])).commands[word]  # type: ignore[attr-defined]


def _asked(name: str) -> Any:
    return answers.reading(name) if name in answers.READINGS else answers.question(name)


def options() -> str:
    """What every question on a sample takes besides its own settings."""
    command = _command("fit")
    return _options(command, {one.name for one in command.params} - set(_asked("fit").model_fields))


def verbs() -> str:
    """Every verb of the command line with its options, as ``--help`` prints them; of questions their own."""
    out = []
    for name in (*answers.QUESTIONS, *answers.READINGS):
        out += [
            f"## nuanalysis {name}",
            _said(_asked(name).title()),
            _options(_command(name), _asked(name).model_fields),
        ]
    for name in (*cli.VERBS, *cli.GROUPS):
        out += [f"## nuanalysis {name}", *([cli.GROUPS[name]] if name in cli.GROUPS else [])]
        for whole, command in _commands(_command(name), f"nuanalysis {name}"):
            out += [f"### {whole}"] * (name in cli.GROUPS)
            out += [_said(command.help or command.callback.__doc__ or "")]
            out += [_options(command)] if command.params else []
    return "\n\n".join(out)


PARTS: dict[str, Callable[[], str]] = {"options": options, "questions": questions, "samples": samples, "verbs": verbs}


#: Files of the repository that are pages of the site.
FILES = {
    "CHANGELOG.md": "/project/changelog.md",
    "CODE_OF_CONDUCT.md": "/project/conduct.md",
    "CONTRIBUTING.md": "/project/contributing.md",
    "SECURITY.md": "/project/security.md",
    "data_release/CHANGES.md": "/results/data-changes.md",
    "data_release/README.md": "/results/data-release.md",
    "validation/README.md": "/results/validation.md",
}
_LINK = re.compile(r"\[([^\]]+)\]\((?!\w+:|#)([^)#\s]+)(#[^)]*)?\)")


def file(name: str) -> str:
    """A file of the repository; what it links to is a page of the site, or is named without a link."""

    def link(found: re.Match[str]) -> str:
        text, target, anchor = found[1], found[2], found[3] or ""
        whole = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        page = FILES.get(whole, whole.removeprefix("docs") if whole.startswith("docs/") else "")
        return f"[{text}]({page}{anchor})" if page else text

    return _LINK.sub(link, (ROOT / name).read_text(encoding="utf-8"))


def fill(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the generated parts, and files of the repository, where a page asks for them."""
    source[0] = re.sub(r"<!-- file (\S+) -->", lambda found: file(found[1]), source[0])
    for name, make in PARTS.items():
        if (mark := f"<!-- {name} -->") in source[0]:
            source[0] = source[0].replace(mark, make())


def definitions(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Lines "name : meaning" as a list of definitions, with what is indented below; several may stand in one line."""
    out: list[str] = []
    inside = False
    for line in "\n".join(_FIELD.sub(r"\n", one) if one[:1].strip() else one for one in lines).split("\n"):
        found = re.match(r"(\w+(?:, \w+)*) *: (.*)", line)
        if (found is None) == inside and line[:1] != " " and out and out[-1]:
            out.append("")
        inside = found is not None or (inside and line[:1] == " ")
        out += [f"``{found[1]}``", f"    {found[2]}"] if found else [line]
    lines[:] = [re.sub(r"(?<![\w`])\|(\w[^|\s]*)\|", r"``|\1|``", line) for line in out]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", fill)
    app.connect("autodoc-process-docstring", definitions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
