"""What every question promises; a new one passes by being in QUESTIONS with an ``example`` of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import nuanalysis as nu
from nuanalysis.answers import QUESTIONS, Answer, Question, _sky, answer_of, question
from nuanalysis.engine.bench import Bench
from nuanalysis.engine.executors import Serial, Threads
from nuanalysis.engine.progress import Silent
from nuanalysis.errors import InputError
from nuanalysis.library import samples
from nuanalysis.library.samples import Samples
from nuanalysis.records import html, text

pytestmark = pytest.mark.slow

SPEC = samples.sample_spec(name="cascades-2023", signal="stack:snr", n_signal=300.0, min_log10_energy=4.0)


@lru_cache
def sample() -> Samples:
    """A small SYNTHETIC sample with a signal."""
    return samples.load(SPEC, 1)


def asked(name: str) -> Question:
    return question(name).of(**question(name).example)


def answered(name: str, folder: Path, executor: object) -> Answer:
    one = asked(name)
    return one.ask((sample(),) if one.several else sample(), Bench(folder, executor, Silent()))  # type: ignore[arg-type]


@pytest.fixture(scope="module", autouse=True)
def few_declinations() -> Iterator[None]:
    """Local p-values from three ensembles instead of twenty-three: no promise here is about their error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sky, "TABLE_DECLINATIONS", np.radians([-60.0, 0.0, 60.0]))
        yield


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Answer, Path]]:
    """An answer to every question, and the folder its trials lie in; made as they are asked for."""

    class Made(dict):
        def __missing__(self, name: str) -> tuple[Answer, Path]:
            folder = tmp_path_factory.mktemp(name)
            self[name] = answered(name, folder, Serial()), folder
            return self[name]

    return Made()


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_says_what_it_is_and_explains_every_setting(name: str) -> None:
    kind = question(name)
    assert kind.title().endswith((".", "?"))
    assert kind.example, "give the question an example: settings with which it is answered in seconds"
    assert all(field.description for field in kind.model_fields.values())
    assert asked(name).model_dump(mode="json") == json.loads(asked(name).model_dump_json())
    assert issubclass(answer_of(name), Answer)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_refuses_what_cannot_be_asked_at_once(name: str) -> None:
    kind = question(name)
    with pytest.raises(InputError, match="unknown key 'nonsense'"):
        kind.of(**kind.example, nonsense=1)
    for key, field in kind.model_fields.items():
        for rule in field.metadata:
            for end, step in (("ge", -1), ("le", 1)):
                if hasattr(rule, end):
                    with pytest.raises(InputError, match=key):
                        kind.of(**{**kind.example, key: getattr(rule, end) + step})
            if hasattr(rule, "ge"):
                with pytest.raises(InputError, match=key):
                    kind.of(**{**kind.example, key: float("nan")})


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_is_the_same_for_any_executor_and_resumes(
    name: str, answers: dict[str, tuple[Answer, Path]], tmp_path: Path
) -> None:
    answer, folder = answers[name]
    with Threads(2) as pool:
        assert answered(name, tmp_path, pool).to_dict() == answer.to_dict()
    stores = {path: path.stat().st_mtime_ns for path in folder.glob("trials/*/trials/c/**/*") if path.is_file()}
    assert answered(name, folder, Serial()).to_dict() == answer.to_dict()
    assert stores == {path: path.stat().st_mtime_ns for path in stores}, "finished trials were run again"


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_shows_itself(name: str, answers: dict[str, tuple[Answer, Path]]) -> None:
    answer, _ = answers[name]
    said = str(answer)
    assert said == text(answer)
    assert "SYNTHETIC" in said.splitlines()[0] + said.splitlines()[1]
    assert max(map(len, said.splitlines())) <= 80
    assert "None" not in said.split()
    assert answer.headline()[0].endswith(".")
    assert "SYNTHETIC" in html(answer)
    table = answer.to_table()
    assert len(table) >= 1
    assert table.meta["ORIGIN"] == "synthetic"
    assert table.meta["SEED"] == 1
    assert all(table[column].info.description for column in table.colnames)


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_comes_back_from_its_json(name: str, answers: dict[str, tuple[Answer, Path]]) -> None:
    answer, _ = answers[name]
    document = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    again = answer_of(name).from_dict(document)
    assert again.to_dict() == answer.to_dict()
    assert str(again) == str(answer)
    with pytest.raises(ValueError, match="frozen"):
        again.provenance = None  # type: ignore[misc, assignment]


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_draws_itself_stamped(name: str, answers: dict[str, tuple[Answer, Path]]) -> None:
    answer, _ = answers[name]
    if not answer.drawn():  # a question without a figure says so
        with pytest.raises(InputError, match="nothing to draw"):
            answer.plot()
        return
    assert isinstance(answer.plot(), Figure)
    for one in answer.drawn():
        assert "SYNTHETIC" in one.figure.get_suptitle()
        assert one.sidecar.origin in ("synthetic", "mixed")


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_writes_itself(name: str, answers: dict[str, tuple[Answer, Path]], tmp_path: Path) -> None:
    answer, _ = answers[name]
    paths = answer.write(tmp_path / "out")
    assert all(path.is_file() for path in paths)
    document = next(path for path in paths if path.suffix == ".json")
    assert json.loads(document.read_text()) == json.loads(json.dumps(answer.to_dict()))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        answer.write(tmp_path / "file")


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_is_a_function_of_the_face(name: str) -> None:
    function = getattr(nu, name)
    assert function.__name__ == name
    assert question(name).title().split("  ")[0] in function.__doc__.replace("\n", " ")
    assert all(f"{key} :" in function.__doc__ for key in question(name).model_fields)
