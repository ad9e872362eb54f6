"""Wrapper module for Optuna's private API: a study's storage, and the names that Optuna uses in a storage."""

from collections.abc import Mapping
from typing import Any

from optuna import Study
from optuna.storages import BaseStorage, _CachedStorage
from optuna.trial import FrozenTrial


def storage_of(study: Study) -> BaseStorage:
    """Return the storage of a study.

    Private: `Study._storage`. A study has no public reference to its storage, but only a storage can set a trial back to
    WAITING, and the lock belongs to the storage.
    """
    return study._storage


def engine_storage(storage: BaseStorage) -> BaseStorage:
    """Return the storage inside Optuna's cache, or the storage itself if there is no cache.

    Private: `_CachedStorage` and its `_backend`. `create_study` and `load_study` wrap an RDBStorage into it, and it
    exposes neither the storage nor the engine.
    """
    storage = getattr(storage, "backend", storage)  # that of flowersweep's own wrapper
    return storage._backend if isinstance(storage, _CachedStorage) else storage


def study_id(study: Study) -> int:
    """Return the id of a study in its storage.

    Private: `Study._study_id`. `get_study_id_from_name` is public, but asks a database each time.
    """
    return study._study_id


def trial_id(study: Study, number: int) -> int:
    """Return the id of a trial in its storage; `Trial._trial_id` is the same, but private.

    Args:
        study: The trial's.
        number: The trial's number in the study.
    """
    return storage_of(study).get_trial_id_from_study_id_trial_number(study_id(study), number)


def enqueued_values(trial: FrozenTrial) -> Mapping[str, Any]:
    """Return the values with which a trial was enqueued; empty if it was not.

    Private: the system attribute `fixed_params`, in which `enqueue_trial` stores them; there is no public way to read it.
    """
    values: Mapping[str, Any] = trial.system_attrs.get("fixed_params", {})
    return values


def table_names() -> frozenset[str]:
    """Return the names of the tables that an RDBStorage creates.

    Private: `optuna.storages._rdb.models.BaseModel`. Optuna does not list its tables elsewhere.
    """
    from optuna.storages._rdb.models import BaseModel

    return frozenset(BaseModel.metadata.tables)


def wants_upgrade(error: RuntimeError) -> bool:
    """Tell whether an RDBStorage was rejected because an older Optuna created it; otherwise it was a newer one.

    Private: the text of the error, which names the command that helps. The error has no specific type or attribute.
    """
    return "storage upgrade" in str(error)
