"""What to do after a run or a sweep, as commands that work in the current folder."""

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from flowersweep.config import results_dir
from flowersweep.redaction import redacted


def show_next_steps(steps: Mapping[str, str], console: Console) -> None:
    """Print commands with their purpose on a terminal; a file or another program gets results only.

    Args:
        steps: From `after_run` or `after_sweep`.
        console: Where to print.
    """
    if not console.is_terminal or not steps:
        return
    width = max(len(command) for command in steps)
    beside = all(width + len(about) + 6 <= console.width for about in steps.values())
    lines = ["Next:"]
    for command, about in steps.items():
        lines += [f"  {command:<{width}}  # {about}"] if beside else [f"  # {about}", f"  {command}"]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def after_run(directory: str, uri: str | None, run_id: str, *, has_model: bool) -> dict[str, str]:
    """The commands for a run, with their purpose.

    Args:
        directory: `tracking.dir` of the run.
        uri: `tracking.uri` of the run.
        run_id: Its id in MLflow.
        has_model: Whether its model was stored.
    """
    run = f"run={run_id[:8]}"
    steps = _browser(directory, uri)
    if has_model:
        steps[_command("promote", run, *_store(directory, uri))] = "register its model, to be served"
        steps[_command("predict", run, *_store(directory, uri), "PATH")] = "classify pictures with it"
    return steps


def after_sweep(directory: str, uri: str | None, study: str, *, has_model: bool) -> dict[str, str]:
    """The commands for a study, with their purpose; arguments as for `after_run`.

    Args:
        directory: `tracking.dir` of the study.
        uri: `tracking.uri` of the study.
        study: Its name.
        has_model: Whether models were stored.
    """
    chosen = (f"study={study}", *_store(directory, uri))
    steps = {_command("report", *chosen): "which differences are real, as a page"} | _browser(directory, uri)
    if has_model:
        steps[_command("promote", *chosen)] = "register the best model, to be served"
    return steps


def _browser(directory: str, uri: str | None) -> dict[str, str]:
    if uri is not None and uri.startswith(("http", "databricks")):
        return {}  # a server has its own pages
    return {_command("ui", *_store(directory, uri)): "compare runs in the browser"}


def _store(directory: str, uri: str | None) -> list[str]:
    """The arguments by which a command finds results that are not in the default folder."""
    if uri is not None:
        return [f"tracking.uri={redacted(uri)}"]
    folder = Path(directory).absolute()
    return [] if folder == results_dir() else [f"tracking.dir={_from_here(folder)}"]


def _command(*words: str) -> str:
    return shlex.join([_python(), "-m", "flowersweep", *words])


def _python() -> str:
    """How this Python is called in this shell and this folder."""
    found = shutil.which("python")
    if found is not None and Path(found).absolute() == Path(sys.executable):
        return "python"
    return str(_from_here(Path(sys.executable)))


def _from_here(path: Path) -> Path:
    """A path relative to the current folder if it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) and path != here else path
