"""Registration of the best run's model in MLflow's registry, with a version, an alias and tags about its origin."""

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowersweep.data.resizing import input_words
from flowersweep.deploy.best_run import described, objective, overrides_of
from flowersweep.deploy.choose import Choice, registered
from flowersweep.errors import ConfigError
from flowersweep.redaction import redacted
from flowersweep.texts import number_text
from flowersweep.tracking.lookup import training_command
from flowersweep.tracking.mlflow_api import bare_client, client, translated
from flowersweep.tracking.patience import patiently
from flowersweep.tracking.rules import MAX_TAG_LENGTH, shortened

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

# What is a name in the address of a version, and between the quotes of a search.
_NAME = re.compile(r"[^/:@']+")
# The rules of MLflow, checked before a version is created for which the alias would be refused.
_ALIAS = re.compile(r"[\w-]{1,255}", re.ASCII)
_TAKEN = re.compile(r"latest|v\d+", re.IGNORECASE)

_VERSIONS = "mlflow.modelVersions"
_ABOUT = "Image classifiers trained by flowersweep. Input: raw pictures (0..255); output: probabilities."


@dataclass(frozen=True)
class Promotion:
    """The result of a promotion.

    Attributes:
        version: The number of the version that now has the alias.
        is_new: False if this model was registered before.
        previous: The version that had the alias before; None if there was none, or it was the same version.
    """

    version: str
    is_new: bool
    previous: "ModelVersion | None"


def check_names(name: str, alias: str) -> None:
    """Refuse a name of a model or an alias that MLflow does not allow, or that `models:/NAME@ALIAS` cannot contain.

    Raises:
        ConfigError: One is not allowed.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"name={name} is not allowed, because models:/NAME@{alias} cannot contain it; use no / : @ and '."
        )
    if not _ALIAS.fullmatch(alias) or _TAKEN.fullmatch(alias):
        raise ConfigError(
            f"alias={alias} is not allowed; use letters, digits, _ and -, but neither latest nor names such as v1."
        )


def promote(choice: Choice, name: str, alias: str) -> Promotion:
    """Register a model, unless it is already registered, and set the alias of its version.

    Args:
        choice: The model.
        name: The name of the registered model, which is created if there is none.
        alias: The alias, which is removed from the version that had it.

    Raises:
        ConfigError: The name or the alias is not allowed.
        TrackingError: The store refuses.
    """
    check_names(name, alias)
    store = choice.store
    service = client(store.uri)
    with translated(f"register {name!r} in {store.uri}"):
        _ensure_registered(service, name)
        before = registered(store, f"models:/{name}@{alias}", missing_ok=True)
        known = _version_of(service, name, choice.run_id)
        version = known or _new_version(service, name, choice, before)
        service.set_registered_model_alias(name, alias, version.version)
    replaced = before if before and before.version != version.version else None
    return Promotion(str(version.version), known is None, replaced)


def lineage(choice: Choice, before: "ModelVersion | None") -> dict[str, str]:
    """The origin of a model, as tags of its version."""
    run, (metric, value) = choice.run, objective(choice.run)
    found = {
        "run_id": choice.run_id,
        "study": run.data.tags.get("study"),
        "trial": run.data.tags.get("trial"),
        "metric": metric,
        "value": repr(value),
        "data_fingerprint": choice.info.fingerprint,
        "git_commit": run.data.tags.get("mlflow.source.git.commit"),
        "overrides": shlex.join(overrides_of(choice.store, run)),
        "class_names": ", ".join(choice.info.class_names),
        "input": input_words(choice.info.size, choice.info.resizing),
        "previous": None if before is None else str(before.version),
    }
    return {key: shortened(text, MAX_TAG_LENGTH) for key, text in found.items() if text is not None}


def about_version(version: "ModelVersion") -> str:
    """A short description of a version from its tags, because its run may not exist any more."""
    tags = version.tags
    value = (
        f", {tags['metric']} {number_text(float(tags['value']))}"
        if {"metric", "value"} <= tags.keys()
        else ""
    )
    return f"version {version.version}{value}"


def _description(choice: Choice, before: "ModelVersion | None") -> str:
    # An ensemble was not trained; its run has the command that made it.
    command = choice.run.data.tags.get("command") or training_command(overrides_of(choice.store, choice.run))
    replaced = "" if before is None else f" It replaced version {before.version}."
    return redacted(f"Run {choice.run_id}: {described(choice.run)}.{replaced}\n\n    {command}\n")


def _version_of(service: "MlflowClient", name: str, run_id: str) -> "ModelVersion | None":
    versions = service.search_model_versions(f"name = '{name}'")
    return next((one for one in versions if one.run_id == run_id), None)


def _new_version(
    service: "MlflowClient", name: str, choice: Choice, before: "ModelVersion | None"
) -> "ModelVersion":
    model, bare = choice.model, bare_client(choice.store.uri)

    def create() -> "ModelVersion":
        return bare.create_model_version(
            name,
            # The address of the files: MLflow would resolve models:/ID in a global store, not in this one.
            source=choice.location,
            run_id=choice.run_id,
            model_id=model.model_id,
            tags=lineage(choice, before),
            description=_description(choice, before),
        )

    # The version may have been created although the answer was lost.
    version = patiently(create, again=lambda: _version_of(bare, name, choice.run_id) or create())
    # With this tag the run's page shows its registered versions.
    registrations = [*json.loads(model.tags.get(_VERSIONS, "[]")), {"name": name, "version": version.version}]
    service.set_logged_model_tags(model.model_id, {_VERSIONS: json.dumps(registrations)})
    return version


def _ensure_registered(service: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        service.create_registered_model(name, description=_ABOUT)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
