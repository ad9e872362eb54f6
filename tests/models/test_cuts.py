"""Cut points, found from the graphs of real Keras networks."""

import io

import keras
import numpy as np
import pytest
from rich.console import Console

from flowersweep.models.cuts import cut_before, cut_points, layer_table, layers_csv, table
from tables_read import broken_words


@pytest.fixture(scope="module")
def mobilenet() -> keras.Model:
    """MobileNetV2 as the article uses it, with random weights."""
    return keras.applications.MobileNetV2(input_shape=(96, 96, 3), include_top=False, weights=None)


@pytest.fixture
def residual() -> keras.Model:
    """Input, a, b, add(a, b), c: behind a, b needs it and so does add; behind add, only c."""
    inputs = keras.Input((4, 4, 1))
    a = keras.layers.Conv2D(2, 1, name="a")(inputs)
    b = keras.layers.Conv2D(2, 1, name="b")(a)
    added = keras.layers.Add(name="add")([a, b])
    return keras.Model(inputs, keras.layers.Conv2D(1, 1, name="c")(added))


class TestCutPoints:
    def test_not_inside_a_residual_block(self, residual: keras.Model) -> None:
        """Input, a, add and c carry everything onward; b does not, because add needs a as well."""
        names = [residual.layers[index].name for index in cut_points(residual)]

        assert names[1:] == ["a", "add", "c"]

    @pytest.mark.slow
    def test_of_mobilenet_v2(self, mobilenet: keras.Model) -> None:
        """From layer 80 on they are the ends of blocks and the layers between blocks."""
        between = [*range(89, 98), 106, *range(115, 125), 133, *range(142, 154)]

        assert [index for index in cut_points(mobilenet) if index >= 80] == [80, *between]

    @pytest.mark.slow
    @pytest.mark.parametrize("index", [44, 80, 97, 115, 133, 150])
    def test_the_two_parts_make_the_whole(self, mobilenet: keras.Model, index: int) -> None:
        """Cut at a cut point and joined again, the network gives the same output."""
        tensor = mobilenet.layers[index].output
        prefix, suffix = keras.Model(mobilenet.input, tensor), keras.Model(tensor, mobilenet.output)
        pictures = np.random.default_rng(0).uniform(-1, 1, (2, 96, 96, 3)).astype(np.float32)

        joined = suffix(prefix(pictures, training=False), training=False)

        np.testing.assert_allclose(joined, mobilenet(pictures, training=False), atol=1e-5)

    def test_elsewhere_the_parts_do_not_connect(self, mobilenet: keras.Model) -> None:
        """At layer 100, which is none, Keras finds no network behind it."""
        with pytest.raises(ValueError, match="connected"):
            keras.Model(mobilenet.layers[100].output, mobilenet.output)


class TestCutBefore:
    @pytest.mark.parametrize(
        ("fine_tune_at", "expected"),
        [(0, 0), (1, 0), (50, 44), (97, 96), (98, 97), (100, 97), (120, 115), (140, 133)],
    )
    def test_is_the_last_narrow_cut_below(
        self, mobilenet: keras.Model, fine_tune_at: int, expected: int
    ) -> None:
        """All layers of the prefix lie before fine_tune_at, and its features are not the widened ones."""
        assert cut_before(mobilenet, fine_tune_at) == expected


class TestLayerTable:
    def test_says_what_is_trained_and_where_cuts_are(self, residual: keras.Model) -> None:
        """Each layer has a row with its index, name, shape, and whether it is trained and a cut."""
        residual.get_layer("a").trainable = False
        rows = layer_table(residual)

        assert [(row.index, row.name, row.trained, row.cut) for row in rows[1:]] == [
            (1, "a", False, True),
            (2, "b", True, False),
            (3, "add", False, True),
            (4, "c", True, True),
        ]
        assert layers_csv(residual).splitlines()[2] == "1,a,Conv2D,4x4x2,False,True"

    @pytest.mark.parametrize("width", [30, 80, 100, 120])
    def test_no_name_is_broken(self, mobilenet: keras.Model, width: int) -> None:
        """Names, shapes and marks are whole at any width; at 80 characters each layer is one line."""
        console = Console(file=io.StringIO(), width=width, force_terminal=False)
        table(mobilenet, 115).show(console)
        shown = str(console.file.getvalue())  # type: ignore[attr-defined]  # it is a StringIO
        expected = {
            "block_16_depthwise_relu",
            "block_13_project_BN",
            "3x3x1280",
            "48x48x96",
            "<-",
            "here",
            "possible",
        }
        assert broken_words(shown, expected) == set()
        assert width < 80 or len(shown.splitlines()) == len(mobilenet.layers) + 3
        assert ("BatchNormalization" in shown) == (width != 80)
