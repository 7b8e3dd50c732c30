"""The campaign table, and what report and release show of comparisons, scans and lists of sources."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import healpy as hp
import numpy as np
import pytest
import small_results as small
from astropy.io import fits as fits_files
from astropy.table import Table
from small_results import campaign, entry, make_run, results, spent, write_results

from nuanalysis import publish
from nuanalysis.answers._flux import InModels
from nuanalysis.errors import DataError
from nuanalysis.publish import CampaignRow, Entry, Results
from nuanalysis.publish._campaign_rows import published_list
from nuanalysis.records import Chance, Interval, Measured, Unknown
from nuanalysis.sky import catalogues
from nuanalysis.store import read_zip, write_zip
from nuanalysis.store.sky_maps import sky_map_of

LEFT_OUT = {
    "template:tomorrow": "there is no template 'tomorrow'",
    "together:templates": "only template:pi0 of its hypotheses is known to this version",
}
SPENT = spent(campaign())


def run_of(*answers: Entry, **more: object) -> Results:
    """A campaign on synthetic events alone."""
    cards = results().samples[:1]
    return results(*answers, samples=cards, cut_flow=(), left_out_questions=LEFT_OUT, costs=SPENT, **more)


def rows_of(*answers: Entry) -> dict[str, CampaignRow]:
    return {row.quantity: row for row in publish.campaign_rows(run_of(*answers))}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_run(tmp_path_factory.mktemp("runs") / "default", run_of(*campaign()))
    (run / "products" / "events-tracks.zip").unlink()
    publish.draw(publish.load_results(run), run)
    publish.report(run)
    publish.build(run, "DR0.1")
    return run


@pytest.fixture
def spoilt(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "default"))


def release_of(run: Path) -> Path:
    return run / "release" / "nuanalysis-default-DR0.1"


def section_of(run: Path, anchor: str) -> str:
    text = (run / "report" / "index.html").read_text()
    assert f'href="#{anchor}"' in text
    return text.partition(f'<section id="{anchor}"')[2].partition("</section>")[0]


# --- the table --------------------------------------------------------------------------------------------------------


def test_single_fits_are_no_campaign(tmp_path: Path) -> None:
    found = results(*small.fits())
    assert publish.campaign_rows(found) == ()
    assert publish.campaign_table(found) == b""
    assert publish.campaign_text(found) == ""
    run = make_run(tmp_path / "default", found)
    assert "Campaign" not in publish.report(run).read_text()
    assert not list(publish.build(run).rglob("*campaign*"))


def test_the_table_holds_published_and_ours_and_ends_in_the_core_hours_of_both() -> None:
    rows = rows_of(*campaign())
    first = rows["template:pi0: local p-value at TS 22.19"]
    assert (first.published, first.trials_published, first.kind, first.origin) == (1.26e-6, 5e8, "local", "synthetic")
    assert (first.ours, first.error, first.trials, first.seed) == (1.2e-6, pytest.approx(7.2e-8), 4000, 7)
    sensitivity = rows["template:pi0: sensitivity, 90 %"]
    assert (sensitivity.published, sensitivity.ours) == (pytest.approx(5.98), pytest.approx(5.9))
    assert sensitivity.error == pytest.approx(0.1)
    corrected = rows["template:pi0: fitted n_s 748 after the bias correction"]
    assert (corrected.published, corrected.ours, corrected.error, corrected.trials) == (671.1, 680.0, 3.0, 600)
    for side, published, ours in (("upper", 5.3, 5.5), ("lower", 4.9, 4.84)):
        row = rows[f"template:pi0: 68 % interval, {side} half-width"]
        assert (row.published, row.ours) == (pytest.approx(published), pytest.approx(ours))
    fitted = rows["stack:snr: fitted n_s"]
    assert (fitted.published, fitted.ours) == (218.6, 201.0)
    assert fitted.error == pytest.approx(0.5 * (1.25 - 0.78) * 6.0e-12 * 309.6 / 1e-11)
    assert "stack:snr: best-fit flux" not in rows  # the published unit is not confirmed
    assert rows["two: global p-value, best of 2, declinations smeared by 3 deg"].kind == "global"
    apart = rows["apart: local p-value of template:pi0, TS 9.00, stack:snr profiled"]
    assert apart.ours == 0.01
    assert apart.note.endswith("n_s 500.0; none of the trials: below 0.023 with 90 %")
    absent = [row for row in rows.values() if row.note.startswith("not in this version")]
    assert [(row.quantity, row.published, row.ours) for row in absent] == [
        ("template:tomorrow: local p-value", None, None), ("templates: global p-value", 3.78e-6, None),
    ]  # fmt: skip
    total = list(rows.values())[-1]
    hours = [row.core_hours for row in list(rows.values())[:-1] if row.core_hours is not None]
    assert total.core_hours == pytest.approx(sum(hours))
    assert len(hours) == len(SPENT)
    assert total.core_hours_published == 41_000


def test_published_rows_stand_beside_their_own_sample_only() -> None:
    rows = publish.campaign_rows(results(*small.fits(), entry("together", "two", small.together())))
    assert sum(row.quantity.startswith("template:pi0: local") for row in rows) == 1
    assert {row.origin for row in rows if row.origin != "-"} == {"synthetic"}
    assert rows[-1].core_hours is None
    assert "not measured" in rows[-1].note


def test_a_strength_published_in_units_of_the_model_stands_beside_ours_in_that_unit() -> None:
    name = "template:kra-gamma-like-5?spectrum=published"
    one = small.measured("cascades-2023", "synthetic", name, "KRA", "built-in", 16.0, 200.0, 1e-11)
    models = InModels(
        model_flux=2e-11,
        best=Measured(value=0.5, error=0.1),
        interval=Interval(low=0.4, high=0.7, level=0.68),
        upper_limit_90=Unknown(reason="none"),
    )
    reach = one.sensitivity.model_copy(update={"in_models": Measured(value=0.17, error=0.01)})
    one = one.model_copy(update={"flux": one.flux.model_copy(update={"in_models": models}), "sensitivity": reach})
    rows = rows_of(entry("measure", name, one), entry("bias", "b", small.bias()))
    best, sensitivity = rows[f"{name}: best-fit flux"], rows[f"{name}: sensitivity, 90 %"]
    assert (best.unit, best.published, best.ours, best.error) == ("x model", 0.55, 0.5, pytest.approx(0.15))
    assert (sensitivity.published, sensitivity.ours, sensitivity.error) == (0.16, 0.17, 0.01)
    assert rows[f"{name}: 68 % interval, lower half-width"].ours == pytest.approx(0.1)


def test_the_table_of_the_release_can_be_read(finished: Path) -> None:
    found = publish.load_results(finished)
    table = Table.read(publish.campaign_table(found).decode(), format="ascii.ecsv")
    rows = publish.campaign_rows(found)
    assert list(table["quantity"]) == [row.quantity for row in rows]
    assert set(table["kind"]) == {"local", "global", "-"}
    assert str(table["core_hours"].unit) == "h"
    released = Table.read(release_of(finished) / "fits" / "campaign-synthetic.ecsv", format="ascii.ecsv")
    np.testing.assert_array_equal(released["ours"], table["ours"])
    assert released.meta["ORIGIN"] == "synthetic"
    assert publish.verify(release_of(finished)).ok


def test_the_text_for_a_terminal_marks_synthetic_rows_and_says_what_is_missing() -> None:
    text = publish.campaign_text(run_of(*campaign()))
    lines = text.splitlines()
    ours = [line for line in lines if line.startswith(("template:pi0", "stack:", "two:"))]
    assert len(ours) > 8
    assert all("[SYNTHETIC]" in line for line in ours)
    assert "template:tomorrow: local p-value: not in this version: there is no template 'tomorrow'" in text
    assert "41,000" in text
    assert not [line for line in lines if "p-value" in line and "local" not in line and "global" not in line]


def test_numbers_that_are_not_there_are_null_in_json() -> None:
    rows = [row.to_dict() for row in publish.campaign_rows(run_of(*campaign()))]
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert rows[-1]["ours"] is None
    assert CampaignRow.from_dict(rows[0]).to_dict() == rows[0]


def test_the_table_has_the_hottest_spots_and_the_list_beside_the_published() -> None:
    rows = rows_of(*campaign())
    sky, few = small.scan(), small.sources()
    for spot, published in zip(sky.spots, (0.46, 0.28), strict=True):
        name = f"sky: hottest point of the {spot.hemisphere}ern sky"
        found, local = rows[f"{name}: global p-value"], rows[f"{name}: local p-value"]
        assert (found.published, found.trials_published, found.kind) == (published, 1000, "global")
        assert (found.ours, found.error) == (0.43, 0.11)
        assert (found.trials, found.origin, found.seed) == (6, "synthetic", 7)
        assert (local.ours, local.trials, local.kind) == (spot.local.p, 200, "local")
        assert ("extrapolated" in local.note) == spot.local.extrapolated == (local.error is None)
    best = rows["few: global p-value, best of 3 sources"]
    assert (best.ours, best.trials, best.kind, best.published) == (few.chance.p, 40, "global", None)  # another list
    rows = rows_of(entry("sources", "all", small.sources(catalogue="list-109")))
    best = rows["all: global p-value, best of 3 sources"]
    assert (best.published, best.trials_published) == (0.22, 100_000)
    assert rows["all: local p-value of the best"].published == 0.002
    assert published_list(small.sources(catalogue="list-109", sample="tracks")) == {}


def test_the_published_sources_are_those_of_the_list() -> None:
    published = published_list(small.sources(catalogue="list-109"))
    assert set(published) <= {source.name for source in catalogues.LIST_109.sources}


def test_without_a_scan_the_hottest_spots_are_not_asked_for() -> None:
    found = run_of(*(one for one in campaign() if one.section != "scan"))
    spots = [row for row in publish.campaign_rows(found) if row.quantity.startswith("hottest point")]
    assert [row.published for row in spots] == [0.28, 0.46]
    assert {row.note for row in spots} == {"not asked for: no [[scan]] in this spec"}
    assert "no [[scan]] in this spec" in publish.campaign_text(found)


# --- report and release -----------------------------------------------------------------------------------------------


def test_the_report_names_local_and_global_and_marks_what_is_synthetic(finished: Path) -> None:
    section = section_of(finished, "campaign")
    assert section.count("SYNTHETIC") >= 10
    assert "not in this version" in section
    assert "http" not in section
    section = section_of(finished, "together")
    assert "σ global, one-sided" in section
    assert "local p " in section
    assert "declinations smeared by 3°" in section
    assert section.count("<img ") == 2


def test_a_joint_fit_stands_in_the_report(finished: Path) -> None:
    section = section_of(finished, "together").partition("<h3>Fitted together: apart")[2]
    for words in (
        "SYNTHETIC", "500.0 ± 9.0", "Correlation with 2", "−0.44", "15.00 ± 0.27", "1.020 ± 0.030", "&lt; 0.023 (90 %)",
    ):  # fmt: skip
        assert words in section, words


def test_a_comparison_that_failed_says_why_instead_of_a_number(spoilt: Path) -> None:
    failed = small.together(
        chance=Unknown(reason="too few <trials> at //x.org"), local=Unknown(reason="too few"), trials_factor=None
    )
    found = run_of(entry("together", "stacks", failed))
    write_results(spoilt, found)
    text = publish.report(spoilt).read_text()
    assert "No global p-value: too few &lt;trials&gt; at x.org" in text
    [row] = [r for r in publish.campaign_rows(found) if r.kind == "global" and r.quantity.startswith("stacks")]
    assert row.ours is None
    assert "declinations smeared by 3 deg" in row.quantity
    assert row.note.startswith("too few")


def test_a_question_without_a_layout_of_its_own_shows_itself(finished: Path) -> None:
    section = section_of(finished, "questions")
    for words in ("<h3>significance: template:pi0", "<h3>bias: template:pi0", "TS 22.19 has local p", "median fit"):
        assert words in section, words
    assert section.count("<img ") == 2
    released = release_of(finished)
    stem = "bias-cascades-2023-template-pi0-synthetic"
    said = json.loads((released / "fits" / f"{stem}.json").read_text())
    assert (said["header"]["ORIGIN"], said["section"], said["name"]) == ("synthetic", "bias", "template:pi0")
    assert said["answer"] == small.bias().to_dict()
    table = Table.read(released / "fits" / f"{stem}.ecsv", format="ascii.ecsv")
    assert list(table["n_injected"]) == [0.0, 400.0, 800.0]
    assert table.meta["RELEASE"] == "nuanalysis-default-DR0.1"
    kept = released / "trials" / "background-significance-cascades-2023-template-pi0-synthetic.zarr.zip"
    assert read_zip(kept).attrs["origin"] == "synthetic"


def test_no_skies_no_global_p_value_anywhere(spoilt: Path) -> None:
    found = run_of(entry("scan", "sky", small.scan(0)), entry("sources", "few", small.sources(0)))
    write_results(spoilt, found)
    publish.report(spoilt)
    assert section_of(spoilt, "sky").count("not asked for") == 5
    rows = [row for row in publish.campaign_rows(found) if row.note.startswith("not asked for: no background skies")]
    assert len(rows) == 4
    assert publish.verify(publish.build(spoilt)).ok


def test_the_report_shows_the_sky_with_local_and_global_and_published(finished: Path) -> None:
    section = section_of(finished, "sky")
    assert section.count("<img ") == 2
    alt = section.partition('<img alt="')[2].partition('"')[0]
    caption = section.partition("<figcaption>")[2].partition("</figcaption>")[0]
    for words in ("SYNTHETIC", "local p", "global p", f"dec {small.scan().spots[0].at.dec_deg:.2f}"):
        assert words in alt
        assert words in caption
    for words in ("337.9, 17.6", "248.1, −50.9", ">0.28<", ">0.46<", "6 background skies", "Binomial population test"):
        assert words in section, words
    for name in "abc":
        assert f'<th scope="row">{name}</th>' in section
    assert "(extrapolated)" in section
    assert "http" not in section
    assert section.count("SYNTHETIC") >= 4


def test_published_fits_stand_beside_the_sources_of_their_list(spoilt: Path) -> None:
    listed = small.sources(catalogue="list-109")
    names = ["PMN J1650-5044", *(f"number {k}" for k in range(11)), "NGC 1068"]
    fits = tuple(listed.sources[0].model_copy(update={"source": name}) for name in names)
    write_results(spoilt, run_of(entry("sources", "all", listed.model_copy(update={"sources": fits}))))
    publish.report(spoilt)
    section = section_of(spoilt, "sky")
    for words in ("46.5 [88.1]", "2.60 [2.9]", "46.5 [87.1]", ">0.252<", "published, for its own best: 0.22"):
        assert words in section, words
    assert "number 8" in section
    assert "number 9" not in section  # neither among the ten best nor published
    assert section.index("Published, further down this list") < section.index("NGC 1068")


def test_the_release_holds_the_sky_in_every_form_with_origin_and_release_in_the_headers(finished: Path) -> None:
    release = release_of(finished)
    stem = "maps/sky-scan-cascades-2023-sky-synthetic"
    listed = {item["path"]: item for item in json.loads((release / "manifest.json").read_text())["files"]}
    found = sky_map_of(read_zip(finished / "products" / "sky-scan-cascades-2023-sky.zip"))
    for ending in (".fits", ".multiorder.fits", ".plane.fits"):
        assert listed[stem + ending]["origin"] == "synthetic"
        with fits_files.open(release / (stem + ending), checksum=True) as units:
            for unit in units:
                assert (unit.header["ORIGIN"], unit.header["RELEASE"]) == ("synthetic", "nuanalysis-default-DR0.1")
    for number, values in enumerate((found.ts, found.n_signal, found.index)):
        np.testing.assert_array_equal(hp.read_map(release / f"{stem}.fits", field=number, dtype=float), values)
    assert "never to be taken for IceCube data" in (release / f"{stem}.html").read_text()
    table = Table.read(release / "fits" / "sources-cascades-2023-few-synthetic.ecsv", format="ascii.ecsv")
    assert list(table["source"]) == ["a", "b", "c"]
    local: list[Chance] = [one.chance for one in small.sources().sources]
    assert list(table["chance"]) == [one.p for one in local]
    assert (table.meta["ORIGIN"], table.meta["SEED"]) == ("synthetic", 7)
    assert table.meta["RELEASE"] == "nuanalysis-default-DR0.1"
    assert "sky-scan-cascades-2023-sky-synthetic.html" in (release / "README.md").read_text()


def test_built_twice_a_release_with_a_sky_is_the_same_bytes(finished: Path, spoilt: Path) -> None:
    assert publish.verify(publish.build(spoilt)).digest == publish.verify(release_of(finished)).digest


def test_a_product_that_is_no_scan_stops_the_build(spoilt: Path) -> None:
    path = spoilt / "products" / "sky-scan-cascades-2023-sky.zip"
    write_zip(path, read_zip(path).drop_vars("index"))
    with pytest.raises(DataError, match="is no scan of the sky"):
        publish.build(spoilt)
