"""Pictures of what is asked and stored, with their words: templates, events, regions, the Galactic plane.

Answers draw themselves; these are for notebooks and for what is made again of the published figures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nuanalysis.answers.fit import FitAnswer
from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError
from nuanalysis.interpret.counts import Marginal, event_density
from nuanalysis.interpret.published import INTENSITIES, SCIENCE_2023
from nuanalysis.interpret.template_comparison import compare, shown_profiles
from nuanalysis.plot import (
    PLANE_LATITUDE,
    Drawn,
    Sidecar,
    comparison_figure,
    marginals,
    mark,
    origin_of,
    plane_panels,
    region_figure,
    sky_map,
    slug,
    template_figure,
)
from nuanalysis.sky.records import Template

_NSIDE = 32  # of a density of events
_PLANE = f"The Galactic plane, |b| < {PLANE_LATITUDE:g}°, Galactic coordinates, longitude grows to the left"


def template_picture(template: Template) -> Drawn:
    """The maps of a template and its profiles, as ``template_comparison.shown_profiles`` chooses them."""
    words = (
        f"{template.label} ({template.origin}): share of the flux per steradian, Galactic coordinates, and its "
        "profiles in longitude and latitude."
    )
    figure = template_figure(template, shown_profiles(template))
    sidecar = Sidecar(f"template-{slug(template.name)}", words, f"{words} {template.reference}.", "real", "maps")
    return Drawn(figure, sidecar)


def likeness_picture(first: Template, other: Template) -> Drawn:
    """Two templates at 100 TeV on one scale, their ratio, their profiles; the caption says how alike they are."""
    found = compare(first, other)
    cosines = ", ".join(
        f"{one.cosine:.3f} " + (f"smeared by {np.degrees(one.width):.0f}°" if one.width else "as they are")
        for one in found.likeness
    )
    words = f"{first.label} and {other.label} at 100 TeV: maps on one scale, their ratio, and profiles."
    name = f"templates-{slug(first.name)}-{slug(other.name)}"
    caption = f"{words} Cosine similarity {cosines}."
    return Drawn(comparison_figure(first, other, found), Sidecar(name, words, caption, "real", "maps"))


def events_picture(sample: str, seasons: Sequence[xr.Dataset]) -> Drawn:
    """Events of all seasons of a sample per square degree."""
    origin = origin_of(str(one.attrs["origin"]) for one in seasons)
    total = sum(one.sizes["event"] for one in seasons)
    density = event_density(tuple(seasons), nside=_NSIDE)
    figure = sky_map(density, label=f"Events, {sample}", unit="events per square degree", frame="icrs", origin=origin)
    words = f"{total:,} {origin} events of {sample} per square degree, HEALPix nside {_NSIDE}, Galactic coordinates, "
    words += "no smoothing."
    sidecar = Sidecar(f"events-{slug(sample)}{mark(origin)}", f"Sky map. {words}", words, origin, "samples")
    return Drawn(figure, sidecar)


def marginal_picture(one: Marginal, origin: str) -> Drawn:
    """A distribution of the cascades beside the published one, and the pulls."""
    figure = marginals(
        one.edges, one.counts, one.published, one.published_error, quantity=one.quantity, origin=origin,
        label=f"Cascades of 2023: {one.name}", published_label=one.published_label, log_x=one.log_x, log_y=one.log_y,
    )  # fmt: skip
    stamp = {"synthetic": "SYNTHETIC"}.get(origin, origin)
    caption = (
        f"Events per bin of the {stamp} sample (points) and of the {one.published_label} (line), pulls below. "
        f"chi-square {one.chi2:.1f} of {one.bins} bins. {SCIENCE_2023}, data release doi:10.21234/8v5d-rn16."
    )
    alt = f"Distribution of the {one.name} beside the published one, chi-square {one.chi2:.1f} of {one.bins} bins"
    name = f"marginal-{one.name.replace(' ', '-').replace('(', '-').replace(')', '')}{mark(origin)}"
    return Drawn(figure, Sidecar(name, alt, caption, origin, "samples"))


def region_picture(fits: Sequence[FitAnswer]) -> Drawn:
    """Best fits of templates by region beside measurements by others; those without a flux are left out.

    Raises InputError where none has one.
    """
    fitted = [one for one in (answer.regions() for answer in fits) if one is not None]
    if not fitted:
        raise InputError("none of the fits has a flux with an interval; ask 'fit' with injections")
    origin = origin_of(one.origin for one in fitted)
    words = (
        f"E² dN/dE per steradian of the best fits ({origin}) by region with 68 % bands, beside measurements by others."
    )
    sources = "; ".join(dict.fromkeys(one.source for one in INTENSITIES))
    sidecar = Sidecar(f"regions{mark(origin)}", words, f"{words} {sources}.", origin)
    return Drawn(region_figure(fitted, INTENSITIES), sidecar)


def plane_picture(answer: FitAnswer) -> Drawn:
    """Gas and dust where their maps are here, the template, its detected events, and where TS comes from."""
    panels = answer.plane_panels()
    words = f"{_PLANE}: {'; '.join(panel.title for panel in panels)}. {answer.provenance.words()}."
    origin = "real" if answer.provenance.origin == "real" else "mixed"
    whose = answer.provenance
    alt = f"Strips of the Galactic plane, {whose.stamp} events of {whose.sample}. {answer.headline()[0]}"
    name = f"plane-{slug(answer.tested.hypothesis)}{mark(origin)}"
    return Drawn(plane_panels(panels), Sidecar(name, alt, words, origin, "maps"))
