"""All checks, in the order in which somebody would look: machine, folders, pictures, results, then TensorFlow."""

from collections.abc import Iterator, Sequence

from flowersweep.config import Config
from flowersweep.doctor.configured import Sweeping
from flowersweep.doctor.engines import check_litert, check_tensorflow, check_weights
from flowersweep.doctor.finding import Check, Finding, examine
from flowersweep.doctor.folders import check_cache
from flowersweep.doctor.machine import check_machine, check_ports
from flowersweep.doctor.pictures import check_pictures
from flowersweep.doctor.results import check_store, check_studies


def examination(config: Config, sweeping: Sweeping, overrides: Sequence[str]) -> Iterator[Finding]:
    """Make all checks, one after another, whatever the ones before have found.

    Args:
        config: What a run would be.
        sweeping: What a sweep would use.
        overrides: What both were composed from.
    """
    checks: dict[str, Check] = {
        "machine": lambda: check_machine(sweeping.workers),
        "cache": lambda: check_cache(config),
        "pictures": lambda: check_pictures(config),
        "results": lambda: check_store(config),
        "studies": lambda: check_studies(config, sweeping.storage),
        "ports": check_ports,
        "LiteRT": lambda: check_litert(config),
        "weights": lambda: check_weights(config),
        "TensorFlow": lambda: check_tensorflow(config, overrides),
    }
    for name, check in checks.items():
        yield from examine(name, check)
