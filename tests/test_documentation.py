"""The documentation is right: what it tells to type is composed, parsed or run, from the pages themselves."""

import ast
import contextlib
import functools
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import open_dict
from optuna.distributions import CategoricalDistribution

import flowersweep
from flowersweep import cli, config
from flowersweep.api.words import as_words, sweeper_words
from flowersweep.commands import COMMANDS, module_of
from flowersweep.commands.completion import WITH_OVERRIDES
from flowersweep.commands.parsing.arguments import Command
from flowersweep.config import composing
from flowersweep.doctor.configured import composed
from flowersweep.errors import ConfigError
from flowersweep.own import code
from flowersweep.sweep.settings import make_plan, sweep_settings
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.space.check import probes
from flowersweep.sweep.space.overrides import left_to_trials, read_arguments
from flowersweep.tracking.mlflow_api import client
from markdown import ROOT, Block, blocks, commands, inline_commands, pages, parts
from own_modules import Modules

if not (ROOT / "docs").is_dir():
    pytest.skip("an installed copy is tested, without its documentation", allow_module_level=True)

# Blocks that are no commands, by page and the beginning of their first line, and why they are not checked here.
NO_COMMANDS = {
    (
        "docs/decisions/0011-augmentation-defaults.md",
        "# Add up to 255",
    ): "a file of conf/, compared below",
    ("docs/howto/migrate_from_optuna_sweeper.md", "defaults:"): "a part of another program's configuration",
    (
        "docs/decisions/0015-small-without-extras.md",
        "flowersweep: this needs",
    ): "output; tests/test_cli.py has it",
    ("docs/experiments.md", "ray-node (183 s)"): "output",
    ("docs/howto/own_pictures.md", "animals/"): "a listing of folders",
    ("docs/howto/own_pictures.md", "file,group"): "a CSV file; tests/data/test_split_file.py reads such",
    ("docs/howto/sweep.md", "trial 0 COMPLETE"): "output",
    (
        "docs/howto/sweep.md",
        "flowersweep: The study",
    ): "output; tests/sweep/study/test_definition.py has its sentences",
    ("docs/howto/troubleshooting.md", "12:27:54 INFO"): "output",
    (
        "docs/howto/use_tflite.md",
        "import zipfile",
    ): "Python; tests/commands/test_export.py runs it",
    (
        "docs/howto/use_the_winner.md",
        "import numpy, onnxruntime",
    ): "needs an export; tests/commands/test_export.py does the same",
}
# Programs other than this one, and why they are not run here.
OTHER_PROGRAMS = {
    "nvidia-cuda-mps-control": "needs a GPU",
    "source": "changes the reader's shell",
    "export": "the same",
    "pip install": "needs a network",
    "eval": "changes the reader's shell; tests/commands/test_completion.py does it in one of its own",
    "flowersweep -sc": "Hydra's own completion",
    "env -u": "a server; tests/deploy/test_through_server.py starts one",
    "find": "lists files",
    "curl": "needs a server",
    "createdb": "the same",
    "mlflow server": "is a server",
    "docker": "needs a daemon; tests/test_deployment.py checks its files",
    "kubectl": "needs a cluster; the same",
    "sbatch": "needs Slurm; tests/test_deployment.py runs its script",
    "cp": "copies a file",
    "chmod": "changes who may read it",
    "python -c": "downloads weights, or needs a picture; its code is compiled",
}
# Pages whose code has a test of its own below.
OWN_TEST = "docs/howto/add_an_augmentation.md"
OWN_CODE = "docs/howto/your_own_code.md"
PYTHON = "docs/howto/python_and_notebooks.md"
# The log of measurements: its commands are those of earlier versions, and change rarely.
LOG = "docs/experiments.md"
# So many commands that composing them takes seconds.
MANY = {LOG, "docs/howto/sweep.md"}
# Commands need these; the dots stand for a path in measurements.
FILES = ("PATH.weights.h5", "w.weights.h5", "...", "PATH")

PAGES = [page for page in pages() if page not in {OWN_TEST, OWN_CODE}]
SHELL = [
    (block, line)
    for page in PAGES
    for block in blocks(page)
    if not any((page, block.first[: len(start)]) == (where, start) for where, start in NO_COMMANDS)
    if not block.text.startswith("hydra:") and block.language not in {"yaml", "python"}
    for line in commands(block.text)
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are typed in a folder that has what they name, with an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWERSWEEP_CACHE", str(tmp_path / "cache"))
    for name in FILES:
        (tmp_path / name).touch()


def check(line: str) -> None:
    """Check a command line as far as possible without training, or fail."""
    for words in parts(line):
        text = " ".join(words)
        if words[:3] == ["python", "-m", "flowersweep"]:
            check_own(words[3:])
        elif words[:1] == ["make"]:
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        elif words[0] == "python" and words[1].startswith("examples/"):
            check_example(words[1], words[2:])
        elif words[0] == "python" and words[1].startswith("benchmarks/"):
            assert (ROOT / words[1]).is_file()
            programs = "".join(one.read_text(encoding="utf-8") for one in (ROOT / "benchmarks").glob("*.py"))
            assert all(f'"{word}"' in programs for word in words if word.startswith("--"))
        elif words[:2] == ["python", "-c"]:
            compile(words[2], line, "exec")
        else:
            assert any(text.startswith(other) for other in OTHER_PROGRAMS), f"not known how to check {text!r}"


def check_example(program: str, words: list[str]) -> None:
    """Compose a run or a sweep of an example, whose configuration has its name."""
    path = ROOT / program
    given = [word for word in words if word != "--multirun"]
    mode = RunMode.RUN if given == words else RunMode.MULTIRUN
    with initialize_config_dir(str(path.parent / "conf")):
        GlobalHydra.instance().config_loader().load_configuration(path.stem, given, run_mode=mode)
    assert path.is_file()


def check_own(words: list[str]) -> None:
    """Check a command of this program: parse its arguments, run it if that is quick, or compose a run or a sweep."""
    name = words[0] if words and words[0] in COMMANDS else None
    flags = [word for word in words if word.startswith("-") and word != "-"]
    overrides = [word for word in words[name is not None :] if word not in flags]
    if name in {"cache", "completion", "help"} or "--help" in flags:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            assert cli.main(words) == 0
        assert output.getvalue()
    elif name is not None and name not in WITH_OVERRIDES:
        command: Command = import_module(module_of(name)).COMMAND
        command.parse(words[1:])
    else:
        assert {word.partition("=")[0] for word in flags} <= {"--multirun", "--cfg", "--fix", "--json"}
        compose(tuple(overrides), multirun="--multirun" in flags)


@functools.cache
def compose(given: tuple[str, ...], *, multirun: bool) -> None:
    """Compose and check a run; of a sweep its space, the names of all choices, and one trial."""
    overrides = [config.texts_quoted(word) for word in given if not _needs_plugin(word)]
    if not multirun:
        with composing():
            composed(overrides)
        return
    config.prepare()
    with composing(), initialize_config_dir(str(config.conf_dir())):
        loader = GlobalHydra.instance().config_loader()
        _, *typed = left_to_trials(["--multirun", *overrides])
        cfg = loader.load_configuration("config", typed, run_mode=RunMode.MULTIRUN)
        if not str(cfg.hydra.sweeper.get("_target_")).endswith("StudySweeper"):
            return
        arguments = [
            one.input_line or "" for one in read_arguments(overrides, loader) if not one.is_hydra_override()
        ]
        settings = sweep_settings(cfg)
        space = build_space(arguments, settings.params, settings.conditions, config_loader=loader)
        make_plan(settings, space)
        for key, dimension in space.dimensions.items():
            names = loader.get_group_options(key) if isinstance(dimension, CategoricalDistribution) else []
            if "." not in key and names and isinstance(dimension, CategoricalDistribution):
                assert set(dimension.choices) <= set(names)
        trial = loader.load_sweep_config(cfg, space.overrides(next(probes(space))))
    with open_dict(trial):
        del trial["hydra"]
    config.settings(trial)


def _needs_plugin(word: str) -> bool:
    """Whether an override is about a launcher whose package may not be installed; a preset that it names is there."""
    name = word.removeprefix("cluster=")
    assert name == word or (ROOT / "conf/cluster" / f"{name}.yaml").is_file()
    return name != word or word.startswith("hydra.launcher.")


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.slow) if page in MANY else page for page in PAGES]
)
def test_commands_in_blocks(page: str) -> None:
    """Every command of every block is valid."""
    for block, line in SHELL:
        if block.page == page and not _fails_on_purpose(block):
            try:
                check(line)
            except Exception as error:
                raise AssertionError(f"{page}, line {block.line}: {line}") from error


@pytest.mark.parametrize("page", [page for page in PAGES if inline_commands(page)])
def test_commands_between_backticks(page: str) -> None:
    """Every command that a sentence mentions is valid."""
    for line in inline_commands(page):
        try:
            check(line)
        except Exception as error:
            raise AssertionError(f"{page}: {line}") from error


def _fails_on_purpose(block: Block) -> bool:
    return block.first.startswith("$ ") and "\nflowersweep: " in block.text and block.text.count("\n") == 2


@pytest.mark.parametrize(
    "block", [block for page in PAGES for block in blocks(page) if _fails_on_purpose(block)]
)
def test_bad_input_says_what_is_printed(
    block: Block, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that is shown with its error message has this message; dots stand for what was left out."""
    command, said = block.text.splitlines()
    monkeypatch.setattr(sys, "argv", ["flowersweep", *shlex.split(command)[4:]])
    assert cli.main() == 2
    pattern = ".*".join(map(re.escape, said.split("...")))
    assert re.fullmatch(pattern, capsys.readouterr().err.strip())


def test_a_preset_in_a_page(tmp_path: Path) -> None:
    """Settings of a sweep as they stand in a file are a preset."""
    (text,) = (block.text for page in PAGES for block in blocks(page) if block.text.startswith("hydra:"))
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "mine.yaml").write_text(f"# @package _global_\n{text}", encoding="utf-8")
    config.prepare()
    with composing(), initialize_config_dir(str(config.conf_dir())):
        loader = GlobalHydra.instance().config_loader()
        overrides = [f"hydra.searchpath=[file://{tmp_path}]", "search=mine"]
        found = loader.load_configuration("config", overrides, run_mode=RunMode.MULTIRUN)
    assert found.hydra.sweeper.params["optimizer.momentum"] == "interval(0.0,0.99)"


def test_the_file_of_an_augmentation_in_a_decision() -> None:
    """A file that a decision shows is the one in conf/."""
    (block,) = blocks("docs/decisions/0011-augmentation-defaults.md")
    assert block.text.strip() == (ROOT / "conf/aug/RandomBrightness.yaml").read_text(encoding="utf-8").strip()


def test_nothing_is_left_out_without_need() -> None:
    """Every exception is used, and there is one of the pages has none."""
    starts = {(page, block.first) for page in pages() for block in blocks(page)}
    assert all(
        any(page == where and first.startswith(start) for page, first in starts)
        for where, start in NO_COMMANDS
    )
    typed = [" ".join(words) for _, line in SHELL for words in parts(line)]
    assert [other for other in OTHER_PROGRAMS if not any(text.startswith(other) for text in typed)] == []
    assert len(SHELL) > 80


@pytest.mark.parametrize(
    "line",
    [
        "python -m flowersweep aug=RandomFlp",
        "python -m flowersweep --multirun aug=none,RandomFlp",
        "python -m flowersweep report stduy=x",
        "python -m flowersweep help trainr",
        "python -m flowersweep --wrong",
        "make nothing",
        "python benchmarks/epochs.py --wrong",
        "python examples/digits.py unit=3",
        "python examples/digit.py",
        "ls",
    ],
)
def test_what_is_wrong_is_found(line: str) -> None:
    """Each kind of check can fail."""
    with (
        contextlib.redirect_stderr(io.StringIO()),
        pytest.raises((AssertionError, ConfigError, HydraException)),
    ):
        check(line)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", PYTHON])
def test_python(page: str) -> None:
    """It is valid, uses public names, and what it trains and searches is."""
    texts = [block.text for block in blocks(page) if block.language == "python"]
    calls = [node for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    started = 0
    for call in calls:
        if not isinstance(call.func, ast.Attribute) or ast.unparse(call.func.value) != "fs":
            continue
        assert callable(getattr(flowersweep, call.func.attr))
        if call.func.attr in {"train", "sweep"}:
            settings = {
                one.arg: ast.literal_eval(one.value)
                for one in call.keywords
                if one.arg not in {None, "model"}
            }
            words = [*as_words(ast.literal_eval(call.args[0])), *sweeper_words(settings)]
            check_own(words if call.func.attr == "train" else ["--multirun", *words])
            started += 1
    assert started >= 2


@pytest.mark.slow
def test_the_augmentation_of_the_how_to(tmp_path: Path) -> None:
    """Its steps, word for word in a copy of the sources, add an augmentation that its commands can use."""
    module, imported, entry, preset, typed = blocks(OWN_TEST)
    for folder in ("src", "conf"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "src/flowersweep/augment/warmth.py").write_text(module.text, encoding="utf-8")
    (tmp_path / "conf/aug/RandomWarmth.yaml").write_text(preset.text, encoding="utf-8")
    layers = tmp_path / "src/flowersweep/augment/layers.py"
    before, line, after = layers.read_text(encoding="utf-8").partition("from flowersweep.errors import")
    after, brace, rest = after.partition("\n}\n")
    layers.write_text(
        f"{before}{imported.text}{line}{after}\n{entry.text.rstrip()}{brace}{rest}", encoding="utf-8"
    )
    overrides = [parts(one)[0][3:] for one in commands(typed.text)]
    program = f"""
        import numpy as np
        from flowersweep.augment import build
        from flowersweep.doctor.configured import composed
        for overrides in {overrides!r}:
            print(composed(overrides).config.aug)
        warm = build("RandomWarmth").parameters(np.array([[1.0], [0.5]]))["scale"]
        np.testing.assert_allclose(warm, [[1.2, 1.0, 0.8], [1, 1, 1]], rtol=1e-6)
        from flowersweep.cli import main
        main(["help", "aug=RandomWarmth"])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    single, stack, *explained = done.stdout.splitlines()
    assert single == "RandomWarmth(name='RandomWarmth', seed=0, cycle=None, factor=0.1)"
    assert "RandomWarmth" in stack
    assert "  aug=RandomWarmth" in explained
    assert "      Warmer or colder light." in explained
    assert "      Largest relative change of a channel." in explained


@pytest.fixture
def own_files(tmp_path: Path, modules: Modules) -> list[Block]:
    """The files of the how-to about own code in the current folder, which has a folder `aug` of configurations."""
    warmth, networks, *others, preset, _ = found = blocks(OWN_CODE)
    for name, block in (("warmth", warmth), ("networks", networks)):
        modules.add(name, block.text, allow=False).rename(tmp_path / f"{name}.py")
    (tmp_path / "aug").mkdir()
    (tmp_path / "aug/RandomWarmth.yaml").write_text(preset.text, encoding="utf-8")
    assert len(others) == 3
    return found


def _allow(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    variable, _, value = block.first.removeprefix("export ").partition("=")
    monkeypatch.setenv(variable, value)


@pytest.mark.slow
def test_the_commands_with_own_code(
    tmp_path: Path, own_files: list[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are refused until the files are allowed as the page says; the file of one's own gives a short name."""
    *_, typed, in_a_stack, sweep, _, package = own_files
    _, *lines = commands(typed.text)
    for line in lines:
        with pytest.raises(ConfigError, match="does not allow to run"):
            check(line)
    _allow(typed, monkeypatch)
    for line in (*lines, *commands(in_a_stack.text), *commands(sweep.text)):
        check(line)
    check(f"python -m flowersweep 'hydra.searchpath=[file://{tmp_path}]' data=demo aug=RandomWarmth")
    offered = tomllib.loads(package.text)["project"]["entry-points"]
    assert list(offered) == [code.AUGMENTATIONS, code.MODELS, code.CALLBACKS]


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_a_sweep_with_own_code(
    tmp_path: Path, own_files: list[Block], monkeypatch: pytest.MonkeyPatch, drawn: Path, cache: Path
) -> None:
    """That of the how-to, with smaller pictures, trains in a process of its own, and records whose code it ran."""
    *_, typed, _, sweep, _, _ = own_files
    _allow(typed, monkeypatch)
    (words,) = parts(next(commands(sweep.text)))
    words.remove("data=demo")
    places = ["data=folder", f"data.dir={drawn}", f"paths.cache={cache}", "tracking.dir=results"]
    done = subprocess.run([sys.executable, *words[1:], *places], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    service = client(f"sqlite:///{tmp_path}/results/mlflow.db")
    experiments = [one.experiment_id for one in service.search_experiments()]
    trials = service.search_runs(experiments, "tags.kind = 'trial'")
    assert {run.data.params["model.arguments.width"] for run in trials} == {"4", "8"}
    assert len({run.data.tags["code.warmth.RandomWarmth"] for run in trials}) == 1
