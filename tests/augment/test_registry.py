"""What every augmentation promises, checked for each one in the table."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from flowersweep import config
from flowersweep.augment import AUGMENTATIONS
from flowersweep.augment.base import Augmentation
from flowersweep.augment.draw import uniforms

CONF = config.conf_dir() / "aug"
SIZE = 24
N = 40
# The share of the pictures that changes; all of them where nothing is said.
SHARES = {
    "none": 0.0,
    "RandomFlip": 3 / 4,
    "RandomFlip_prob": 3 / 8,
    "RandomRotation_prob": 1 / 2,
    "RandomTranslation_prob": 1 / 2,
    "RandomCrop": 1.0,
    "RandAugment": 0.97,
    "RandomErasing": 1 / 2,
    "RandomGrayscale": 1 / 2,
    "RandomInvert": 1 / 2,
    "RandomPosterization": 5 / 6,
    "MixUp": 0.0,  # tests/augment/test_mixing.py
    "CutMix": 0.0,
}
NOTHING: dict[str, dict[str, Any]] = {
    "none": {},
    "RandomFlip_prob": {"p": 0},
    "RandomRotation": {"factor": 0},
    "RandomRotation_prob": {"p": 0},
    "RandomContrast": {"factor": 0},
    "RandomZoom": {"height_factor": 0, "width_factor": 0},
    "RandomTranslation": {"height_factor": 0, "width_factor": 0},
    "RandomTranslation_prob": {"p": 0},
    "RandAugment": {"num_ops": 0},
    "RandomBrightness": {"factor": 0},
    "RandomErasing": {"factor": 0},
    "RandomGaussianBlur": {"sigma": 0},
    "RandomGrayscale": {"factor": 0},
    "RandomHue": {"factor": 0},
    "RandomInvert": {"factor": 0},
    "RandomPosterization": {"factor": 8},
    "RandomSaturation": {"factor": 0},
    "RandomSharpness": {"factor": 0},
    "RandomShear": {"x_factor": 0, "y_factor": 0},
}
each = pytest.mark.parametrize("name", AUGMENTATIONS)
# TensorFlow takes seconds to trace them, so a slow test alone cuts them into batches, of fixed size, too.
LARGE = ("AugMix", "RandAugment")
Pixels = npt.NDArray[np.float32]


def pictures(n: int, size: int) -> Pixels:
    """Smooth coloured blobs with some noise, integers 0..255 as decoded photographs have."""
    rng = np.random.default_rng(0)
    place = np.linspace(0, 2 * np.pi, size)
    phase = rng.uniform(0, 7, (2, n, 1, 3))
    waves = (
        np.sin(place[None, :, None] + phase[0])[:, :, None]
        * np.sin(2 * place[None, :, None] + phase[1])[:, None]
    )
    noisy = 127 + 110 * waves + rng.normal(0, 12, waves.shape)
    return np.asarray(np.clip(noisy, 0, 255).round(), dtype=np.float32)


def applied(augmentation: Augmentation, images: Pixels, size: int, epoch: int = 0) -> Pixels:
    """The whole set as one batch."""
    drawn = augmentation.parameters(uniforms(augmentation.seed, epoch, len(images), augmentation.n_uniforms))
    return np.asarray(augmentation.apply(images, drawn, size))


def streamed(
    augmentation: Augmentation, images: Pixels, size: int, batch: int, threads: int, *, fixed: bool
) -> Pixels:
    """The set as a tf.data pipeline gives it: batches of one size, some mapped at once on some threads."""
    import tensorflow as tf

    drawn = augmentation.parameters(uniforms(augmentation.seed, 0, len(images), augmentation.n_uniforms))
    rows = tf.data.Dataset.from_tensor_slices((images, drawn)).batch(batch, drop_remainder=fixed)
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    options.threading.max_intra_op_parallelism = threads
    mapped = rows.map(lambda x, p: augmentation.apply(x, p, size), num_parallel_calls=threads)
    assert mapped.element_spec.shape[1:] == (size, size, 3)
    return np.concatenate([np.asarray(x) for x in mapped.with_options(options)])


@each
def test_the_class_is_named_as_it_is_chosen(name: str) -> None:
    """The table's key is the class's own `name`, and the class name but for none and stack."""
    kind = AUGMENTATIONS[name]
    assert kind().name == name
    assert kind.__name__ == {"none": "NoAugmentation", "stack": "Stack"}.get(name, name)
    assert kind().problems() == []


@pytest.mark.slow
@each
def test_chosen_by_its_name_it_has_the_defaults_of_its_class(name: str) -> None:
    """conf/aug has a file for the class that says what it does and repeats no value; what is composed has them all."""
    text = (CONF / f"{name}.yaml").read_text(encoding="utf-8")
    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        composed = compose("config", overrides=[f"aug={name}"]).aug

    assert re.fullmatch(rf"# .*\.\ndefaults:\n  - /schema/aug/{name}@_here_\n", text)
    assert OmegaConf.to_object(composed) == AUGMENTATIONS[name]()


def test_every_configuration_file_has_a_class() -> None:
    """No file in conf/aug is left over; one is for augmentations of the user's own, one a stack that is ready."""
    assert {path.stem for path in CONF.glob("*.yaml")} == {*AUGMENTATIONS, "own", "strong"}


@each
def test_it_is_a_structured_configuration(name: str) -> None:
    """OmegaConf takes the class as a schema and gives back an equal object."""
    assert OmegaConf.to_object(OmegaConf.structured(AUGMENTATIONS[name])) == AUGMENTATIONS[name]()


@each
def test_result_shape_type_and_range(name: str) -> None:
    """The result is float32 of the image size with values 0..255, also for black and white pictures."""
    augmentation = AUGMENTATIONS[name]()
    images = pictures(N, augmentation.source_size(SIZE))
    images[0], images[1] = 0, 255
    result = applied(augmentation, images, SIZE)
    assert result.shape == (N, SIZE, SIZE, 3)
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 255


@each
def test_the_expected_share_of_pictures_changes(name: str) -> None:
    """Training pictures are changed as often as the definition says, differently in the next epoch."""
    augmentation = AUGMENTATIONS[name]()
    images = pictures(300, augmentation.source_size(16))
    first, second = (applied(augmentation, images, 16, epoch) for epoch in (0, 1))
    start = (images.shape[1] - 16) // 2
    original = images[:, start : start + 16, start : start + 16]
    changed = (first != original).any(axis=(1, 2, 3)).mean()
    assert changed == pytest.approx(SHARES.get(name, 0.99), abs=0.12 if name == "RandomCrop" else 0.08)
    assert (first != second).any() == (SHARES.get(name) != 0)


@pytest.mark.parametrize("name", NOTHING)
def test_no_strength_or_no_probability_changes_nothing(name: str) -> None:
    """With its parameters at zero an augmentation is the identity; only the hue's matrix rounds."""
    images = pictures(N, SIZE)
    result = applied(AUGMENTATIONS[name](**NOTHING[name]), images, SIZE)
    assert np.abs(result - images).max() <= (1e-3 if name == "RandomHue" else 0)


@each
def test_parameters_are_a_function_of_seed_epoch_and_picture(name: str) -> None:
    """Picture i has the same row whatever the number of pictures; all rows are float32."""
    augmentation = AUGMENTATIONS[name]()
    many = augmentation.parameters(uniforms(3, 5, 50, augmentation.n_uniforms))
    few = augmentation.parameters(uniforms(3, 5, 7, augmentation.n_uniforms))
    for key, values in many.items():
        assert values.dtype == np.float32
        assert len(values) == 50
        assert np.array_equal(values[:7], few[key])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name not in LARGE])
def test_a_picture_is_the_same_bits_in_any_batch_on_any_threads(name: str) -> None:
    """Batches of 1, 5, 32 and all, of fixed and open size, on 1, 2 and 4 threads agree to the last bit."""
    augmentation = AUGMENTATIONS[name]()
    images = pictures(N, augmentation.source_size(SIZE))
    expected = applied(augmentation, images, SIZE)
    for batch, threads, fixed in ((1, 4, True), (5, 1, True), (32, 2, False)):
        assert np.array_equal(streamed(augmentation, images, SIZE, batch, threads, fixed=fixed), expected)


@pytest.mark.slow
@each
def test_the_same_bits_at_the_size_of_the_article(name: str) -> None:
    """At 180 pixels, where work is cut up for threads, batches of 1, 7 and 32 agree as well."""
    augmentation = AUGMENTATIONS[name]()
    images = pictures(32, augmentation.source_size(180))
    expected = applied(augmentation, images, 180)
    for batch, threads, n in ((1, 3, 11), (7, 4, 21), (32, 2, 32)):
        result = streamed(augmentation, images[:n], 180, batch, threads, fixed=name in LARGE and batch != 1)
        assert np.array_equal(result, expected[:n])


@pytest.mark.parametrize("name", [name for name, kind in AUGMENTATIONS.items() if kind.n_outcomes])
def test_few_outcomes_are_all_that_can_become_of_a_picture(name: str) -> None:
    """Each picture becomes what its outcome makes of it, bit for bit; outcome 0 is the picture itself."""
    augmentation = AUGMENTATIONS[name]()
    images = pictures(N, SIZE)
    drawn = augmentation.parameters(uniforms(0, 0, N, augmentation.n_uniforms))
    results = np.asarray(augmentation.apply(images, drawn, SIZE))
    outcomes = augmentation.outcomes(drawn)

    assert set(outcomes.tolist()) == set(range(augmentation.n_outcomes))
    for number in range(augmentation.n_outcomes):
        rows = {key: np.repeat(values, N, axis=0) for key, values in augmentation.outcome(number).items()}
        made = np.asarray(augmentation.apply(images, rows, SIZE))
        assert np.array_equal(made[outcomes == number], results[outcomes == number])
        assert np.array_equal(made, images) == (number == 0)
