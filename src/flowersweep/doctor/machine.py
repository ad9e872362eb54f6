"""Check of the machine: processors, memory and ports."""

import os
import socket
from collections.abc import Iterator, Sequence

from flowersweep.doctor.finding import Finding, Verdict
from flowersweep.doctor.folders import gigabytes
from flowersweep.hardware import available_memory, available_processors

# Peak memory of a training process and its worker, as measured; see docs/experiments.md.
BYTES_PER_WORKER = 1.3e9

# The default ports of `make ui`, `make serve` and `make dashboard`.
PORTS = {5000: "PORT", 5001: "SERVE_PORT", 8080: "DASHBOARD_PORT"}
HOST = "127.0.0.1"


def check_machine(workers: int) -> Iterator[Finding]:
    """Compare processors and memory with the number of workers, hydra.sweeper.n_jobs."""
    usable, all_of_them = available_processors(), os.cpu_count()
    found = f"{usable}" if usable == all_of_them else f"{usable} of {all_of_them} may be used"
    if workers > usable:
        fix = f"hydra.sweeper.n_jobs={workers} requests more workers than processors; {usable} are enough"
        yield Finding("processors", found, Verdict.NOTE, fix)
    else:
        yield Finding("processors", found)
    available, needed = available_memory(), workers * BYTES_PER_WORKER
    if available < needed:
        smaller = "lower hydra.sweeper.n_jobs, or end other programs" if workers > 1 else "end other programs"
        fix = f"a run may take {gigabytes(needed)}; {smaller}"
        yield Finding("memory", f"{gigabytes(available)} available", Verdict.FIX, fix)
    else:
        yield Finding("memory", f"{gigabytes(available)} available")


def check_ports(ports: Sequence[int] = tuple(PORTS)) -> Iterator[Finding]:
    """Check whether the ports of the pages, the model server and the dashboard are free."""
    taken = [port for port in ports if not _is_free(port)]
    if not taken:
        yield Finding("ports", f"{', '.join(map(str, ports))} are free")
        return
    fix = "; ".join(f"choose another one with {PORTS.get(port, 'PORT')}=N" for port in taken)
    found = f"{', '.join(map(str, taken))} {'is' if len(taken) == 1 else 'are'} in use"
    yield Finding("ports", found, Verdict.NOTE, fix)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
