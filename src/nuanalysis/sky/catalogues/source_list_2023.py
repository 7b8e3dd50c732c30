"""The 109 gamma-ray sources tested one by one in 2023.

IceCube Collaboration, Science 380, 1338 (2023), doi:10.1126/science.adc9818, Table S5; positions and classes as in the
machine-readable list of the data release (doi:10.21234/8v5d-rn16).  Classes are those of the Fermi-LAT catalogues
(BLL BL Lac, FSRQ flat-spectrum radio quasar, SBG starburst galaxy, GAL galaxy, PWN pulsar wind nebula, RDG radio
galaxy, AGN active galaxy, BCU of uncertain type), all written in capitals here.
The 4FGL class of the Galactic Centre is BCU in the list, and is kept.
"""

from __future__ import annotations

from nuanalysis.sky.catalogues._make import equal_weights, typed

REFERENCE = "IceCube Collaboration, Science 380, 1338 (2023), doi:10.1126/science.adc9818, Table S5"

TABLE = typed("source_list_2023")
LIST_109 = equal_weights("list-109", label="109 gamma-ray sources", reference=REFERENCE, rows=[row for _, row in TABLE])
CLASSES: dict[str, str] = {row[0]: kind for kind, row in TABLE}
