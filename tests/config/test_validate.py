"""Rules of the configuration, checked on composed configurations."""

import copy
import functools
from dataclasses import replace

import pytest
from hydra import compose
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from flowersweep import config
from flowersweep.augment import Augmentation
from flowersweep.config import settings
from flowersweep.config.models import CNNConfig
from flowersweep.config.optimizers import AdamConfig, CosineConfig, PlateauConfig
from flowersweep.config.schema import NODES, DataConfig
from flowersweep.errors import ConfigError

pytestmark = pytest.mark.usefixtures("hydra_ready")


def composed(*overrides: str) -> DictConfig:
    """The configuration that a command line with these overrides would run."""
    return compose("config", overrides=list(overrides))


@functools.cache
def composed_once() -> DictConfig:
    """The default configuration; to be copied before it is changed."""
    return composed()


class TestRepeats:
    def test_what_refers_to_the_seed_follows_it(self) -> None:
        """Draws, split and whatever a resolver makes of the seed are those of each repeat; all else is shared."""
        OmegaConf.register_resolver("hundredfold", lambda seed: 100 * seed, use_cache=True, replace=True)
        cfg = composed(
            "seed=3",
            "tracking.run_name='${now:%f}'",
            "aug=RandomFlip",
            "aug.seed='${hundredfold:${seed}}'",
            "data.split_seed='${aug.seed}'",
        )
        repeats = config.repeats(cfg, 3)
        assert [one.seed for one in repeats] == [3, 4, 5]
        assert [one.aug.seed for one in repeats] == [300, 400, 500]
        assert [one.data.split_seed for one in repeats] == [300, 400, 500]
        assert (
            len({repr(replace(one, seed=0, aug=Augmentation(), data=DataConfig())) for one in repeats}) == 1
        )
        assert settings(cfg).seed == 3

    def test_each_uses_its_fold(self) -> None:
        """Repeat i has fold i, and begins again after the last one; a fold that is given is that of all."""
        cfg = composed("seed=7", "data.split=stratified", "data.folds=3")
        repeats = config.repeats(cfg, 4)
        assert [one.data.fold for one in repeats] == [0, 1, 2, 0]
        assert [one.seed for one in repeats] == [7, 8, 9, 10]
        assert settings(cfg).data.fold == 0
        fixed = composed("data.split=stratified", "data.folds=3", "data.fold=2")
        assert [one.data.fold for one in config.repeats(fixed, 3)] == [2, 2, 2]

    def test_all_have_the_same_folds(self) -> None:
        """With another split seed for each repeat, pictures would validate twice or never."""
        cfg = composed("data.split=stratified", "data.folds=3", "data.split_seed='${seed}'")
        with pytest.raises(
            ConfigError, match=r"data\.split_seed refers to the seed, but with data\.folds all"
        ):
            config.repeats(cfg, 3)

    def test_each_is_checked(self) -> None:
        """A repeat whose values are out of range is refused before the first one is trained."""
        cfg = composed("seed=1", "data.test_split='${oc.decode:0.${seed}}'", "data.validation_split=0.75")
        assert len(config.repeats(cfg, 2)) == 2
        with pytest.raises(ConfigError, match=r"must be less than 1, but are 0\.75"):
            config.repeats(cfg, 3)


class TestSettings:
    def test_gives_typed_objects(self) -> None:
        """The default configuration becomes the dataclasses of its choices, with the article's values."""
        typed = settings(composed())

        assert isinstance(typed.model, CNNConfig)
        assert isinstance(typed.optimizer, AdamConfig)
        assert isinstance(typed.schedule, PlateauConfig)
        assert (typed.trainer.image_size, typed.trainer.batch_size) == (180, 128)
        assert (typed.schedule.factor, typed.schedule.patience, typed.schedule.min_lr) == (0.2, 3, 1e-6)
        assert (typed.trainer.patience, typed.trainer.min_delta) == (5, 0.001)
        assert (typed.data.validation_split, typed.data.split_seed) == (0.2, 123)

    def test_learning_rate_is_the_models_own_by_default(self) -> None:
        """optimizer.learning_rate follows model.learning_rate until it is set itself."""
        followed = settings(composed("model.learning_rate=0.02"))
        own = settings(composed("model.learning_rate=0.02", "optimizer.learning_rate=0.3"))

        assert followed.optimizer.learning_rate == 0.02
        assert own.optimizer.learning_rate == 0.3

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("group", "choice"), [(group, choice) for group in NODES for choice in NODES[group]]
    )
    def test_every_choice_composes(self, group: str, choice: str) -> None:
        """Every registered choice of every group has a file in conf/ and makes a legal configuration."""
        if choice == "own":  # tests/config/test_own_code.py
            assert composed(f"{group}={choice}", f"{group}.build=a.b")[group].name == "a.b"
            return
        typed = settings(composed(f"{group}={choice}"))

        assert type(getattr(typed, group)) is NODES[group][choice]
        assert getattr(typed, group).name == ("EfficientNetV2B0" if choice == "backbone" else choice)

    @pytest.mark.parametrize("data", ["flower_photos", "folder", "demo"])
    def test_every_data_source_composes(self, data: str) -> None:
        """Every data source makes a legal configuration once it has a folder."""
        assert settings(composed(f"data={data}", "data.dir=somewhere")).data.source == data

    @pytest.mark.slow
    @given(rate=st.floats(allow_nan=True, allow_infinity=True, width=32))
    def test_learning_rate_is_legal_exactly_in_its_range(self, rate: float) -> None:
        """A learning rate is accepted if and only if it is more than 0 and at most 10."""
        cfg = copy.deepcopy(composed_once())
        cfg.optimizer.learning_rate = rate

        if 0 < rate <= 10:
            assert settings(cfg).optimizer.learning_rate == rate
        else:
            with pytest.raises(ConfigError, match=r"optimizer\.learning_rate must be more than 0"):
                settings(cfg)

    def test_round_trip_through_yaml(self) -> None:
        """The configuration that is kept with a run composes to itself again."""
        typed = settings(composed("schedule=cosine", "aug=RandomRotation"))
        text = OmegaConf.to_yaml(OmegaConf.structured(typed))

        again = OmegaConf.merge(OmegaConf.structured(typed), OmegaConf.create(text))

        assert isinstance(typed.schedule, CosineConfig)
        assert OmegaConf.to_object(again) == typed
