"""Call a function in a fresh process, as if nothing had been imported, traced or warmed up before."""

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
# Settings of the shell that would change what is measured.
REMOVED = ("TF_ENABLE_ONEDNN_OPTS", "FLOWERSWEEP_", "MLFLOW_", "KERAS_", "HYDRA_")


def fresh(module: str, function: str, settings: Mapping[str, str] | None = None, **arguments: Any) -> Figures:
    """Call a function of one of the modules here.

    Args:
        module: As in "plain".
        function: Takes and returns what JSON can hold; returns a dictionary.
        settings: Environment variables.
        arguments: The function's own.

    Returns:
        What the function returned, with `process_seconds`: the life of the process.
    """
    with tempfile.NamedTemporaryFile("r", suffix=".json") as result:
        began = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.fresh", module, function, json.dumps(arguments)]
        run([*command, result.name], settings)
        return {**json.load(result), "process_seconds": time.perf_counter() - began}


def run(command: list[str], settings: Mapping[str, str] | None = None) -> None:
    """Run a command to its end; if it fails, end this process with what it said."""
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
    """This process's environment without what would change the measurement; finds this checkout's code."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(REMOVED)}
    path = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2", **(settings or {})}


if __name__ == "__main__":
    name, function_name, given, target = sys.argv[1:]
    figures = getattr(importlib.import_module(f"benchmarks.{name}"), function_name)(**json.loads(given))
    Path(target).write_text(json.dumps(figures), encoding="utf-8")
