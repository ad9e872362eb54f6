"""Rules across the groups of a configuration, checked on composed configurations."""

from pathlib import Path

import keras
import pytest
from hydra import compose
from omegaconf import DictConfig

from flowersweep.config import settings
from flowersweep.config.class_weight import named_weights
from flowersweep.config.models import BACKBONES, FineTunedConfig
from flowersweep.config.rules import MIN_BACKBONE_SIZE, MIN_BACKBONE_SIZES
from flowersweep.errors import ConfigError, WeightsError

pytestmark = pytest.mark.usefixtures("hydra_ready")


def composed(*overrides: str) -> DictConfig:
    """The configuration that a command line with these overrides would run."""
    return compose("config", overrides=list(overrides))


class TestClassWeight:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("balance", "must be none, balanced, .*but is 'balance'. Did you mean balanced"),
            ("3", "must be none, balanced, .*but is 3"),
            ("[daisy]", r"pairs as in \[\['1e5', 2\]\], but is \['daisy'\]"),
            (
                "{1e5: 2}",
                r"a class 100000.0, which is not a text; write \[\['NAME', 2\]\] on the command line",
            ),
            ("{daisy: much}", "weight of class daisy .* must be a number of at least 0, but is 'much'"),
            ("{daisy: -1}", "at least 0, but is -1"),
            ("{daisy: nan}", "at least 0, but is nan"),
            ("{daisy: true}", "at least 0, but is True"),
        ],
    )
    def test_something_else_is_refused(self, value: str, message: str) -> None:
        """One sentence with what was received and what is allowed."""
        with pytest.raises(ConfigError, match=message) as caught:
            settings(composed(f"trainer.class_weight={value}"))
        assert "\n" not in str(caught.value)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("null", "none"),
            ("balanced", "balanced"),
            ("{daisy: 2, no: 1.5}", {"daisy": 2, "no": 1.5}),
            ("[['1e5', 2]]", {"1e5": 2}),
            ("{junk: 0}", {"junk": 0}),
        ],
    )
    def test_forms(self, value: str, expected: object) -> None:
        """Names stay texts."""
        given = settings(composed(f"trainer.class_weight={value}")).trainer.class_weight
        assert named_weights(given) == expected


class TestSplit:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            (
                ["split=csv"],
                "data.split=csv needs a CSV file with the columns file,part; add data.split_file=FILE",
            ),
            (["split=groups"], "columns file,group; add data.split_file=FILE"),
            (["split_file=a.csv"], "only read with data.split=csv or groups, but data.split is keras"),
            (
                ["split=folders", "test_split=0.1"],
                "data.test_split=0.1 has no effect with data.split=folders",
            ),
            (["folds=5"], "data.folds=5 needs data.split=stratified, or groups, but data.split is keras"),
            (["fold=1"], "data.fold=1 needs the number of folds; add data.folds=5"),
            (
                ["split=stratified", "folds=5", "fold=5"],
                "less than data.folds, but they are 5 and 5; folds count from 0",
            ),
            (["split=stratified", "folds=1"], "data.folds must be at least 2, but is 1"),
            (["split=stratifid"], "Did you mean stratified?"),
        ],
    )
    def test_settings_belong_to_the_kind_of_split(self, overrides: list[str], message: str) -> None:
        """Those that would have no effect, or that lack another one, are refused."""
        with pytest.raises(ConfigError) as caught:
            settings(composed(*(f"data.{one}" for one in overrides)))
        assert message in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1

    def test_a_fraction_is_not_used_with_folds(self) -> None:
        """So it need not leave anything to train on."""
        kept = settings(composed("data.split=stratified", "data.folds=2", "data.test_split=0.9"))
        assert kept.data.fold == 0


class TestSchedule:
    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            (["schedule.warmup_epochs=100"], "less than trainer.epochs, but they are 100 and 100"),
            (
                ["schedule.warmup_epochs=9", "schedule.epochs=9"],
                "less than schedule.epochs, but they are 9 and 9",
            ),
            (
                ["schedule.epochs=101"],
                "schedule.epochs must be at most trainer.epochs, but they are 101 and 100",
            ),
            (
                [
                    "model=mobilenet_ft",
                    "model.weights=null",
                    "schedule.warmup_epochs=5",
                    "model.head.epochs=5",
                ],
                "less than model.head.epochs, but they are 5 and 5",
            ),
        ],
    )
    def test_has_to_fit_into_every_phase(self, overrides: list[str], message: str) -> None:
        """A warm-up that fills the head's phase, or a cosine that is cut off, is refused while composing."""
        with pytest.raises(ConfigError, match=message):
            settings(composed("schedule=cosine", *overrides))

    @pytest.mark.parametrize(
        "change", ["model.init_from=null", "model.fine_tune_at=null", "model.head.epochs=6"]
    )
    def test_a_head_that_is_not_trained_sets_no_limit(self, change: str) -> None:
        """Only a phase that there is counts."""
        given = ("model=mobilenet_ft", "model.weights=null", "schedule=cosine", "schedule.warmup_epochs=5")
        settings(composed(*given, *(() if "epochs" in change else ("model.head.epochs=5",)), change))


class TestBackboneSizes:
    @pytest.mark.slow
    @pytest.mark.parametrize("backbone", BACKBONES)
    def test_are_those_of_keras(self, backbone: str) -> None:
        """One pixel less than the smallest size is refused by Keras as it is here, and the size itself is not."""
        smallest = MIN_BACKBONE_SIZES.get(backbone, MIN_BACKBONE_SIZE)
        name = ["model=backbone", f"model.name={backbone}", "model.weights=null"]
        with pytest.raises(ConfigError, match=rf"image_size must be at least {smallest} for {backbone}"):
            settings(composed(*name, f"trainer.image_size={smallest - 1}"))
        settings(composed(*name, f"trainer.image_size={smallest}"))

        build = getattr(keras.applications, backbone)
        with pytest.raises(ValueError, match=f"must be at least {smallest}x{smallest}"):
            build(input_shape=(smallest - 1, smallest - 1, 3), include_top=False, weights=None)

    @pytest.mark.slow
    @pytest.mark.parametrize("backbone", ["InceptionV3", "Xception", "MobileNetV3Small"])
    def test_the_smallest_can_be_built(self, backbone: str) -> None:
        """At that size there is a pixel left at the end."""
        smallest = MIN_BACKBONE_SIZES.get(backbone, MIN_BACKBONE_SIZE)
        build = getattr(keras.applications, backbone)
        built = build(input_shape=(smallest, smallest, 3), include_top=False, weights=None)
        assert built.output.shape[1:3] >= (1, 1)


@pytest.mark.slow
class TestPrecision:
    @pytest.mark.parametrize(
        "model",
        [
            ["model=mobilenet_frozen"],
            ["model=mobilenet_ft", "model.fine_tune_at=null"],
            ["model=backbone", "model.name=ResNet50V2"],
        ],
        ids=lambda overrides: overrides[-1],
    )
    def test_a_frozen_backbone_has_no_bfloat16(self, model: list[str]) -> None:
        """Its new layer is trained in float32 in any case; nobody compares the same training under two names."""
        given = (*model, "model.weights=null")
        with pytest.raises(
            ConfigError, match=r"^trainer\.precision=bfloat16 has no effect on a frozen backbone, "
        ):
            settings(composed(*given, "trainer.precision=bfloat16"))
        assert settings(composed(*given)).trainer.precision == "auto"


class TestWeights:
    def test_a_missing_file_is_no_fault_of_the_values(self, tmp_path: Path) -> None:
        """A file of weights that is away is told last and as such; it is fine again as soon as it is back."""
        file = tmp_path / "some.weights.h5"
        overrides = ("model=mobilenet_ft", f"model.weights={file}")
        with pytest.raises(WeightsError, match=r"model\.weights must be .*but there is no file"):
            settings(composed(*overrides))
        with pytest.raises(ConfigError, match=r"^trainer\.image_size must be at least 32"):
            settings(composed(*overrides, "trainer.image_size=16"))
        file.touch()
        assert settings(composed(*overrides)).model.name == "mobilenet_ft"


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mobilenet_ft", "backbone"])
@pytest.mark.parametrize(
    ("given", "epochs"),
    [
        ([], 100),  # the article's
        (["trainer.epochs=2"], 2),
        (["trainer=quick"], 5),
        (["trainer.epochs=2", "model.head.epochs=7"], 7),
    ],
)
def test_the_head_is_not_trained_longer_than_the_rest(model: str, given: list[str], epochs: int) -> None:
    """Its maximum is trainer.epochs unless it has its own."""
    config = settings(composed(f"model={model}", "model.alpha=null", "model.weights=null", *given))
    assert isinstance(config.model, FineTunedConfig)
    assert config.model.head.epochs == epochs
