"""All checks in their order: machine, folders, pictures, results, then TensorFlow."""

from collections.abc import Iterator

from flowersweep.doctor.configured import Setup
from flowersweep.doctor.dataset import check_pictures
from flowersweep.doctor.engines import check_litert, check_tensorflow, check_weights
from flowersweep.doctor.finding import Check, Finding, run_check
from flowersweep.doctor.folders import check_cache
from flowersweep.doctor.machine import check_machine, check_ports
from flowersweep.doctor.results import check_store, check_studies


def all_checks(setup: Setup) -> Iterator[Finding]:
    """Run all checks one after another, regardless of earlier findings.

    Args:
        setup: The configuration to check.
    """
    config = setup.config
    checks: dict[str, Check] = {
        "machine": lambda: check_machine(setup.workers),
        "cache": lambda: check_cache(config),
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
    for name, check in checks.items():
        yield from run_check(name, check)
