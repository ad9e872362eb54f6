"""What a saved model takes and gives, as noted when it was saved. Imports no Keras."""

from dataclasses import dataclass

from flowersweep.errors import TrackingError
from flowersweep.tracking.lookup import model_metadata
from flowersweep.tracking.store.store import Store


@dataclass(frozen=True)
class ModelInfo:
    """What goes into a model and what comes out.

    Attributes:
        class_names: In the order of the model's outputs.
        size: Side length in pixels of the pictures it takes.
        fingerprint: That of the data it was trained on; None if that was not noted.
    """

    class_names: tuple[str, ...]
    size: int
    fingerprint: str | None


def model_info(store: Store, location: str) -> ModelInfo:
    """Read the notes of a saved model.

    Args:
        store: Where it is.
        location: The address of its files.

    Raises:
        TrackingError: They cannot be read, or the model was not saved by flowersweep.
    """
    noted = model_metadata(store, location)
    names, shape = noted.get("class_names"), noted.get("picture_shape")
    if not names or not shape or len(shape) != 3 or shape[0] != shape[1]:
        raise TrackingError(
            f"The model at {location} does not say which classes and square pictures it knows; use one that "
            "flowersweep has saved."
        )
    return ModelInfo(tuple(map(str, names)), int(shape[0]), noted.get("data_fingerprint"))
