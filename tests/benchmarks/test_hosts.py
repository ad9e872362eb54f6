"""The script that shows a study on several machines: what it finds in results, and what it needs."""

from typing import Any

import pytest

from benchmarks import hosts
from benchmarks.hosts_checks import report


def state() -> dict[str, Any]:
    """Two trials, of which the second one was taken from a machine that had trained one epoch of it."""
    kept = {"mlflow.parentRunId": "p", "kind": "trial"}
    metrics = {"best/val_accuracy": 0.5, "total/epochs": 2.0}
    both: list[dict[str, Any]] = [
        {"id": f"r{number}", "status": "FINISHED", "tags": {**kept, "trial": f"{number}"}}
        for number in range(2)
    ]
    runs = [{**run, "metrics": metrics, "steps": [1, 2]} for run in both]
    runs[1]["tags"]["resumed"] = "after epoch 1 of run old"
    runs.append(
        {"id": "old", "status": "KILLED", "tags": {**kept, "trial": "1"}, "metrics": {}, "steps": [1]}
    )
    runs.append({"id": "p", "status": "FINISHED", "tags": {"kind": "study"}, "metrics": {}, "steps": []})
    known = {"state": "COMPLETE", "value": 0.5, "boot": "x"}
    trials = [{"number": number, "lost": number, "run": f"r{number}", **known} for number in range(2)]
    return {"trials": trials, "runs": runs, "parent": "p", "best": 0.5, "evaluated": 0.5}


def test_good_results_have_no_findings(capsys: pytest.CaptureFixture[str]) -> None:
    """Every check passes, and the table has each trial with the run that went on and the one before."""
    assert report(state(), 2, lambda _boot: "b", {1}) == 0
    told = capsys.readouterr().out
    assert told.count("ok   ") == 10
    assert "after epoch 1 of run old" in told
    assert "another run of trial 1: KILLED, epochs 1" in told


def test_every_kind_of_damage_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    """An open run, another parent, an epoch twice, one that is missing, a second result, and a trial that says nothing."""
    found = state()
    found["runs"][0]["steps"] = [1, 1, 2]
    found["runs"][0]["tags"]["mlflow.parentRunId"] = "another"
    found["runs"][1]["steps"] = [1]
    del found["runs"][1]["tags"]["resumed"]
    found["runs"][2]["status"] = "FINISHED"
    found["runs"][3]["status"] = "RUNNING"
    found["trials"][0]["value"] = 0.75
    found["evaluated"] = None

    assert report(found, 3, lambda _boot: "b", {1}) == 10
    assert capsys.readouterr().out.count("WRONG") == 10


def test_it_needs_root(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without, one sentence says so, and nothing is made."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert hosts.main([]) == 2
    assert capsys.readouterr().err.startswith("Network namespaces need Linux and root;")
