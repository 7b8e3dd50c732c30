"""How many events does a flux give?"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, PlainSerializer

from nuanalysis.answers._question import UNIFORM, Answer, Question, checked_one, name_of, provenance_of
from nuanalysis.engine.bench import Bench
from nuanalysis.errors import InputError
from nuanalysis.interpret import fluxes
from nuanalysis.library.hypotheses import hypothesis
from nuanalysis.library.samples import Samples
from nuanalysis.records import setting, shown

ISOTROPIC = "isotropic"
_ISOTROPIC_UNIT = "GeV-1 cm-2 s-1 sr-1"


def _known(given: object) -> object:
    known = isinstance(given, str) and given.partition("?")[0] in (ISOTROPIC, UNIFORM)
    return given if known else checked_one(given)


class Expect(Question):
    """Expected number of detected events for a flux, or for a model as it is."""

    example: ClassVar = {"hypothesis": "stack:snr", "flux": 1e-11}
    hypothesis: Annotated[Any, BeforeValidator(_known), PlainSerializer(name_of)] = setting(
        help="template:NAME or FILE, stack:CATALOGUE, point:RA,DEC in degrees, or isotropic"
    )
    flux: float | None = setting(
        None, above=0, high=1, unit=fluxes.UNIT,
        help="E^2 dN/dE at 100 TeV per flavour; isotropic: dN/dE at 100 TeV, GeV-1 cm-2 s-1 sr-1; without: the model's",
    )  # fmt: skip
    index: float | None = setting(None, low=1, high=4, help="index of a power law, in place of the hypothesis' own")

    def model_post_init(self, context: object) -> None:
        known = not isinstance(self.hypothesis, str) or self.hypothesis.startswith("template:")
        if self.flux is None and not known:
            raise ValueError(f"'{self.hypothesis}' has no absolute flux of its own; say one with flux")

    def ask(self, samples: Samples, bench: Bench) -> ExpectAnswer:
        isotropic = self.hypothesis == ISOTROPIC
        asked = hypothesis("template:isotropic" if isotropic else self.hypothesis, index=self.index)
        model = None if isotropic else fluxes.model_flux(asked) or None
        flux = self.flux or model
        if not flux:
            raise InputError(f"'{self.hypothesis}' has no absolute flux of its own; say one with flux")
        n = fluxes.isotropic_events(samples.seasons, flux, asked.index) if isotropic else None
        return ExpectAnswer(
            provenance=provenance_of(samples),
            hypothesis=ISOTROPIC if isotropic else asked.name,
            label=asked.target.label,
            index=asked.index or None,
            flux=flux,
            n_expected=flux * fluxes.events_per_flux(asked, samples.seasons) if n is None else n,
            flux_unit=_ISOTROPIC_UNIT if isotropic else fluxes.UNIT,
            convention="dN/dE at 100 TeV, per flavour, nu + nubar, per sr" if isotropic else fluxes.convention(asked),
            model_flux=model,
            livetime_s=samples.livetime,
        )


class ExpectAnswer(Answer):
    """Expected events."""

    hypothesis: str = shown("hypothesis")
    label: str = shown("label", hidden=True)
    index: float | None = shown("spectral index", None)
    flux: float = shown("flux", form=".4g")
    flux_unit: str = shown("its unit")
    n_expected: float = shown("expected events", form=".5g")
    convention: str = shown("what the flux is")
    model_flux: float | None = shown("flux of the template's own model", None, form=".4g")
    livetime_s: float = shown("livetime", unit="s", form=".4g")

    def headline(self) -> tuple[str, ...]:
        flux = f"{self.flux:.4g} {self.flux_unit}"
        return (f"A flux of {flux} of {self.hypothesis} brings {self.n_expected:.5g} events.",)
