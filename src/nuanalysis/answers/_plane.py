"""The Galactic plane in several messengers: gas and dust where the user has the maps, a template, a fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nuanalysis.answers._flux import Energies, Flux
from nuanalysis.engine.ensembles import Problem
from nuanalysis.errors import DataError
from nuanalysis.ingest import find, galactic_templates
from nuanalysis.interpret.contributions import ts_density
from nuanalysis.interpret.regions import region_fluxes
from nuanalysis.interpret.template_comparison import seen_by
from nuanalysis.likelihood import FitResult
from nuanalysis.model import Terms
from nuanalysis.plot import Fitted, PlanePanel
from nuanalysis.records import Unknown
from nuanalysis.sky.records import Template
from nuanalysis.sky.templates import to_equatorial

TYPICAL_WIDTH = float(np.radians(7.0))
_SURVEYS = (
    ("hi4pi_nh", "atomic hydrogen, 21 cm (HI4PI)", "N(HI)", "cm⁻²"),
    ("planck13_ebv", "dust (Planck 2013)", "E(B−V)", "mag"),
)


def gas_panels() -> list[PlanePanel]:
    """Panels of the surveys that are here; none where 'nuanalysis data fetch galactic-templates' was not run."""
    return [
        PlanePanel(title, values, label, unit, log=True)
        for name, title, label, unit in _SURVEYS
        if (values := _survey(name)) is not None
    ]


def _survey(name: str) -> NDArray[np.float64] | None:
    try:
        column = galactic_templates.read_gas_map(find(galactic_templates.RELEASE), name)
    except DataError:
        return None
    return to_equatorial(np.asarray(column["density"].values, dtype=np.float64))


def plane_panels_of(problem: Problem, data: Terms, best: FitResult) -> list[PlanePanel]:
    """Gas and dust, the template, the template through the detector, and where the test statistic comes from."""
    template = problem.hypothesis.target
    if not isinstance(template, Template):
        raise TypeError(f"'{problem.hypothesis.name}' is no template")
    sample = problem.samples[0]
    seen = seen_by(sample.response, template, spectrum=problem.hypothesis.spectrum, width=TYPICAL_WIDTH)
    return [
        *gas_panels(),
        PlanePanel(f"template at 100 TeV, normalised: {template.label}", template.density, "flux", "sr⁻¹", log=True),
        PlanePanel("its detected events, point spread 7°, normalised", seen, "events", "sr⁻¹"),
        PlanePanel(
            f"fit to {sample.label}: TS {best.ts:.1f}",
            ts_density(problem.prepared, data, best),
            "TS",
            "sr⁻¹",
            signed=True,
            origin=sample.origin,
        ),
    ]


def fitted_regions(problem: Problem, flux: Flux, energies: Energies, origin: str) -> Fitted | None:
    """A fitted template by region, between the energies that the sensitivity comes from; None without an interval."""
    template, interval = problem.hypothesis.target, flux.interval
    if not isinstance(template, Template) or isinstance(interval, Unknown) or not flux.best.value:
        return None
    at = np.linspace(energies.log10_low, energies.log10_high, 25)
    best = flux.best.value
    found = region_fluxes(template, flux=best, log10_energy=at, spectrum=problem.hypothesis.spectrum)
    return Fitted(template.label, found, interval.low / best, interval.high / best, origin=origin)
