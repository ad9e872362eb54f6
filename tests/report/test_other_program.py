"""The report about a study of another program: what it has reported, and nothing about pictures."""

import json
from pathlib import Path

import pytest

from flowersweep.commands.report import write_report
from flowersweep.errors import TrackingError
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import PROGRAM, REPORTED, RunStatus
from flowersweep.tracking.selection import find_study
from flowersweep.tracking.store.store import Store


@pytest.fixture(scope="module")
def others(store: Store) -> str:
    """Three trials of a program as its worker records them: complete, pruned and failed; its seed is a word."""
    tags = {
        "study": "others",
        "kind": "study",
        "study.goal": "minimize loss",
        PROGRAM: "python train.py -cn b",
    }
    study = MLflowTracker.start(store, "train", "others", tags=tags)
    rows = []
    for number, state in enumerate(("COMPLETE", "PRUNED", "FAIL")):
        kind = {"study": "others", "kind": "trial", "trial": number, "attempt": 0, "worker": 7}
        run = MLflowTracker.start(store, "train", f"{number}", parent_run_id=study.run_id, tags=kind)
        for step in (1, 2, 3):
            run.metrics({REPORTED: 1.0 / step}, step)
        run.params({"units": 8, "seed": "first"})
        run.text("+units=8\n", "config/overrides.txt")
        if state == "COMPLETE":
            run.metrics({"loss": 0.25}, 3)
        run.end(RunStatus.FAILED if state == "FAIL" else RunStatus.FINISHED)
        row = {"trial": number, "state": state, "params": {"units": 8}, "reason": "no such layer"}
        rows.append({**row, "run_id": run.run_id, "values": [0.25] if state == "COMPLETE" else []})
    study.text(json.dumps(rows), "study/leaderboard.json")
    study.end(RunStatus.FINISHED)
    return "others"


def test_a_report_of_what_it_has_reported(store: Store, others: str, tmp_path: Path) -> None:
    """Ranking, reported values, times and the command again; no sentence is about seeds of repeats, epochs or pictures."""
    written = write_report(store, find_study(store, others, of_others=True), str(tmp_path))

    assert [file.name for file in written.files] == [
        "report.html",
        "ranking.png",
        "reported.png",
        "timeline.png",
    ]
    assert written.sentences == [
        "units=8 has the best value: loss 0.2500 in one run, so its spread is unknown.",
        "units=8 is the only configuration with a value, so there is nothing to compare it with.",
        "1 trial was pruned before the training was complete and cannot be ranked with the others.",
        "1 trial failed: no such layer.",
    ]
    training = written.study.trials[0].trainings[0]
    assert (training.seed, training.epochs) == (0, 3)
    assert training.curves == {REPORTED: ((1, 1.0), (2, 0.5), (3, 1.0 / 3))}
    text = written.files[0].read_text(encoding="utf-8")
    assert "<code>python train.py -cn b +units=8</code>" in text
    page = text.partition("<footer>")[0]
    assert "over the steps" in page
    for word in ("table of predictions", "Split", "n_repeats", "run: seed"):
        assert word not in page


def test_other_commands_refuse_it(store: Store, others: str) -> None:
    """There is no model that they could use."""
    with pytest.raises(
        TrackingError, match=r"`python train.py -cn b`, for which there is no such command; report"
    ):
        find_study(store, others)
