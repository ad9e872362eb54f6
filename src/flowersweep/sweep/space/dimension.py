"""A searched key: its possible values, their representation in Optuna, and their spelling in an override."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from optuna.distributions import (
    BaseDistribution,
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from flowersweep.errors import SweepError
from flowersweep.sweep.space.values import same, text_of

# Optuna computes a value of a float range as low + k * step, in floats; within this fraction of a step it is equal.
TOLERANCE = 1e-6


class Suggesting(Protocol):
    """An object that suggests values, such as an Optuna trial."""

    def suggest_categorical(self, name: str, choices: Sequence[CategoricalChoiceType]) -> Any:
        """One of some values."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """An integer; both ends are included in the range."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number; both ends are included in the range."""


@dataclass(frozen=True)
class Option:
    """One value of a choice or a range.

    Attributes:
        value: In the configuration.
        label: In the study: the value itself where Optuna can store it, else its text.
        text: In an override.
    """

    value: Any
    label: CategoricalChoiceType
    text: str


@dataclass(frozen=True)
class Dimension:
    """A key that is searched.

    Attributes:
        name: The key without Hydra's + or ++, `model.fine_tune_at`; the parameter's name in the study.
        key: The left side of the equals sign in an override, `+model.fine_tune_at`.
        distribution: Optuna's.
        text: The sweep in Hydra's grammar, in canonical spelling.
        options: The values in the grid's order; empty for an interval and for a long range, which have no grid.
        when: The keys this one depends on, each with the indices of its options under which this key is searched.
    """

    name: str
    key: str
    distribution: BaseDistribution
    text: str
    options: tuple[Option, ...] = ()
    when: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @property
    def allowed(self) -> str:
        """The legal values in words, as they end the message "... must be ..."."""
        distribution = self.distribution
        if isinstance(distribution, CategoricalDistribution):
            texts = ", ".join(option.text for option in self.options)
            return texts if len(self.options) == 1 else f"one of {texts}"
        low, high, step = (getattr(distribution, name) for name in ("low", "high", "step"))
        number = "an integer" if isinstance(distribution, IntDistribution) else "a number"
        steps = "" if step is None or (step == 1 and isinstance(step, int)) else f" in steps of {step}"
        return f"{number} from {low} to {high}{steps}"

    @property
    def endless(self) -> str:
        """What has no options, in words."""
        return "a long range" if "range(" in self.text else "an interval"

    def index(self, value: Any) -> int | None:
        """The index of a value's option, given as in the study or in the configuration; None if it is not an option."""
        for index, option in enumerate(self.options):
            if same(value, option.label):
                return index
        return self._configured(value)

    def stored(self, value: Any) -> Any:
        """A value of the configuration as the study has it, even if that of another option looks the same; others stay as they are."""
        index = self._configured(value)
        return value if index is None else self.options[index].label

    def label(self, value: Any) -> CategoricalChoiceType:
        """A value as the study stores it.

        Args:
            value: As in the study or in the configuration.

        Raises:
            SweepError: The value is not one of this dimension.
        """
        index = self.index(value)
        if index is not None:
            return self.options[index].label
        if self.options or not self._within(value):
            raise SweepError(f"{self.name} must be {self.allowed}, but is {value!r}.")
        return int(value) if isinstance(self.distribution, IntDistribution) else float(value)

    def value(self, label: Any) -> Any:
        """A value of the study as the configuration has it."""
        index = self.index(label)
        return label if index is None else self.options[index].value

    def override(self, value: Any) -> str:
        """`key=text` for a value; Hydra parses it back to the value of the configuration.

        Raises:
            SweepError: The value is not one of this dimension.
        """
        index = self.index(value)
        text = text_of(self.label(value)) if index is None else self.options[index].text
        return f"{self.key}={text}"

    def suggest(self, trial: Suggesting) -> Any:
        """Ask a trial for its value; the trial stores it."""
        distribution = self.distribution
        if isinstance(distribution, CategoricalDistribution):
            return trial.suggest_categorical(self.name, distribution.choices)
        if isinstance(distribution, IntDistribution):
            low, high = distribution.low, distribution.high
            return trial.suggest_int(self.name, low, high, step=distribution.step, log=distribution.log)
        if isinstance(distribution, FloatDistribution):
            bounds = distribution.low, distribution.high
            return trial.suggest_float(self.name, *bounds, step=distribution.step, log=distribution.log)
        raise TypeError(f"no suggestion is known for {distribution}")

    def identity(self, value: Any) -> Hashable:
        """Equal for two legal values of the study if and only if they are the same value."""
        distribution = self.distribution
        if isinstance(distribution, FloatDistribution) and distribution.step is not None:
            steps: int = round((value - distribution.low) / distribution.step)
            return steps
        return (type(value) is bool, value)

    def _nearly(self, value: Any, other: float) -> bool:
        """Whether a value is that of a float range, up to rounding."""
        distribution = self.distribution
        if not isinstance(distribution, FloatDistribution) or not isinstance(value, float):
            return False
        return abs(value - other) <= TOLERANCE * (distribution.step or 0)

    def _configured(self, value: Any) -> int | None:
        """The index of the option that has a value in the configuration."""
        for index, option in enumerate(self.options):
            if same(value, option.value) or self._nearly(value, option.value):
                return index
        return None

    def _within(self, value: Any) -> bool:
        """Whether an interval, or a long range of integers, contains a value."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        low, high = (getattr(self.distribution, name) for name in ("low", "high"))
        steps = (
            not isinstance(self.distribution, IntDistribution) or (value - low) % self.distribution.step == 0
        )
        return bool(low <= value <= high and steps)
