"""All checks, in the order in which somebody would look: machine, folders, pictures, results, then TensorFlow."""

from collections.abc import Iterator

from flowersweep.doctor.configured import Patient
from flowersweep.doctor.dataset import check_pictures
from flowersweep.doctor.engines import check_litert, check_tensorflow, check_weights
from flowersweep.doctor.finding import Check, Finding, examine
from flowersweep.doctor.folders import check_cache
from flowersweep.doctor.machine import check_machine, check_ports
from flowersweep.doctor.results import check_store, check_studies


def examination(patient: Patient) -> Iterator[Finding]:
    """Make all checks, one after another, whatever the ones before have found.

    Args:
        patient: What is looked at.
    """
    config = patient.config
    checks: dict[str, Check] = {
        "machine": lambda: check_machine(patient.workers),
        "cache": lambda: check_cache(config),
        "pictures": lambda: check_pictures(config),
        "results": lambda: check_store(config),
        "studies": lambda: check_studies(config, patient.storage),
        "ports": check_ports,
        "LiteRT": lambda: check_litert(config),
        "weights": lambda: check_weights(config),
        "TensorFlow": lambda: check_tensorflow(config, patient.overrides),
    }
    if patient.search is not None:
        yield Finding("sweep", patient.search)
    for name, check in checks.items():
        yield from examine(name, check)
