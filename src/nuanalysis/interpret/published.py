"""Numbers printed by others, to be put beside ours.  Quoted, with where they stand; never a test target of a fit."""

import math
from dataclasses import dataclass
from typing import ClassVar

from nuanalysis.interpret.regions import Region, region

NOT_PUBLISHED = math.nan
# Our morphology with the published spectrum: only then is one model of ours comparable with one model of theirs.
KRA_5, KRA_50 = (f"kra-gamma-like-{cutoff}?spectrum=published" for cutoff in (5, 50))
BUBBLES = "template:fermi-bubbles"  # the best of four cut-offs, corrected for having tried four
SCIENCE_2023 = "IceCube Collaboration, Science 380, 1338 (2023), doi:10.1126/science.adc9818"


@dataclass(frozen=True, slots=True)
class Published:
    """One row of a published table; NaN where nothing was published.

    flux, flux_low, flux_high, sensitivity : E^2 dN/dE at 100 TeV per flavour, TeV cm^-2 s^-1.
    in_models, low_in_models, high_in_models, sensitivity_in_models : the same in units of the template's own model.
    energies : ((low, high), (low, high)) TeV between which 5 and 16 per cent of the sensitivity are lost.
    flux_confirmed : False where the unit of the flux could not be confirmed: quoted, not compared.
    sample : sample whose numbers these are; other samples share the flux only.
    """

    sample: str
    n_signal: float
    p: float
    sigma: float
    flux: float
    source: str
    n_signal_corrected: float = NOT_PUBLISHED
    index: float = NOT_PUBLISHED
    ts: float = NOT_PUBLISHED
    flux_low: float = NOT_PUBLISHED
    flux_high: float = NOT_PUBLISHED
    flux_confirmed: bool = True
    sensitivity: float = NOT_PUBLISHED
    in_models: float = NOT_PUBLISHED
    low_in_models: float = NOT_PUBLISHED
    high_in_models: float = NOT_PUBLISHED
    sensitivity_in_models: float = NOT_PUBLISHED
    energies: tuple[tuple[float, float], ...] = ((NOT_PUBLISHED, NOT_PUBLISHED),) * 2


def _stack(n_signal: float, index: float, p: float, sigma: float, flux: float) -> Published:
    """A stacked catalogue; the release does not state the unit of its flux beyond doubt."""
    source = f"{SCIENCE_2023}, tables 1 and S3"
    return Published("cascades-2023", n_signal, p, sigma, flux, source, index=index, flux_confirmed=False)


PUBLISHED: dict[str, Published] = {
    "template:pi0": Published(
        "cascades-2023", 748.0, 1.26e-6, 4.71, 21.8e-12, f"{SCIENCE_2023}, table 1",
        n_signal_corrected=671.1, index=2.7, ts=22.19, flux_low=16.9e-12, flux_high=27.1e-12, sensitivity=5.98e-12,
        energies=((1.5, 282.0), (3.6, 99.0)),
    ),
    f"template:{KRA_5}": Published(
        "cascades-2023", 275.6, 6.13e-6, 4.37, NOT_PUBLISHED, f"{SCIENCE_2023}, table 1", n_signal_corrected=242.9,
        ts=19.06, in_models=0.55, low_in_models=0.40, high_in_models=0.73, sensitivity_in_models=0.16,
        energies=((5.2, 145.0), (10.2, 81.0)),
    ),
    f"template:{KRA_50}": Published(
        "cascades-2023", 211.1, 3.72e-5, 3.96, NOT_PUBLISHED, f"{SCIENCE_2023}, table 1", n_signal_corrected=184.8,
        ts=15.56, in_models=0.37, low_in_models=0.26, high_in_models=0.50, sensitivity_in_models=0.11,
        energies=((6.9, 357.0), (18.0, 162.0)),
    ),
    "stack:snr": _stack(218.6, 2.75, 5.90e-4, 3.24, 6.22e-12),
    "stack:pwn": _stack(279.6, 3.00, 5.93e-4, 3.24, 3.80e-12),
    "stack:unid": _stack(238.4, 2.85, 3.39e-4, 3.40, 5.03e-12),
}  # fmt: skip

# Samples that stand for a published one: same livetime, another detector.  Of what belongs to the sample only its
# sensitivity is set beside theirs.
STANDS_FOR = {"open-detector": "cascades-2023"}


UNPUBLISHED = Published("", *(NOT_PUBLISHED,) * 4, "nothing was published")


# Events of one published model in the cascades of 2023: the corrected events of a best fit over its strength, 242.9
# over 0.55 and 184.8 over 0.37; for every template that is meant for the model, whatever its shape and spectrum.
_EVENTS = {5: 441.6, 50: 499.5}
MODEL_EVENTS: dict[str, float] = {
    f"{kind}-{cutoff}": events
    for cutoff, events in _EVENTS.items()
    for kind in ("kra-gamma-like", "kra-gamma-compact-proxy")
}


def events_of_model(hypothesis: str, sample: str) -> float | None:
    """Events that one published model has in the cascades of 2023, for a template meant for it; None for others.

    hypothesis : 'template:NAME' or 'template:NAME?key=value'.    sample : where it was fitted.
    """
    name = hypothesis.removeprefix("template:").partition("?")[0]
    return MODEL_EVENTS.get(name) if sample == CAMPAIGN_2023.sample else None


@dataclass(frozen=True, slots=True)
class PublishedSpot:
    """A direction that was published with its fit: the hottest of a hemisphere, or a source of a list."""

    p_local: float
    n_signal: float = NOT_PUBLISHED
    index: float = NOT_PUBLISHED
    ra_deg: float = NOT_PUBLISHED
    dec_deg: float = NOT_PUBLISHED
    p_global: float = NOT_PUBLISHED


NO_SPOT = PublishedSpot(NOT_PUBLISHED)


class CAMPAIGN_2023:
    """What the whole published analysis took, and the numbers of it that belong to no row of ``PUBLISHED``.

    trials : scrambles behind the p-value of each hypothesis (of each source, for each:NAME).
    p : p-values of hypotheses; each is local, but for that of a list, which is global.
    core_hours : of all of it; only the sum is known.
    sample : whose numbers these are.  hot_spots : of each hemisphere, from so many background ``scans``.
    list_sources : sources of the list ``list_name`` whose fits were printed; list_skies : correlated trials of it.
    """

    core_hours = 41_000.0
    trials: ClassVar[dict[str, float]] = {
        "template:pi0": 5e8, f"template:{KRA_5}": 3e8, f"template:{KRA_50}": 3e8,
        "stack:snr": 2e6, "stack:pwn": 2e6, "stack:unid": 2e6, "each:list-109": 1e6,
    }  # fmt: skip
    p: ClassVar[dict[str, float]] = {
        f"template:{KRA_5}": 6.13e-6, f"template:{KRA_50}": 3.72e-5, BUBBLES: 0.06, "each:list-109": 0.22,
    }  # fmt: skip
    p_best_template = 3.78e-6  # 1 - (1 - 1.26e-6)^3, counting three independent templates
    sample = "cascades-2023"
    hot_spots: ClassVar[dict[str, PublishedSpot]] = {
        "north": PublishedSpot(3.92e-4, 213.7, 3.6, 337.9, 17.6, 0.28),
        "south": PublishedSpot(1.31e-3, 90.2, 2.9, 248.1, -50.9, 0.46),
    }  # fmt: skip
    scans = 1000.0
    list_name = "list-109"
    list_sources: ClassVar[dict[str, PublishedSpot]] = {
        "PMN J1650-5044": PublishedSpot(0.002, 88.1, 2.9), "IC 678": PublishedSpot(0.005),
        "Arp 220": PublishedSpot(0.009), "PMN J1603-4904": PublishedSpot(0.010), "G343.1-2.3": PublishedSpot(0.011),
        "B2 1520+31": PublishedSpot(0.013), "RGB J2243+203": PublishedSpot(0.022),
        "Galactic Centre": PublishedSpot(0.022, 58.7, 2.7), "4C +01.28": PublishedSpot(0.025),
        "TXS 1714-336": PublishedSpot(0.028), "TXS 0506+056": PublishedSpot(NOT_PUBLISHED, 0.0),
        "NGC 1068": PublishedSpot(0.252, 87.1, 4.0),
    }  # fmt: skip
    list_skies = 1e5
    source = f"{SCIENCE_2023}, tables 1, S1 and S5, and its supplement"


@dataclass(frozen=True, slots=True)
class Fit:
    """One published fit that the public release should give again.

    sample : of the release.    hypothesis : as it is asked for.    spot : the published numbers; ts : of the fit.
    Tolerances, absolute : of the local significance in sigma where p was published, relative of TS and n_s, absolute of
    the index; NaN where nothing is compared.    official : False where the release is a draft, or the number was
    printed by a program of others rather than in a paper.
    """

    name: str
    sample: str
    hypothesis: str
    spot: PublishedSpot
    ts: float
    source: str
    official: bool
    sigma_tolerance: float = 0.5  # by which local significances from the public response shift (arXiv:2308.12733)
    relative_tolerance: float = NOT_PUBLISHED
    index_tolerance: float = NOT_PUBLISHED


NGC_1068, TXS_0506 = "point:40.67,-0.01", "point:77.35,5.70"  # deg, as printed
_TEN_YEARS = "IceCube Collaboration, PRL 124, 051103 (2020), arXiv:1910.08488, table of sources"
_TUTORIAL = "tutorial of SkyLLH on the public ten-year release"
REPRODUCED: tuple[Fit, ...] = (
    Fit(
        "ngc-1068-ten-years", "tracks-dr1", NGC_1068, PublishedSpot(10**-4.74, 50.39, 3.16, 40.67, -0.01), 17.04,
        _TEN_YEARS, official=True,
    ),
    Fit(
        "txs-0506-ten-years", "tracks-dr1", TXS_0506, PublishedSpot(10**-3.72, 12.32, 2.08, 77.35, 5.70), 13.05,
        _TEN_YEARS, official=True,
    ),
    Fit(
        "txs-0506-release", "tracks-dr1", TXS_0506, PublishedSpot(NOT_PUBLISHED, 14.58, 2.17, 77.35, 5.70), 13.145,
        _TUTORIAL, official=False, relative_tolerance=0.1, index_tolerance=0.2,
    ),
    Fit(
        "ngc-1068-fourteen-years", "tracks-dr2", NGC_1068, PublishedSpot(1.3e-7, 80.0, 3.2, 40.67, -0.01),
        NOT_PUBLISHED, "IceTracks-DR2; not confirmed here", official=False, relative_tolerance=0.1, index_tolerance=0.2,
    ),
)  # fmt: skip


# Sensitivity of the cascade analysis to point sources, E^2 dN/dE at 100 TeV per flavour in 1e-12 TeV cm^-2 s^-1, at
# declinations in deg, and its 4 sigma discovery potential: figure S12 of SCIENCE_2023, release doi:10.21234/8v5d-rn16.
DECLINATIONS_S12 = (-71.0, -51.0, -31.0, -11.0, 9.0, 29.0, 49.0, 71.0)
SENSITIVITY_S12: dict[float, tuple[float, ...]] = {
    2.0: (1.0318, 1.0442, 1.0785, 1.0920, 1.4579, 2.0636, 2.4298, 4.1208),
    3.0: (0.5208, 0.5447, 0.6407, 0.8050, 0.8783, 0.6224, 0.5656, 0.6077),
}
POTENTIAL_S12: dict[float, tuple[float, ...]] = {
    2.0: (3.3952, 3.2682, 3.2401, 3.5033, 4.2335, 6.9311, 7.5399, 13.3596),
    3.0: (1.8049, 1.7542, 1.9440, 2.5101, 2.4761, 1.9756, 1.6773, 1.8653),
}


# Numbers that could not be traced to a printed source are left out: among them the diffuse gamma-ray fluxes of LHAASO
# and Tibet AS-gamma and the ridge flux of ANTARES.
SEGMENTS_SOURCE = (
    "IceCube Collaboration, 10-year cascades, conference abstract (Chiba, indico event 3, contribution 438)"
)
SEGMENTS_NOTE = (
    "printed per m^2 in the abstract; cm^2 is meant: the pi0 best fit of 2023 gives 11.8 and 4.1 in the same unit in "
    "the two segments. Per flavour is assumed, the abstract does not say it"
)


@dataclass(frozen=True, slots=True)
class Intensity:
    """E^2 dN/dE averaged over a region at log10(E/GeV), TeV cm^-2 s^-1 sr^-1, per flavour, nu + nubar.

    low, high : ends of the 68 % interval.    index, index_low, index_high : of the fitted power law; NaN where the
    spectrum was not fitted.
    """

    name: str
    label: str
    region: Region
    log10_energy: float
    value: float
    low: float
    high: float
    source: str
    note: str = ""
    index: float = NOT_PUBLISHED
    index_low: float = NOT_PUBLISHED
    index_high: float = NOT_PUBLISHED


INTENSITIES: tuple[Intensity, ...] = (
    Intensity(
        "icecube-inner", "IceCube cascades, 10 yr", region("inner"), math.log10(5e3), 21.4e-11, 16.2e-11, 27.7e-11,
        SEGMENTS_SOURCE, SEGMENTS_NOTE, 2.76, 2.61, 2.93,
    ),
    Intensity(
        "icecube-outer", "IceCube cascades, 10 yr", region("outer"), math.log10(5e3), 4.3e-11, 1.9e-11, 6.9e-11,
        SEGMENTS_SOURCE, SEGMENTS_NOTE, 3.10, 2.71, 3.50,
    ),
    Intensity(
        "lhaaso-region", "public tracks, LHAASO template", region("lhaaso-inner"), math.log10(25e3),
        4.73e-14 * 25.0**2, 2.22e-14 * 25.0**2, 7.26e-14 * 25.0**2,  # of dN/dE in TeV^-1 at 25 TeV
        "Li, Huang, Xu & He, arXiv:2408.12123", "muon neutrinos, 4.73 +2.53 -2.51 e-14 TeV^-1 cm^-2 s^-1 sr^-1 as "
        "printed, 1.9 sigma before trials; the template is the LHAASO-KM2A map",
    ),
)  # fmt: skip


def at_5_tev(where: Region) -> Intensity | None:
    """What was measured at 5 TeV within the bounds of a region; None where nothing was."""
    for one in INTENSITIES:
        same = (one.region.longitudes, one.region.latitudes) == (where.longitudes, where.latitudes)
        if same and one.log10_energy == math.log10(5e3):
            return one
    return None
