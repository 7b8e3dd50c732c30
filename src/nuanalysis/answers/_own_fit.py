"""The flux of the Milky Way that a question on printed numbers starts from: a published fit, or the file of ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from nuanalysis.answers._flux import Flux
from nuanalysis.answers._question import Fitted, Tested
from nuanalysis.errors import InputError, did_you_mean
from nuanalysis.interpret.regions import e2_flux
from nuanalysis.interpret.spectra import BEST_FITS, Galactic, Strengths, best_fit
from nuanalysis.library.templates import open_template
from nuanalysis.records import Interval, Provenance
from nuanalysis.schema import Spectrum
from nuanalysis.sky.records import PowerLaw
from nuanalysis.store import read_json

ENDING = ".json"
_REMEDY = "give the JSON of 'nuanalysis fit', 'limit' or 'measure' on a template, with injections"


def known_flux(name: str, *, several: str = "") -> str:
    """The name as it is.  Raises ValueError for one that is no published fit, no JSON file, and not ``several``."""
    names = [one.name for one in BEST_FITS]
    if name in (*names, *filter(None, [several])):
        return name
    if not name.endswith(ENDING):
        raise ValueError(f"'{name}' is neither a published fit nor the JSON of one of ours.{did_you_mean(name, names)}")
    if not Path(name).is_file():
        raise ValueError(f"there is no file {name}; {_REMEDY}")
    return name


def galactic_flux(name: str) -> Galactic:
    """The published fit of that name, or the fit in a JSON file.  Raises InputError for a file that holds none."""
    return read_fit(Path(name)) if name.endswith(ENDING) else best_fit(name)


def read_fit(path: Path) -> Galactic:
    """The flux in an answer of ``fit``, ``limit`` or ``measure``.

    Its strength is as likely as the likelihood of the answer says where that was kept (``measure``), else as its 68 %
    interval says.  Raises InputError where there is no flux of a template, or none above 0.
    """
    document = read_json(path, "the answer", _REMEDY, error=InputError)
    try:
        whose = Provenance.from_dict(document["provenance"])
        tested, fitted = Tested.from_dict(document["tested"]), Fitted.from_dict(document["fitted"])
        flux = Flux.from_dict(document["flux"])
    except (KeyError, TypeError, ValidationError) as error:
        raise InputError(f"{path} holds no flux of a template: {type(error).__name__}; {_REMEDY}") from error
    kind, _, template = tested.hypothesis.partition(":")
    if kind != "template" or not flux.best.value > 0 or not isinstance(flux.interval, Interval):
        raise InputError(f"{path} holds no flux of a template above 0 with its interval; {_REMEDY}")
    best, spectrum = flux.best.value, _spectrum(tested, template)
    return Galactic(
        name=template,
        label=f"{tested.label}, our fit",
        template=template,
        source=f"fit of {tested.hypothesis} to {whose.words()}",
        at=lambda energy: e2_flux(spectrum, best, np.log10(energy) + 3.0),
        strengths=_strengths(document, fitted, flux.interval, best),
        origin=whose.origin,
    )


def _spectrum(tested: Tested, template: str) -> Spectrum:
    return open_template(template).spectrum if tested.index is None else PowerLaw(tested.index)


def _strengths(document: Mapping[str, Any], fitted: Fitted, interval: Interval, best: float) -> Strengths:
    """Ends of the interval, and the likelihood along the strength where the answer holds it."""
    at, ts = (np.array(document.get(f"profile_{key}", ()), dtype=np.float64) for key in ("n_signal", "ts"))
    told = fitted.n_signal > 0 and len(at) > 2 and len(at) == len(ts)
    if not told:
        at = ts = np.empty(0)
    return Strengths(interval.low / best, interval.high / best, at / fitted.n_signal if told else at, ts)
