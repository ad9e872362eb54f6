"""Every preset composes, and so does every trial it can lead to."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from flowersweep import config
from flowersweep.augment.stack import Stack
from flowersweep.sweep.settings import Plan, make_plan, read_settings
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.space.check import check_choices, probes
from flowersweep.sweep.space.space import Space

CONF = config.conf_dir()
PRESETS = sorted(
    f"{path.parent.name}={path.stem}"
    for group in ("experiment", "search")
    for path in (CONF / group).glob("*.yaml")
)
NINE = [
    "RandomFlip",
    "RandomRotation",
    "RandomContrast",
    "RandomZoom",
    "RandomTranslation",
    "RandomCrop",
    "RandomFlip_prob",
    "RandomRotation_prob",
    "RandomTranslation_prob",
]


@pytest.fixture(scope="module", autouse=True)
def loader() -> Iterator[Any]:
    """Hydra's loader over `conf/`."""
    config.prepare()
    with initialize_config_dir(str(CONF)):
        yield GlobalHydra.instance().config_loader()


def composed(loader: Any, *overrides: str) -> DictConfig:
    """The sweep's own configuration with some overrides."""
    found = loader.load_configuration("config", overrides=list(overrides), run_mode=RunMode.MULTIRUN)
    assert isinstance(found, DictConfig)
    return found


def planned(loader: Any, *overrides: str) -> tuple[DictConfig, Space, Plan]:
    """A sweep's configuration, space and plan."""
    sweep = composed(loader, *overrides)
    settings = read_settings(sweep.hydra.sweeper)
    space = build_space(overrides, settings.params, settings.conditions, config_loader=loader)
    return sweep, space, make_plan(settings, space)


def test_all_are_here() -> None:
    """The article's four steps, a better recipe and three searches."""
    assert PRESETS == [
        "experiment=article_cnn",
        "experiment=article_cnn_aug",
        "experiment=article_finetuned_aug",
        "experiment=article_frozen_aug",
        "experiment=better_finetuned",
        "search=aug_finetune",
        "search=cnn",
        "search=optimizer",
    ]


def marked() -> list[Any]:
    """The presets; those whose only choice is the augmentation are like one another, and slow for want of time."""
    return [pytest.param(preset, marks=pytest.mark.slow if "_aug" in preset else ()) for preset in PRESETS]


@pytest.mark.slow
@pytest.mark.parametrize("preset", marked())
def test_every_choice_composes(loader: Any, preset: str) -> None:
    """Each option of each key, and both ends of each interval, are a configuration that can run."""
    sweep, space, plan = planned(loader, preset)
    check_choices(space, sweep, loader)
    assert space.searched
    assert plan.n_trials == (40 if preset.startswith("search") else space.size)
    for point in plan.enqueue:
        assert space.check_point(point) == []


@pytest.mark.parametrize("preset", PRESETS)
def test_header(preset: str) -> None:
    """A preset begins with its package, what it is, and the command that runs it."""
    group, _, name = preset.partition("=")
    lines = (CONF / group / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# @package _global_"
    assert any(line.startswith("#   python -m flowersweep") and preset in line for line in lines)
    for word in ("Expected score:", "Spread:", "Run time:"):
        assert any(line.startswith(f"# {word}") for line in lines)


@pytest.mark.parametrize(
    ("preset", "model", "expected"),
    [
        ("article_cnn", "cnn", {"trainer.epochs": 30, "trainer.patience": None}),
        ("article_cnn_aug", "cnn", {"trainer.epochs": 100, "trainer.patience": 5}),
        ("article_frozen_aug", "mobilenet_frozen", {"optimizer.learning_rate": 1e-3}),
        (
            "article_finetuned_aug",
            "mobilenet_ft",
            {"optimizer.learning_rate": 1e-4, "model.fine_tune_at": 100},
        ),
    ],
)
def test_article(loader: Any, preset: str, model: str, expected: dict[str, Any]) -> None:
    """The steps vary what the article varied, and keep what it kept."""
    sweep, space, plan = planned(loader, f"experiment={preset}")
    assert sweep.model.name == model
    assert {key: OmegaConf.select(sweep, key) for key in expected} == expected
    points = list(space.grid())
    if preset == "article_cnn":
        assert points == [{"seed": seed} for seed in range(4)]
        assert sweep.aug.name == "none"
    else:
        assert [point["aug"] for point in points] == NINE
    assert plan.is_grid


def test_the_better_recipe(loader: Any) -> None:
    """Its cosine ends with the training, which nothing stops earlier; what it adds can be replaced on the command line."""
    sweep, space, _ = planned(loader, "experiment=better_finetuned", "aug=strong")
    assert (sweep.schedule.name, sweep.schedule.epochs, sweep.trainer.patience) == ("cosine", None, None)
    assert (sweep.optimizer.learning_rate, sweep.trainer.label_smoothing, sweep.trainer.image_size) == (
        3e-4,
        0.1,
        224,
    )
    assert list(space.grid()) == [{"seed": seed} for seed in range(3)]
    strong = OmegaConf.to_object(sweep.aug)
    assert isinstance(strong, Stack)
    assert strong.name == "strong"
    layers = [layer.name for layer in strong.built]
    assert layers == ["RandomCrop", "RandomFlip", "RandAugment", "RandomErasing"]


def test_presets_come_before_the_command_line(loader: Any) -> None:
    """What is typed replaces what a preset says, searched keys among it; a single run takes a preset's values too."""
    sweep, space, plan = planned(
        loader, "search=aug_finetune", "aug=none,RandomFlip", "trainer=quick", "hydra.sweeper.enqueue=[]"
    )
    assert [option.value for option in space.searched["aug"].options] == ["none", "RandomFlip"]
    assert sweep.trainer.image_size == 64
    assert plan.enqueue == ()
    assert composed(loader, "experiment=article_cnn", "trainer.epochs=3").trainer.epochs == 3


def test_conditions_hold(loader: Any) -> None:
    """search=optimizer gives momentum to two optimizers, Nesterov to one, weight decay to another."""
    _, space, _ = planned(loader, "search=optimizer")
    keys = {point["optimizer"]: set(point) for point in probes(space)}
    assert {name for name, has in keys.items() if "optimizer.momentum" in has} == {"sgd", "rmsprop"}
    assert {name for name, has in keys.items() if "optimizer.nesterov" in has} == {"sgd"}
    assert {name for name, has in keys.items() if "optimizer.weight_decay" in has} == {"adamw"}


@pytest.mark.parametrize(
    ("preset", "plugin"),
    [("ray", "ray"), ("slurm", "submitit"), ("submitit_local", "submitit")],
)
def test_clusters_compose(loader: Any, preset: str, plugin: str) -> None:
    """A preset of a cluster sets its launcher, with several workers; without the plugin it is not there."""
    if find_spec(f"hydra_plugins.hydra_{plugin}_launcher") is None:
        with pytest.raises(MissingConfigException) as refused:
            composed(loader, f"cluster={preset}")
        extra = "ray" if plugin == "ray" else "slurm"
        assert f"pip install 'flowersweep[{extra}]'" in config.explain(refused.value)
        return
    sweep = composed(loader, f"cluster={preset}", "search=cnn", "hydra.sweeper.storage=journal:x")
    assert sweep.hydra.launcher._target_.startswith(f"hydra_plugins.hydra_{plugin}_launcher")
    assert sweep.hydra.sweeper.n_jobs > 1
    assert sweep.hydra.sweeper.n_trials == 40
