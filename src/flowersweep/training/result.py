"""What a finished run comes to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """What a finished run comes to.

    Attributes:
        objective: The value of `objective.metric`.
        metrics: best/*, last/*, total/* and, if a test set was held out, test/*.
        run_id: The run in the tracking store.
        tracking_uri: That store.
    """

    objective: float
    metrics: dict[str, float]
    run_id: str
    tracking_uri: str
