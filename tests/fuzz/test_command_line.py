"""Whatever is typed, or written into a file of the configuration, is good or refused in a sentence."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import Command, tries

KEYS = [
    "seed",
    "trainer",
    "trainer.epochs",
    "trainer.patience",
    "trainer.class_weight",
    "optimizer",
    "optimizer.learning_rate",
    "optimizer.name",
    "aug",
    "aug.layers",
    "aug.factor",
    "model",
    "model.name",
    "model.filters",
    "model.fine_tune_at",
    "model.head.epochs",
    "data",
    "data.dir",
    "data.resize",
    "data.split",
    "data.folds",
    "tracking.experiment",
    "tracking.tags",
    "objective.metric",
    "objective.also",
    "paths.cache",
    "bank",
    "bank.dtype",
    "schedule",
    "search",
    "experiment",
    "hydra.sweeper.n_trials",
    "hydra.sweeper.n_jobs",
    "hydra.sweeper.params",
    "hydra.sweeper.conditions",
    "hydra.sweeper.storage",
    "hydra.sweeper.timeout",
    "hydra/sweeper/sampler",
    "hydra/sweeper/pruner",
    "hydra/launcher",
    "hydra.job.chdir",
    "nothing",
    "trainer.nothing",
]
PIECES = [
    *["0", "1", "-1", "3", "1e-3", "1e400", "nan", "-inf", "null", "true", "False", "''", "None", "demo", "quick", "adam", "sgd", "cnn", "RandomFlip", "best/val_accuracy"],
    *["range(3)", "range(1,3)", "range(0,1,0.1)", "range(1,1)", "range(1,0,2)", "interval(1,2)", "interval(2,1)", "interval(0,1)", "choice(1,2)"],
    *["choice()", "tag(log,interval(1e-4,1))", "tag(log,interval(0,1))", "tag(int,interval(1,9))", "shuffle(range(3))", "sort(3,1)"],
    *["glob(*)", "int(1.5)", "float(a)", "str([1])", "extend_list(1)", "log", "sort(1,reverse=x)", "[1,2]", "[]", "{}", "{a:1}", "{a:{b:[1]}}", "${seed}"],
    *["${nope}", "${trainer.epochs}", "${oc.env:NOPE}", "${now:}", "${a:${b}}", "$", "${", "}", "{", "[", "]", "(", ")", ",", "=", "~", "+", "@", ":", ";", "#", "%", "\\", "'", '"', ".", "/", "*", "!", "&", "|"],
    " ", "  ", "\t", "é", "\u2028", "\x00", "\x1b[31m", "日本", "\ud800", "9" * 400, "a" * 300, "[" * 30,
]  # fmt: skip
values = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), min_size=1, max_size=3).map(
    "".join
)
overrides = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "", "", "+", "++", "~"]),
    st.one_of(*[st.sampled_from(KEYS)] * 9, st.text(max_size=8)),
    st.sampled_from(["=", "=", "=", "=", "=", "", "==", "@x="]),
    st.one_of(values, st.lists(values, min_size=2, max_size=3).map(",".join)),
)


@tries(4)
@given(typed=st.lists(overrides, min_size=1, max_size=3))
def test_overrides_of_a_run(command: Command, typed: list[str]) -> None:
    """Any overrides."""
    command.check(*(one for one in typed if not one.startswith("-")))


@tries(6)
@given(typed=st.lists(overrides, min_size=1, max_size=3))
def test_overrides_of_a_sweep(command: Command, typed: list[str]) -> None:
    """Any overrides, as dimensions and settings of a sweep."""
    command.check("--multirun", *(one for one in typed if not one.startswith("-")))


@pytest.mark.slow
@tries(4)
@given(
    values=st.dictionaries(
        st.sampled_from(KEYS[:30]), st.one_of(values, st.sampled_from(PIECES)), min_size=1, max_size=3
    )
)
def test_dimensions_in_the_settings(command: Command, values: dict[str, str]) -> None:
    """Any search space in hydra.sweeper.params and conditions."""
    params = ",".join(f"{key}:{value!r}" for key, value in values.items())
    command.check("--multirun", f"hydra.sweeper.params={{{params}}}")
    command.check(
        "--multirun", "seed=1,2", "trainer.epochs=1,2", f"hydra.sweeper.conditions={{seed:{params}}}"
    )


HEAD = "# @package _global_\n"
LINES = [
    "seed: 1", "seed: [1", "trainer: {epochs: 3}", "trainer:\n  epochs: 3", "trainer:\n\tepochs: 3", "trainer: null", "trainer: 3",
    "defaults:\n  - override /optimizer: sgd", "defaults:\n  - x", "defaults: 1", "defaults:\n  - /experiment: x", "defaults: [{a: b}]",
    "hydra: 1", "hydra:\n  sweeper:\n    params: {seed: 'range(3)'}", "hydra: {mode: MULTIRUN}", "seed: ${seed}", "seed: ${", "a: &a [*a]",
    "a: &a 1\nb: *a", "? [1, 2]\n: 3", "1: 2", "null: 1", "true: 1", "seed: !!python/object:os.system 1", "seed: !!binary x",
    "2020-01-01: 2020-13-45", "seed: 2020-13-45", "--- \na: 1\n---\nb: 2", "%YAML 9.9\n---\na: 1", "<<: 1", "<<: {seed: 2}", "- a", "words",
    "data: {dir: 1e5}", "data:\n  dir: ~", "aug: {layers: [1, {a: b}]}", "model: {filters: {a: 1}}", "seed: |\n  a\n b", "'': 1", "a.b: 1", r'data: {dir: "\ud800"}', r'"\udcff": "\ud800"',
    "x" * 300 + ": 1", "seed: " + "[" * 40, "seed: 0x", "seed: 1_0", "seed: 1:30", "seed: .inf", "# @package", "# @package a.b", "\u2028: 1",
]  # fmt: skip


@pytest.mark.slow
@tries(6)
@given(
    head=st.sampled_from([HEAD, HEAD, HEAD, "", "# @package x\n", "# @package\n"]),
    lines=st.lists(st.one_of(*[st.sampled_from(LINES)] * 3, st.text(max_size=12)), max_size=4),
    raw=st.one_of(st.none(), st.none(), st.tuples(st.integers(0, 200), st.binary(max_size=3))),
    place=st.sampled_from(["experiment", "trainer", "search"]),
)
def test_files(  # noqa: PLR0917 (fixtures and what is drawn)
    command: Command, tmp_path: Path, head: str, lines: list[str], raw: tuple[int, bytes] | None, place: str
) -> None:
    """Any content of a preset or an option of a group in a folder of one's own."""
    content = (head + "\n".join(lines)).encode("utf-8", "surrogatepass")
    if raw is not None:
        content = content[: raw[0]] + raw[1] + content[raw[0] :]
    (tmp_path / "own" / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / "own" / place / "x.yaml").write_bytes(content)
    command.check(f"--config-dir={tmp_path}/own", f"{place}=x")
    command.check("--multirun", f"--config-dir={tmp_path}/own", f"{place}=x")


@pytest.mark.parametrize("name", ["x", "config"])
@pytest.mark.parametrize("kind", ["folder", "loop", "no file", "device"])
def test_odd_files(command: Command, tmp_path: Path, kind: str, name: str) -> None:
    """A file that is none."""
    path = tmp_path / "own/experiment" / f"{name}.yaml"
    path.parent.mkdir(parents=True)
    match kind:
        case "folder":
            path.mkdir()
        case "loop":
            path.symlink_to(path)
        case "device":
            path.symlink_to("/dev/null")
    command.check(f"--config-dir={tmp_path}/own", f"experiment={name}")


@pytest.mark.parametrize("argument", ["~" + "a" * 300, "model=" + "b" * 300, "data.dir=" + "c" * 300])
def test_names_that_are_too_long_for_a_file(command: Command, argument: str) -> None:
    """Of a group, of a choice, and of a folder."""
    command.check(argument)
