"""What a sweep would compose is composed before any trial."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig

from flowersweep import config
from flowersweep.errors import DataError, FlowersweepError, SweepError
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.space.check import check_choices, probes
from flowersweep.training.logs.notices import tell_of_pictures_to_come
from hydra_state import hydra_restored


@pytest.fixture(scope="module")
def loader() -> Iterator[Any]:
    """Hydra's loader over the project's configuration."""
    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture(scope="module")
def sweep(loader: Any) -> DictConfig:
    """A sweep's own configuration."""
    found = loader.load_configuration("config", overrides=[], run_mode=RunMode.MULTIRUN)
    assert isinstance(found, DictConfig)
    return found


class TestProbes:
    def test_every_option_and_both_ends(self) -> None:
        """Few points have them all: not the product, but one more per option."""
        space = build_space(["a=1,2,3", "b=u,v", "c=interval(0.0,1.0)"])
        points = list(probes(space))
        assert len(points) == 1 + 2 + 1 + 1
        assert {point["a"] for point in points} == {1, 2, 3}
        assert {point["b"] for point in points} == {"u", "v"}
        assert {point["c"] for point in points} == {0.0, 1.0}

    def test_conditions_are_respected(self) -> None:
        """A conditional key comes with what it depends on, through all links, and is absent elsewhere."""
        space = build_space(["a=1,2", "b=u,v", "c=7,8"], conditions={"b": {"a": 2}, "c": {"b": "v"}})
        points = list(probes(space))
        assert {"a": 1} in points
        assert {"a": 2, "b": "v", "c": 8} in points
        assert all(space.check_point(point) == [] for point in points)
        assert all(space.overrides(point) for point in points)

    def test_of_many_numbers_a_sample(self) -> None:
        """Of a long range both ends and thirty between them; of a choice of texts all, and of each kind of number some."""
        values = [point["a"] for point in probes(build_space(["a=range(0,10000)"]))]
        assert (len(values), values[0], values[-1]) == (32, 0, 9999)
        assert max(after - before for before, after in itertools.pairwise(sorted(values))) <= 323
        texts = ",".join(f"t{number}" for number in range(100))
        assert len(list(probes(build_space([f"a={texts}"])))) == 100
        mixed = ",".join(
            [*map(str, range(50)), *(f"{number}.5" for number in range(50)), "true", "null", "word"]
        )
        points = [point["a"] for point in probes(build_space([f"a={mixed}"]))]
        assert len(points) == 32 + 32 + 3
        assert {"0", "49", "0.5", "49.5", "true", "null", "word"} <= set(points)

    def test_both_ends_of_a_long_list_are_checked(self, loader: Any, sweep: DictConfig) -> None:
        """The largest number is among the sample, wherever in the list it stands."""
        numbers = [f"{number / 1000}" for number in range(100)]
        numbers.insert(1, "1.5")
        with pytest.raises(SweepError, match=r"model.dropout=1.5 cannot run"):
            check_choices(build_space([f"model.dropout={','.join(numbers)}"]), sweep, loader)

    def test_nothing_searched(self) -> None:
        """A space without a search has its one point."""
        assert list(probes(build_space(["a=1"]))) == [{}]


@pytest.mark.slow
def test_what_there_is_to_know_is_told_once(
    loader: Any, drawn: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the first trial's pictures and settings; missing pictures end the sweep before it begins."""
    arguments = [
        "data=folder",
        "seed=0,1,2",
        f"paths.cache={tmp_path}",
        "schedule=cosine",
        "data.split_seed=2",
        "trainer.batch_size=4",
    ]
    for folder in (drawn, tmp_path / "nowhere"):
        given = [*arguments, f"data.dir={folder}"]
        fixed = [one for one in given if not one.startswith("seed")]
        cfg = loader.load_configuration("config", overrides=fixed, run_mode=RunMode.MULTIRUN)
        space = build_space(given, config_loader=loader)
        if folder == drawn:
            tell_of_pictures_to_come(check_choices(space, cfg, loader)[0])
        else:
            with pytest.raises(DataError, match="nowhere does not exist"):
                tell_of_pictures_to_come(check_choices(space, cfg, loader)[0])
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    assert "schedule.epochs=N" in caplog.text


class TestCheck:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["model.dropout=0.1,1"], r"A trial with model.dropout=1 cannot run: .* less than 1, but is 1.0"),
            (["optimizer=adam,sdg"], r"optimizer has no choice 'sdg'; .*Did you mean sgd"),
            (["optimizer=sgd,adam", "optimizer.momentum=0.5,0.9"], r"belongs to .*hydra.sweeper.conditions"),
            (["trainer.epochs=int(interval(0,9))"], r"trainer.epochs=0 cannot run"),
            (
                ["trainer.epochs=interval(1,9)"],
                r"must be an integer.*search int\(interval\(low, high\)\)",
            ),
            (["model.filters=[32],[]"], r"must contain at least one value"),
        ],
    )
    def test_refused(self, loader: Any, sweep: DictConfig, arguments: list[str], said: str) -> None:
        """The trial that would fail is named with the reason."""
        with pytest.raises(SweepError, match=said):
            check_choices(build_space(arguments), sweep, loader)

    def test_every_repeat(self, loader: Any, sweep: DictConfig) -> None:
        """What is legal for the first seed only is refused too; each repeat is among what was composed."""
        with pytest.raises(SweepError, match=r"cannot run: seed must be .*, but is 2147483648"):
            check_choices(build_space(["seed=2147483647"]), sweep, loader, 2)
        space = build_space(["seed=3", "data.split_seed='${seed}'", "aug=none,RandomFlip"])
        checked = check_choices(space, sweep, loader, 3)
        assert [one.data.split_seed for one in checked] == [3, 4, 5, 3, 4, 5]

    @pytest.mark.slow
    def test_a_fixed_value_that_some_choices_lack(self, loader: Any, sweep: DictConfig) -> None:
        """The choices without the key are named, and the condition that gives it to the others works."""
        typed = ["optimizer=adam,sgd,adamw,rmsprop", "optimizer.momentum=0.5"]
        with pytest.raises(SweepError, match=r"as optimizer=adam and adamw have no such key") as raised:
            check_choices(build_space(typed), sweep, loader)
        assert "'+hydra.sweeper.conditions={optimizer.momentum: {optimizer: [sgd, rmsprop]}}'" in str(
            raised.value
        )
        conditions = {"optimizer.momentum": {"optimizer": ["sgd", "rmsprop"]}}
        assert len(check_choices(build_space(typed, conditions=conditions), sweep, loader)) == 5

    def test_accepted(self, loader: Any, sweep: DictConfig) -> None:
        """A condition makes a key of one choice legal."""
        space = build_space(
            ["optimizer=sgd,adam", "optimizer.momentum=0.5,0.9"],
            conditions={"optimizer.momentum": {"optimizer": "sgd"}},
        )
        check_choices(space, sweep, loader)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (
            "null",
            "A trial with db=null cannot be composed: The choice of a group must be a name, as in GROUP=NAME",
        ),
        ("bytes", "0xff"),
        ("broken", r"broken\.yaml\"?, line 1"),
        (
            "other",
            "A trial with db=other cannot be composed: db has no choice 'other'; choose one of broken, bytes, mysql",
        ),
    ],
)
def test_groups_of_another_program(tmp_path: Path, choice: str, said: str) -> None:
    """A choice that cannot be composed is refused in one sentence, whatever Hydra and its reader of files raise."""
    (tmp_path / "db").mkdir()
    for name, text in {
        "config": "defaults: [{db: mysql}]",
        "db/mysql": "a: 1",
        "db/broken": "a: [1\nb: }",
    }.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "db/bytes.yaml").write_bytes(b"\xff")
    with hydra_restored(), initialize_config_dir(str(tmp_path)):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("config", overrides=[], run_mode=RunMode.MULTIRUN)
        with pytest.raises(FlowersweepError, match=said):
            check_choices(build_space([f"db=mysql,{choice}"]), config, loader)
