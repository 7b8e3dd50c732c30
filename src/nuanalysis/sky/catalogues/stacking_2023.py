"""The three Galactic source classes stacked in 2023: 12 supernova remnants, 12 pulsar wind nebulae, 12 unidentified.

IceCube Collaboration, Science 380, 1338 (2023), doi:10.1126/science.adc9818, Table S4, positions as printed there.
The stack has equal weights at Earth, as in that analysis.

Two misprints are corrected: Table S4 gives the right ascension of MGRO J1908+06 as "286.91.0" (it is 286.91), and
the machine-readable list of the data release (doi:10.21234/8v5d-rn16) calls RX J1713.7-3946 "RX J1713.7-2946".
That list calls HESS J1418-609 "Kookaburra", and puts CTB 37A at -38.545 where the table prints -38.54.
"""

from __future__ import annotations

from nuanalysis.sky.catalogues._make import equal_weights, typed

REFERENCE = "IceCube Collaboration, Science 380, 1338 (2023), doi:10.1126/science.adc9818, Table S4"

LABELS = {
    "snr": "supernova remnants",
    "pwn": "pulsar wind nebulae",
    "unid": "unidentified Galactic TeV sources",
}
TABLE = typed("stacking_2023")
SNR, PWN, UNID = (
    equal_weights(name, label=label, reference=REFERENCE, rows=[row for kind, row in TABLE if kind == name])
    for name, label in LABELS.items()
)
