"""Spectra that users bring as tables: what is read, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nuanalysis.errors import InputError
from nuanalysis.library.hypotheses import read_hypothesis
from nuanalysis.library.spectrum_files import with_spectrum
from nuanalysis.model import OWN_SPECTRUM, expected_rate
from nuanalysis.response import cascades_2023

ENERGIES = np.logspace(2.0, 7.0, 51)  # GeV


def table(path: Path, values: np.ndarray, head: str = "energy,dnde\n") -> Path:
    path.write_text(head + "".join(f"{e:.8e},{v:.8e}\n" for e, v in zip(ENERGIES, values, strict=True)))
    return path


@pytest.mark.parametrize("head", ["energy,dnde\n", "", "# E/GeV, GeV-1 cm-2 s-1\n"])
def test_a_power_law_as_a_table_is_that_power_law(tmp_path: Path, head: str) -> None:
    pi0 = read_hypothesis("template:pi0-like")
    path = table(tmp_path / "mine.csv", 2e-18 * (ENERGIES / 1e5) ** -2.7, head)
    found = with_spectrum(pi0.target, path)
    assert found.flux == pytest.approx(2e-11)  # 2e-18 x (1e5 GeV)^2 = 2e-8 GeV
    assert (found.origin, found.whose) == ("user file", "map of pi0-like with the spectrum of mine.csv")
    own, plain = replace(pi0, target=found, index=OWN_SPECTRUM), replace(pi0, index=2.7)
    rates = [expected_rate(one, cascades_2023.response(), one.spectrum) for one in (own, plain)]
    assert rates[0] == pytest.approx(rates[1], rel=5e-3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("1e4,1e-15\n1e4,1e-16\n", r"energies do not rise\n  - energies from 10000 to 10000 GeV leave out 100 TeV"),
        ("1e4,1e-15\n1e6,0\n", "zero or negative"),
        ("1e4,nan\n1e6,1e-20\n", "no number"),
        ("1e4,1e-15,3\n1e6,1e-20,3\n", "expected two columns"),
        ("1e4,1e-15\n", "two rows or more"),
        ("1e4,1e-15\n1e6,many\n", "no table of numbers"),
        ("", "no table of numbers"),
        ("1e4,1e-12\n1e6,1e-17\n", r"times the extrapolated Fermi pi0 model; check units"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        with_spectrum(read_hypothesis("template:pi0-like").target, path)
