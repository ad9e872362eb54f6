"""Convert a sweep in Hydra's grammar to a dimension.

The distributions are those of hydra-optuna-sweeper, with one rule for the ends everywhere: `range` excludes its
stop as in Python, whatever its step, cast or order; `interval` includes both ends, as in Optuna.
"""

import math
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from flowersweep.doors.hydra_api import with_value
from flowersweep.doors.optuna_sweeper_api import distribution_of
from flowersweep.errors import SweepError
from flowersweep.sweep.space.dimension import Dimension, Option
from flowersweep.sweep.space.overrides import name_of
from flowersweep.sweep.space.values import plain, text_of

# Optuna counts in floats, which have no larger integers without gaps.
MAX_INTEGER = 2**53
# A longer list is a mistake, except for integers in order, which are then not listed.
MAX_VALUES = 10_000
_TOO_LARGE = (
    f"its integers exceed {MAX_INTEGER} (2**53), above which Optuna does not distinguish neighbors; search smaller ones, such as "
    "an exponent, or list the values."
)


def dimension(override: Override) -> Dimension:
    """The dimension of a sweep override.

    Args:
        override: As Hydra parsed it, with its config loader if the sweep is a `glob`.

    Raises:
        SweepError: The sweep is empty, contains a value twice, or its numbers do not fit together.
    """
    if override.is_range_sweep():
        return _range(override)
    return _interval(override) if override.is_interval_sweep() else _choice(override)


def only(override: Override) -> Dimension:
    """A dimension with the single value of an override that is not a sweep."""
    return _categorical(override, [plain(override.value())])


def _choice(override: Override) -> Dimension:
    sweep = override.value()
    if isinstance(sweep, ChoiceSweep):
        if _is_log(sweep.tags):
            raise SweepError("tag(log, ...) requires numbers in order: an interval, or a range of integers.")
        return _categorical(override, [plain(item) for item in sweep.list], shuffled=sweep.shuffle)
    if override.config_loader is None:
        raise SweepError(
            "glob requires the config groups, which are not available here; list the options instead."
        )
    names = list(override.sweep_iterator())
    if not names:
        raise SweepError(
            f"glob matches no option of the group {override.key_or_group}; use a pattern that does."
        )
    return _categorical(override, names)


def _range(override: Override) -> Dimension:
    sweep = cast("RangeSweep", override.value())
    is_long = _length(sweep) > MAX_VALUES
    if is_long and not _is_of_integers(sweep):
        raise SweepError(
            f"range has {_length(sweep)} values, more than {MAX_VALUES}; use interval(low, high) or "
            "int(interval(low, high)) with n_trials."
        )
    values: list[Any] = [] if is_long else list(_in_order(override, sweep).sweep_iterator())
    is_log = _is_log(sweep.tags)
    if _is_huge(*((values[0], values[-1]) if values else (sweep.start, sweep.stop))):
        if is_long or is_log:
            raise SweepError(_TOO_LARGE)
        return _categorical(override, values, shuffled=sweep.shuffle)
    distribution = distribution_of(_in_order(override, sweep))
    if isinstance(distribution, CategoricalDistribution):
        if is_log:
            raise SweepError(
                "tag(log, ...) does not work with a cast range; use tag(log, int(interval(low, high)))."
            )
        return _categorical(override, values, shuffled=sweep.shuffle)
    if is_log:
        if not isinstance(distribution, IntDistribution) or distribution.step != 1 or distribution.low < 1:
            raise SweepError(
                "tag(log, range(...)) requires integers from 1 on, in steps of 1; use tag(log, interval(low, high))."
            )
        distribution = IntDistribution(distribution.low, distribution.high, log=True)
    options = tuple(Option(value, value, text_of(value)) for value in values)
    text = _range_text(values) if values else f"range({sweep.start},{sweep.stop},{sweep.step})"
    return _finish(
        override, distribution, f"tag(log,{text})" if is_log else text, options, shuffled=sweep.shuffle
    )


def _length(sweep: RangeSweep) -> int:
    """The number of values, after checking that there are some."""
    start, stop, step = (cast("float", number) for number in (sweep.start, sweep.stop, sweep.step))
    if not all(map(_is_finite, (start, stop, step))):
        raise SweepError("range requires finite numbers.")
    if step == 0:
        raise SweepError("range has a step of 0; use one that leads from its start to its stop.")
    count = math.ceil((Fraction(str(stop)) - Fraction(str(start))) / Fraction(str(step)))
    if count < 1:
        raise SweepError(
            f"range is empty: steps of {step} from {start} to {stop} give no value, because the stop is excluded; "
            "swap the ends, or change the step's sign."
        )
    return count


def _is_of_integers(sweep: RangeSweep) -> bool:
    """Whether the values are integers at equal distances, which a distribution represents without a list."""
    ends = (sweep.start, sweep.stop, sweep.step)
    return all(isinstance(end, int) for end in ends) and not (sweep.shuffle or sweep.transformers)


def _range_text(values: Sequence[float]) -> str:
    number = type(values[0])
    first, last = Fraction(str(values[0])), Fraction(str(values[-1]))
    step = (last - first) / (len(values) - 1) if len(values) > 1 else Fraction(1)
    return f"range({values[0]},{number(last + step)},{number(step)})"


def _in_order(override: Override, sweep: RangeSweep) -> Override:
    # The sweeper's function would shuffle differently each time.
    return with_value(override, replace(sweep, shuffle=False))


def _interval(override: Override) -> Dimension:
    sweep = cast("IntervalSweep", override.value())
    low, high = (cast("float", end) for end in (sweep.start, sweep.end))
    is_log = _is_log(sweep.tags)
    if not (_is_finite(low) and _is_finite(high)):
        raise SweepError("interval requires finite numbers.")
    if low > high:
        raise SweepError(f"interval goes from {low} down to {high}; write the lower end first.")
    if is_log and low <= 0:
        raise SweepError(
            f"tag(log, interval(...)) requires a lower end above 0, but it is {low}; use a small positive one."
        )
    if _is_huge(low, high):
        raise SweepError(_TOO_LARGE)
    text = f"interval({low},{high})"
    text = f"int({text})" if isinstance(low, int) else text
    distribution = distribution_of(override)
    return _finish(override, distribution, f"tag(log,{text})" if is_log else text)


def _categorical(override: Override, values: Sequence[Any], *, shuffled: bool = False) -> Dimension:
    texts = [text_of(value) for value in values]
    seen: dict[Any, str] = {}
    for value, text in zip(values, texts, strict=True):
        identity = value if _is_number(value) else text
        if identity in seen:
            raise SweepError(
                f"choice contains the same value twice, as {seen[identity]} and {text}; remove one of them."
            )
        seen[identity] = text
    labels = [value if _storable(value) else text for value, text in zip(values, texts, strict=True)]
    if len(set(labels)) < len(labels):
        # To Optuna, true equals 1, and the text of the list [1] may be another choice.
        labels = list(texts)
    options = tuple(map(Option, values, labels, texts))
    return _finish(
        override, CategoricalDistribution(labels), f"choice({','.join(texts)})", options, shuffled=shuffled
    )


def _finish(
    override: Override,
    distribution: BaseDistribution,
    text: str,
    options: tuple[Option, ...] = (),
    *,
    shuffled: bool = False,
) -> Dimension:
    name = name_of(override)
    if shuffled:
        # Seeded by what is shuffled, so that the same command has the same grid when it resumes.
        options = tuple(random.Random(f"{name}={text}").sample(options, len(options)))  # noqa: S311 (an order, not a secret)
        text = f"shuffle({text})"
    return Dimension(name, override.get_key_element(), distribution, text, options)


def _is_huge(*ends: Any) -> bool:
    """Whether the ends are integers that Optuna does not distinguish from their neighbors."""
    return all(isinstance(end, int) for end in ends) and any(abs(end) > MAX_INTEGER for end in ends)


def _is_log(tags: set[str]) -> bool:
    if unknown := sorted(tags - {"log"}):
        raise SweepError(f"the tag {unknown[0]} is unknown; the only one is log: tag(log, ...).")
    return bool(tags)


def _is_number(value: Any) -> bool:
    """Whether a value is a number that Optuna can compare as a float."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= sys.float_info.max


def _is_finite(value: float) -> bool:
    return isinstance(value, int) or math.isfinite(value)


def _storable(value: Any) -> bool:
    return value is None or isinstance(value, (bool, str)) or _is_number(value)
