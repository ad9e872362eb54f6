"""Tests of flowersweep.tracking.rules: the limits are MLflow's own."""

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowersweep.errors import TrackingError
from flowersweep.tracking import rules
from flowersweep.tracking.mlflow_api import quiet


@given(st.text(alphabet="aZ9_-. :/()@é", max_size=12))
@example("..")
@example("a/../b")
@example("..9")
@example("//a")
@example("")
def test_names_are_refused_exactly_when_mlflow_refuses_them(key: str) -> None:
    """The check agrees with MLflow's own for params, metrics and tags."""
    quiet()
    from mlflow.exceptions import MlflowException
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name

    def accepts(check: object) -> bool:
        try:
            check(key)  # type: ignore[operator]
        except (MlflowException, TrackingError):
            return False
        return True

    expected = [accepts(check) for check in (_validate_metric_name, _validate_param_name, _validate_tag_name)]
    assert [accepts(rules.check_key)] * 3 == expected


@given(st.one_of(st.text(max_size=300), st.text(alphabet="aZ9_-. :/()@é", max_size=12)))
@example("..")
@example("//a")
@example("a@" * 200)
@example("\ud800")
def test_every_name_has_a_key(name: str) -> None:
    """MLflow accepts it, it is the name itself where that is possible, and otherwise the keys of two names are different."""
    key = rules.key_of(name)
    assert rules.check_key(key) == key
    assert (key == name) is rules.is_key(name)
    assert rules.check_key(rules.searched_key(name))
    assert len({key, rules.key_of(f"{name}@"), rules.key_of(f"{name}("), rules.key_of(f"{name}_")}) == 4


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200),
    st.integers(60, 120),
)
def test_long_values_are_cut_visibly(text: str, limit: int) -> None:
    """A short text is untouched; a long one fills the limit exactly and says how long it was."""
    short = rules.shortened(text, limit)
    if len(text) <= limit:
        assert short == text
        assert rules.too_long({"key": text}, limit) == {}
    else:
        assert len(short) == limit
        assert short.endswith(f"[cut from {len(text)} characters]")
        assert rules.too_long({"a.b": text}, limit) == {"long_values/a.b.txt": text}
        assert len(rules.too_long({"a/b": text, "a b": text, "a_b": text}, limit)) == 3


@given(st.lists(st.integers()), st.integers(1, 10))
def test_chunks_keep_everything_in_order(items: list[int], size: int) -> None:
    """Joined together, the chunks are the items, and none is longer than allowed."""
    chunks = list(rules.chunks(items, size))
    assert [item for chunk in chunks for item in chunk] == items
    assert all(1 <= len(chunk) <= size for chunk in chunks)


def test_numpy_becomes_plain_json() -> None:
    """Arrays and scalars of NumPy are written as lists and numbers."""
    text = rules.json_text({"a": np.arange(3), "b": np.float32(0.5), "c": np.bool_(True)})  # noqa: FBT003
    assert json.loads(text) == {"a": [0, 1, 2], "b": 0.5, "c": True}


@pytest.mark.parametrize("name", ["", ".", "..", "a/../b", "/a", "a//b", "a\\b", "a/"])
def test_artifact_names_stay_inside_the_run(name: str) -> None:
    """Whatever could lead out of the run's folder is refused."""
    with pytest.raises(TrackingError, match="must be a relative path inside the run"):
        rules.check_artifact(name)
