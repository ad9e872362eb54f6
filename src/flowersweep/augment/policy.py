"""RandAugment and AugMix: policies that choose operations for every picture.

An operation converts a signed strength in [-1, 1] to a setting, in NumPy, and applies a setting to a picture, in
TensorFlow. The ranges at strength 1 are those of Cubuk et al. 2018 (AutoAugment, arXiv 1805.09501), table 6.
"""

# ruff: noqa: ARG002
# Every augmentation has the same two methods, even if it does not need all their arguments.

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flowersweep.augment.affine import rotation, shear, translation, warp
from flowersweep.augment.base import Array, Augmentation, Parameters, Uniforms, clip, per_picture
from flowersweep.augment.colour import mix, saturation
from flowersweep.augment.focus import sharpen
from flowersweep.augment.tone import autocontrast, contrast, equalize, posterize, solarize
from flowersweep.fields import bounded

if TYPE_CHECKING:
    import tensorflow as tf

_WIDTH = 9  # numbers in the largest setting, a 3 x 3 matrix


@dataclass(frozen=True)
class Operation:
    """One way to change a picture.

    Attributes:
        setting: Converts signed strengths, shape (n,), to one setting per picture, float32 of shape (n, ...).
        run: Applies settings to pictures, with the arguments and result of `Augmentation.apply`.
    """

    setting: Callable[[Uniforms], Array]
    run: "Callable[[tf.Tensor, tf.Tensor], tf.Tensor]"


def _plain(strength: Uniforms) -> Array:
    """The setting of an operation that has none."""
    return np.zeros(len(strength), np.float32)


def _factor(strength: Uniforms) -> Array:
    """Factors 0.1 to 1.9, with 1 for no change."""
    return (1.0 + 0.9 * strength).astype(np.float32)


# The first one changes nothing.
OPERATIONS: dict[str, Operation] = {
    "identity": Operation(_plain, lambda images, _: images),
    "autocontrast": Operation(_plain, autocontrast),
    "equalize": Operation(_plain, equalize),
    "rotate": Operation(lambda strength: rotation(30.0 * strength), warp),
    "solarize": Operation(lambda strength: (256.0 * (1.0 - np.abs(strength))).astype(np.float32), solarize),
    "color": Operation(lambda strength: saturation(1.0 + 0.9 * strength), mix),
    "posterize": Operation(
        lambda strength: (2.0 ** np.rint(4.0 * np.abs(strength))).astype(np.float32), posterize
    ),
    "contrast": Operation(_factor, contrast),
    "brightness": Operation(_factor, lambda images, factor: clip(images * per_picture(factor))),
    "sharpness": Operation(_factor, sharpen),
    "shear_x": Operation(lambda strength: shear(0.3 * strength, 0.0), warp),
    "shear_y": Operation(lambda strength: shear(0.0, 0.3 * strength), warp),
    "translate_x": Operation(lambda strength: translation(0.45 * strength, 0.0), warp),
    "translate_y": Operation(lambda strength: translation(0.0, 0.45 * strength), warp),
}
NAMES = tuple(OPERATIONS)
# AugMix excludes the operations that are corruptions of ImageNet-C, its benchmark.
AUGMIX_NAMES = tuple(
    name for name in NAMES[1:] if name not in {"color", "contrast", "brightness", "sharpness"}
)


def settings(names: tuple[str, ...], chosen: Uniforms, strength: Uniforms) -> Parameters:
    """Choose operations and compute their settings.

    Args:
        names: The operations to choose from, all equally likely.
        chosen: Uniform numbers in [0, 1) that choose, any shape (n, ...).
        strength: Signed strengths in [-1, 1], the same shape.

    Returns:
        `operation`, shape (n, ...), indices into `NAMES`, and `setting`, shape (n, ..., 9), padded with zeros.
    """
    table = np.array([NAMES.index(name) for name in names])
    operation = table[(chosen * len(names)).astype(np.int64)]
    setting = np.zeros((*chosen.shape, _WIDTH), np.float32)
    for place in np.unique(operation):
        here = operation == place
        values = OPERATIONS[NAMES[place]].setting(strength[here])
        values = values.reshape(len(values), -1)
        padding = ((0, 0), (0, _WIDTH - values.shape[1]))
        setting[here] = np.pad(values, padding)
    return {"operation": operation.astype(np.float32), "setting": setting}


def perform(
    images: "tf.Tensor", operation: "tf.Tensor", setting: "tf.Tensor", names: tuple[str, ...]
) -> "tf.Tensor":
    """Apply to each picture its operation.

    The batch is partitioned by operation and reassembled, so each picture costs one operation, not all.

    Args:
        images: float32, shape (batch, size, size, 3), values 0..255.
        operation: float32, shape (batch,), indices into `NAMES`.
        setting: float32, shape (batch, 9).
        names: The operations that occur.

    Returns:
        float32, the shape of `images`, values 0..255.
    """
    import tensorflow as tf

    places = tf.dynamic_partition(tf.range(tf.shape(images)[0]), tf.cast(operation, tf.int32), len(NAMES))
    owners, results = [], []
    for name in names:
        owner, shape = places[NAMES.index(name)], OPERATIONS[name].setting(np.zeros(1)).shape[1:]
        own = tf.gather(setting, owner)[:, : int(np.prod(shape))]
        results.append(OPERATIONS[name].run(tf.gather(images, owner), tf.reshape(own, [-1, *shape])))
        owners.append(owner)
    return tf.ensure_shape(tf.dynamic_stitch(owners, results), images.shape)


@dataclass
class RandAugment(Augmentation):
    """Apply `num_ops` random operations with the same strength (Cubuk et al. 2019, arXiv 1909.13719).

    The paper's fourteen operations, chosen per picture: identity, autocontrast, equalize, rotate, solarize, color,
    posterize, contrast, brightness, sharpness, shear and translate along x and y. Signs are random.
    The edges are filled by reflection, and contrast is the published study's: about the mean of each channel.

    Attributes:
        num_ops: Number of consecutive operations on each picture.
        magnitude: Strength of all operations, 0 to 30. At 0, only autocontrast and equalize, which have no strength,
            change a picture.
    """

    name: str = "RandAugment"
    num_ops: int = bounded(2, low=0, high=14)
    magnitude: float = bounded(9.0, low=0.0, high=30.0)

    @property
    def n_uniforms(self) -> int:
        """Two for each operation: the choice and the sign."""
        return 2 * self.num_ops

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `operation`, shape (n, num_ops), and `setting`, shape (n, num_ops, 9); see `settings`."""
        chosen, sign = uniforms[:, : self.num_ops], uniforms[:, self.num_ops :]
        return settings(NAMES, chosen, np.where(sign < 0.5, -1.0, 1.0) * self.magnitude / 30.0)

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Apply the operations in order."""
        for i in range(self.num_ops):
            images = perform(images, parameters["operation"][:, i], parameters["setting"][:, i], NAMES)
        return images


@dataclass
class AugMix(Augmentation):
    """Blend a picture with a mixture of chains of operations (Hendrycks et al. 2019, arXiv 1912.02781).

    Each chain has one to `chain_depth` operations of random strength; the mixture's weights are drawn from a
    Dirichlet and the blend from a Beta distribution, both with the paper's alpha of 1. The paper's consistency
    loss is not included.

    Attributes:
        num_chains: Number of mixed chains.
        chain_depth: Maximum number of operations in a chain.
        factor: Largest strength, 0 to 1.
    """

    name: str = "AugMix"
    num_chains: int = bounded(3, low=1, high=8)
    chain_depth: int = bounded(3, low=1, high=8)
    factor: float = bounded(0.3, low=0.0, high=1.0)

    @property
    def n_uniforms(self) -> int:
        """For each chain, one for its depth, one for its weight and three per operation; and one for the blend."""
        return self.num_chains * (2 + 3 * self.chain_depth) + 1

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `operation` (n, chains, depth), `setting` (n, chains, depth, 9), `weight` (n, chains), `blend` (n,).

        `blend` is the fraction of the mixture in the result.
        """
        each = uniforms[:, 1:].reshape(len(uniforms), self.num_chains, 2 + 3 * self.chain_depth)
        chosen, strength, sign = np.split(each[:, :, 2:], 3, axis=2)
        result = settings(AUGMIX_NAMES, chosen, np.where(sign < 0.5, -1.0, 1.0) * strength * self.factor)
        depth = 1 + np.floor(each[:, :, :1] * self.chain_depth)
        result["operation"] *= np.arange(self.chain_depth) < depth  # 0 is the identity
        weight = -np.log1p(-each[:, :, 1])  # exponentials divided by their sum are Dirichlet(1)
        result["weight"] = (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
        result["blend"] = uniforms[:, 0].astype(np.float32)
        return result

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Run all chains as one larger batch, then mix them in a fixed order."""
        import tensorflow as tf

        chains = tf.repeat(images, self.num_chains, axis=0)
        operation = tf.reshape(parameters["operation"], [-1, self.chain_depth])
        setting = tf.reshape(parameters["setting"], [-1, self.chain_depth, _WIDTH])
        for i in range(self.chain_depth):
            chains = perform(chains, operation[:, i], setting[:, i], (NAMES[0], *AUGMIX_NAMES))
        chains = tf.reshape(chains, [-1, self.num_chains, image_size, image_size, 3])
        weight = parameters["weight"]
        mixture = sum(chains[:, i] * per_picture(weight[:, i]) for i in range(self.num_chains))
        return clip(images + (mixture - images) * per_picture(parameters["blend"]))
