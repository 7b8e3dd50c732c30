"""IceCube-Gen2 cascades, ASSUMED: the response of IceCube's cascades with a larger area and, if wanted, sharper.

Nothing of it was released for such a sample.  Read: 8 km^3 of optical array (arXiv:2308.09427), ten times the rate of
cosmic neutrinos (arXiv:2008.04323).
"""

from __future__ import annotations

from dataclasses import replace

from nuanalysis.response import cascades_2023
from nuanalysis.response._errors import ErrorTable
from nuanalysis.response._records import Response
from nuanalysis.schema import RESPONSE, check

NAME = "gen2-cascades"
AREA = 8.0
AREAS, WIDTHS = (5.0, 13.0), (0.5, 1.0)
THRESHOLDS_TEV = (5.0, 10.0, 20.0, 30.0)


def response(area: float = AREA, width: float = 1.0) -> Response:
    """The cascades of 2023 with so many times the area at all energies, and a point spread so many times as wide.

    Per-event errors shrink with the point spread.
    """
    known = cascades_2023.response()
    data = known.dataset.copy()
    data["effective_area"] = area * known.dataset["effective_area"]
    for name, power in (("psf_kappa_narrow", -2), ("psf_kappa_broad", -2), ("error_edges", 1)):
        data[name] = data[name] * width**power
    for key, variable in data.items():
        variable.attrs.update(known.dataset[key].attrs)
    data.attrs["name"] = NAME
    assert isinstance(known.errors, ErrorTable)
    errors = replace(known.errors, edges=known.errors.edges * width)
    assumed = f"IceCube-Gen2, ASSUMED: the cascade response of 2023 with {area:g} times the area"
    sharper = "" if width == 1.0 else f" and {width:g} times the width of the point spread"
    label = "IceCube-Gen2 cascades, assumed"
    return Response(NAME, label, known.reference, check(data, RESPONSE), errors, (*known.notes, assumed + sharper))
