"""The door: the analysis spec, the steps, the executors, the notebook runner and the command line."""

from pathlib import Path

from nuanalysis.errors import InputError


def refuse_missing(spec: Path) -> None:
    """Raise InputError where there is no spec: asked before anything that takes long to import."""
    if not spec.exists():
        raise InputError(f"there is no spec at {spec}; specs/default.toml is an example")
