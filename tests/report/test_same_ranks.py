"""The terminal, MLflow and the report say the same of a study: one rank for each trial, and one note on what it means."""

import io
import re
import statistics
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.distributions import IntDistribution
from optuna.trial import create_trial
from rich.console import Console

from flowersweep.report.page import page
from flowersweep.report.reading import read_study
from flowersweep.report.statistics.ranking import ranking
from flowersweep.sweep.display import show_summary
from flowersweep.sweep.record.study_run import StudyRun
from flowersweep.sweep.settings import Plan
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.study.attributes import ALL_OBJECTIVES, EPOCHS, N_VALIDATION, REPEATS, RUN_ID, SEEDS
from flowersweep.sweep.study.study import name_metrics
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import NOTE, PICTURES, RunStatus
from flowersweep.tracking.selection import find_study
from flowersweep.tracking.store.store import Store
from pages import Page

ACCURACY, LOSS = "best/val_accuracy", "best/val_loss"
UNITS, SEEDS_SEARCHED = "model.dense_units=range(1,9)", "seed=range(0,9)"


@dataclass(frozen=True)
class Case:
    """A study: for each trial the searched dense_units, its seeds, and the value of each objective for each seed."""

    trials: tuple[tuple[int, tuple[int, ...], tuple[tuple[float, ...], ...]], ...]
    metrics: tuple[str, ...] = (ACCURACY,)
    searches_seed: bool = False
    ranks: tuple[int, ...] = ()


def shares(*counts: int) -> tuple[tuple[float, ...]]:
    """Accuracies on 734 pictures."""
    return (tuple(count / 734 for count in counts),)


CASES = {
    "repeats": Case(
        (
            (1, (0, 1, 2), shares(660, 650, 655)),
            (2, (0, 1, 2), shares(300, 310, 306)),
            (3, (0, 1, 2), shares(655, 657, 650)),
        ),
        ranks=(1, 2, 1),
    ),
    "single runs": Case(
        ((1, (0,), shares(500)), (2, (0,), shares(660)), (3, (0,), shares(660)), (4, (0,), shares(650))),
        ranks=(2, 1, 1, 1),
    ),
    "losses": Case(
        ((1, (0,), ((0.5,),)), (2, (0,), ((0.4,),)), (3, (0,), ((0.5,),))), metrics=(LOSS,), ranks=(2, 1, 2)
    ),
    "a grid over seeds": Case(
        (
            (1, (3,), shares(300)),
            (2, (3,), shares(655)),
            (1, (4,), shares(310)),
            (2, (4,), shares(668)),
            (1, (5,), shares(306)),
            (2, (5,), shares(660)),
        ),
        searches_seed=True,
        ranks=(2, 1, 2, 1, 2, 1),
    ),
    "several objectives": Case(
        (
            (1, (0,), ((0.8,), (0.5,))),
            (2, (0,), ((0.7,), (0.6,))),
            (3, (0,), ((0.7,), (0.4,))),
        ),
        metrics=(ACCURACY, LOSS),
        ranks=(1, 2, 1),
    ),
    # The seed 1 of the first configuration was trained twice, and counts once, with the values of its first training.
    "several objectives with overlapping seeds": Case(
        (
            (1, (0, 1), ((0.9, 0.5), (0.1, 0.5))),
            (1, (1, 2), ((0.1, 0.9), (0.7, 0.3))),
            (2, (0,), ((0.51,), (0.49,))),
        ),
        metrics=(ACCURACY, LOSS),
        ranks=(1, 1, 2),
    ),
}


def write(name: str, case: Case, store: Store, folder: Path) -> tuple[str, str]:
    """Write a study as a sweep does; return the id of its run and what the terminal shows."""
    made = optuna.create_study(
        storage=open_storage(None, folder),
        study_name=name,
        directions=["minimize" if metric == LOSS else "maximize" for metric in case.metrics],
    )
    name_metrics(made, list(case.metrics))
    config = OmegaConf.create(
        {"tracking": {"experiment": "same"}, "hydra": {"sweeper": {}, "overrides": {"task": []}}}
    )
    plan = Plan(is_grid=False, n_trials=len(case.trials), enqueue=())
    space = build_space([UNITS, SEEDS_SEARCHED] if case.searches_seed else [UNITS])
    with StudyRun.open(config, made, plan, space, store) as parent:
        for number, (units, seeds, values) in enumerate(case.trials):
            tags = {"study": name, "kind": "trial", "trial": number, "attempt": 0}
            own = {"n_repeats": len(seeds)} if len(seeds) > 1 else {}
            run = MLflowTracker.start(store, "same", "t", parent_run_id=parent.run_id, tags={**tags, **own})
            for place, seed in enumerate(seeds):
                one = run
                if own:
                    kind = {**tags, "kind": "repeat", "repeat": place}
                    one = MLflowTracker.start(store, "same", "r", parent_run_id=run.run_id, tags=kind)
                one.metrics({metric: some[place] for metric, some in zip(case.metrics, values, strict=True)})
                one.params({"seed": seed})
                one.tags({f"{PICTURES}validation": 734})
                if own:
                    one.end(RunStatus.FINISHED)
            run.end(RunStatus.FINISHED)
            params = {"model.dense_units": units, **({"seed": seeds[0]} if case.searches_seed else {})}
            attrs = {RUN_ID: run.run_id, SEEDS: list(seeds), N_VALIDATION: 734, EPOCHS: 10 * len(seeds)}
            made.add_trial(
                create_trial(
                    values=[statistics.mean(some) for some in values],
                    params=params,
                    distributions={key: IntDistribution(0, 9) for key in params},
                    user_attrs={
                        **attrs,
                        **({REPEATS: list(values[0])} if own else {}),
                        **({ALL_OBJECTIVES: list(map(list, zip(*values, strict=True)))} if own else {}),
                    },
                )
            )
        parent.finish(draw=False)
        console = Console(file=io.StringIO(), width=80, force_terminal=False)
        show_summary(made, plan, parent, folder, console)
        assert parent.run_id is not None
        return parent.run_id, str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_one_rank_everywhere(name: str, store: Store, tmp_path: Path) -> None:
    """Rank by rank, and word by word what the ranks mean."""
    case = CASES[name]
    run_id, terminal = write(name, case, store, tmp_path)
    expected = dict(enumerate(case.ranks))

    cells = [re.split(r"\s*│\s*", line.strip()) for line in terminal.splitlines() if "│" in line]
    assert {int(cell[1]): int(cell[0]) for cell in cells} == expected

    service = client(store.uri)
    described = service.get_run(run_id).data.tags[NOTE]
    found = re.findall(r"^\| (\d+) \| \[(\d+)\]", described, re.MULTILINE)
    assert {int(trial): int(rank) for rank, trial in found} == expected

    runs = service.search_runs(
        [service.get_run(run_id).info.experiment_id], f"tags.study = '{name}' and tags.kind = 'trial'"
    )
    assert {int(run.data.tags["trial"]): run.data.metrics["rank"] for run in runs} == expected

    study = read_study(store, find_study(store, name))
    ranked = ranking(study)
    html = Page(page(study, ranked, None))
    rows = [one.text for one in html.elements if one.tag == "td" and one.attributes.get("class") == "rank"]
    shown = {
        trial.number: int(rank)
        for rank, row in zip(rows, ranked.rows, strict=True)
        for trial in row.configuration.trials
    }
    assert shown == expected

    note = html.by_id("ranks").text
    assert note == ranked.note
    assert f"\n\n{note}\n\n" in described
    assert note in " ".join(terminal.split())
