"""Training in another precision, validated and saved in float32."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from flowersweep.config import Config
from flowersweep.tracking.lookup import run_model
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store.store import prepare_store
from flowersweep.training import train
from flowersweep.training.dataset import load_pictures
from flowersweep.training.precision import cpu_has_bfloat16, resolve_precision

MakeConfig = Callable[..., Config]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 sse2\n", True),
        ("processor\t: 0\nflags\t\t: amx_bf16\nbugs\t\t:\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16x\n", False),
        ("processor\t: 0\nmodel name\t: amx_bf16\nflags\t\t: fpu\n", False),
        ("Features\t: fp asimd bf16\n", False),
        (None, False),
    ],
    ids=["AVX-512", "AMX", "another flag", "another line", "ARM", "no Linux"],
)
def test_a_cpu_tells_by_its_flags_whether_it_has_bfloat16(
    tmp_path: Path, text: str | None, *, expected: bool
) -> None:
    """Whole flags of x86 count, nothing else; a system without /proc/cpuinfo tells nothing."""
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    assert cpu_has_bfloat16(path) is expected


@pytest.mark.slow
@pytest.mark.parametrize("has_bfloat16", [False, True], ids=["without", "with"])
@pytest.mark.parametrize(
    ("chosen", "model", "expected"),
    [
        ("auto", "cnn", {False: "float32", True: "bfloat16"}),
        ("auto", "mobilenet_ft", {False: "float32", True: "bfloat16"}),
        ("auto", "mobilenet_frozen", {False: "float32", True: "float32"}),
        ("bfloat16", "mobilenet_ft", {False: "bfloat16", True: "bfloat16"}),
        ("float32", "cnn", {False: "float32", True: "float32"}),
    ],
)
def test_auto_is_bfloat16_for_convolutions_where_the_cpu_has_it(
    make_config: MakeConfig,
    monkeypatch: pytest.MonkeyPatch,
    chosen: str,
    model: str,
    expected: dict[bool, str],
    *,
    has_bfloat16: bool,
) -> None:
    """Auto looks at what is trained and at the CPU; a named precision is taken as it is."""
    monkeypatch.setattr("flowersweep.training.precision.cpu_has_bfloat16", lambda: has_bfloat16)
    weights = [] if model == "cnn" else ["model.weights=null"]
    config = make_config(f"trainer.precision={chosen}", f"model={model}", *weights)
    assert resolve_precision(config) == expected[has_bfloat16]


def val_loss(config: Config, model: keras.Model) -> float:
    """The loss of a saved model over the validation pictures, from their raw pixels."""
    part = load_pictures(config).validation
    probabilities = np.asarray(model(part.images[part.indices].astype(np.float32)))
    return float(-np.log(probabilities[np.arange(len(probabilities)), part.labels]).mean())


@pytest.mark.slow
def test_bfloat16_validates_and_saves_in_float32(make_config: MakeConfig) -> None:
    """The saved model, an average of the weights, computes in float32, and its figures are those that were reported."""
    average = ("trainer.precision=bfloat16", "optimizer.ema=0.9")
    config = make_config(*average, "trainer.epochs=3", "tracking.log_figures=false")
    result = train(config)
    model = run_model(prepare_store(Path(config.tracking.dir), None), result.run_id)

    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert val_loss(config, model) == pytest.approx(result.metrics["best/val_loss"], rel=1e-5)
    points = client(prepare_store(Path(config.tracking.dir)).uri).get_metric_history(
        result.run_id, "val_loss"
    )
    assert len({point.value for point in points}) == 3  # of weights that are trained, not of the first ones


@pytest.mark.slow
def test_a_fine_tuned_network_is_validated_and_saved_in_float32(make_config: MakeConfig) -> None:
    """Trained with folded layers in bfloat16, the saved average is Keras' own network in float32 with the figures reported."""
    config = make_config(
        "trainer.precision=bfloat16",
        "model=mobilenet_ft",
        "model.weights=null",
        "model.alpha=0.35",
        "model.init_from=null",
        "model.fine_tune_at=140",
        "optimizer.learning_rate=0.01",
        "optimizer.ema=0.9",
        "optimizer.layer_decay=0.9",
        "tracking.log_figures=false",
    )
    result = train(config)
    model = run_model(prepare_store(Path(config.tracking.dir), None), result.run_id)

    assert "keras" in type(model.layers[-1]).__module__
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert val_loss(config, model) == pytest.approx(result.metrics["best/val_loss"], rel=1e-3)


@pytest.mark.slow
def test_bfloat16_learns_what_float32_learns(make_config: MakeConfig) -> None:
    """After two epochs the training losses of both precisions differ by less than two per cent."""
    losses = [
        train(make_config(f"trainer.precision={precision}", "tracking.log_model=false")).metrics["last/loss"]
        for precision in ("float32", "bfloat16")
    ]

    assert losses[1] == pytest.approx(losses[0], rel=0.02)
