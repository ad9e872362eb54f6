"""Tests of the program's main module in training processes, with a program that was started as `python train.py`."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import ConfigAttributeError

from flowersweep.errors import SweepError
from flowersweep.own.main_module import InMain, MainModule
from flowersweep.sweep.run import run_study
from flowersweep.sweep.study.outcome import Outcome
from flowersweep.sweep.workers.messages import Application, Job
from flowersweep.sweep.workers.training_process import TrainingProcess

PROGRAM = """
import enum, functools, multiprocessing, pickle, sys
from dataclasses import dataclass
from pathlib import Path

import hydra

with Path("imported").open("a") as file:
    file.write("once\\n")


class Colour(enum.Enum):
    RED = 1


@dataclass
class Net:
    width: int = 2
    colour: Colour = Colour.RED


def square(x):
    return x * x


def timed(function):
    @functools.wraps(function)
    def inner(cfg):
        return function(cfg)
    return inner


@hydra.main(config_path=None)
@timed
def main(cfg):
    assert isinstance(pickle.loads(pickle.dumps(Net())), Net)
    assert cfg.net.colour is Colour.RED
    assert sys.argv == ["train.py", "--multirun"]
    assert sys.modules["__main__"].__file__ == __file__
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return float(sum(pool.map(square, [cfg.net.width])))


"""
GUARD = 'if __name__ == "__main__":\n    class Late:\n        pass\n    main()\n'


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Make a program the main module of this process, without its start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "--multirun"])

    def start(end: str) -> ModuleType:
        file = tmp_path / "train.py"
        file.write_text(PROGRAM + end, encoding="utf-8")
        module = ModuleType("__main__")
        vars(module).update(__file__=str(file), __spec__=None, __package__=None, Late=None)
        monkeypatch.setitem(sys.modules, "__main__", module)
        exec(compile(PROGRAM, str(file), "exec", dont_inherit=True), vars(module))  # noqa: S102 - as Python starts it
        return module

    return start


def _trial(stub: Any, function: Any, main: MainModule | None, net: Any) -> Outcome | None:
    context, compose = stub.context()
    process = TrainingProcess(Application.here(function, context, main=main))
    config = compose(0, [])
    with open_dict(config):
        config.net = OmegaConf.structured(net)
    try:
        relay: Any = SimpleNamespace(must_stop=lambda: False)
        return process.run(Job(config, 0, "s", {}), relay)
    finally:
        process.close()


@pytest.mark.slow
@pytest.mark.parametrize("end", [GUARD, "main()\n", "sys.exit(main())\n"])
def test_a_trial_finds_what_the_program_defines(
    stub: Any, started: Callable[[str], ModuleType], end: str
) -> None:
    """Structured configurations, pickles and pools of processes work as in the program itself, which is not started again."""
    module = started(end)
    function = module.main.__wrapped__
    main, named = MainModule.of(function), InMain.of(function)

    assert main is not None
    assert named == InMain("main", 1)
    outcome = _trial(stub, named, main, module.Net(width=3))
    assert outcome is not None
    assert outcome.values == (9.0,), outcome.traceback
    assert Path("imported").read_text(encoding="utf-8") == "once\n" * 2


@pytest.mark.slow
def test_a_program_with_another_start_is_not_run_again(
    stub: Any, started: Callable[[str], ModuleType]
) -> None:
    """What is needed of it is sent by value, also the classes of its configuration."""
    module = started("from fire import Fire\nFire(main)\n")
    function = module.main.__wrapped__.__wrapped__
    assert MainModule.of(function) is None
    body = {**vars(module), "main": None}
    exec("def by_value(cfg):\n    return float(isinstance(cfg.net.colour, Colour))\n", body)  # noqa: S102 - a function of it

    outcome = _trial(stub, body["by_value"], None, module.Net())
    assert outcome is not None
    assert outcome.values == (1.0,), outcome.traceback


def test_functions_of_modules_and_notebooks_need_no_main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module is imported by its name, and a notebook has no file that could be run."""
    assert MainModule.of(_trial) is None
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    exec("def main(cfg): return 1", vars(sys.modules["__main__"]))  # noqa: S102 - as a notebook does
    assert MainModule.of(sys.modules["__main__"].main) is None
    assert InMain.of(_trial) is None


def test_classes_that_only_a_start_defines_have_no_name(started: Callable[[str], ModuleType]) -> None:
    """They, and those made inside a function, are sent by value."""
    module = started(GUARD)
    module.Late = type("Late", (), {"__module__": "__main__"})  # type: ignore[attr-defined] # a program's
    main = MainModule.of(module.main.__wrapped__)

    assert main is not None
    assert main.classes == {"Colour", "Net"}
    assert pickle.loads(pickle.dumps(main)) == main  # noqa: S301 - its own


def test_a_program_that_cannot_be_imported_again_says_why(
    stub: Any, started: Callable[[str], ModuleType]
) -> None:
    """A module that fails in the training process ends the sweep with its reason."""
    module = started("open('away')\n" + GUARD)
    function = module.main.__wrapped__
    with pytest.raises(SweepError, match=r"cannot load the program: FileNotFoundError: .* 'away'"):
        _trial(stub, InMain.of(function), MainModule.of(function), module.Net())


def _sweep(function: Any) -> None:
    context: Any = None
    run_study(
        [], config=OmegaConf.create(flags={"struct": True}), hydra_context=context, task_function=function
    )


class Run:
    """A program as Python starts it, and then as a training process runs it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._file, self._patch = folder / "program.py", monkeypatch
        self.main: MainModule | None = None

    def _fresh(self, **names: Any) -> dict[str, Any]:
        module = ModuleType("__main__")
        vars(module).update(__file__=str(self._file), __spec__=None, __package__=None, done=[], **names)
        self._patch.setitem(sys.modules, "__main__", module)
        return vars(module)

    def started(self, source: str) -> dict[str, Any]:
        """What it has defined in the training process; nothing if it is not run there."""
        self._file.write_text(source, encoding="utf-8")
        names = self._fresh(
            is_training=False, sweep=lambda function: setattr(self, "main", MainModule.of(function))
        )
        exec(compile(source, str(self._file), "exec", dont_inherit=True), names)  # noqa: S102 - as Python starts it
        if self.main is None:
            return {}
        names = self._fresh(is_training=True, sweep=_sweep)
        self.main.run()
        return names


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs programs in this process."""
    monkeypatch.setattr(sys, "argv", ["program.py"])
    return Run(tmp_path, monkeypatch)


MAIN = "def main():\n    sweep(main)\n"


@pytest.mark.parametrize("character", ["\f", "\v", "\x1c", "\x85", "\u2028"])
def test_characters_that_look_like_line_ends_do_not_start_the_program(program: Run, character: str) -> None:
    """Only a newline ends a line for Python."""
    names = program.started(f"# {character}\n{MAIN}x = 5\nmain()\n")
    assert names["x"] == 5


@pytest.mark.parametrize(
    "start",
    [
        "x = 5; main()\ndone.append(1)\n",
        "x = 5; main(); done.append(1)\n",
        "x = 5\nif True:\n    main()\n    done.append(1)\ndone.append(2)\n",
        "x = 5\n(lambda function: function())(main)\ndone.append(1)\n",
    ],
)
def test_the_program_stops_in_a_training_process_where_it_starts_the_sweep(program: Run, start: str) -> None:
    """What was executed before is there; what follows runs after the sweep only."""
    names = program.started(MAIN + start)
    assert names["x"] == 5
    assert names["done"] == []


@pytest.mark.parametrize(
    ("source", "is_run"),
    [
        ("def main():\n    sweep(main), SEED\nif __name__ == '__main__':\n    SEED = 1\n    main()\n", False),
        ("if __name__ == '__main__':\n    import os\nfolder = os.curdir\n" + MAIN + "main()\n", False),
        ("if __name__ == '__main__':\n    def main():\n        sweep(main)\n    main()\n", False),
        (
            "def main():\n    seed = 1\n    sweep(main), seed\nif __name__ == '__main__':\n    seed = main()\n",
            True,
        ),
    ],
)
def test_a_program_that_needs_what_its_start_sets_is_not_run_again(
    program: Run, source: str, *, is_run: bool
) -> None:
    """Its function is sent by value, together with what it uses; a local variable of the same name is no such use."""
    assert bool(program.started(source)) == is_run


@pytest.mark.parametrize("again", ["first()", "if is_training: sys.exit(2)"])
def test_a_start_that_is_not_recognized_is_refused_in_a_training_process(program: Run, again: str) -> None:
    """Otherwise each training process would start the sweep again, and those their own ones."""
    source = f"import sys\ndef first():\n    sweep(first)\n{MAIN}{again}\nmain()\n"
    with pytest.raises(SweepError, match=r"starts the sweep again.* start the program under `if __name__"):
        program.started(source)
    with pytest.raises(ConfigAttributeError):  # the process itself may start others
        _sweep(None)
