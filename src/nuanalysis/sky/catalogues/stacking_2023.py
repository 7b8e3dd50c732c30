"""The three Galactic source classes stacked in 2023: 12 supernova remnants, 12 pulsar wind nebulae, 12 unidentified.

IceCube Collaboration, Science 380, 1338 (2023), doi:10.1126/science.adc9818, Table S4, positions as printed there.
The stack has equal weights at Earth, as in that analysis.

Two misprints are corrected: Table S4 gives the right ascension of MGRO J1908+06 as "286.91.0" (it is 286.91), and
the machine-readable list of the data release (doi:10.21234/8v5d-rn16) calls RX J1713.7-3946 "RX J1713.7-2946".
That list calls HESS J1418-609 "Kookaburra", and puts CTB 37A at -38.545 where the table prints -38.54.
"""

from __future__ import annotations

from nuanalysis.sky.catalogues._make import equal_weights

REFERENCE = "IceCube Collaboration, Science 380, 1338 (2023), doi:10.1126/science.adc9818, Table S4"

SNR = equal_weights(
    "snr",
    label="supernova remnants",
    reference=REFERENCE,
    rows=(
        ("Vela Junior", 133.0, -46.33),
        ("RX J1713.7-3946", 258.36, -39.77),
        ("HESS J1614-518", 243.56, -51.82),
        ("HESS J1457-593", 223.7, -59.07),
        ("SNR G323.7-01.0", 233.63, -57.2),
        ("HESS J1731-347", 262.98, -34.71),
        ("Gamma Cygni", 305.27, 40.52),
        ("RCW 86", 220.12, -62.65),
        ("HESS J1912+101", 288.33, 10.19),
        ("HESS J1745-303", 266.3, -30.2),
        ("Cassiopeia A", 350.85, 58.81),
        ("CTB 37A", 258.64, -38.54),
    ),
)

PWN = equal_weights(
    "pwn",
    label="pulsar wind nebulae",
    reference=REFERENCE,
    rows=(
        ("Vela X", 128.29, -45.19),
        ("Crab nebula", 83.63, 22.01),
        ("HESS J1708-443", 257.0, -44.3),
        ("HESS J1825-137", 276.55, -13.58),
        ("HESS J1632-478", 248.01, -47.87),
        ("MSH 15-52", 228.53, -59.16),
        ("HESS J1813-178", 273.36, -17.86),
        ("HESS J1303-631", 195.75, -63.2),
        ("HESS J1616-508", 244.06, -50.91),
        ("HESS J1418-609", 214.69, -60.98),
        ("HESS J1837-069", 279.43, -6.93),
        ("HESS J1026-582", 157.17, -58.29),
    ),
)

UNID = equal_weights(
    "unid",
    label="unidentified Galactic TeV sources",
    reference=REFERENCE,
    rows=(
        ("MGRO J1908+06", 286.91, 6.32),
        ("Westerlund 1", 251.5, -45.8),
        ("HESS J1702-420", 255.68, -42.02),
        ("2HWC J1814-173", 273.52, -17.31),
        ("HESS J1841-055", 280.23, -5.55),
        ("2HWC J1819-150", 274.83, -15.06),
        ("HESS J1804-216", 271.12, -21.73),
        ("HESS J1809-193", 272.63, -19.3),
        ("HESS J1843-033", 280.75, -3.3),
        ("TeV J2032+4130", 307.93, 41.51),
        ("HESS J1708-410", 257.1, -41.09),
        ("HESS J1857+026", 284.3, 2.67),
    ),
)
