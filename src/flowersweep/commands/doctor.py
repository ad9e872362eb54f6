"""`flowersweep doctor`: check an installation and a configuration, and say how to fix what is wrong.

Modules that need other packages are imported late, so that a missing package is a line of the table.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from flowersweep.commands.parsing.arguments import exit_code
from flowersweep.doctor.finding import Finding, Verdict, run_check
from flowersweep.errors import EXIT_FAILED

_DESCRIPTION = """\
Check an installation and a configuration: Python and packages, processors and memory, cache, pictures, results,
studies, ports, TensorFlow, precision and engine, and whether weights fit. Nothing is changed, except
with --fix.

Each line shows what was found and whether it is fine, a note (runs work) or something to fix (and how).
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all checks and show the findings.

    Args:
        arguments: Overrides as for a run; None for those of the process.

    Returns:
        The exit code: 0; 1 if something must be fixed; 2 for bad input; 128 + SIGINT for an interruption.
    """
    return exit_code(lambda: _check(_parser().parse_intermixed_args(arguments)))


def _check(given: argparse.Namespace) -> int:
    findings = [] if given.fix else run_check("packages", _packages)
    try:
        findings += _configured(given.overrides, multirun=given.multirun, fix=given.fix)
    except ModuleNotFoundError as error:
        found = f"not checked, because {error.name} is missing"
        findings.append(Finding("everything else", found, Verdict.FIX, "fix the lines above first"))
    if given.json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    else:
        _show(findings)
    return EXIT_FAILED if any(finding.verdict is Verdict.FIX for finding in findings) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flowersweep doctor",
        description=_DESCRIPTION,
        epilog="example: python -m flowersweep doctor model=mobilenet_frozen data.dir=PATH/flower_photos",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overrides", nargs="*", help="as for a run or a sweep: model=cnn data.dir=PATH ...")
    parser.add_argument(
        "-m",
        "--multirun",
        action="store_true",
        help="the overrides are those of a sweep; its first trial is checked in detail",
    )
    parser.add_argument(
        "--fix",
        action="store_true",
        help="check nothing; repair results (moved folders, records that wait, runs and trials of dead processes) and the "
        "cache, after a backup of the databases that are changed",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _packages() -> Iterable[Finding]:
    from flowersweep.doctor.packages import check_packages

    return check_packages()


def _configured(overrides: Sequence[str], *, multirun: bool, fix: bool) -> list[Finding]:
    """The findings of all checks that depend on the configuration, or what was fixed.

    Raises:
        FlowersweepError: The configuration is invalid.
        ModuleNotFoundError: A package is missing that the checks need.
    """
    from flowersweep.config import composing
    from flowersweep.console import stderr_console
    from flowersweep.doctor.checks import all_checks
    from flowersweep.doctor.configured import composed
    from flowersweep.doctor.repair import all_repairs

    with composing():
        setup = composed(overrides, multirun=multirun)
    if fix:
        return [found for name, repair in all_repairs(setup).items() for found in run_check(name, repair)]
    findings = []
    with stderr_console().status("Checking ...") as status:  # shown in a terminal only
        for finding in all_checks(setup):
            status.update(f"Checked: {finding.check}")
            findings.append(finding)
    return findings


def _show(findings: Sequence[Finding]) -> None:
    """Print a table, or plain lines if the package for tables is missing."""
    try:
        from flowersweep.doctor.table import show
    except ModuleNotFoundError:
        for one in findings:
            fix = f" Fix: {one.fix}." if one.fix else ""
            sys.stdout.write(f"{one.verdict:<5} {one.check}: {one.found}.{fix}\n")
    else:
        show(findings)
