"""Training in another precision, validated and saved in float32."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flowersweep.config import Config
from flowersweep.tracking.lookup import run_model
from flowersweep.tracking.store.store import prepare_store
from flowersweep.training import train
from flowersweep.training.dataset import load_pictures
from flowersweep.training.precision import cpu_has_bfloat16, resolve_precision

MakeConfig = Callable[..., Config]


def test_auto_is_bfloat16_for_convolutions_where_the_cpu_has_it(make_config: MakeConfig) -> None:
    """Auto looks at what is trained and at the machine; a named precision is taken as it is."""
    expected = "bfloat16" if cpu_has_bfloat16() else "float32"

    assert resolve_precision(make_config("trainer.precision=auto")) == expected
    fine_tuned = make_config("trainer.precision=auto", "model=mobilenet_ft", "model.weights=null")
    assert resolve_precision(fine_tuned) == expected
    assert (
        resolve_precision(
            make_config("trainer.precision=auto", "model=mobilenet_frozen", "model.weights=null")
        )
        == "float32"
    )
    assert resolve_precision(make_config("trainer.precision=bfloat16")) == "bfloat16"


def test_bfloat16_validates_and_saves_in_float32(make_config: MakeConfig) -> None:
    """The saved model computes in float32, and its figures are those that were reported."""
    config = make_config("trainer.precision=bfloat16", "trainer.epochs=3", "tracking.log_figures=false")
    result = train(config)
    model = run_model(prepare_store(Path(config.tracking.dir), None), result.run_id)

    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert 0 < result.objective <= 1


def test_a_fine_tuned_network_is_validated_and_saved_in_float32(make_config: MakeConfig) -> None:
    """Trained with folded layers in bfloat16, the saved network is Keras' own in float32 with the figures reported."""
    config = make_config(
        "trainer.precision=bfloat16",
        "model=mobilenet_ft",
        "model.weights=null",
        "model.alpha=0.35",
        "model.init_from=null",
        "model.fine_tune_at=140",
        "optimizer.learning_rate=0.01",
        "tracking.log_figures=false",
    )
    result = train(config)
    model = run_model(prepare_store(Path(config.tracking.dir), None), result.run_id)
    pictures = load_pictures(config)
    probabilities = np.asarray(
        model(pictures.validation.images[pictures.validation.indices].astype(np.float32))
    )

    assert "keras" in type(model.layers[-1]).__module__
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    likelihood = probabilities[np.arange(len(probabilities)), pictures.validation.labels]
    assert -np.log(likelihood).mean() == pytest.approx(result.metrics["best/val_loss"], rel=1e-3)


def test_bfloat16_learns_what_float32_learns(make_config: MakeConfig) -> None:
    """After two epochs the training losses of both precisions differ by less than two per cent."""
    losses = [
        train(make_config(f"trainer.precision={precision}", "tracking.log_model=false")).metrics["last/loss"]
        for precision in ("float32", "bfloat16")
    ]

    assert losses[1] == pytest.approx(losses[0], rel=0.02)
