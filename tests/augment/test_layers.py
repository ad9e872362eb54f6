"""Building one layer from a line of configuration."""

from typing import Any

import pytest

from flowersweep.augment.affine import RandomZoom
from flowersweep.augment.flip import RandomFlip
from flowersweep.augment.layers import build
from flowersweep.errors import ConfigError


def test_a_name_alone_takes_the_defaults() -> None:
    """A string builds the class of that name."""
    assert build("RandomFlip") == RandomFlip()


def test_a_mapping_sets_parameters() -> None:
    """Values are converted as in any configuration: 0 is a legal float, null a legal absence."""
    assert build({"name": "RandomZoom", "height_factor": 0, "width_factor": None}) == RandomZoom(
        height_factor=0.0, width_factor=None
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (3, ["a name or a mapping", "but is 3"]),
        ({"factor": 0.1}, ["a name or a mapping"]),
        ("randomrotation", ["'randomrotation'", "Did you mean RandomRotation?"]),
        ("zzz", ["'zzz'; choose one of none, RandomFlip"]),
        ({"name": "RandomRotation", "facto": 1}, ["no parameter 'facto'", "Did you mean factor?"]),
        ({"name": "RandomRotation", "seed": 1}, ["no parameter 'seed'", "choose one of factor."]),
        ({"name": "none", "factor": 1}, ["it has none."]),
        (
            {"name": "RandomRotation", "factor": "much"},
            ["RandomRotation.factor must be of type float, but is 'much'"],
        ),
        ({"name": "RandomRotation", "factor": 2}, ["factor must be at least 0.0 and at most 1.0, but is 2"]),
        ({"name": "RandomRotation", "factor": None}, ["factor must be of type float, but is None"]),
        (
            {"name": "RandomFlip", "mode": "diagonal"},
            ["mode must be one of horizontal, vertical", "'diagonal'"],
        ),
        (
            {"name": "RandomZoom", "width_factor": 5},
            ["width_factor must be at least 0.0 and less than 1.0, but is 5"],
        ),
        ({"name": "RandomGaussianBlur", "kernel_size": 4}, ["kernel_size must be odd"]),
    ],
)
def test_a_mistake_is_one_clear_sentence(spec: Any, said: list[str]) -> None:
    """The error names what was wrong, what was received and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        build(spec)
    assert all(part in str(caught.value) for part in said), str(caught.value)
    assert "\n" not in str(caught.value)
