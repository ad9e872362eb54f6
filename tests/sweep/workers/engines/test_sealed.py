"""What launchers write to files contains no password, and a worker has them all the same."""

import os
import pickle

import pytest
from omegaconf import OmegaConf

from flowersweep.errors import SweepError
from flowersweep.sweep.workers.engines.sealed import VARIABLE, Sealed, hide_passwords, sealed

URL = "postgresql+psycopg://me:Wx7-secret-9@db/studies"


def passed_on(given: Sealed) -> Sealed:
    """What another process gets."""
    assert b"Wx7" not in pickle.dumps(given)
    return Sealed(bytes(given.content))


def test_passwords_are_in_the_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object comes out as it was, at any depth; the environment is then as before, in both processes."""
    monkeypatch.delenv(VARIABLE, raising=False)
    thing = {"storage": URL, "config": OmegaConf.create({"uri": [URL], "x": 1}), "plain": "a"}
    with sealed(thing) as given:
        assert passed_on(given).opened() == thing
    with sealed(thing) as given:
        pass
    with pytest.raises(SweepError, match="The passwords of the sweep are not in the environment of this job"):
        passed_on(given).opened()


def test_without_passwords_nothing_is_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job without the sweeper's environment runs a sweep that has no password."""
    monkeypatch.delenv(VARIABLE, raising=False)
    with sealed({"storage": "journal:a"}) as given:
        assert VARIABLE not in os.environ
    assert given.opened() == {"storage": "journal:a"}


def test_passwords_in_a_configuration_become_stars() -> None:
    """In texts, lists and interpolations, in the named nodes only, also where Hydra has made the node read-only."""
    config = OmegaConf.create(
        {"uri": URL, "hydra": {"a": [1, URL], "b": {"c": f"{URL}/${{x}}"}, "d": URL}, "x": 1}
    )
    OmegaConf.set_readonly(config.hydra, value=True)
    hide_passwords(config, "hydra.a", "hydra.b")
    hidden = URL.replace("Wx7-secret-9", "***")
    assert config == {
        "uri": URL,
        "hydra": {"a": [1, hidden], "b": {"c": f"{hidden}/1"}, "d": URL},
        "x": 1,
    }
    hide_passwords(config)
    assert "Wx7" not in OmegaConf.to_yaml(config)


def test_passwords_under_any_key_become_stars() -> None:
    """Also with dots, numbers and brackets in it, and in tuples; the keys stay as they were."""
    config = OmegaConf.create(
        {
            "urls": {"my.host": URL, 1: URL, "a[0]": [{"b.c": URL}], "t": (1, URL, [{"d": URL}])},
            "my": {"host": 1},
        }
    )
    OmegaConf.set_struct(config, value=True)
    OmegaConf.set_readonly(config.urls, value=True)
    hide_passwords(config, "urls")
    hidden = URL.replace("Wx7-secret-9", "***")
    assert OmegaConf.to_container(config) == {
        "urls": {"my.host": hidden, 1: hidden, "a[0]": [{"b.c": hidden}], "t": (1, hidden, [{"d": hidden}])},
        "my": {"host": 1},
    }
    assert OmegaConf.is_readonly(config.urls)
