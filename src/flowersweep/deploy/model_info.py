"""Inputs and outputs of a saved model, from its metadata. Does not import Keras."""

import json
from dataclasses import dataclass

from flowersweep.config.schema import RESIZES
from flowersweep.errors import TrackingError
from flowersweep.tracking.lookup import model_metadata
from flowersweep.tracking.store.store import Store


@dataclass(frozen=True)
class ModelInfo:
    """Inputs and outputs of a model.

    Attributes:
        class_names: The classes in the order of the model's outputs.
        size: Side length of the input pictures in pixels.
        fingerprint: The fingerprint of the training data; None if it was not recorded.
        resizing: How a picture becomes a square, as data.resize.
    """

    class_names: tuple[str, ...]
    size: int
    fingerprint: str | None
    resizing: str = "stretch"

    @property
    def label_files(self) -> dict[str, str]:
        """Files with the names of the classes in the order of the outputs, by their names."""
        return {
            "labels.txt": "".join(f"{name}\n" for name in self.class_names),
            "labels.json": json.dumps(self.class_names, ensure_ascii=False) + "\n",
        }


def model_info(store: Store, location: str) -> ModelInfo:
    """Read the metadata of a saved model.

    Args:
        store: The store of the model.
        location: The address of its files.

    Raises:
        TrackingError: The metadata cannot be read, or the model was not saved by flowersweep.
    """
    noted = model_metadata(store, location)
    names, shape = noted.get("class_names"), noted.get("picture_shape")
    if not names or not shape or len(shape) != 3 or shape[0] != shape[1]:
        raise TrackingError(
            f"The model at {location} does not record its classes and the size of its square pictures; use one "
            "that was saved by flowersweep."
        )
    # Models of earlier versions were all trained on stretched pictures.
    resizing = str(noted.get("resize", "stretch"))
    if resizing not in RESIZES:
        raise TrackingError(
            f"The model at {location} was trained with data.resize={resizing}, which this version does not know; use a newer "
            "version of flowersweep."
        )
    return ModelInfo(tuple(map(str, names)), int(shape[0]), noted.get("data_fingerprint"), resizing)
