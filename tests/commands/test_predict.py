"""The command that predicts, in this process and through a real model server."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowersweep.commands.parsing.common import chosen
from flowersweep.commands.predict import main
from flowersweep.data import decode
from flowersweep.deploy.model_registry import promote
from servers import reserved_port, wait_for
from winners import SIZE, Winners


def expected(results: Winners, name: str, picture: Path) -> dict[str, float]:
    """The probability of each class, from the model that was saved."""
    row = np.asarray(results.models[name](decode(picture, SIZE)[None].astype(np.float32)))[0]
    return dict(zip(results.class_names, row.tolist(), strict=True))


def answered(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """Run the command with format=json; what it printed."""
    assert main([*arguments, "format=json"]) == code
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_a_folder_is_predicted_as_the_model_does(
    results: Winners, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All 60 pictures in batches of 7, the most probable of all classes first, to 1e-6."""
    arguments = (f"images={drawn}", "study=petals", results.where, "batch_size=7", "top=5")
    answers = answered(capsys, *arguments)

    assert [Path(answer["path"]) for answer in answers] == sorted(drawn.rglob("*.jpg"))
    assert len({answer["class"] for answer in answers}) > 1
    for answer in answers[::10]:
        probabilities = {guess["class"]: guess["probability"] for guess in answer["top"]}
        assert probabilities == pytest.approx(expected(results, "petals/1", Path(answer["path"])), abs=1e-6)
        assert list(probabilities.values()) == sorted(probabilities.values(), reverse=True)
        assert answer["probability"] == probabilities[answer["class"]]


def test_a_path_needs_no_name_and_the_champion_is_asked(
    results: Winners, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a champion it is the best run of the latest study."""
    picture = next(drawn.rglob("*.jpg"))
    assert main([str(picture), results.where, "top=1"]) == 0
    output, errors = capsys.readouterr()

    best = max(expected(results, "petals/1", picture).items(), key=lambda item: item[1])
    assert output.splitlines()[1].split() == [str(picture), best[0], f"{best[1]:.4f}"]
    assert errors == (
        f"Using run {results.runs['petals/1'][:8]} (trial 1 of study petals, best/val_accuracy 0.8000).\n"
    )


def test_several_files_and_folders_may_be_given(
    results: Winners, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With and without the argument's name, as a shell expands *.jpg; answers come in their order."""
    first, second = sorted(drawn.iterdir())[:2]
    picture = min(second.glob("*.jpg"))
    answers = answered(capsys, str(picture), str(first), f"images={picture}", "run=best", results.where)

    assert [Path(answer["path"]) for answer in answers] == [picture, *sorted(first.glob("*.jpg")), picture]


def test_unreadable_pictures_are_told_and_the_others_predicted(
    results: Winners,
    drawn: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """From a list on standard input; the exit code is 1."""
    good = sorted(drawn.rglob("*.jpg"))[:2]
    (tmp_path / "corrupt.jpg").write_bytes(good[0].read_bytes()[:500])
    paths = [good[0], tmp_path / "corrupt.jpg", tmp_path / "missing.jpg", good[1]]
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{path}\n" for path in paths)))

    assert main(["-", "run=best", results.where, "format=csv", "top=2"]) == 1
    output, errors = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(output)))
    assert [row["path"] for row in rows] == [str(path) for path in good]
    assert float(rows[0]["probability"]) >= float(rows[0]["probability_2"])
    assert f"flowersweep: {paths[1]} is damaged" in errors
    assert f"flowersweep: {paths[2]} cannot be read (No such file or directory)." in errors
    assert errors.endswith("flowersweep: 2 of 4 pictures could not be read.\n")


def test_answers_may_go_to_a_file(
    results: Winners, drawn: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Which is not overwritten by accident."""
    arguments = [
        f"images={drawn}",
        "run=best",
        results.where,
        "format=json",
        f"output={tmp_path / 'a' / 'out.json'}",
    ]
    assert main(arguments) == 0
    assert capsys.readouterr().out == ""
    assert len(json.loads((tmp_path / "a" / "out.json").read_text())) == 60
    assert main(arguments) == 2
    assert "already exists" in capsys.readouterr().err
    assert main([*arguments, "overwrite=true"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "images= is missing; example: python -m flowersweep predict flower.jpg more_flowers"),
        (["nowhere.jpg"], "images=nowhere.jpg does not exist"),
        (["empty/"], "The folder empty/ contains no pictures"),
        (["flower.jpg", "format=xml"], "format has no choice 'xml'; choose one of table, json, csv"),
        (["flower.jpg", "top=0"], "top must be an integer from 1"),
        (
            ["flower.jpg", "batch_size=many"],
            "batch_size must be an integer from 1 to 100000, but is 'many'",
        ),
        (["flower.jpg", "run=00000000"], "There is no run 00000000"),
        (["flower.jpg", "study=bare"], "has saved no model"),
        (["flower.jpg", "url=localhost"], "url=localhost is not the address of a server"),
    ],
)
def test_bad_input_is_one_sentence(
    results: Winners, capsys: pytest.CaptureFixture[str], *, folder: Path, arguments: list[str], message: str
) -> None:
    """And the exit code is 2."""
    (folder / "empty").mkdir()
    (folder / "flower.jpg").touch()

    assert main([*arguments, results.where]) == 2
    assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def url(results: Winners, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server of a promoted model."""
    promote(chosen({"study": "petals", "tracking.dir": str(results.directory)}), "served", "champion")
    options = ("-m", "models:/served@champion", "--env-manager", "local", "--host", "127.0.0.1")
    path = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # MLflow starts uvicorn by its name
    )
    with (
        reserved_port() as port,
        (tmp_path_factory.mktemp("serve") / "log.txt").open("w+") as log,
        subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", *options, "--port", str(port)],
            env={**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": results.store.uri},
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as server,
    ):
        try:
            wait_for(f"http://127.0.0.1:{port}/ping", server, Path(log.name))
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # with uvicorn, a process of its own


@pytest.mark.slow
@pytest.mark.photos
def test_a_served_champion_answers_a_request_with_a_photograph(
    url: str, results: Winners, photos_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bare HTTP request, the command with url=, and the command without it agree to 1e-5."""
    photo = min((photos_dir / "roses").glob("*.jpg"))
    body = json.dumps({"inputs": [decode(photo, SIZE).tolist()]}).encode()
    request = urllib.request.Request(  # noqa: S310 (an address of this test)
        f"{url}/invocations", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 (as above)
        (bare,) = json.load(response)["predictions"]
    same = (f"images={photo}", "run=models:/served@champion", results.where, "top=5")
    (served,) = answered(capsys, *same, f"url={url}")
    (local,) = answered(capsys, *same)

    told = dict(zip(results.class_names, bare, strict=True))
    for answer in (served, local):
        assert {one["class"]: one["probability"] for one in answer["top"]} == pytest.approx(told, abs=1e-5)
    assert told == pytest.approx(expected(results, "petals/1", photo), abs=1e-5)
    assert sum(bare) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_the_client_imports_no_tensorflow(url: str, results: Winners, drawn: Path) -> None:
    """Sending a photograph needs the store and the server only."""
    arguments = [str(next(drawn.rglob("*.jpg"))), "run=models:/served@champion", results.where, f"url={url}"]
    code = f"import sys; from flowersweep.commands.predict import main; print(main({arguments}), 'tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert done.stdout.endswith("0 False\n")


@pytest.mark.slow
def test_a_refusal_of_the_server_is_one_sentence(
    url: str, results: Winners, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path that the server does not know."""
    picture = str(next(drawn.rglob("*.jpg")))

    assert main([picture, "run=best", results.where, f"url={url}/nowhere"]) == 2
    assert "/nowhere refuses the pictures: 404 " in capsys.readouterr().err
