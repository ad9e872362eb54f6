"""All checks in their order: machine, folders, pictures, results, then TensorFlow."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from flowersweep.doctor.configured import Setup
from flowersweep.doctor.dataset import check_pictures
from flowersweep.doctor.engines import check_litert, check_tensorflow, check_weights
from flowersweep.doctor.finding import Check, Finding, run_check
from flowersweep.doctor.folders import check_cache, check_checkpoints
from flowersweep.doctor.machine import check_machine, check_ports
from flowersweep.doctor.results import check_store, check_studies


def all_checks(setup: Setup) -> Iterator[Finding]:
    """Run all checks, regardless of earlier findings; what they find is in their order.

    Args:
        setup: The configuration to check.
    """
    config = setup.config
    checks: dict[str, Check] = {
        "machine": lambda: check_machine(setup.workers),
        "cache": lambda: check_cache(config),
        "checkpoints": lambda: check_checkpoints(config),
        "pictures": lambda: check_pictures(config),
        "results": lambda: check_store(config),
        "studies": lambda: check_studies(config, setup.storage),
        "ports": check_ports,
        "LiteRT": lambda: check_litert(config),
        "weights": lambda: check_weights(config),
        "TensorFlow": lambda: check_tensorflow(config, setup.overrides),
    }
    if setup.search is not None:
        yield Finding("sweep", setup.search)
    with ThreadPoolExecutor() as pool:
        # These two wait for processes that import for seconds, so they are begun before the others.
        waiting = {name: pool.submit(run_check, name, checks[name]) for name in ("TensorFlow", "LiteRT")}
        for name, check in checks.items():
            yield from waiting[name].result() if name in waiting else run_check(name, check)
