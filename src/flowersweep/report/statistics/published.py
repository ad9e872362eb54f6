"""Published results for the same pictures and the same kind of network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowersweep.ranking.standings import ACCURACY
from flowersweep.report.evidence import Training

FLOWERS = ("daisy", "dandelion", "roses", "sunflowers", "tulips")

CNN_PLAIN = (0.6499, 0.6785)
CNN_BEST = 0.7316
FROZEN_BEST = 0.8937
FINE_TUNED_BEST = 0.9482
# The published study's ranks of augmentations of the CNN; only the value of the first one is known.
CNN_PLACES = {
    "RandomTranslation": 1,
    "RandomRotation_prob": 2,
    "RandomRotation": 3,
    "RandomFlip_prob": 4,
    "RandomFlip": 4,
    "RandomZoom": 6,
    "RandomTranslation_prob": 7,
}


@dataclass(frozen=True)
class Published:
    """A result of the published study.

    Attributes:
        words: The text in a table.
        values: The values that a chart marks: one value, or both ends of a range; empty if only a rank is known.
    """

    words: str
    values: tuple[float, ...] = ()


def published(training: Training, class_names: Sequence[str], metric: str) -> Published | None:
    """The published study's result for a training; None if it has none for these pictures, this network or this metric."""
    source = training.tags.get("data")
    # The synthetic flowers have the same classes, but are other pictures.
    is_photos = source == "flower_photos" or (source != "demo" and tuple(sorted(class_names)) == FLOWERS)
    if metric != ACCURACY or not is_photos:
        return None
    model = training.settings.get("model.name", training.tags.get("model", ""))
    if model == "cnn":
        return _cnn(training.settings.get("aug.name", training.tags.get("augmentation", "none")))
    if model in {"mobilenet_frozen", "mobilenet_ft"} and _is_mobilenet(training.settings):
        frozen = training.tags.get("frozen", str(model == "mobilenet_frozen").lower()) == "true"
        best = FROZEN_BEST if frozen else FINE_TUNED_BEST
        return Published(f"{best:.4f} at best", (best,))
    return None


def _is_mobilenet(settings: Mapping[str, str]) -> bool:
    return settings.get("model.backbone", "MobileNetV2") == "MobileNetV2"


def _cnn(augmentation: str) -> Published:
    if augmentation == "none":
        low, high = CNN_PLAIN
        return Published(f"{low:.4f} to {high:.4f}", CNN_PLAIN)
    place = CNN_PLACES.get(augmentation)
    if place == 1:
        return Published(f"{CNN_BEST:.4f}, rank 1 of {len(CNN_PLACES)}", (CNN_BEST,))
    if place is not None:
        return Published(f"rank {place} of {len(CNN_PLACES)}, below {CNN_BEST:.4f}")
    return Published(f"none for it; best augmentation {CNN_BEST:.4f}")
