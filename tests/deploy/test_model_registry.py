"""A promoted model is a version with an alias that says where it came from."""

import json
from pathlib import Path

import pytest

from flowersweep.commands.parsing.common import chosen
from flowersweep.deploy.choose import Choice
from flowersweep.deploy.model_registry import about_version, promote
from flowersweep.errors import ConfigError, TrackingError
from flowersweep.tracking.mlflow_api import client
from winners import Winners


def of(results: Winners, **given: str) -> Choice:
    """A choice."""
    return chosen({"tracking.dir": str(results.directory), **given})


def test_a_version_says_where_it_came_from(results: Winners) -> None:
    """Run, study, trial, value, data and what was typed are tags; the alias leads to the model's files."""
    choice = of(results, study="petals")
    promotion = promote(choice, "lineage", "first")
    service = client(results.store.uri)
    version = service.get_model_version_by_alias("lineage", "first")

    assert (promotion.version, promotion.is_new, promotion.previous) == ("1", True, None)
    assert version.run_id == results.runs["petals/1"]
    assert version.source == choice.location
    tags = version.tags
    assert (tags["study"], tags["trial"], tags["run_id"]) == ("petals", "1", version.run_id)
    assert (tags["metric"], tags["value"]) == ("best/val_accuracy", "0.8")
    assert tags["data_fingerprint"] == results.digest
    assert tags["overrides"].startswith("model=cnn model.dropout=0.")
    assert tags["input"] == (
        "RGB pictures of 16 x 16 pixels, values 0..255, stretched to a square (data.resize=stretch)"
    )
    assert tags["class_names"] == ", ".join(results.class_names)
    assert "previous" not in tags
    assert "trial 1 of study petals, best/val_accuracy 0.8000" in version.description
    known = service.get_logged_model(choice.model.model_id).tags["mlflow.modelVersions"]
    assert {"name": "lineage", "version": "1"} in [
        {name: str(value) for name, value in one.items()} for one in json.loads(known)
    ]


def test_the_same_winner_gets_no_second_version(results: Winners) -> None:
    """Only the alias is set once more."""
    choice = of(results, study="petals")
    first, second = (promote(choice, "twice", "champion") for _ in range(2))

    assert (first.version, first.is_new) == ("1", True)
    assert (second.version, second.is_new, second.previous) == ("1", False, None)
    assert len(client(results.store.uri).search_model_versions("name = 'twice'")) == 1


def test_another_winner_follows_the_previous_one(results: Winners) -> None:
    """The alias moves on, the new version knows the old one, and the old one can get it back."""
    first, second = of(results, study="petals"), of(results, run=results.runs["alone/good"])
    promote(first, "followed", "champion")
    promotion = promote(second, "followed", "champion")

    assert promotion.previous is not None
    assert about_version(promotion.previous) == "version 1, best/val_accuracy 0.8000"
    assert of(results, run="models:/followed@champion").run_id == results.runs["alone/good"]
    assert of(results, run="models:/followed/1").run_id == results.runs["petals/1"]
    version = client(results.store.uri).get_model_version("followed", "2")
    assert version.tags["previous"] == "1"
    back = promote(first, "followed", "champion")
    assert (back.version, back.is_new) == ("1", False)


@pytest.mark.parametrize("alias", ["latest", "V1", "a b", "ä", ""])
def test_an_impossible_alias_makes_no_version(results: Winners, alias: str) -> None:
    """It is refused before anything is registered."""
    with pytest.raises(ConfigError, match="is not allowed"):
        promote(of(results, study="petals"), "unmade", alias)

    assert client(results.store.uri).search_registered_models("name = 'unmade'") == []


@pytest.mark.parametrize("name", ["a@b", "a/b", "a:b", "a'b"])
def test_an_impossible_name_is_not_registered(results: Winners, name: str) -> None:
    """It could not be found again by its address."""
    with pytest.raises(
        ConfigError, match=f"name={name} is not allowed, because models:/NAME@champion cannot"
    ):
        promote(of(results, study="petals"), name, "champion")

    assert name not in [one.name for one in client(results.store.uri).search_registered_models()]


def test_a_version_without_a_run_is_told(results: Winners, tmp_path: Path) -> None:
    """Somebody may have registered a folder by hand."""
    service = client(results.store.uri)
    service.create_registered_model("foreign")
    service.create_model_version("foreign", source=tmp_path.as_uri())

    with pytest.raises(TrackingError, match="Version 1 of foreign does not record its run"):
        of(results, run="models:/foreign/1")
