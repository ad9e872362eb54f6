"""One study on three machines: one is cut off in mid-sweep and comes back, another one is killed.

    sudo python benchmarks/hosts.py [--trials 20] [--own-disks] [--grace 600]

The machines are namespaces of this computer (`machines.py`), so it needs root. Machine a, named "head", has a PostgreSQL
and an MLflow server. Machines b and c are both named "worker" and have the same process ids. On b, the command of a sweep
is started, on c `flowersweep join`; each runs one trial at a time. Checkpoints are in a folder that b and c share, or, with
--own-disks, in the cache of each. Then, after
commands that do not fit the study:

1. c is cut off from the network while it trains, until another machine has taken its trial, and is connected again;
2. PostgreSQL is stopped for a minute, and MLflow;
3. all processes of b are killed while it trains; c ends the study;
4. the command of the sweep is given once more, on a, and completes the study's run.

At the end, the study and the runs in MLflow are checked (`hosts_checks.py`). The exit code is 1 if anything was lost,
doubled or left open. --grace and --heartbeat are the seconds of silence after which a trial is taken, and
between signs of life; other values than those of flowersweep are put into a copy of the module that has them.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.hosts_checks import report
from benchmarks.hosts_servers import DISK
from benchmarks.hosts_study import Show
from benchmarks.machines import network, refusal
from flowersweep.errors import EXIT_BAD_INPUT
from flowersweep.sweep.study import claim

_WAIT_SECONDS = 900.0


def play(show: Show) -> int:
    """The sweep with its faults; returns how many problems there are."""
    say, grace = show.say, show.options.grace
    show.servers.begin()
    say("PostgreSQL and MLflow are up on a")
    say(
        f"c was cut off while it held the lock of the studies; a had it after {show.lock_of_a_lost_machine():.0f} s"
    )
    show.watch()
    sweep = show.sweep(show.b)
    show.trial_of(show.b)
    say("the sweep was started on b, and trains")
    refusals(show)
    join = show.start(show.c, *show.joining(show.c))
    cut = show.trial_of(show.c)
    show.c.unplug()
    began = time.monotonic()
    say(f"c is cut off while it trains trial {cut['number']}, after epoch {cut['epoch']}")
    taken_elsewhere(show, cut, began)
    time.sleep(5)
    show.c.plug_in()
    say("c is connected again")
    say(f"c trains trial {show.trial_of(show.c)['number']}")
    say(f"status on a:\n{show.say_of(show.a, *show.status())}")
    for server in show.servers.kinds if show.options.outage else ():
        show.trial_of(show.c)
        show.servers.stop_for(server, show.options.outage)
        say(f"{server} was away for {show.options.outage:g} s")
    lost = show.trial_of(show.b)
    show.b.switch_off()
    began = time.monotonic()
    say(f"b is killed while it trains trial {lost['number']}, after epoch {lost['epoch']}")
    taken_elsewhere(show, lost, began)
    say(
        f"join on c has ended with exit code {join.wait(_WAIT_SECONDS + grace)}; the sweep on b with {sweep.wait()}"
    )
    say(f"the sweep's command on a has ended with exit code {show.sweep(show.a).wait(_WAIT_SECONDS)}")
    say(f"join once more on c: {show.say_of(show.c, *show.joining(show.c))}")
    return report(show.results(), show.options.trials, show.name_of, {cut["number"], lost["number"]})


def taken_elsewhere(show: Show, trial: dict[str, Any], began: float) -> None:
    """Wait until another machine has taken a trial, and say which, and how long after `began` (monotonic seconds)."""
    taken = show.until_taken(trial)
    after = time.monotonic() - began
    show.say(f"{show.name_of(taken['boot'])} has taken trial {trial['number']} after {after:.0f} s")


def refusals(show: Show) -> None:
    """Commands on c that do not fit the study."""
    less = show.c.folder / "tmp" / "less"
    shutil.copytree(show.folder / "drawn", less)
    next(less.glob("*/*.jpg")).unlink()
    wrong = "not-the-password"
    given: dict[str, dict[str, str]] = {
        "another name": {"study": "hots"},
        "another password": {"storage": show.storage.replace(show.password, wrong)},
        "a folder that is not there": {"data__dir": f"{DISK}/nothing"},
        "other pictures": {"data__dir": f"{DISK}/less"},
    }
    for what, others in given.items():
        said = show.say_of(show.c, *show.joining(show.c, **others))
        if wrong in said or show.password in said:
            sys.exit(f"A password is in: {said}")
        show.say(f"join with {what}: {said}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Play it, and return the exit code."""
    options = _options(arguments)
    if said := refusal():
        sys.stderr.write(f"{said}\n")
        return EXIT_BAD_INPUT
    folder = Path(tempfile.mkdtemp(prefix="hosts-", dir="/var/tmp"))
    folder.chmod(0o755)
    problems = 1
    try:
        with network() as machines:
            problems = play(Show(options, folder, machines))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the machines are removed\n")
    finally:
        if problems or options.keep:
            sys.stdout.write(f"what the machines printed and wrote: {folder}\n")
        else:
            shutil.rmtree(folder)
    return int(problems > 0)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20, help="trials of the study")
    parser.add_argument("--outage", type=float, default=60, help="seconds for which each server is away")
    parser.add_argument("--epochs", type=int, default=20, help="epochs of a trial")
    parser.add_argument(
        "--own-disks", action="store_true", help="each machine keeps its checkpoints for itself"
    )
    parser.add_argument("--grace", type=float, default=claim.GRACE_SECONDS, help="seconds of silence")
    parser.add_argument(
        "--heartbeat", type=float, default=claim.HEARTBEAT_SECONDS, help="seconds between signs of life"
    )
    parser.add_argument("--keep", action="store_true", help="keep what was written")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
