"""Call of a function in a new process, without earlier imports, traces or caches."""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Figures = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
# Environment variables that would change the measurement.
REMOVED = ("TF_ENABLE_ONEDNN_OPTS", "FLOWERSWEEP_", "MLFLOW_", "KERAS_", "HYDRA_")


def fresh(module: str, function: str, settings: Mapping[str, str] | None = None, **arguments: Any) -> Figures:
    """Call a function of a module in this folder.

    Args:
        module: The name of the module, for example "plain".
        function: The name of a function that takes JSON values and returns a dictionary of them.
        settings: Environment variables.
        arguments: The arguments of the function.

    Returns:
        The result of the function, with `process_seconds`, the run time of the process.
    """
    with tempfile.NamedTemporaryFile("r", suffix=".json") as result:
        began = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.fresh", module, function, json.dumps(arguments)]
        run([*command, result.name], settings)
        return {**json.load(result), "process_seconds": time.perf_counter() - began}


def run(command: list[str], settings: Mapping[str, str] | None = None) -> None:
    """Run a command to its end; if it fails, exit with its output."""
    done = subprocess.run(
        command,
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        said = done.stdout.decode(errors="replace")[-4000:]
        sys.exit(f"{' '.join(command)}\nfailed with exit code {done.returncode}:\n{said}")


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of this process without variables that change the measurement, with the code of this checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(REMOVED)}
    path = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2", **(settings or {})}


if __name__ == "__main__":
    name, function_name, given, target = sys.argv[1:]
    figures = getattr(importlib.import_module(f"benchmarks.{name}"), function_name)(**json.loads(given))
    Path(target).write_text(json.dumps(figures), encoding="utf-8")
