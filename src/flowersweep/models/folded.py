"""Fold BatchNorm in inference mode into the convolution before it, which makes a suffix faster to train.

Importing this module imports Keras.
"""

from collections import Counter, defaultdict
from typing import Any

import keras
from keras import layers, ops

from flowersweep.doors.keras_api import calls
from flowersweep.models.network import InferenceMode


def fold(suffix: keras.Model, precision: str) -> keras.Model:
    """A model that computes the same function as a suffix, with the same weights.

    A BatchNorm with fixed statistics scales and shifts every value of its input. Applied to the kernel and the bias of the
    previous convolution, which are few, it is the same function of the same kernel, gamma and beta, with the same
    gradients up to rounding (Jacob et al. 2018, "Quantization and training of neural networks", section 3.2).

    Args:
        suffix: A chain of layers, of which an `InferenceMode` is folded and the others are unchanged.
        precision: "float32", or "bfloat16" for the folded part's activations; weights are float32 in any case.

    Returns:
        The suffix itself if it contains nothing to fold.
    """
    if not any(isinstance(layer, InferenceMode) for layer in suffix.layers):
        return suffix
    dtype = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    inputs = keras.Input(suffix.input.shape[1:], name="features")
    outputs = inputs
    for layer in suffix.layers[1:]:
        follows = _folded(layer, dtype) if isinstance(layer, InferenceMode) else layer
        outputs = follows(outputs)
    return keras.Model(inputs, outputs, name="folded")


class FoldedConvolution(layers.Layer):
    """A convolution and the BatchNorm after it, in inference mode, as one convolution with a bias.

    Args:
        convolution: Conv2D or DepthwiseConv2D; shared, not copied.
        normalization: The BatchNorm of its output; also shared.
        dtype: Its dtype policy; kernel and bias are folded in float32 and then rounded.
    """

    def __init__(self, convolution: Any, normalization: Any, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.convolution = convolution
        self.normalization = normalization
        self._depthwise = isinstance(convolution, layers.DepthwiseConv2D)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Convolve; `training` and `mask`, the arguments of a BatchNorm, have no effect here."""
        del training, mask
        convolution = self.convolution
        kernel, bias = self._kernel_and_bias()
        # A strided depthwise convolution has no bfloat16 gradient in oneDNN; the one used instead is 35 times slower.
        strided = self._depthwise and max(convolution.strides) > 1
        dtype = "float32" if strided else self.compute_dtype
        convolve = ops.depthwise_conv if self._depthwise else ops.conv
        convolved = convolve(
            ops.cast(inputs, dtype),
            ops.cast(kernel, dtype),
            strides=tuple(convolution.strides),
            padding=convolution.padding,
            data_format="channels_last",
            dilation_rate=tuple(convolution.dilation_rate),
        )
        return ops.cast(ops.add(convolved, ops.cast(bias, dtype)), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The convolution's output shape."""
        return self.convolution.compute_output_shape(input_shape)

    def _kernel_and_bias(self) -> tuple[Any, Any]:
        """In float32, the kernel times gamma over the standard deviation, and the remaining bias."""
        kernel, norm = self.convolution.kernel, self.normalization
        scale = ops.rsqrt(norm.moving_variance + norm.epsilon)
        if norm.scale:
            scale = scale * norm.gamma
        bias = -norm.moving_mean * scale
        if self.convolution.use_bias:
            bias = bias + self.convolution.bias * scale
        if norm.center:
            bias = bias + norm.beta
        # A depthwise kernel's last two axes are channel and multiplier; its output channels enumerate both.
        return kernel * (ops.reshape(scale, kernel.shape[2:]) if self._depthwise else scale), bias


def _folded(inference: InferenceMode, dtype: str) -> InferenceMode:
    inner = inference.inner
    convolutions = _pairs(inner)
    folded = set(convolutions.values())

    def replacement(layer: keras.Layer) -> keras.Layer:
        if layer in folded:  # it is part of its BatchNorm's replacement
            return layers.Identity(name=layer.name, dtype=dtype)
        if layer in convolutions:
            return FoldedConvolution(convolutions[layer], layer, name=layer.name, dtype=dtype)
        # An operation between layers has no dtype.
        if not isinstance(layer, keras.Layer) or layer.weights:
            return layer
        config = {**layer.get_config(), "dtype": dtype}
        return type(layer).from_config(config)

    return InferenceMode(keras.models.clone_model(inner, clone_function=replacement), name="backbone")


def _pairs(model: keras.Model) -> dict[keras.Layer, keras.Layer]:
    """The convolution of each BatchNorm that is the only operation after one."""
    counts: Counter[keras.Layer] = Counter()
    followers: dict[keras.Layer, list[keras.Layer]] = defaultdict(list)
    for operation, producers in calls(model):
        counts[operation] += 1
        for producer in producers:
            followers[producer].append(operation)
    return {
        followers[layer][0]: layer
        for layer in model.layers
        if counts[layer] == len(followers[layer]) == 1 and _foldable(layer, followers[layer][0])
    }


def _foldable(convolution: Any, normalization: Any) -> bool:
    """Whether two layers are a convolution without activation and a BatchNorm of its channels, the last axis."""
    return (
        type(convolution) in {layers.Conv2D, layers.DepthwiseConv2D}
        and convolution.data_format == "channels_last"
        and convolution.activation is keras.activations.linear
        and isinstance(normalization, layers.BatchNormalization)
        and normalization.axis in {-1, 3}
    )
