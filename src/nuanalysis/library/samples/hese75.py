"""High-energy starting events of 7.5 years: a list without right ascensions, which no analysis here can use."""

from nuanalysis.ingest import hese75 as release
from nuanalysis.library.samples._recipe import SampleRecipe
from nuanalysis.library.samples.cascades_2023 import BINNING

SAMPLE = SampleRecipe(
    name=release.RELEASE.name,
    title="IceCube high-energy starting events of 7.5 years, real; cannot be analysed: no right ascensions",
    label="HESE 7.5 years",
    origin="real",
    releases=(release.RELEASE.name,),
    binning=BINNING,
    nside=64,
    holds=("starting events",),
    refusal="its release holds energies, zeniths and morphologies of 102 events, but no right ascensions, times or "
    "angular errors, and effective areas only as simulated events; events with directions can be brought as a table",
)
