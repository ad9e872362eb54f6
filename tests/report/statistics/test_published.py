"""The article's figures, shown only where they belong."""

import pytest

from flowersweep.ranking.standings import ACCURACY as METRIC
from flowersweep.report.evidence import Training
from flowersweep.report.statistics.published import FLOWERS, published


def training(model: str, augmentation: str = "none", **settings: str) -> Training:
    """A training of the real photographs."""
    tags = {"data": "flower_photos", "model": model, "augmentation": augmentation}
    return Training("r", 0, settings={"model.name": model, "aug.name": augmentation, **settings}, tags=tags)


@pytest.mark.parametrize(
    ("model", "augmentation", "words", "values"),
    [
        ("cnn", "none", "0.6499 to 0.6785", (0.6499, 0.6785)),
        ("cnn", "RandomTranslation", "0.7316, rank 1 of 7", (0.7316,)),
        ("cnn", "RandomFlip", "rank 4 of 7, below 0.7316", ()),
        ("cnn", "RandomFlip_prob", "rank 4 of 7, below 0.7316", ()),
        ("cnn", "RandomTranslation_prob", "rank 7 of 7, below 0.7316", ()),
        ("cnn", "AugMix", "none for it; best augmentation 0.7316", ()),
        ("mobilenet_frozen", "RandomFlip", "0.8937 at best", (0.8937,)),
        ("mobilenet_ft", "RandomFlip", "0.9482 at best", (0.9482,)),
    ],
)
def test_figures(model: str, augmentation: str, words: str, values: tuple[float, ...]) -> None:
    """Each network and augmentation has what the article tells of it."""
    found = published(training(model, augmentation), (), METRIC)
    assert found is not None
    assert (found.words, found.values) == (words, values)


def test_frozen_by_hand() -> None:
    """A fine-tuned network of which nothing was thawed is compared with the frozen one."""
    one = training("mobilenet_ft")
    frozen = Training("r", 0, settings=one.settings, tags={**one.tags, "frozen": "true"})
    found = published(frozen, (), METRIC)
    assert found is not None
    assert found.values == (0.8937,)


def test_where_it_does_not_belong() -> None:
    """Other pictures, drawn ones with the same classes, another network, another backbone or another metric have no figure; the same classes have."""
    plain = training("cnn")
    elsewhere = Training("r", 0, settings=plain.settings, tags={"data": "folder"})
    assert published(elsewhere, ("cat", "dog"), METRIC) is None
    assert published(elsewhere, FLOWERS, METRIC) is not None
    drawn = Training("r", 0, settings=plain.settings, tags={"data": "demo"})
    assert published(drawn, FLOWERS, METRIC) is None
    assert published(plain, (), "best/val_loss") is None
    assert published(training("EfficientNetV2B0"), (), METRIC) is None
    assert published(training("mobilenet_frozen", **{"model.backbone": "Xception"}), (), METRIC) is None
