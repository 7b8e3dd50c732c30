"""The analysis spec: every fault is told, all at once, and the fingerprint names the content and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nuanalysis.errors import InputError
from nuanalysis.library.samples import sample_spec
from nuanalysis.plot import slug
from nuanalysis.workflow.spec import (
    AnalysisSpec,
    Asked,
    open_run,
    parse_spec,
    read_spec,
)

GOOD = """
name = "tiny"
seed = 3

[[sample]]
name = "cascades-2023"
n_signal = 671.1
min_log10_energy = 3.5

[[hypothesis]]
name = "template:pi0"
index = 2.7

[[hypothesis]]
name = "stack:snr"

[trials]
scrambles = 200
injections = 100
"""


def asked(spec: AnalysisSpec, section: str) -> list[Asked]:
    return [one for one in spec.asked if one.section == section]


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_spec(text, "bad.toml")
    return str(caught.value)


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) >= 1, old
    return GOOD.replace(old, new, 1)


def test_a_good_spec_is_read_with_its_defaults() -> None:
    spec = parse_spec(GOOD)
    assert (spec.name, spec.seed, spec.trials.scrambles, spec.trials.injections) == ("tiny", 3, 200, 100)
    [sample] = spec.sample
    assert (sample.signal, sample.max_log10_energy, sample.min_declination_deg) == ("template:pi0", 10.0, -90.0)
    assert [h.index_free for h in spec.hypothesis] == [None, None]


def test_the_spec_of_the_main_job_is_good_and_holds_what_the_issue_asks_for() -> None:
    spec = read_spec(Path(__file__).parents[1] / "specs" / "default.toml")
    assert [s.name for s in spec.sample] == ["cascades-2023", "tracks"]
    assert [h.name for h in spec.hypothesis] == ["template:pi0", "stack:snr", "stack:pwn", "stack:unid"]
    assert spec.sample[0].n_signal == 671.1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed = 3", "sead = 3", "unknown key 'sead'. Did you mean 'seed'?"),
        ("n_signal", "n_signl", "unknown key 'sample.0.n_signl'. Did you mean 'n_signal'?"),
        ("index = 2.7", "indx = 2.7", "unknown key 'hypothesis.0.indx'. Did you mean 'index'?"),
        ("scrambles", "scrambels", "unknown key 'trials.scrambels'. Did you mean 'scrambles'?"),
        ("seed = 3", 'seed = "3"', "'seed': Input should be a valid integer (found '3')"),
        ("seed = 3", "seed = 3.0", "'seed': Input should be a valid integer"),
        ("seed = 3", "seed = true", "'seed': Input should be a valid integer"),
        ("seed = 3", "seed = -1", "'seed': Input should be greater than or equal to 0 (found -1)"),
        ("seed = 3", f"seed = {2**63}", "'seed'"),
        ("671.1", "-1.0", "'sample.0.n_signal'"),
        ("671.1", "nan", "'sample.0.n_signal'"),
        ("671.1", "inf", "'sample.0.n_signal'"),
        ("671.1", "true", "'sample.0.n_signal': Input should be a valid number"),
        ("index = 2.7", "index = 4.5", "'hypothesis.0.index'"),
        ("index = 2.7", "index_free = 1", "'hypothesis.0.index_free': Input should be a valid boolean"),
        ("200", "199", "'trials.scrambles': Input should be greater than or equal to 200 (found 199)"),
        ("100", "99", "'trials.injections'"),
        (
            "cascades-2023",
            "cascade-2023",
            "sample.0.name: there is no sample 'cascade-2023'. Did you mean",
        ),
        (
            "cascades-2023",
            "hese75",
            "sample.0.name: the sample 'hese75' cannot be analysed: its",
        ),
        ('"tiny"', '"Tiny run"', "'name': String should match pattern"),
        ('"tiny"', '"../tiny"', "'name': String should match pattern"),
        ('name = "tiny"', "", "'name': Field required"),
        ("min_log10_energy = 3.5", "min_log10_energy = 11", "'sample.0.min_log10_energy'"),
    ],
)
def test_a_fault_is_named_with_its_place(old: str, new: str, said: str) -> None:
    message = refusal(changed(old, new))
    assert said in message
    assert message.startswith("bad.toml is not a valid analysis spec")
    assert message.endswith("Nothing was run.")
    assert message.count("\n  - ") == 1, message


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("min_log10_energy = 5", "max_log10_energy = 4"), "min_log10_energy is 5 and max_log10_energy 4"),
        (("min_log10_energy = 5", "max_log10_energy = 5"), "expected min below max"),
        (("min_declination_deg = 10", "max_declination_deg = -5"), "min_declination_deg is 10"),
    ],
)
def test_a_range_that_holds_nothing_is_refused(lines: tuple[str, ...], said: str) -> None:
    assert said in refusal(changed("min_log10_energy = 3.5", "\n".join(lines)))


def test_all_faults_come_in_one_message() -> None:
    text = GOOD
    for old, new in (("seed", "sead"), ("671.1", "nan"), ("index = 2.7", "index = 9"), ("200", "2")):
        text = text.replace(old, new, 1)
    message = refusal(text)
    assert message.count("\n  - ") == 4
    for place in ("'sead'", "'sample.0.n_signal'", "'hypothesis.0.index'", "'trials.scrambles'"):
        assert place in message


@pytest.mark.parametrize("text", ["name = 'x'\nsample = []\nhypothesis = []", "name = 'x'"])
def test_a_spec_without_a_sample_is_refused(text: str) -> None:
    assert "'sample': " in refusal(text)


def test_a_spec_that_asks_nothing_is_refused() -> None:
    assert "the spec asks nothing" in refusal("name = 'x'\n[[sample]]\nname = 'tracks'")
    message = refusal("name = 'x'\nsample = 3\nhypothesis = 'template'")
    assert "'sample': " in message
    assert "'hypothesis': " in message


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[[hypothesis]]\nname = "template:pi0"\nindex = 2.5', "template:pi0"),
        ('[[hypothesis]]\nname = "point:1, 2"\n[[hypothesis]]\nname = "point:1,-2"', "point:1, 2"),
        ('[[sample]]\nname = "cascades-2023"', "cascades-2023"),
    ],
)
def test_two_of_one_name_would_overwrite_each_other(more: str, said: str) -> None:
    message = refusal(GOOD + more)
    assert "named twice" in message
    assert said in message


NAMES = (
    "template:pi0", "template:a/B.npy", "template:a-b.npy", "template:a/B.npy?frame=galactic", "point:83.63,-22.01",
    "template:a-b.npy?frame=galactic", "stack:snr", "stack:hgps?rule=flux > 1", "stack:hgps?rule=flux < 1",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_clash_as_they_do_in_file_names(name: str) -> None:
    twins = {"template:a/B.npy", "template:a-b.npy"}
    assert {other for other in NAMES if slug(other) == slug(name)} == (twins if name in twins else {name})
    assert len(slug(name)) < 120


def test_what_is_no_toml_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "bad.toml is not TOML" in refusal("name = ")
    with pytest.raises(InputError, match=r"there is no spec at .*nowhere\.toml"):
        read_spec(tmp_path / "nowhere.toml")
    with pytest.raises(InputError, match="is a folder, expected a file"):
        read_spec(tmp_path)
    latin = tmp_path / "latin.toml"
    latin.write_bytes('name = "größe"'.encode("latin-1"))
    with pytest.raises(InputError, match="cannot be read"):
        read_spec(latin)


def test_a_sample_from_options_is_checked_alike() -> None:
    with pytest.raises(InputError, match=r"'n_signal'.*\n.*'max_log10_energy'"):
        sample_spec(name="cascades-2023", n_signal=-5.0, max_log10_energy=float("nan"))


def leaves() -> list[tuple[str, str]]:
    """Every value of the spec, with another that is allowed."""
    return [
        ('"tiny"', '"tiny2"'),
        ("seed = 3", "seed = 4"),
        ("671.1", "671.2"),
        ("min_log10_energy = 3.5", "min_log10_energy = 3.6"),
        ("min_log10_energy = 3.5", "max_log10_energy = 3.5"),
        ("min_log10_energy = 3.5", "min_log10_energy = 3.5\nmin_declination_deg = -80"),
        ("min_log10_energy = 3.5", 'min_log10_energy = 3.5\nsignal = "none"'),
        ("template:pi0", "template:pi0-like"),
        ("index = 2.7", "index = 2.6"),
        ("index = 2.7", "index = 2.7\nindex_free = true"),
        ("stack:snr", "stack:pwn"),
        ("200", "201"),
        ("injections = 100", "injections = 101"),
        ("index = 2.7", "index = 2.7\noptional = true"),
        ("index = 2.7", "index = 2.7\npublished_ts = 22.19"),
        ("[trials]", "[[together]]\nname = 'a'\nhypotheses = ['template:pi0', 'stack:snr']\n[trials]"),
        ("[trials]", "[[scan]]\nname = 'a'\n[trials]"),
        ("[trials]", "[[scan]]\nname = 'a'\nskies = 7\n[trials]"),
        ("[trials]", "[[sources]]\nname = 'a'\ncatalogue = 'snr'\n[trials]"),
        ("[trials]", "[[sources]]\nname = 'a'\ncatalogue = 'pwn'\n[trials]"),
    ]


def test_the_fingerprint_changes_with_every_value() -> None:
    prints = [parse_spec(text).fingerprint() for text in (GOOD, *(changed(old, new) for old, new in leaves()))]
    assert len(set(prints)) == len(prints)
    assert all(re.fullmatch(r"[0-9a-f]{64}", one) for one in prints)


TOGETHER = """
[[together]]
name = "both"
hypotheses = ["template:pi0", "stack:snr"]
precision = 0.1
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("precision", "precison", "unknown key 'together.0.precison'. Did you mean 'precision'?"),
        ("0.1", "0.0001", "'together.0.precision': Input should be greater than or equal to 0.001"),
        ("0.1", '"0.1"', "'together.0.precision': Input should be a valid number"),
        ('"both"', '"Both of"', "'together.0.name': String should match pattern"),
        ('"template:pi0", "stack:snr"', "", "together.0: hypotheses holds nothing; expected two or more"),
        ('"template:pi0", ', "", "together.0: hypotheses holds stack:snr; expected two or more different ones"),
        ('"template:pi0"', '"stack:snr"', "together.0: stack:snr named twice"),
        ("precision = 0.1", "trials = 100", "together.0.trials: trials is 100; expected 200 or more, or 0"),
        ("precision = 0.1", "trials = -1", "'together.0.trials'"),
        ("precision = 0.1", "smear_declination = 20", "'together.0.smear_declination'"),
    ],
)
def test_a_fault_of_a_comparison_is_named(old: str, new: str, said: str) -> None:
    assert asked(parse_spec(GOOD + TOGETHER), "together")[0].name == "both"
    message = refusal(GOOD + TOGETHER.replace(old, new, 1))
    assert said in message
    assert message.count("\n  - ") == 1, message


SKY = """
[[scan]]
name = "all"
nside = 32
skies = 20

[[sources]]
name = "list"
catalogue = "list-109"
skies = 50
local_trials = 300
"""


def test_a_scan_and_a_source_list_are_read_with_their_defaults() -> None:
    spec = parse_spec(GOOD + SKY)
    [scan], [listed] = (
        (one.question.model_dump() for one in asked(spec, "scan")),
        (one.question.model_dump() for one in asked(spec, "sources")),
    )
    keys = ("nside", "skies", "smear_declination", "local_trials")
    assert [scan[key] for key in keys] == [32, 20, 0.0, 2000]
    keys = ("catalogue", "skies", "smear_declination", "local_trials")
    assert [listed[key] for key in keys] == ["list-109", 50, 0.0, 300]
    bare = parse_spec(GOOD + SKY.replace("nside = 32\nskies = 20", "").replace("skies = 50\nlocal_trials = 300", ""))
    [scan], [listed] = asked(bare, "scan"), asked(bare, "sources")
    assert (scan.question.model_dump()["nside"], scan.question.model_dump()["skies"]) == (64, 100)
    assert (listed.question.model_dump()["skies"], listed.question.model_dump()["local_trials"]) == (1000, 1000)
    assert listed.names == ("stack:list-109",)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("nside = 32", "nsid = 32", "unknown key 'scan.0.nsid'. Did you mean 'nside'?"),
        ("nside = 32", "nside = 48", "nside is 48; expected one of 1, 2, 4"),
        ("nside = 32", "nside = 32.0", "'scan.0.nside': Input should be a valid integer"),
        ("skies = 20", "skies = -1", "'scan.0.skies': Input should be greater than or equal to 0 (found -1)"),
        ("skies = 20", "smear_declination = 11", "'scan.0.smear_declination'"),
        ("skies = 20", "local_trials = 100", "'scan.0.local_trials'"),
        ('"all"', '"All of it"', "'scan.0.name': String should match pattern"),
        ("catalogue", "catalog", "unknown key 'sources.0.catalog'. Did you mean 'catalogue'?"),
        ("skies = 50", "skies = true", "'sources.0.skies': Input should be a valid integer"),
        ("local_trials = 300", "local_trials = 199", "'sources.0.local_trials'"),
    ],
)
def test_a_fault_of_a_scan_or_a_source_list_is_named(old: str, new: str, said: str) -> None:
    message = refusal(GOOD + SKY.replace(old, new, 1))
    assert said in message
    assert message.endswith("Nothing was run.")


@pytest.mark.parametrize("kind", ["scan", "sources"])
def test_two_scans_or_lists_of_one_name_are_refused(kind: str) -> None:
    [twice] = [part for part in SKY.split("\n\n") if f"[[{kind}]]" in part]
    assert "named twice" in refusal(GOOD + twice + "\n" + twice)


def test_an_unknown_catalogue_is_refused_before_work() -> None:
    with pytest.raises(InputError, match=r"no catalogue 'list-190'. Did you mean 'list-109'"):
        parse_spec(GOOD + SKY.replace("list-109", "list-190"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("optional = 1", "'hypothesis.0.optional': Input should be a valid boolean"),
        ("published_ts = 0", "'hypothesis.0.published_ts'"),
        ("published_ts = 65", "'hypothesis.0.published_ts'"),
        ("published_ts = nan", "'hypothesis.0.published_ts'"),
    ],
)
def test_a_fault_of_an_optional_or_published_hypothesis_is_named(line: str, said: str) -> None:
    assert said in refusal(changed("index = 2.7", line))


def test_two_comparisons_of_one_name_are_refused() -> None:
    assert "named twice" in refusal(GOOD + TOGETHER + TOGETHER)


def test_a_list_compares_its_sources_and_an_unknown_list_is_refused() -> None:
    alone = TOGETHER.replace('"template:pi0", "stack:snr"', '"each:list-109"')
    [together] = asked(parse_spec(GOOD + alone), "together")
    assert together.names == ("each:list-109",)
    with pytest.raises(InputError, match=r"no catalogue 'list-108'. Did you mean 'list-109'"):
        parse_spec(GOOD + alone.replace("109", "108"))


def test_optional_hypotheses_are_left_out_until_they_are_known(tmp_path: Path) -> None:
    file = tmp_path / "tomorrow.npy"
    name = f"template:{file}"
    more = f'[[hypothesis]]\nname = "{name}"\noptional = true\n'
    both = TOGETHER.replace('"stack:snr"', f'"{name}"')
    three = TOGETHER.replace('"both"', '"three"').replace('"stack:snr"', f'"stack:snr", "{name}"')
    without = parse_spec(GOOD + more + both + three)
    assert [h.name for h in without.hypothesis] == ["template:pi0", "stack:snr"]
    assert [(one.name, one.names) for one in without.asked] == [("three", ("template:pi0", "stack:snr"))]
    assert set(without.left_out) == {name, "together:both"}
    assert "no such file" in without.left_out[name]
    assert without.left_out["together:both"] == "only template:pi0 of its hypotheses is known to this version"
    file.touch()
    spec = parse_spec(GOOD + more + both + three)
    assert [h.name for h in spec.hypothesis] == ["template:pi0", "stack:snr", name]
    assert not spec.left_out
    assert without.fingerprint() != spec.fingerprint()


@pytest.mark.parametrize("optional", ["", "optional = true\n"])
def test_a_name_that_no_screen_can_show_is_refused_before_the_run(optional: str) -> None:
    """It would stand in results.json, which then could not be read."""
    more = f'[[hypothesis]]\nname = "template:\\u001b[2J"\n{optional}'
    with pytest.raises(InputError, match=r"the name 'template:\\x1b\[2J' holds control characters"):
        parse_spec(f"{GOOD}\n{more}")


def test_what_is_unknown_and_not_optional_is_refused() -> None:
    with pytest.raises(InputError, match="there is no template 'pi1'"):
        parse_spec(changed("template:pi0", "template:pi1"))
    with pytest.raises(InputError, match="there is no template 'pi1'"):
        parse_spec(GOOD + TOGETHER.replace("pi0", "pi1"))
    every = re.sub(r'(?m)^name = "(template|stack):.*"$', r'name = "\1:tomorrow"\noptional = true', GOOD)
    with pytest.raises(InputError, match="knows no hypothesis of the spec"):
        parse_spec(every)


def test_what_is_left_out_is_found_and_not_written() -> None:
    with pytest.raises(InputError, match="found, not written"):
        parse_spec("left_out = {}\n" + GOOD)


def test_the_fingerprint_is_not_of_the_text() -> None:
    other = """
    # a comment
    seed = 3
    name = "tiny"
    trials = { injections = 100, scrambles = 200 }
    sample = [{ min_log10_energy = 3.5, n_signal = 671.1, name = "cascades-2023", signal = "template:pi0" }]
    hypothesis = [{ index = 2.7, name = "template:pi0" }, { name = "stack:snr" }]
    """
    assert parse_spec(other).fingerprint() == parse_spec(GOOD).fingerprint()


def test_a_spec_never_changes() -> None:
    spec: AnalysisSpec = parse_spec(GOOD)
    with pytest.raises(ValueError, match="frozen"):
        spec.seed = 4  # type: ignore[misc]


def test_a_notebook_opened_in_its_own_folder_finds_spec_and_run_above(tmp_path, monkeypatch):
    (tmp_path / "specs").mkdir()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "specs" / "a.toml").write_text(
        'name = "a"\n[[sample]]\nname = "tracks"\n[[hypothesis]]\nname = "stack:snr"\n'
    )
    for inside, base in ((tmp_path, Path()), (tmp_path / "notebooks", Path(".."))):
        monkeypatch.chdir(inside)
        spec, folder = open_run("specs/a.toml", "runs/a")
        assert (spec.name, folder) == ("a", base / "runs/a")
    with pytest.raises(InputError, match="no spec at nowhere"):
        open_run("nowhere.toml", "runs/a")
