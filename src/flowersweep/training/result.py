"""The result of a finished run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """The result of a finished run.

    Attributes:
        objective: The value of `objective.metric`.
        metrics: best/*, last/*, total/*, model/* and, if a test set was held out, test/*.
        run_id: The run in the tracking store.
        tracking_uri: The address of that store.
        n_validation: The number of validation pictures.
    """

    objective: float
    metrics: dict[str, float]
    run_id: str
    tracking_uri: str
    n_validation: int
