"""What follows from what TensorFlow says of itself; that it says so is tested in slow tests."""

import signal
import subprocess
from pathlib import Path

import pytest

from conftest import MakeConfig
from flowersweep.config import Config
from flowersweep.doctor import engines
from flowersweep.doctor.engines import check_litert, check_tensorflow, check_weights, findings_of
from flowersweep.doctor.finding import Finding, Verdict, run_check
from flowersweep.doctor.probe import Report

REPORT = Report(
    tensorflow="2.21.0",
    keras="3.15.1",
    seconds=2.5,
    gpus=[],
    engine="litert 2.3.0",
    precision="float32",
    layers=154,
    refused=None,
)


@pytest.fixture
def fake_weights(tmp_path: Path) -> Path:
    """A file that only has the name of weights."""
    path = tmp_path / "fake.weights.h5"
    path.write_text("<html>404 Not Found</html>")
    return path


def test_weights_that_are_no_hdf5_are_to_be_mended(make_config: MakeConfig, fake_weights: Path) -> None:
    """A page of HTML, as failed downloads leave it, is found before TensorFlow is asked."""
    config = make_config("model=mobilenet_frozen", f"model.weights={fake_weights}")

    (finding,) = run_check("weights", lambda: check_weights(config))

    assert finding.verdict is Verdict.FIX
    assert finding.found == f"{fake_weights} is not an HDF5 file"
    assert finding.fix == "model.weights must be a .weights.h5 of MobileNetV2 without its top"


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["model=mobilenet_frozen", "model.weights=null"], "random: model.weights=null"),
        (["model=mobilenet_ft"], "those of ImageNet, which Keras downloads to /k/models unless they exist"),
    ],
)
def test_other_weights_are_told(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, overrides: list[str], found: str
) -> None:
    """Random ones, and those that Keras fetches, and where it keeps them."""
    monkeypatch.setenv("KERAS_HOME", "/k")
    assert list(check_weights(make_config(*overrides))) == [Finding("weights", found)]


def test_a_network_without_frozen_layers_needs_no_engine(make_config: MakeConfig) -> None:
    """Weights are not looked for either."""
    config = make_config("model=cnn")

    lines = {one.check: one.found for one in findings_of(REPORT, config, {}, has_nvidia=False)}

    assert list(check_weights(config)) == []
    assert lines["engine"] == "not needed: cnn has no frozen layers"
    assert "network" not in lines


def test_what_a_run_will_use_is_told(make_config: MakeConfig) -> None:
    """Versions, devices, precision and engine, all fine."""
    config = make_config("model=mobilenet_frozen")

    findings = list(findings_of(REPORT, config, {}, has_nvidia=False))

    assert {one.verdict for one in findings} == {Verdict.FINE}
    assert [(one.check, one.found) for one in findings if one.check != "precision"] == [
        ("TensorFlow", "2.21.0 with Keras 3.15.1, imported in 2.5 s"),
        ("GPU", "none; runs use the CPU"),
        ("oneDNN", "on, as runs set it"),
        ("engine", "litert 2.3.0 for the frozen layers (bank.engine=auto)"),
        ("network", "MobileNetV2, 154 layers"),
    ]


def test_what_makes_runs_slow_is_a_note(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that is not seen, oneDNN switched off, bfloat16 on a CPU that has no instructions for it."""
    monkeypatch.setattr(engines, "cpu_has_bfloat16", lambda: False)
    config = make_config("model=cnn", "trainer.precision=bfloat16")
    told = Report(**{**REPORT, "precision": "bfloat16"})

    findings = findings_of(told, config, {"TF_ENABLE_ONEDNN_OPTS": "0"}, has_nvidia=True)
    notes = {one.check: one.fix for one in findings if one.verdict is Verdict.NOTE}

    assert list(notes) == ["GPU", "oneDNN", "precision"]
    assert notes["GPU"].startswith("pip install 'tensorflow[and-cuda]'")
    assert notes["precision"].startswith("trainer.precision=auto")


def test_a_network_that_is_refused_is_to_be_mended(make_config: MakeConfig) -> None:
    """The sentence of the run is the line of the doctor."""
    told = Report(**{**REPORT, "refused": "model.weights=x does not fit; it must be another."})

    *_, last = findings_of(told, make_config("model=mobilenet_frozen"), {}, has_nvidia=False)

    assert last == Finding("network", "model.weights=x does not fit", Verdict.FIX, "it must be another")


class TestProcesses:
    @pytest.mark.parametrize(
        ("code", "last_words", "finding"),
        [
            (
                -signal.SIGILL,
                "",
                Finding(
                    "TensorFlow",
                    "TensorFlow does not start: its process was ended by SIGILL",
                    Verdict.FIX,
                    "this CPU lacks the instructions (AVX) that TensorFlow was built for, so use another machine",
                ),
            ),
            (
                1,
                "Traceback ...\nImportError: libcuda.so",
                Finding(
                    "TensorFlow",
                    "TensorFlow does not start: ImportError: libcuda.so",
                    Verdict.FIX,
                    "pip install --force-reinstall tensorflow keras",
                ),
            ),
        ],
    )
    def test_a_tensorflow_that_does_not_start_is_to_be_mended(
        self, monkeypatch: pytest.MonkeyPatch, code: int, last_words: str, finding: Finding
    ) -> None:
        """Its death is told, by signal or by its last words, and does not end the doctor."""
        done = subprocess.CompletedProcess([], code, stdout="", stderr=last_words)
        monkeypatch.setattr(engines, "_run", lambda _: done)

        assert run_check("TensorFlow", lambda: check_tensorflow(Config(), [])) == [finding]

    def test_a_broken_litert_is_to_be_mended(
        self, make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A real process that fails to import it; one that is not asked for is not looked at."""
        (tmp_path / "ai_edge_litert").mkdir()
        (tmp_path / "ai_edge_litert/__init__.py").write_text(
            "raise ImportError('libLiteRt.so: no such file')"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

        (finding,) = check_litert(make_config())

        assert finding.found == "cannot be imported: ImportError: libLiteRt.so: no such file"
        assert finding.verdict is Verdict.FIX
        assert list(check_litert(make_config("bank.engine=tensorflow"))) == []

    @pytest.mark.slow
    @pytest.mark.usefixtures("warm")
    def test_weights_of_another_width_are_to_be_mended(
        self, make_config: MakeConfig, mobilenet_weights: Path
    ) -> None:
        """TensorFlow really starts, and the real file does not fit a narrower network."""
        overrides = ["data=demo", "model=mobilenet_frozen", f"model.weights={mobilenet_weights}"]
        narrow = [*overrides, "model.alpha=0.35"]

        fits = list(check_tensorflow(make_config(*overrides), overrides))
        too_wide = list(check_tensorflow(make_config(*narrow), narrow))

        assert fits[-1] == Finding("network", "MobileNetV2, 154 layers; the weights fit")
        assert too_wide[-1].verdict is Verdict.FIX
        assert "does not fit MobileNetV2 with alpha 0.35" in too_wide[-1].found
