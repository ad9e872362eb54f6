"""Greedy selection of an ensemble's members on the validation pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """How well probabilities describe the pictures.

    Attributes:
        loss: Mean cross-entropy in nats.
        accuracy: Fraction of pictures whose most probable class is the true one.
    """

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Step:
    """One step of a selection.

    Attributes:
        member: The position of the member that was added.
        score: The score with it.
    """

    member: int
    score: Score


def score(probabilities: Probabilities, labels: Labels) -> Score:
    """Score probabilities.

    Args:
        probabilities: Shape (m, number of classes).
        labels: True classes, shape (m,).
    """
    likelihood = probabilities[np.arange(len(labels)), labels]
    loss = -np.mean(np.log(np.maximum(likelihood, np.finfo(np.float32).tiny)))
    return Score(float(loss), float(np.mean(np.argmax(probabilities, axis=1) == labels)))


def select(probabilities: Sequence[Probabilities], labels: Labels, top: int) -> list[Step]:
    """Add the member with which the mean of the probabilities has the smallest loss, as long as it decreases.

    A member may be added several times, which gives it more weight (Caruana et al., "Ensemble selection from libraries
    of models", ICML 2004). The loss decides and not the accuracy, because on some hundred pictures many ensembles have
    the same accuracy.

    Probabilities of members should be calibrated, see `Member.temperature`: the loss of others says more about their
    confidence than about what they know.

    Args:
        probabilities: One array of shape (m, number of classes) for each candidate.
        labels: True classes, shape (m,).
        top: Maximum number of steps.

    Example:
        >>> right = np.array([[0.9, 0.1], [0.6, 0.4]])
        >>> wrong = np.array([[0.2, 0.8], [0.9, 0.1]])
        >>> [step.member for step in select([wrong, right], np.array([0, 0]), top=5)]
        [1, 1, 1, 0]
    """
    steps: list[Step] = []
    total = np.zeros_like(probabilities[0])
    while len(steps) < top:
        scores = [score((total + one) / (len(steps) + 1), labels) for one in probabilities]
        best = min(range(len(scores)), key=lambda i: scores[i].loss)
        if steps and scores[best].loss >= steps[-1].score.loss:
            break
        total = total + probabilities[best]
        steps.append(Step(best, scores[best]))
    return steps


def select_soup(n_candidates: int, scored: Callable[[Sequence[int]], Score], top: int) -> list[Step]:
    """Go through the candidates, best first, and add each with which the loss does not increase.

    The greedy soup of Wortsman et al., "Model soups", ICML 2022.

    Args:
        n_candidates: The number of candidates.
        scored: Returns the score of the mean weights of the candidates at these positions.
        top: Maximum number of members.
    """
    steps = [Step(0, scored([0]))]
    for candidate in range(1, n_candidates):
        if len(steps) == top:
            break
        found = scored([*(step.member for step in steps), candidate])
        if found.loss <= steps[-1].score.loss:
            steps.append(Step(candidate, found))
    return steps
