"""The one door to what Optuna keeps private: a study's storage, and names of its own in a storage."""

from collections.abc import Mapping
from typing import Any

from optuna import Study
from optuna.storages import BaseStorage, _CachedStorage
from optuna.trial import FrozenTrial


def storage_of(study: Study) -> BaseStorage:
    """Return the storage of a study.

    Private: `Study._storage`. A study is made from a storage and has no public way back to it, but only a storage can put
    a trial back to WAITING, and the lock belongs to the storage.
    """
    return study._storage


def engine_storage(storage: BaseStorage) -> BaseStorage:
    """Return the storage behind Optuna's cache, or the storage itself where there is no cache.

    Private: `_CachedStorage` and its `_backend`. `create_study` and `load_study` wrap an RDBStorage into it, and it hands
    out neither the storage nor the engine.
    """
    return storage._backend if isinstance(storage, _CachedStorage) else storage


def study_id(study: Study) -> int:
    """Return the number by which a storage knows a study; `Study._study_id` is the same, but private."""
    return storage_of(study).get_study_id_from_name(study.study_name)


def trial_id(study: Study, number: int) -> int:
    """Return the number by which a storage knows a trial; `Trial._trial_id` is the same, but private.

    Args:
        study: The trial's.
        number: Of the trial in the study.
    """
    return storage_of(study).get_trial_id_from_study_id_trial_number(study_id(study), number)


def enqueued_values(trial: FrozenTrial) -> Mapping[str, Any]:
    """Return the values with which a trial was enqueued; empty if it was not.

    Private: the system attribute `fixed_params`, in which `enqueue_trial` keeps them; nothing public reads it.
    """
    values: Mapping[str, Any] = trial.system_attrs.get("fixed_params", {})
    return values


def table_names() -> frozenset[str]:
    """Return the names of the tables that an RDBStorage makes.

    Private: `optuna.storages._rdb.models.BaseModel`. Optuna lists its tables nowhere else.
    """
    from optuna.storages._rdb.models import BaseModel

    return frozenset(BaseModel.metadata.tables)


def wants_upgrade(error: RuntimeError) -> bool:
    """Tell whether an RDBStorage was refused because an older Optuna made it; a newer one did otherwise.

    Private: the text of the error, which names the command that helps. The error has no type or attribute of its own.
    """
    return "storage upgrade" in str(error)
