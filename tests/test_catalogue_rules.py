"""What a rule selects and refuses, weights, duplicates, and the match of two tables against brute force."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from small_problem import sample

from nuanalysis.errors import InputError
from nuanalysis.model import Hypothesis, prepare
from nuanalysis.model._prepare import terms
from nuanalysis.sky.catalogues import Choice, Column, SourceTable, listed, match, seen_shares, select
from nuanalysis.sky.catalogues._rule import apply_rule, parse_rule
from nuanalysis.sky.catalogues._table import angle, duplicates, vectors
from nuanalysis.sky.records import Catalogue

NAN = float("nan")
NAMES = ["A", "B", "C", "D", "E+1"]


def table(**changes: object) -> SourceTable:
    """Five sources; the second has no flux, the third no class, the fourth no extension."""
    values = SourceTable(
        title="five",
        file="five.csv",
        sha256="0" * 64,
        reference="made",
        name=np.array(NAMES),
        right_ascension=np.radians([10.0, 100.0, 200.0, 300.0, 350.0]),
        declination=np.radians([-70.0, -30.0, 0.0, 30.0, 60.0]),
        classes=np.array(["SNR", "PWN", "", "snr", "SNR,MC"]),
        extension=np.radians([0.1, 0.2, 0.6, NAN, 0.0]),
        flux=np.array([2e-12, NAN, 5e-13, 1e-12, 4e-12]),
        flux_unit="cm-2 s-1",
        flux_band="above 1 TeV",
        distance=np.array([1.0, 2.0, NAN, 4.0, 0.5]),
        columns={
            "Sqrt_TS": Column(np.array([5.0, 6.0, 7.0, NAN, -9.0])),
            "Object Name": Column(np.array(["Vela X", "it's", "", "x", "or"])),
            "import": Column(np.array([1.0, 0.0, 1.0, 0.0, 1.0])),
        },
    )
    return replace(values, **changes)


def taken(rule: str, of: SourceTable | None = None) -> tuple[str, int]:
    """Names of the sources that a rule takes, and how many it leaves out for a missing value."""
    of = of or table()
    outcome = apply_rule(parse_rule(rule), of.column, of.names())
    return " ".join(of.name[outcome.chosen]), int(outcome.unknown.sum())


@pytest.mark.parametrize(
    ("rule", "names", "unknown"),
    [
        ("class == 'SNR'", "A", 1),
        ('class == "SNR"', "A", 1),
        ("class != 'SNR'", "B D E+1", 1),
        ("not class == 'SNR'", "B D E+1", 1),
        ("class in ('SNR', 'snr')", "A D", 1),
        ("class in ['SNR']", "A", 1),
        ("class in ('SNR')", "A", 1),  # one word in brackets, not its letters
        ("class not in ('SNR', 'snr')", "B E+1", 1),
        ("'SNR' in class", "A E+1", 1),
        ("'MC' in class and 'NR' not in class", "E+1", 1),
        ("class is None", "C", 0),
        ("class is not None", "A B D E+1", 0),
        ("name == 'E+1'", "E+1", 0),
        ("flux > 1e-12", "A E+1", 1),
        ("flux >= 1e-12", "A D E+1", 1),
        ("not flux > 1e-12", "C D", 1),
        ("flux < 1e-12 or flux >= 1e-12", "A C D E+1", 1),
        ("flux is None or flux > 3e-12", "B E+1", 0),
        ("extension < 0.5", "A B E+1", 1),
        ("extension < 0.15 and flux > 1e-12", "A E+1", 0),
        ("dec > -60", "B C D E+1", 0),
        ("-60 < dec < 40", "B C D", 0),
        ("dec == +30", "", 0),  # rad and back: 30.000000000000004
        ("ra > 199.9 and ra <= 300.1", "C D", 0),
        ("b > 30", "C", 0),
        ("67 < l < 68 or b > 60", "C D", 0),
        ("distance in (0.5, 1, 4)", "A D E+1", 1),
        ("flux > Sqrt_TS", "E+1", 2),
        ('`Object Name` == "it\'s"', "B", 1),
        ("`Object Name` == 'or' or class == 'PWN'", "B E+1", 1),
        ("import == 1", "A C E+1", 0),
        ("class == 'SNR' and flux > 1e-12 and extension < 0.5 and dec > -60", "", 0),
        ("class == 'SNR' and flux > 1e-12 and extension < 0.5 and dec > -71", "A", 0),
        ("(class == 'SNR' or class == 'PWN') and dec > -60", "B", 1),
        ("class == 'SNR' or class == 'PWN' and dec > -60", "A B", 1),
        ("not (class == 'SNR' or dec > 0)", "B", 1),
        ("flux > -1", "A C D E+1", 1),
        ("class == 'class'", "", 1),
    ],
)
def test_what_a_rule_takes(rule: str, names: str, unknown: int) -> None:
    assert taken(rule) == (names, unknown)


@pytest.mark.parametrize("seed", range(20))
def test_rules_of_and_or_not_agree_with_all_the_values_a_missing_one_might_have(seed: int) -> None:
    """Taken: true for every value the missing ones might have.  Unknown: neither always true nor always false."""
    rng = np.random.default_rng(seed)
    letters = "abc"

    def term(depth: int) -> str:
        kind = rng.integers(4) if depth else 0
        if kind == 0:
            return f"{rng.choice(list(letters))} > {rng.integers(3)}"
        if kind == 1:
            return f"not ({term(depth - 1)})"
        return f"({term(depth - 1)} {('and', 'or')[kind - 2]} {term(depth - 1)})"

    # Each column at most once, else a missing value would be two values at a time.
    rule = term(3)
    if max(rule.count(letter) for letter in letters) > 1:
        rule = "not (a > 0 and (b > 1 or not c > 1))"
    worlds = list(itertools.product([0.0, 1.0, 2.0, NAN], repeat=3))
    columns = {letter: np.array([world[k] for world in worlds]) for k, letter in enumerate(letters)}
    outcome = apply_rule(parse_rule(rule), columns.get, letters)
    for k, world in enumerate(worlds):
        filled = itertools.product(*[[value] if value == value else [0.0, 1.0, 2.0, 3.0] for value in world])
        answers = {eval(rule, {}, dict(zip(letters, one, strict=True))) for one in filled}  # the oracle: Python itself
        assert outcome.chosen[k] == (answers == {True}), (rule, world)
        assert outcome.unknown[k] == (len(answers) > 1), (rule, world)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("__import__('os').system('true')", "a rule calls nothing"),
        ("name.__class__ == 'x'", "a rule has no dots"),
        ("flux > 9**9**9**9", "a rule does no arithmetic"),
        ("flux * 2 > 1", "a rule does no arithmetic"),
        ("flux > 1 & dec > 2", "a rule does no arithmetic"),
        ("open('x')", "a rule calls nothing"),
        ("len(name) > 2", "a rule calls nothing"),
        ("name['x'] == 'y'", "a rule has no square brackets"),
        ("(lambda: 1)() == 1", "cannot be read"),
        ("[x for x in name] == 'x'", "cannot be read"),
        ("{'a': 1} == flux", "is not allowed"),
        ("(flux := 1) > 0", "a rule sets nothing"),
        ("f'{name}' == 'x'", "a rule has no f-strings"),
        ("name == b'x'", "neither a number nor a word"),
        ("flux > 1j", "neither a number nor a word"),
        ("flux > ...", "neither a number nor a word"),
        ("flux == True", "say 1 or 0"),
        ("flux == None", "say COLUMN is None"),
        ("flux is 3", "'is' goes with a column and None only"),
        ("class == ''", "say COLUMN is None"),
        ("flux > 1e999", "a number is too large"),
        (f"flux > 1{'0' * 400}", "a number is too large"),
        ("flux > ----1", "is not allowed"),
        ("1 < 2", "compares no column"),
        ("flux", "'flux' stands alone"),
        ("class", "'class' stands alone"),
        ("1", "stands alone"),
        ("class in (name, 'x')", "'name' is a column"),
        ("3 in class", "is a 'word'"),
        ("class = 'SNR'", "equality is written =="),
        ("class == 'SNR' && dec > 1", "written as words"),
        ("class == 'SNR' AND dec > 1", "written as words"),
        ("class == 'SNR", "a quotation mark is not closed"),
        ("dec > 1 # and flux > 2", "a rule has no comments"),
        ("name == 'it\\'s'", "holds a \\"),
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("dec > 1; import os", "cannot be read"),
        ("dec > 1\x00", "cannot be read"),
        ("(" * 300 + "dec > 1" + ")" * 300, "cannot be read"),
        ("not " * 200 + "dec > 1", "nested deeper"),
        ("dec > 1 or " * 400 + "dec > 1", "characters"),
        ("import os", "cannot be read"),
        ("*name == 'x'", "cannot be read"),
        ("name == 'x' if dec > 1 else flux > 1", "cannot be read"),
    ],
)
def test_rules_that_are_refused(rule: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_rule(rule)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("Flux > 1", ["no column 'Flux'. Did you mean 'flux'?"]),
        ("sqrt_ts > 1 and clas == 'x'", ["no column 'sqrt_ts'. Did you mean 'Sqrt_TS'?", "Did you mean 'class'?"]),
        ("class > 3", ["'class' holds words and is compared with the number 3"]),
        ("flux == 'high' and clss == 'x'", ["compared with the word 'high'", "Did you mean 'class'"]),
        ("class > 'SNR'", ["words are compared with ==, != and in only"]),
        ("class in ('SNR', 3)", ["'class' holds words and is compared with the number 3"]),
        ("'x' in flux", ["'flux' holds numbers and is compared with the word 'x'"]),
        ("flux > name", ["'flux' holds numbers and is compared with the word name"]),
        ("`no such` == 1", ["no column 'no such'"]),
    ],
)  # fmt: skip
def test_columns_that_are_not_there_or_not_alike(rule: str, said: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        taken(rule)
    for words in said:
        assert words in str(caught.value)


def test_a_word_that_no_source_has_is_noted_and_an_empty_selection_is_refused() -> None:
    with pytest.raises(InputError, match=r"takes none of the 5 sources.*no source has the class 'Snr'. Did you mean"):
        select(table(), Choice(rule="class == 'Snr'"), name="x")
    made = select(table(), Choice(rule="class in ('SNR', 'Snr')"), name="x")
    assert any("no source has the class 'Snr'" in note for note in made.notes)


def test_the_number_left_out_for_missing_values_is_reported() -> None:
    made = select(table(), Choice(rule="flux > 1e-13"), name="x")
    assert made.unknown == 1
    assert "1 sources were left out because a value that the rule asks for is missing" in made.notes


# ---- weights ------------------------------------------------------------------------------------------------------

KNOWN = "flux is not None and distance is not None"


@pytest.mark.parametrize(
    ("weight", "rule", "expected"),
    [
        ("equal", "", [1, 1, 1, 1, 1]),
        ("flux", KNOWN, [2e-12, 1e-12, 4e-12]),
        ("1/distance^2", KNOWN, [1.0, 1 / 16, 4.0]),
        ("1/d**2", KNOWN, [1.0, 1 / 16, 4.0]),
        ("Sqrt_TS", "Sqrt_TS > 0", [5.0, 6.0, 7.0]),
        ("import", "", [1.0, 0.0, 1.0, 0.0, 1.0]),
    ],
)
def test_weights(weight: str, rule: str, expected: list[float]) -> None:
    made = select(table(), Choice(rule=rule, weight=weight), name="x")
    assert made.catalogue.weights == pytest.approx(expected)
    assert made.shares == pytest.approx(np.array(expected) / sum(expected))
    assert f"weight: {weight}" in made.catalogue.reference


@pytest.mark.parametrize(
    ("weight", "rule", "said"),
    [
        ("flux", "", "1 selected sources have no flux, by which they are weighted (B)"),
        ("Sqrt_TS", "", "a Sqrt_TS below 0 or infinite"),
        ("1/distance^2", "", "leave them out with 'distance is not None' in the rule"),
        ("class", "", "a column of words"),
        ("fluxx", "", "there is no weight 'fluxx'. Did you mean 'flux'?"),
        ("import", "import == 0", "expected a positive sum"),
    ],
)
def test_weights_that_cannot_be_used(weight: str, rule: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        select(table(), Choice(rule=rule, weight=weight), name="x")
    assert said in str(caught.value)


def test_a_distance_of_zero_is_no_weight() -> None:
    with pytest.raises(InputError, match="a distance of 0"):
        select(table(distance=np.array([0.0, 1, 1, 1, 1])), Choice(weight="1/distance^2"), name="x")


def test_shares_of_events_follow_the_acceptance() -> None:
    assert seen_shares(np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 0.5])) == pytest.approx([0.25, 0.5, 0.25])


def test_the_selection_does_not_depend_on_the_order_of_the_table() -> None:
    rng = np.random.default_rng(1)
    order = rng.permutation(5)
    base = table()
    mixed = replace(
        base,
        columns={k: Column(c.values[order], c.unit) for k, c in base.columns.items()},
        **{
            key: getattr(base, key)[order]
            for key in ("name", "right_ascension", "declination", "classes", "extension", "flux", "distance")
        },
    )
    one, other = (select(t, Choice(rule="flux > 1e-13", weight="flux"), name="x").catalogue for t in (base, mixed))
    assert sorted(zip(one.weights, one.sources, strict=True), key=repr) == sorted(
        zip(other.weights, other.sources, strict=True), key=repr
    )


def test_the_reference_says_where_it_is_from_and_how_it_was_made() -> None:
    made = select(table(used={"ra": "RAJ"}), Choice("dec > -60", duplicates="keep"), name="five?rule=dec > -60")
    for said in ("made", "five.csv", "0" * 64, "ra=RAJ", "rule: dec > -60", "weight: equal", "0.02 deg: keep"):
        assert said in made.catalogue.reference
    assert made.catalogue.label == "4 of 5 sources of five with dec > -60"
    assert "1 sources without a stated extension are taken as points" in made.notes
    assert [s.extension for s in made.catalogue.sources] == pytest.approx(np.radians([0.2, 0.6, 0.0, 0.0]))


def test_a_rule_on_a_typed_list() -> None:
    whole = listed("list-109")
    made = select(whole, Choice("class == 'BLL' and dec > 0"), name="x")
    assert {str(whole.classes[row]) for row in made.rows} == {"BLL"}
    assert all(source.declination > 0 for source in made.catalogue.sources)
    assert 10 < len(made.rows) < 109


# ---- duplicates and missing directions ----------------------------------------------------------------------------


def twins() -> SourceTable:
    """A and B 0.01 deg apart across right ascension 0, C with the name of A a degree away."""
    base = table()
    return replace(
        base,
        name=np.array(["A", "B", "a ", "D", "E"]),
        right_ascension=np.radians([359.996, 0.006, 1.0, 120.0, 240.0]),
        declination=np.zeros(5),
        flux=np.array([1.0, 3.0, 5.0, 7.0, 9.0]),
    )


def test_duplicates_are_refused_unless_something_is_said_about_them() -> None:
    with pytest.raises(InputError) as caught:
        select(twins(), Choice(), name="x")
    assert "1 sources are listed more than once" in str(caught.value)
    assert "A + B + a " in str(caught.value)
    assert "say duplicates=keep, merge or first" in str(caught.value)
    assert len(select(twins(), Choice(duplicates="keep"), name="x").catalogue.sources) == 5
    assert len(select(twins(), Choice(rule="name in ('B', 'D')"), name="x").catalogue.sources) == 2


def test_first_and_merge() -> None:
    pair = Choice(rule="ra != 1 and not `x` == 1", duplicates="first")
    two = replace(twins(), columns={"x": Column(np.array([0.0, 0.0, 1.0, 0.0, 0.0]))})
    first = select(two, replace(pair, weight="flux"), name="x").catalogue
    assert [source.name for source in first.sources] == ["A", "D", "E"]
    assert first.weights == (1.0, 7.0, 9.0)
    merged = select(two, replace(pair, weight="flux", duplicates="merge"), name="x").catalogue
    assert [source.name for source in merged.sources] == ["A + B", "D", "E"]
    assert merged.weights == (2.0, 7.0, 9.0)
    assert np.degrees(merged.sources[0].right_ascension) == pytest.approx(0.001, abs=1e-9)
    assert merged.sources[0].extension == pytest.approx(np.radians(0.15))
    assert select(two, replace(pair, duplicates="merge"), name="x").catalogue.weights == (1.0, 1.0, 1.0)


def test_one_name_at_two_places_is_not_merged() -> None:
    with pytest.raises(InputError, match="cannot be one source"):
        select(twins(), Choice(duplicates="merge"), name="x")


def test_everything_against_a_selection_comes_in_one_message() -> None:
    bad = replace(twins(), declination=np.array([0.0, 0.0, 0.0, NAN, 0.0]), faults=("its ra looks like hours",))
    with pytest.raises(InputError) as caught:
        select(bad, Choice(weight="Sqrt_TS"), name="x")
    for said in ("looks like hours", "1 selected sources have no direction (D)", "listed more than once", "Sqrt_TS"):
        assert said in str(caught.value)
    good = replace(bad, faults=())
    assert len(select(good, Choice("dec is not None", duplicates="keep"), name="x").catalogue.sources) == 4


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(duplicates="merg"), "Did you mean 'merge'"),
        (Choice(within=-1.0), "expected 0 to 180"),
        (Choice(within=NAN), "expected 0 to 180"),
        (Choice(rule="dec >"), "cannot be read"),
    ],
)
def test_choices_that_cannot_be(choice: Choice, said: str) -> None:
    with pytest.raises(InputError, match=said):
        select(table(), choice, name="x")


def test_duplicates_against_brute_force() -> None:
    rng = np.random.default_rng(7)
    ra, dec = rng.uniform(0, 2 * np.pi, 300), np.arcsin(rng.uniform(-1, 1, 300))
    ra[:60], dec[:60] = rng.uniform(0, 2 * np.pi, 60), np.pi / 2 - rng.uniform(0, 0.1, 60)  # near the pole
    ra[60:70], dec[60:70] = rng.normal(0, 0.003, 10) % (2 * np.pi), 0.0  # across right ascension 0
    where, within = vectors(ra, dec), 0.01
    near = angle(where[:, None], where[None]) <= within
    reach = np.linalg.matrix_power(near.astype(np.float64), 16) > 0  # chains of up to sixteen
    expected = {tuple(np.flatnonzero(row)) for row in reach if row.sum() > 1}
    found = duplicates(np.array([f"s{k}" for k in range(300)]), ra, dec, within)
    assert {tuple(group.rows) for group in found} == expected
    assert len(expected) > 5


# ---- matching -----------------------------------------------------------------------------------------------------


def brute(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """All separations by the formula of Vincenty, another one than that of the match."""
    d = one[0][:, None] - other[0]
    s1, c1, s2, c2 = np.sin(one[1])[:, None], np.cos(one[1])[:, None], np.sin(other[1]), np.cos(other[1])
    across = np.hypot(c2 * np.sin(d), c1 * s2 - s1 * c2 * np.cos(d))
    return np.arctan2(across, s1 * s2 + c1 * c2 * np.cos(d))


@pytest.mark.parametrize("place", ["sky", "poles", "ra 0"])
@pytest.mark.parametrize("within", [1e-4, 0.02, 0.5, np.pi])
def test_match_against_brute_force(place: str, within: float) -> None:
    rng = np.random.default_rng(3)

    def some(n: int) -> tuple[np.ndarray, np.ndarray]:
        ra, sin_dec = rng.uniform(0, 2 * np.pi, n), rng.uniform(-1, 1, n)
        if place == "poles":
            return ra, np.copysign(np.pi / 2 - rng.uniform(0, 0.05, n), sin_dec)
        if place == "ra 0":
            return rng.normal(0, 0.03, n) % (2 * np.pi), rng.normal(0, 0.03, n)
        return ra, np.arcsin(sin_dec)

    one, other = some(200), some(150)
    one[0][:20], one[1][:20] = other[0][:20], other[1][:20] + 1e-5  # close pairs
    separations = brute(one, other)
    found = match(one, other, within)
    nearest = separations.min(axis=1)
    expected = np.flatnonzero(nearest <= within)
    assert found.first.tolist() == expected.tolist()
    # 1e-15 of rounding in each of the two formulas
    assert found.separation == pytest.approx(nearest[expected], abs=1e-14)
    assert separations[found.first, found.second] == pytest.approx(nearest[expected], abs=1e-14)
    assert found.alone_first.tolist() == np.flatnonzero(nearest > within).tolist()
    assert found.alone_second.tolist() == np.flatnonzero(separations.min(axis=0) > within).tolist()
    assert len(expected) >= (0 if within < 1e-3 else 20)


def test_a_source_without_direction_matches_nothing() -> None:
    one = np.array([0.1, NAN]), np.array([0.0, 0.2])
    found = match(one, (np.array([0.1]), np.array([0.0])), 0.1)
    assert found.first.tolist() == [0]
    assert found.alone_first.tolist() == [1]
    nothing = match(one, (np.array([NAN]), np.array([NAN])), 0.1)
    assert nothing.alone_first.tolist() == [0, 1]
    assert nothing.alone_second.tolist() == [0]


# ---- in the machinery ---------------------------------------------------------------------------------------------


def many(n: int) -> SourceTable:
    rng = np.random.default_rng(11)
    return SourceTable(
        title="many",
        file="many.csv",
        sha256="1" * 64,
        reference="made",
        name=np.array([f"s{k}" for k in range(n)]),
        right_ascension=rng.uniform(0, 2 * np.pi, n),
        declination=np.arcsin(rng.uniform(-1, 1, n)),
        classes=np.full(n, "X"),
        extension=np.where(rng.random(n) < 0.5, 0.0, 0.02),
        flux=rng.uniform(1.0, 2.0, n),
        flux_unit="",
        flux_band="",
        distance=np.full(n, NAN),
        columns={},
    )


def test_a_thousand_sources_are_prepared_like_a_stack_whatever_their_order() -> None:
    catalogue = select(many(1000), Choice(weight="flux", duplicates="keep"), name="many").catalogue
    assert isinstance(catalogue, Catalogue)
    assert len(catalogue.sources) == 1000
    order = np.random.default_rng(2).permutation(1000)
    mixed = replace(
        catalogue,
        sources=tuple(catalogue.sources[k] for k in order),
        weights=tuple(catalogue.weights[k] for k in order),
    )
    events = sample(300, nside=16)
    one, other = (terms(prepare(Hypothesis("stack:x", c, 2.7, False), (events,))) for c in (catalogue, mixed))
    # sums of a thousand terms in another order
    assert np.abs(one.difference - other.difference).max() < 1e-6 * np.abs(one.difference).max()
    assert np.abs(one.difference).max() > 0
