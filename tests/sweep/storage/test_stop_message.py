"""Tests of the message that stops a study."""

import optuna

from flowersweep.sweep.storage.stop_message import clear_stop, latest_stop, newer_stop, write_stop


def test_a_message_concerns_the_sweeps_before_it() -> None:
    """A sweep obeys every message after its start, also if it reads it when the next sweep has begun; later sweeps do not."""
    study = optuna.create_study()
    assert newer_stop(study.user_attrs, "") is None
    first = write_stop(study, "SIGINT")
    assert first.by.startswith("SIGINT on ")
    assert latest_stop(study.user_attrs) == first

    clear_stop(study)
    cleared = latest_stop(study.user_attrs)
    assert cleared is not None
    assert (cleared.id, cleared.holds) == (first.id, False)
    assert newer_stop(study.user_attrs, "") == cleared
    assert newer_stop(study.user_attrs, first.id) is None

    second = write_stop(study, "flowersweep stop")
    assert newer_stop(study.user_attrs, first.id) == second
