"""Check of TensorFlow, LiteRT and the features that a run uses; both are started in separate processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from flowersweep.config.models import FrozenConfig
from flowersweep.config.schema import Config
from flowersweep.doctor.finding import Finding, Verdict
from flowersweep.doctor.probe import Report
from flowersweep.errors import ConfigError, TrainingError
from flowersweep.texts import expanded
from flowersweep.training.precision import BFLOAT16_FLAGS, cpu_has_bfloat16

_SECONDS = 300
_HDF5 = b"\x89HDF\r\n\x1a\n"  # the signature of HDF5 files
_NVIDIA = Path("/proc/driver/nvidia/version")


def check_weights(config: Config) -> Iterator[Finding]:
    """Check the format of a file of weights without TensorFlow; the probe checks whether the weights fit.

    Raises:
        ConfigError: The file cannot be read, or is not an HDF5 file.
    """
    if not isinstance(config.model, FrozenConfig):
        return
    given = config.model.weights
    if given is None:
        yield Finding("weights", "random: model.weights=null")
    elif given == "imagenet":
        home = expanded(os.environ.get("KERAS_HOME") or "~/.keras") / "models"
        yield Finding("weights", f"those of ImageNet, which Keras downloads to {home} unless they exist")
    else:
        path = expanded(given)
        try:
            with path.open("rb") as file:
                begins = file.read(len(_HDF5))
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be read ({error.strerror}); give the right to read it."
            ) from error
        if begins != _HDF5:
            raise ConfigError(
                f"{path} is not an HDF5 file; model.weights must be a .weights.h5 of {config.model.backbone} without its top."
            )


def check_litert(config: Config) -> Iterator[Finding]:
    """Check whether LiteRT can be imported, if it would be used."""
    if config.bank.engine == "tensorflow" or sys.platform == "win32":
        return
    done = _run(["-c", "import ai_edge_litert.interpreter"])
    if done.returncode == 0:
        yield Finding("LiteRT", version("ai-edge-litert"))
    else:
        fix = "pip install --force-reinstall ai-edge-litert, or do without it: bank.engine=tensorflow"
        yield Finding("LiteRT", f"cannot be imported: {_why_it_ended(done)}", Verdict.FIX, fix)


def check_tensorflow(config: Config, overrides: Sequence[str]) -> Iterator[Finding]:
    """Check whether TensorFlow starts, its devices, and the precision and engine of a run.

    Raises:
        TrainingError: TensorFlow does not start.
    """
    done = _run(["-m", "flowersweep.doctor.probe", *overrides])
    if done.returncode != 0:
        fix = "pip install --force-reinstall tensorflow keras"
        if done.returncode == -signal.SIGILL:
            fix = (
                "this CPU lacks the instructions (AVX) that TensorFlow was built for, so use another machine"
            )
        raise TrainingError(f"TensorFlow does not start: {_why_it_ended(done)}; {fix}.")
    told: Report = json.loads(done.stdout.splitlines()[-1])
    yield from findings_of(told, config, os.environ, has_nvidia=_NVIDIA.exists())


def findings_of(
    told: Report, config: Config, environment: Mapping[str, str], *, has_nvidia: bool
) -> Iterator[Finding]:
    """Findings from the report of the probe.

    Args:
        told: The report.
        config: The configuration.
        environment: The environment variables of the process.
        has_nvidia: Whether NVIDIA's driver is installed.
    """
    found = f"{told['tensorflow']} with Keras {told['keras']}, imported in {told['seconds']:.1f} s"
    yield Finding("TensorFlow", found)
    if told["gpus"]:
        yield Finding("GPU", f"{len(told['gpus'])}: {', '.join(told['gpus'])}")
    elif has_nvidia:
        fix = "pip install 'tensorflow[and-cuda]'; see also docs/howto/use_a_gpu.md"
        yield Finding("GPU", "the driver is installed, but TensorFlow finds no GPU", Verdict.NOTE, fix)
    else:
        yield Finding("GPU", "none; runs use the CPU")
    yield from _onednn(environment)
    yield _precision(told, config)
    if not isinstance(config.model, FrozenConfig):
        yield Finding("engine", f"not needed: {config.model.name} has no frozen layers")
    elif told["refused"] is not None:
        found, _, fix = told["refused"].partition("; ")
        yield Finding("network", found, Verdict.FIX, fix.rstrip("."))
    else:
        yield Finding("engine", f"{told['engine']} for the frozen layers (bank.engine={config.bank.engine})")
        weights = "; the weights fit" if config.model.weights not in {None, "imagenet"} else ""
        yield Finding("network", f"{config.model.backbone}, {told['layers']} layers{weights}")


def _onednn(environment: Mapping[str, str]) -> Iterator[Finding]:
    switch = environment.get("TF_ENABLE_ONEDNN_OPTS", "1")
    if switch == "0":
        fix = "unset it: oneDNN's convolutions are about twice as fast"
        yield Finding("oneDNN", "off: TF_ENABLE_ONEDNN_OPTS=0", Verdict.NOTE, fix)
    else:
        yield Finding("oneDNN", "on, as runs set it")


def _precision(told: Report, config: Config) -> Finding:
    native = cpu_has_bfloat16()
    cpu = f"the CPU has {'' if native else 'no '}bfloat16 instructions"
    found = f"{told['precision']} (trainer.precision={config.trainer.precision}; {cpu})"
    if told["precision"] == "bfloat16" and not native and not told["gpus"]:
        fix = (
            f"trainer.precision=auto; without {' or '.join(sorted(BFLOAT16_FLAGS))} it is slower than float32"
        )
        return Finding("precision", found, Verdict.NOTE, fix)
    return Finding("precision", found)


def _run(arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run this interpreter and wait for it."""
    command = [sys.executable, *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)  # noqa: S603 - this interpreter
    except subprocess.TimeoutExpired as error:
        raise TrainingError(
            f"It has not answered for {_SECONDS} seconds; check whether this machine is busy or its disk is slow."
        ) from error


def _why_it_ended(done: "subprocess.CompletedProcess[str]") -> str:
    """Why a process ended, on one line."""
    if done.returncode < 0:
        return f"its process was ended by {signal.Signals(-done.returncode).name}"
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"its process ended with code {done.returncode}"
