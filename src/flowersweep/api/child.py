"""The process in which a training or a sweep runs that was started from Python; it leaves nothing behind in its caller.

It runs the same program as the command line. The folder that it shares with its caller has the request and gets the
outcome; when the folder or the caller has gone, the process ends like one that was asked to.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from flowersweep import config, hydra_app
from flowersweep.api.process import OUTCOME, REQUEST
from flowersweep.errors import FlowersweepError
from flowersweep.redaction import redacted
from flowersweep.sweep import run as sweeps
from flowersweep.sweep.workers.worker_job import Sweep
from flowersweep.training import Result

LOOK_SECONDS = 1.0


def main(folder: str) -> None:
    """Run the request in a folder, and write its outcome there."""
    path = Path(folder)
    request = json.loads((path / REQUEST).read_text(encoding="utf-8"))
    threading.Thread(target=_end_with, args=(path, request["caller"]), daemon=True).start()
    sys.argv = ["flowersweep", *request["arguments"]]
    sys.orig_argv = ["python", "-m", *sys.argv]  # the command that does the same
    outcome: dict[str, Any] = {}
    sweeps.on_study.append(lambda sweep: outcome.update(study=_study(sweep)))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        hydra_app.execute(lambda settings, result: outcome.update(run=_run(settings, result)))
    except KeyboardInterrupt as interruption:
        outcome["interrupted"] = hydra_app.interruption_in_words(interruption)
    except Exception as error:  # noqa: BLE001 - every error is told to the caller
        outcome["error"] = _error(error)
    draft = path / f"{OUTCOME}.draft"
    draft.write_text(json.dumps(outcome), encoding="utf-8")
    draft.replace(path / OUTCOME)


def _run(settings: config.Config, result: Result) -> dict[str, str | None]:
    return {"id": result.run_id, "directory": settings.tracking.dir, "uri": settings.tracking.uri}


def _study(sweep: Sweep) -> dict[str, str | None]:
    tracking = sweep.config.tracking
    return {
        "name": sweep.study_name,
        "storage": sweep.storage,
        "directory": str(Path(tracking.dir).absolute()),
        "uri": tracking.uri,
    }


def _error(error: Exception) -> dict[str, str]:
    explained = hydra_app.explained(error)
    known = isinstance(error, FlowersweepError)
    kinds = [
        kind.__name__ for kind in type(explained).__mro__ if kind.__module__ == FlowersweepError.__module__
    ]
    trace = "" if known else redacted("".join(traceback.format_exception(error)))
    return {"kind": kinds[0], "text": str(explained), "traceback": trace}


def _end_with(folder: Path, caller: int) -> None:
    with suppress(FileNotFoundError):
        while os.getppid() == caller:
            os.utime(folder)  # systems remove temporary folders that have not changed for days
            time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
