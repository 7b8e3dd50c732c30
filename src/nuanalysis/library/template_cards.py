"""What a template is, and how two differ, in words and numbers: records that show themselves."""

from dataclasses import fields

import numpy as np

from nuanalysis.interpret import template_comparison
from nuanalysis.interpret.regions import SHARE_LOG10_ENERGY, galactic_fraction, region_fluxes
from nuanalysis.records import Record, shown
from nuanalysis.schema import Spectrum
from nuanalysis.sky.records import CutOffPowerLaw, PowerLaw, TabulatedSpectrum, Template
from nuanalysis.sky.templates import Built, Understood, brightest, local_index

TABLE_LOG10_ENERGIES = (float(np.log10(5e3)), 5.0)  # GeV; of the intensities that are shown
PLAUSIBLE_INDEX = (1.0, 5.0)  # at 100 TeV; outside, a template is commented on
SAME_ENERGY = 1e-6  # in log10 E


class Bright(Record):
    """Where a template is brightest, Galactic."""

    l_deg: float = shown("Galactic longitude", unit="deg")
    b_deg: float = shown("Galactic latitude", unit="deg")

    def words(self, form: str = "") -> str:
        return f"l = {self.l_deg:.2f}, b = {self.b_deg:.2f} deg"


class RegionCard(Record):
    """What a template sends from a region; mean E^2 dN/dE in TeV cm^-2 s^-1 sr^-1, None for a relative map."""

    name: str = shown("name", hidden=True)
    label: str = shown("region", short="region")
    solid_angle: float = shown("solid angle, sr", form=".4f", short="sr")
    share: float = shown("share of the flux at 100 TeV", form=".4f")
    e2_flux_5_tev: float | None = shown("mean E^2 dN/dE at 5 TeV", None, form=".2e", short="at 5 TeV")
    e2_flux_100_tev: float | None = shown("mean E^2 dN/dE at 100 TeV", None, form=".2e", short="at 100 TeV")


class ParameterCard(Record):
    """A parameter of a built-in template."""

    name: str = shown("name")
    value: float | int | str = shown("value")
    default: float | int | str = shown("default")
    choices: tuple[str, ...] = shown("one of")
    low: float | None = shown("lowest", None)
    high: float | None = shown("highest", None)
    help: str = shown("what it is")

    def words(self, form: str = "") -> str:
        low, high = ("any" if end is None else f"{end:g}" for end in (self.low, self.high))
        allowed = f"one of {', '.join(self.choices)}" if self.choices else f"{low} to {high}"
        return f"{self.name} = {self.value}: {self.help} (default {self.default}; {allowed})"


class TemplateCard(Record):
    """What a template is: origin, energies, spectrum, where it is brightest, what the regions of the plane get."""

    name: str = shown("name", hidden=True)
    label: str = shown("label", hidden=True)
    origin: str = shown("origin")
    reference: str = shown("reference")
    sha256: str = shown("sha256")
    nside: int = shown("nside", hidden=True)
    energies_tev: tuple[float, ...] = shown("energies of its maps, TeV", hidden=True)
    spectrum: str = shown("spectrum")
    index_at_100_tev: float | None = shown("index at 100 TeV", None, hidden=True)
    flux: float | None = shown("flux of the model", None, unit="TeV cm^-2 s^-1", form=".3g")
    share_at_30_tev: float | None = shown("at 30 TeV over all astrophysical", None, form=".3g")
    flux_of_table: float | None = shown("flux of the table", None, unit="TeV cm^-2 s^-1", form=".3g")
    flux_unit: str = shown("unit of fluxes", "E^2 dN/dE at 100 TeV, TeV cm^-2 s^-1, per flavour, nu + nubar, whole sky")
    brightest: Bright = shown("brightest at")
    doubts: tuple[str, ...] = shown("doubts")
    recipe: str = shown("built as", "")
    understood: Understood | None = shown("read as", None)
    parameters: tuple[ParameterCard, ...] = shown("parameters", ())
    regions: tuple[RegionCard, ...] = shown("regions of the plane; mean E^2 dN/dE in TeV cm^-2 s^-1 sr^-1")

    def headline(self) -> tuple[str, ...]:
        maps, at = "The same map at all energies", self.energies_tev
        if at:
            maps = f"Maps at {len(at)} energies, {at[0]:g} to {at[-1]:g} TeV"
        return f"{self.name}: {self.label}", f"{maps}; equatorial RING, nside {self.nside}."


def template_card(
    template: Template, *, flux: float = 0.0, built: Built | None = None, understood: Understood | None = None
) -> TemplateCard:
    """What a template is.

    flux : E^2 dN/dE at 100 TeV, TeV cm^-2 s^-1, for the intensities; by default the model's own.
    built, understood : the recipe and parameters it was made by; how it was read from a file.
    """
    chosen = flux or template.flux
    longitude, latitude = brightest(template)
    found = region_fluxes(template, flux=chosen, log10_energy=TABLE_LOG10_ENERGIES)
    intensities = found.intensity.tolist() if chosen else [(None, None)] * len(found.regions)
    return TemplateCard.taken_from(
        template,
        energies_tev=tuple(float(10.0 ** (e - 3.0)) for e in template.log10_energy) if len(template.maps) > 1 else (),
        spectrum=spectrum_in_words(template.spectrum),
        index_at_100_tev=_number(local_index(template.spectrum)),
        flux=template.flux or None,
        share_at_30_tev=share_at_30_tev(template),
        flux_of_table=chosen or None,
        brightest=Bright(l_deg=longitude, b_deg=latitude),
        doubts=doubts(template),
        recipe="" if built is None else built.recipe.summary,
        understood=understood,
        parameters=() if built is None else _parameters(built),
        regions=tuple(
            RegionCard.taken_from(part, share=share, e2_flux_5_tev=low, e2_flux_100_tev=high)
            for part, (_, share), (low, high) in zip(found.regions, found.share.tolist(), intensities, strict=True)
        ),
    )


def _number(value: float) -> float | None:
    """None for what JSON cannot hold."""
    return float(value) if np.isfinite(value) else None


def _parameters(built: Built) -> tuple[ParameterCard, ...]:
    return tuple(
        ParameterCard.taken_from(
            f,
            value=getattr(built.parameters, f.name),
            help=f.metadata["help"],
            choices=tuple(f.metadata["choices"]),
            low=_number(f.metadata["low"]),
            high=_number(f.metadata["high"]),
        )
        for f in fields(built.recipe.parameters)
    )


def spectrum_in_words(spectrum: Spectrum) -> str:
    """What a spectrum is, for people."""
    match spectrum:
        case PowerLaw(index):
            return f"E^-{index:g}"
        case CutOffPowerLaw(index, cutoff):
            return f"E^-{index:g}, cut off exponentially at {10.0 ** (cutoff - 3.0):g} TeV"
        case TabulatedSpectrum(log10_energy, _):
            low, high = (10.0 ** (end - 3.0) for end in (log10_energy[0], log10_energy[-1]))
            index = local_index(spectrum)
            slope = f", E^-{index:.2f} at 100 TeV" if np.isfinite(index) else ""
            return f"tabulated at {len(log10_energy)} energies from {low:g} to {high:g} TeV{slope}"
    return type(spectrum).__name__


def doubts(template: Template) -> tuple[str, ...]:
    """What about a template can hardly be meant: more flux than all there is, or a strange slope."""
    said = []
    share = share_at_30_tev(template)
    if share is not None and share > 1.0:
        said.append(
            f"its flux at 30 TeV is {share:.3g} times the whole astrophysical flux: its energies or units are probably "
            "misstated"
        )
    index, (low, high) = local_index(template.spectrum), PLAUSIBLE_INDEX
    if np.isfinite(index) and not low <= index <= high:
        said.append(
            f"its spectrum at 100 TeV goes as E^-{index:.2f}; expected an index of {low:g} to {high:g}: check the "
            "energies, their unit and whether the values are dN/dE or E^2 dN/dE"
        )
    return tuple(said)


def share_at_30_tev(template: Template) -> float | None:
    """The model's flux over the whole astrophysical flux at 30 TeV; None for a relative map."""
    return galactic_fraction(template, template.flux, SHARE_LOG10_ENERGY) if template.flux else None


def _out_of_reach(template: Template, log10_energy: float) -> list[str]:
    """What to know of a template at an energy where its table or its maps have ended."""
    said = []
    if not float(template.spectrum.shape(np.array(log10_energy))) > 0:
        said.append(f"{template.name} has no flux at this energy: its spectrum has ended")
    low, high = template.log10_energy[0], template.log10_energy[-1]
    if len(template.maps) > 1 and not low - SAME_ENERGY <= log10_energy <= high + SAME_ENERGY:
        said.append(
            f"{template.name} has maps from {10 ** (low - 3):g} to {10 ** (high - 3):g} TeV; the nearest stands for "
            "this energy"
        )
    return said


class Likeness(Record):
    """Cosine similarity of two maps, both smeared by a Gaussian; width 0: as they are."""

    width_deg: float = shown("smeared by, deg", form="g")
    cosine: float = shown("cosine similarity", form=".4f")


class RegionRatio(Record):
    """A region of the plane in two templates; ratios are of the first over the second."""

    name: str = shown("name", hidden=True)
    label: str = shown("region", short="region")
    share: tuple[float, float] = shown("shares of A and B", form=".4f", short="share A, B")
    share_ratio: float | None = shown("share A/B", None, form=".3f", short="A/B")
    flux_ratio: float | None = shown("flux A/B", None, form=".3f", short="flux A/B")


class LongitudeBin(Record):
    """A bin of Galactic longitude within 8 deg of the plane."""

    low_deg: float = shown("from", form=".0f", short="l from")
    high_deg: float = shown("to", form=".0f", short="to")
    share_per_degree: tuple[float, float] = shown("share of A and B per degree", form=".2e", short="A, B per degree")


class LatitudeProfiles(Record):
    """Mean share per sr in bins of Galactic latitude, of A and of B, in the inner Galaxy and outside."""

    edges_deg: tuple[float, ...] = shown("edges, deg")
    share_per_sr_l_below_60: tuple[tuple[float, ...], ...] = shown("|l| below 60 deg")
    share_per_sr_l_above_60: tuple[tuple[float, ...], ...] = shown("|l| above 60 deg")


class TemplatesCompared(Record):
    """How alike two templates are, and where they differ."""

    templates: tuple[str, str] = shown("templates", hidden=True)
    energy_tev: float = shown("energy, TeV", hidden=True)
    notes: tuple[str, ...] = shown("notes", ())
    cosine: tuple[Likeness, ...] = shown("Cosine similarity")
    regions: tuple[RegionRatio, ...] = shown("Regions of the plane")
    longitude_profile: tuple[LongitudeBin, ...] = shown("Shares of the flux along the plane, |b| < 8 deg")
    latitude_profiles: LatitudeProfiles = shown("shares of the flux across the plane", hidden=True)

    def headline(self) -> tuple[str, ...]:
        return (f"A = {self.templates[0]}, B = {self.templates[1]}, at {self.energy_tev:g} TeV",)


def compared(first: Template, second: Template, found: template_comparison.Comparison) -> TemplatesCompared:
    """What ``template_comparison.compare`` found of two templates."""
    a, b = found.profiles
    edges = np.degrees(template_comparison.LONGITUDE_EDGES).tolist()
    along = zip(edges[:-1], edges[1:], a.per_degree.tolist(), b.per_degree.tolist(), strict=True)
    return TemplatesCompared(
        templates=found.names,
        energy_tev=float(10.0 ** (found.log10_energy - 3.0)),
        notes=tuple(note for template in (first, second) for note in _out_of_reach(template, found.log10_energy)),
        cosine=tuple(Likeness(width_deg=float(np.degrees(x.width)), cosine=x.cosine) for x in found.likeness),
        regions=tuple(
            RegionRatio.taken_from(part, share=shares, share_ratio=_number(ratio), flux_ratio=_number(of_fluxes))
            for part, shares, ratio, of_fluxes in zip(
                found.regions, found.share.T.tolist(), found.share_ratio, found.flux_ratio, strict=True
            )
        ),
        longitude_profile=tuple(
            LongitudeBin(low_deg=low, high_deg=high, share_per_degree=(one, other)) for low, high, one, other in along
        ),
        latitude_profiles=LatitudeProfiles(
            edges_deg=tuple(np.degrees(template_comparison.LATITUDE_EDGES).tolist()),
            share_per_sr_l_below_60=tuple(tuple(one.latitude_per_sr("inner").tolist()) for one in (a, b)),
            share_per_sr_l_above_60=tuple(tuple(one.latitude_per_sr("outer").tolist()) for one in (a, b)),
        ),
    )
