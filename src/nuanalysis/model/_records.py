"""The nouns of the model: a statistic, a sample ready for analysis, a hypothesis, and Terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuanalysis.deferred import xarray as xr
from nuanalysis.errors import InputError
from nuanalysis.model import kernels
from nuanalysis.model._background import Binning
from nuanalysis.model._densities import Densities
from nuanalysis.response import Kernel, Response, Spectrum
from nuanalysis.schema import Floats, Ints
from nuanalysis.sky.records import Catalogue, PowerLaw, Template


@dataclass(frozen=True, slots=True)
class Statistic:
    """What the likelihood compares of signal and background besides the direction of an event.

    title : in a few words.    reference : who published it.
    densities : of a hypothesis on a sample, at spectral nodes (node,), with maps in classes of reconstructed energy,
        edges (class + 1,) of log10 E/GeV that are edges of energy bins too.
    kernel : the point spread of an event with a given angular error, as a response has it.
    """

    name: str
    title: str
    reference: str
    densities: Callable[[Hypothesis, Sample, Floats, Floats], Densities]
    kernel: Callable[[Response], Kernel]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Events with the response, the bins and the statistic they are analysed with.

    nside : of template maps.
    log10_energy_range, declination_range : the user's own cuts, already applied to the events.  Simulated signal is
        cut likewise; n_s and expected events count the signal before these cuts, so that fluxes need no correction.
    """

    name: str
    label: str
    events: xr.Dataset
    response: Response
    binning: Binning
    nside: int
    statistic: Statistic
    log10_energy_range: tuple[float, float] = (0.0, 10.0)
    declination_range: tuple[float, float] = (-np.pi / 2, np.pi / 2)

    def passes(self, declination: Floats, log10_energy: Floats) -> NDArray[np.bool_]:
        """Which events pass the user's cuts, (event,)."""
        inside = (declination >= self.declination_range[0]) & (declination <= self.declination_range[1])
        return np.asarray(
            inside & (log10_energy >= self.log10_energy_range[0]) & (log10_energy <= self.log10_energy_range[1])
        )

    @property
    def kernel(self) -> Kernel:
        """Point spread of its events at a given angular error, as its statistic takes it."""
        return self.statistic.kernel(self.response)

    @property
    def livetime(self) -> float:
        """Livetime in s."""
        return float(self.events.attrs["livetime_s"])

    @property
    def origin(self) -> str:
        """'real' or 'synthetic'."""
        return str(self.events.attrs["origin"])

    def array(self, name: str) -> Floats:
        """An event column as a plain array, (event,)."""
        return np.asarray(self.events[name].values, dtype=np.float64)


OWN_SPECTRUM = 0.0


def own_index(template: Template) -> float:
    """The index that stands for the spectrum a template brings: that of its power law, else OWN_SPECTRUM."""
    return template.spectrum.index if isinstance(template.spectrum, PowerLaw) else OWN_SPECTRUM


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """What is tested: a template or a stack, with one spectrum or with the index of a power law free in [1, 4].

    index : of the power law of the fixed fit, of injected signal and of quoted fluxes; OWN_SPECTRUM for the spectrum
        that the template brings, where that is no power law.
    """

    name: str
    target: Template | Catalogue
    index: float
    index_free: bool

    def __post_init__(self) -> None:
        if self.index == OWN_SPECTRUM and not self.index_free and isinstance(self.target, Template):
            return
        if not 1.0 <= self.index <= 4.0:
            raise InputError(f"spectral index {self.index:g} of '{self.name}' is outside [1, 4]")

    @property
    def spectrum(self) -> Spectrum:
        """The spectrum of the fixed fit, of injected signal and of quoted fluxes."""
        return self.spectrum_at(self.index)

    def spectrum_at(self, index: float) -> Spectrum:
        """The power law of an index, or the template's own spectrum for OWN_SPECTRUM."""
        if index == OWN_SPECTRUM and isinstance(self.target, Template):
            return self.target.spectrum
        return PowerLaw(float(index))


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """Per-event signal over background.

    difference : (p, event) S - <S> in direction only, sr^-1, for p spatial shapes.
    ratio      : (node, group) signal over background in energy at each spectral node; with several samples it
                 carries the sample's share of the signal too, so that one n_s serves all.
    group      : (event,) the group of energy cells each event belongs to.
    scale      : (event,) one over the background density in direction.
    mixing     : (node, p) weights of the spatial shapes at each spectral node, rows sum to 1.
    index      : (node,) spectral index of each node; one node means a fixed index.
    n_events   : N, events of the whole sample; events left out have difference 0.
    """

    difference: Floats
    ratio: Floats
    group: Ints
    scale: Floats
    mixing: Floats
    index: Floats
    n_events: int

    def x(self, node: int) -> Floats:
        """(event,) x_i at one spectral node."""
        out = np.empty(len(self.group))
        kernels.fill_x(self.ratio[node], self.group, self.scale, self.mixing[node], self.difference, out)
        return out
