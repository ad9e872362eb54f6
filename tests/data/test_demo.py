"""The drawn flowers: same everywhere, complete or absent, and not learned at a glance."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flowersweep.data import demo, fingerprint, read_folder
from flowersweep.data.demo import KINDS, draw, draw_all


def test_reads_like_any_other_folder(tmp_path: Path) -> None:
    """The drawn flowers are JPEGs in five class folders with the names of flower_photos."""
    catalogue = read_folder(demo(tmp_path, per_class=3))

    assert catalogue.class_names == ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    assert np.bincount(catalogue.labels).tolist() == [3] * 5
    for path in catalogue.paths:
        with Image.open(catalogue.root / path) as picture:
            assert picture.format == "JPEG"
            assert 96 <= min(picture.size) <= max(picture.size) <= 128


def test_is_the_same_everywhere(tmp_path: Path) -> None:
    """Two caches get the same pictures, byte for byte, and a larger set begins with the smaller one."""
    first, second = (read_folder(demo(tmp_path / name, per_class=2)) for name in "ab")
    larger = demo(tmp_path / "a", per_class=3)

    assert fingerprint(first, tmp_path) == fingerprint(second, tmp_path)
    assert all((larger / path).read_bytes() == (first.root / path).read_bytes() for path in first.paths)


def test_is_drawn_once(tmp_path: Path) -> None:
    """The second call returns the same folder without drawing."""
    folder = demo(tmp_path, per_class=1)
    times = [path.stat().st_mtime_ns for path in folder.rglob("*.jpg")]

    assert demo(tmp_path, per_class=1) == folder
    assert [path.stat().st_mtime_ns for path in folder.rglob("*.jpg")] == times


def test_an_interrupted_drawing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If drawing stops half way there is no folder, and the next call draws all of it."""

    def interrupted(folder: Path, per_class: int) -> None:
        draw_all(folder, per_class)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("flowersweep.data.source.draw_all", interrupted)
        with pytest.raises(KeyboardInterrupt):
            demo(tmp_path, per_class=1)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []

    assert len(read_folder(demo(tmp_path, per_class=1))) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_a_kind_differ(kind: str) -> None:
    """The generator decides the picture: the same one gives the same picture, another one another."""
    first, again, other = (
        np.asarray(draw(kind, np.random.default_rng(seed)).resize((32, 32))) for seed in (1, 1, 2)
    )

    assert np.array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 10


def test_mean_colour_does_not_give_the_kind_away() -> None:
    """Choosing the kind by mean colour is right in fewer than half of the cases, so shapes must be learned."""
    means = np.array(
        [
            [np.asarray(draw(kind, np.random.default_rng([number, i]))).mean((0, 1)) for i in range(24)]
            for number, kind in enumerate(KINDS)
        ]
    )
    centres = means[:, :16].mean(1)
    distances = np.linalg.norm(means[:, 16:, None] - centres, axis=-1)

    assert (distances.argmin(-1) == np.arange(5)[:, None]).mean() < 0.5


@pytest.mark.slow
def test_a_small_network_learns_it(cache: Path) -> None:
    """A CNN with three convolutions is no expert after one epoch, above chance after three, good after twelve."""
    import keras

    from flowersweep.data import open_pixel_store, split

    catalogue = read_folder(demo(cache))
    store = open_pixel_store(catalogue, fingerprint=fingerprint(catalogue, cache), size=64, cache=cache)
    parts = split(len(catalogue), seed=123, validation=0.2)
    keras.utils.set_random_seed(0)
    blocks = [
        layer
        for _ in range(3)
        for layer in (keras.layers.Conv2D(32, 3, activation="relu"), keras.layers.MaxPool2D())
    ]
    head = [keras.layers.Flatten(), keras.layers.Dense(128, activation="relu"), keras.layers.Dense(5)]
    model = keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Rescaling(1 / 255), *blocks, *head])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    data = [(store.images[part], catalogue.labels[part]) for part in (parts.train, parts.validation)]
    accuracy = model.fit(*data[0], validation_data=data[1], epochs=12, verbose=0).history["val_accuracy"]

    assert accuracy[0] < 0.8
    assert max(accuracy[:3]) > 0.35
    assert max(accuracy) > 0.6
