"""The feature bank: the output of a prefix for the pictures, computed once and shared by all trials that need it.

Draw e of picture i is a pure function of (augmentation, seed, e, i), and a prefix is not trained, so the features of
epoch e are the same for every trial that differs only after the cut. Training on them equals training through
the prefix, except for the rounding of the stored type.
"""

import dataclasses
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from flowersweep.augment import Augmentation
from flowersweep.cache import draws as draw_file
from flowersweep.cache.atomic import locked, require_memory, write_json
from flowersweep.cache.draws import Features
from flowersweep.data.stream import Part, TrainingPart, epoch_labels, has_soft_labels
from flowersweep.errors import ConfigError, DataError, NoSpaceError
from flowersweep.models import bank_key
from flowersweep.models.bank_key import BankKey
from flowersweep.models.drawn import DrawnPictures
from flowersweep.models.engine import Engine
from flowersweep.models.engine_choice import choose_engine, engine_version, resolve_engine
from flowersweep.progress import progress
from flowersweep.texts import counted

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

_SAMPLE = 8  # pictures on which an engine is compared with TensorFlow
_CLOSED = "The feature bank was closed during a computation; open another one."


class FeatureBank:
    """Features of one prefix, by epoch; a context manager that stops computations in other threads at its end.

    Attributes:
        feature_shape: Shape of one picture's features.

    Args:
        prefix: From pictures, float32 (batch, size, size, 3), 0..255, to features.
        part: The training pictures.
        augmentation: Applied to them; one without random draws has one draw for all epochs.
        image_size: Side length in pixels of the prefix's input.
        fingerprint: The fingerprint of the data set.
        resizing: As data.resize.
        cache: The cache folder; draws are stored in `features/` below it.
        dtype: The type of stored features. float16 has half the size and a relative error of at most 2**-11.
        engine: "auto", "tensorflow" or "litert".
        max_bytes: Maximum size of all banks together; older ones are evicted.
        threads: CPU threads of the engine; None for all.
        cut: Index of the backbone's layer at which the prefix ends, for display.

    Raises:
        ConfigError: The engine or the dtype is not available.
    """

    def __init__(
        self,
        prefix: "keras.Model",
        *,
        part: TrainingPart,
        augmentation: Augmentation,
        image_size: int,
        fingerprint: str,
        cache: Path,
        dtype: Literal["float16", "float32"],
        engine: str,
        max_bytes: int,
        resizing: str = "stretch",
        threads: int | None = None,
        cut: int | None = None,
    ) -> None:
        if dtype not in {"float16", "float32"}:
            raise ConfigError(f"Features are stored as float16 or float32, but {dtype!r} was requested.")
        self.part = part
        self.failure: Exception | None = None
        self.feature_shape: tuple[int, ...] = tuple(prefix.output.shape[1:])
        self._prefix: keras.Model | None = prefix
        self._image_size, self._cache = image_size, cache
        self._engine_choice, self._threads, self._max_bytes = engine, threads, max_bytes
        self._augmentation = augmentation
        self._pictures = DrawnPictures(part, augmentation, image_size)
        self.key = BankKey(
            data=fingerprint,
            part=bank_key.part_digest(part.indices),
            pictures=len(part.indices),
            source_size=part.images.shape[1],
            image_size=image_size,
            prefix=bank_key.prefix_digest(prefix),
            network=f"{prefix.name} {'x'.join(map(str, self.feature_shape))}",
            cut=cut,
            augmentation=bank_key.augmentation_settings(augmentation),
            dtype=dtype,
            engine=engine_version(resolve_engine(engine)),
            code=bank_key.code_digest(),
            resizing=resizing,
        )
        self._engine: Engine | None = None
        self._open: dict[int, Features] = {}
        self._outcomes: dict[int, Features] = {}
        self._full: NoSpaceError | None = None
        self._working = threading.Lock()
        self._closed = threading.Event()

    def draw(self, epoch: int) -> Features:
        """The features of all training pictures under the draws of an epoch, computed if no process has computed them yet.

        Args:
            epoch: From 0.

        Returns:
            Read-only, of the bank's dtype, shape (m, *feature_shape); row j is picture `part.indices[j]`.

        Raises:
            DataError: The cache is full or cannot be written to.
            ConfigError: The features do not fit into float16 or into the limit of the bank, or LiteRT was requested and
                its features differ from TensorFlow's.
        """
        number = self._augmentation.draw_of(epoch) if self._augmentation.n_uniforms else 0
        if (features := self._open.get(number)) is not None:
            return features
        with self._working:
            if (features := self._open.get(number)) is None:
                # The last batches of the previous epoch may still be in use; older ones may be evicted.
                self._open = dict(list(self._open.items())[-1:])
                features = (
                    self._composed(number)
                    if self._augmentation.n_outcomes
                    else self._obtain(self.key, self._pictures, number)
                )
                self._open = {**self._open, number: features}
        return features

    @property
    def has_soft_labels(self) -> bool:
        """As the function of this name, for the training pictures."""
        return has_soft_labels(self.part, self._augmentation)

    def labels(self, epoch: int, n_classes: int | None) -> npt.NDArray[Any]:
        """The labels that belong to the features of an epoch, as from `epoch_labels`."""
        return epoch_labels(
            self.part, self._augmentation, epoch, image_size=self._image_size, n_classes=n_classes
        )

    def evaluation(self, part: Part) -> Features:
        """The features of other pictures, validation or test: without augmentation, always float32; otherwise as `draw`."""
        key = dataclasses.replace(
            self.key,
            part=bank_key.part_digest(part.indices),
            pictures=len(part.indices),
            source_size=part.images.shape[1],
            augmentation=None,
            dtype="float32",  # computed once and read often, so rounding them would save nothing
        )
        with self._working:
            return self._obtain(key, DrawnPictures(part, None, self._image_size), 0)

    def close(self) -> None:
        """Stop the computations of a data stream's thread; after this the bank cannot compute."""
        self._closed.set()
        with self._working:
            self._open, self._outcomes = {}, {}
            self._prefix = self._engine = None  # releases the memory of the network

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _composed(self, number: int) -> Features:
        """A draw composed of an augmentation's few outcomes, each computed once for all pictures and all epochs."""
        outcomes = self._pictures.outcomes(number)
        composed = np.empty((self.key.pictures, *self.feature_shape), self.key.dtype)
        for outcome in np.unique(outcomes).tolist():
            if outcome not in self._outcomes:
                settings = bank_key.outcome_settings(self._augmentation, outcome)
                key = dataclasses.replace(self.key, augmentation=settings)
                pictures = DrawnPictures(self.part, self._augmentation, self._image_size, outcome=outcome)
                self._outcomes[outcome] = self._obtain(key, pictures, 0)
            chosen = outcomes == outcome
            composed[chosen] = self._outcomes[outcome][chosen]
        composed.setflags(write=False)
        return composed

    def _obtain(self, key: BankKey, pictures: DrawnPictures, number: int) -> Features:
        """Open a draw, or compute it and then open it."""
        features = draw_file.open_draw(draw_file.draw_path(self._cache, key.digest, number))
        if features is not None:
            return features
        engine = self._made_engine(pictures, number)
        # `auto` may have selected TensorFlow where LiteRT was expected.
        key = dataclasses.replace(key, engine=engine_version(engine.name))
        path = draw_file.draw_path(self._cache, key.digest, number)
        with locked(path):
            if (features := draw_file.open_draw(path)) is None:
                try:
                    if self._full is not None:  # was said before
                        return self._in_memory(key, engine, pictures, number)
                    self._compute(path, key, engine, pictures, number)
                except NoSpaceError as error:
                    log.warning("%s The features stay in memory, and are computed again by every run.", error)
                    self._full = error
                    return self._in_memory(key, engine, pictures, number)
                features = draw_file.open_draw(path)
        if features is None:
            raise DataError(f"{path} was just written but cannot be read; check the disk.")
        return features

    def _compute(
        self, path: Path, key: BankKey, engine: Engine, pictures: DrawnPictures, number: int
    ) -> None:
        shape = (key.pictures, *self.feature_shape)
        draw_file.make_room(self._cache, draw_file.draw_size(shape, key.dtype), self._max_bytes)
        write_json(path.with_name("key.json"), dataclasses.asdict(key))
        log.info(
            "Computing the features of %s, draw %d, with %s (%s MB).",
            counted(key.pictures, "picture"),
            number,
            engine.name,
            f"{draw_file.draw_size(shape, key.dtype) / 1e6:,.0f}",
        )
        draw_file.write_draw(path, shape, key.dtype, self._chunks(key, engine, pictures, number))

    def _in_memory(
        self, key: BankKey, engine: Engine, pictures: DrawnPictures, number: int
    ) -> npt.NDArray[Any]:
        """A draw without the cache, on whose disk no space is left."""
        assert self._full is not None  # noqa: S101 (for the type checker)
        shape = (key.pictures, *self.feature_shape)
        require_memory(draw_file.draw_size(shape, key.dtype), self._full)
        features = np.concatenate(list(self._chunks(key, engine, pictures, number)))
        features.setflags(write=False)
        return features

    def _chunks(
        self, key: BankKey, engine: Engine, pictures: DrawnPictures, number: int
    ) -> Iterator[npt.NDArray[Any]]:
        # The thread of a data stream computes while the display of the epochs is shown.
        shown = threading.current_thread() is threading.main_thread()
        with progress("Computing features", key.pictures) as advance:
            for chunk in pictures.epoch(number):
                if self._closed.is_set():
                    raise DataError(_CLOSED)
                yield draw_file.stored(engine.run(chunk), key.dtype)
                if shown:
                    advance(len(chunk))

    def _made_engine(self, pictures: DrawnPictures, number: int) -> Engine:
        if self._prefix is None:
            raise DataError(_CLOSED)
        if self._engine is None:
            chunks = pictures.epoch(number)
            sample = next(chunks)[:_SAMPLE]
            chunks.close()
            self._engine = choose_engine(
                self._prefix,
                engine=self._engine_choice,
                threads=self._threads,
                cache=self._cache,
                key=self.key.prefix,
                sample=sample,
            )
        return self._engine
