"""The command line as a person meets it: exit codes, sentences, and what does not happen."""

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from broken_pipes import unread
from flowersweep import cli
from flowersweep.commands import COMMANDS
from flowersweep.errors import EXIT_BAD_INPUT
from flowersweep.tracking.lookup import run_overrides
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.patience import patience
from flowersweep.tracking.store.store import prepare_store

Outcome = tuple[int, str]
Run = Callable[..., Outcome]

# What is typed, and what the one sentence about it must say.
BAD_INPUT = {
    "unknown choice": (["aug=RandomFlp"], "Did you mean RandomFlip?"),
    "a backbone for a preset": (["model=resnet50"], "Did you mean model=backbone model.name=ResNet50V2?"),
    "a backbone in capitals": (["model=MOBILENETV2"], "Did you mean model=backbone model.name=MobileNetV2?"),
    "a backbone in another spelling": (
        ["model=backbone", "model.name=efficientnet-v2-b0"],
        "Did you mean EfficientNetV2B0?",
    ),
    "the beginning of a preset": (["model=mobilenet"], "Did you mean mobilenet_frozen?"),
    "a key like no other": (
        ["trainer.workers=2"],
        "'trainer.workers' in this configuration. trainer has epochs,",
    ),
    "a key of another group": (["trainer.dropout=0.2"], "Another group has it: model.dropout."),
    "unknown key": (["trainer.epcohs=3"], "Did you mean trainer.epochs?"),
    "unknown group": (["mdoel=cnn"], "Did you mean model?"),
    "unknown added key": (["+foo=1"], "There is no key 'foo'"),
    "unknown added nested key": (["+trainer.epoch=1"], "Did you mean epochs?"),
    "key of another choice": (["optimizer.momentum=0.3"], "belongs to optimizer=sgd or rmsprop"),
    "word for a number": (["trainer.epochs=abc"], "must be an integer, but is 'abc'"),
    "fraction for an integer": (["trainer.batch_size=1.5"], "must be an integer, but is '1.5'"),
    "null for a number": (["trainer.epochs=null"], "must be an integer, but is 'null'"),
    "nothing for a number": (["trainer.epochs="], "must be an integer, but is ''"),
    "word for a switch": (["trainer.deterministic=maybe"], "must be true or false, but is 'maybe'"),
    "word for a number or null": (["trainer.patience=x"], "must be an integer or null, but is 'x'"),
    "number for a list": (["model.filters=3"], "must be a list, each an integer, but is '3'"),
    "no epochs": (["trainer.epochs=0"], "must be at least 1 and at most 100000, but is 0"),
    "no learning rate": (["optimizer.learning_rate=0"], "must be more than 0 and at most 10, but is 0.0"),
    "nan": (["optimizer.learning_rate=nan"], "must be more than 0 and at most 10, but is nan"),
    "dropout of one": (["model.dropout=1"], "must be at least 0 and less than 1, but is 1.0"),
    "empty list": (["model.filters=[]"], "must contain at least one value"),
    "negative filters": (["model.filters=[32,-1]"], "must be at least 1, but is -1"),
    "unknown monitor": (["trainer.monitor=val_acc"], "Did you mean val_accuracy?"),
    "empty text": (["data.dir=''"], "data.dir must be a non-empty string"),
    "required folder": (["data=folder"], "data.dir=VALUE"),
    "too many blocks": (["model.filters=[8,8,8,8,8,8,8]"], "have room for 5"),
    "parts that leave nothing": (
        ["data.validation_split=0.7", "data.test_split=0.4"],
        "nothing would be left to train on",
    ),
    "warm-up longer than training": (
        ["schedule=cosine", "schedule.warmup_epochs=5", "trainer.epochs=3"],
        "shorten the warm-up or train longer",
    ),
    "bad reference": (["optimizer.learning_rate=${nokey}"], "'nokey' not found"),
    "a key that is taken out": (["~seed"], "seed has no value; give it one on the command line: seed=VALUE."),
    "a key of a group that is taken out": (
        ["~data.dir"],
        "data.dir cannot be removed from the configuration",
    ),
    "no such file": (["--config-name", "nope"], "There is no configuration file nope.yaml"),
    "not an override": (["trainer"], "write key=value"),
    "bracket left open": (["aug=[none"], "write key=value"),
    "letters that need quotes": (["data.dir=grün"], "type: \"data.dir='grün'\""),
    "a hash": (["data.dir=a#b"], "type: \"data.dir='a#b'\""),
    "brackets in a text": (["data.dir=a (1)"], "type: \"data.dir='a (1)'\""),
    "a tab": (["trainer.epochs=\t[3"], "remove the character U+0009"),
    "a list in quotes": (["model.filters='[8,16]'"], "remove the quotes around [8,16]"),
    "augmentations in quotes": (
        ["aug=stack", "aug.layers='[RandomFlip]'"],
        "remove the quotes around [RandomFlip]",
    ),
    "no key": (["=3"], "The choice of a group must be a name"),
    "a number for a group": (["trainer=5"], "The choice of a group must be a name"),
    "unknown function": (["seed=nofunc(1)"], "Unknown function 'nofunc'"),
    "unknown objective": (["objective.metric=accuracy"], "best/val_accuracy"),
    "a sweep without its flag": (["aug=none,RandomFlip"], "--multirun"),
    "unknown augmentation in a stack": (
        ["aug=stack", "aug.layers=[RandomFlp]"],
        "Did you mean RandomFlip?",
    ),
    "two modes at once": (["--cfg", "job", "--run"], "can be specified"),
    "no such folder": (["data=folder", "data.dir=/no/such/folder"], "/no/such/folder"),
    "tracking in plain files": (["data=demo", "tracking.uri=./runs"], "tracking.uri"),
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command line in this process, from an empty folder; give exit code and standard error."""

    def type_in(*arguments: str) -> Outcome:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        # Configuring logging closes the handlers of whatever else this process has imported.
        quiet = ["hydra/job_logging=none", "hydra/hydra_logging=none"]
        results = [f"tracking.dir={tmp_path}/results", f"paths.cache={tmp_path}/cache", *quiet]
        flags = arguments if arguments[0].startswith("--") else (*arguments, *results)
        monkeypatch.setattr(sys, "argv", ["flowersweep", *flags])
        code = cli.main()
        assert "HYDRA_FULL_ERROR" not in os.environ  # or the next command would show tracebacks
        return code, capsys.readouterr().err

    return type_in


class TestBadInput:
    @pytest.mark.slow
    @pytest.mark.parametrize("case", BAD_INPUT)
    def test_is_refused_in_a_sentence(self, run: Run, tmp_path: Path, case: str) -> None:
        """Bad input ends with code 2 and one line that says what is allowed, and leaves no file behind."""
        arguments, expected = BAD_INPUT[case]

        code, said = run(*arguments)

        assert code == EXIT_BAD_INPUT
        assert expected in said
        assert said.count("\n") == 1
        assert said.startswith("flowersweep: ")
        assert not (tmp_path / "results").exists()

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
    @pytest.mark.parametrize(("name", "shown"), [(b"caf\xe9", r"caf\xe9"), (b"a\nb", r"a\nb")])
    def test_an_argument_that_is_no_line_of_text(self, run: Run, name: bytes, shown: str) -> None:
        """It could be written into no table."""
        code, said = run("data=demo", os.fsdecode(b"data.dir=" + name))
        assert code == EXIT_BAD_INPUT
        assert (
            said
            == f"flowersweep: The argument data.dir={shown} is not one line of UTF-8; rename what it names.\n"
        )

    def test_a_text_that_looks_like_a_number_is_a_text(self, run: Run, tmp_path: Path) -> None:
        """The folder 1e5 is looked for, not 100000.0."""
        code, said = run("data=folder", "data.dir=1e5")
        assert code == EXIT_BAD_INPUT
        assert f"The picture folder {tmp_path}/1e5 does not exist" in said

    def test_all_problems_are_named_at_once(self, run: Run) -> None:
        """Two values out of range are both named, each in a line of its own."""
        code, said = run("trainer.epochs=0", "trainer.batch_size=0")

        assert code == EXIT_BAD_INPUT
        assert [line.split()[1] for line in said.splitlines()] == ["trainer.epochs", "trainer.batch_size"]


def in_a_new_process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m flowersweep` as a person would."""
    environment = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    return subprocess.run(
        [sys.executable, "-m", "flowersweep", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


class TestLookingWithoutRunning:
    @pytest.mark.slow
    @pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job"], ["--info", "defaults"]])
    def test_imports_no_tensorflow(self, tmp_path: Path, arguments: list[str]) -> None:
        """Help and inspection answer without importing TensorFlow, Keras or MLflow, and write nothing."""
        code = (
            "import sys; from flowersweep.cli import main\n"
            "try: main()\n"
            "finally: print(sorted({'tensorflow', 'keras', 'mlflow', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

        assert done.returncode == 0
        assert done.stderr.splitlines()[-1] == "[]"
        assert "trainer" in done.stdout
        assert list(tmp_path.iterdir()) == []

    def test_help_lists_every_group(self, tmp_path: Path) -> None:
        """--help names the choices of each group and an example to copy."""
        done = in_a_new_process("--help", cwd=tmp_path)

        assert "adam*, adamw, rmsprop, sgd" in done.stdout
        assert "python -m flowersweep model=cnn aug=RandomFlip" in done.stdout

    @pytest.mark.slow
    def test_the_command_that_trains_it_again_names_ones_own_files(
        self, run: Run, tmp_path: Path, drawn: Path
    ) -> None:
        """What is recorded of a run is all that it takes to train it again."""
        (tmp_path / "mine.yaml").write_text(
            "defaults: [config, _self_]\ntrainer: {epochs: 1}\n", encoding="utf-8"
        )

        small = ("trainer.image_size=16", "model.filters=[4]", "tracking.log_model=false")
        where = ("--config-dir", str(tmp_path), "--config-name", "mine")
        code, said = run("data=folder", f"data.dir={drawn}", *small, *where)

        assert code == 0, said
        store = prepare_store(tmp_path / "results")
        (found,) = client(store.uri).search_runs(["1"])
        typed = run_overrides(store, found.info.run_id)
        assert typed[:3] == [f"--config-dir={tmp_path}", "--config-name=mine", "data=folder"]

    @pytest.mark.slow
    def test_a_store_that_stays_locked_exits_with_2(self, run: Run, tmp_path: Path, drawn: Path) -> None:
        """A run does not begin with a store that it cannot use."""
        database = tmp_path / "results" / "mlflow.db"
        prepare_store(database.parent)
        with closing(sqlite3.connect(database, isolation_level=None)) as other, patience(1):
            other.execute("BEGIN EXCLUSIVE")
            small = ("trainer.image_size=16", "model.filters=[4]")
            code, said = run("data=folder", f"data.dir={drawn}", *small)
        assert code == 2
        assert "mlflow.db is locked by another program (tried for 1 seconds)" in said

    def test_bad_input_exits_with_2(self, tmp_path: Path) -> None:
        """The process's own exit code is 2, and nothing is on standard output."""
        done = in_a_new_process("trainer.epochs=0", cwd=tmp_path)

        assert (done.returncode, done.stdout) == (2, "")


class TestCommands:
    """One program: commands beside training and sweeps."""

    def test_help_lists_them(self) -> None:
        """Each command has its line in --help, with what it is for."""
        command = [sys.executable, "-m", "flowersweep", "--help"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for name, about in COMMANDS.items():
            assert re.search(rf"^ *{name} +{re.escape(about)}$", shown, re.MULTILINE)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_each_has_help_of_its_own(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        """With the command's name in front."""
        with pytest.raises(SystemExit) as ended:
            cli.main([name, "--help"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: flowersweep {name} ")

    def test_help_imports_no_tensorflow(self) -> None:
        """Nor what else takes long to import: that of no command, in a process of its own."""
        code = (
            "import sys; from flowersweep.cli import main\n"
            f"for name in {list(COMMANDS)!r}:\n"
            "    try: main([name, '--help'])\n"
            "    except SystemExit: pass\n"
            "    heavy = {'tensorflow', 'keras', 'mlflow', 'matplotlib'} & set(sys.modules)\n"
            "    print(name, *sorted(heavy), file=sys.stderr)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stderr.splitlines() == list(COMMANDS)


@pytest.mark.parametrize("arguments", [["data=demo"], ["report"], ["--multirun", "aug=none"]])
def test_without_the_packages_for_training(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of an installation for sweeps of other programs, training and reports say in one sentence what to install."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert cli.main(arguments) == EXIT_BAD_INPUT
    assert capsys.readouterr().err == (
        "flowersweep: this needs packages that are not installed (tensorflow, mlflow); install them with "
        "pip install 'flowersweep[keras]'.\n"
    )
    assert cli.main(["--help"]) == 0


@pytest.mark.parametrize(
    ("word", "meant"), [("evalute", "evaluate"), ("promot", "promote"), ("statuss", "status")]
)
def test_a_misspelt_command(word: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Is no override; what was probably meant is named."""
    assert cli.main([word, "run=best"]) == EXIT_BAD_INPUT
    assert (
        capsys.readouterr().err
        == f"flowersweep: There is no command {word!r}; --help lists all. Did you mean {meant}?\n"
    )


def test_without_a_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Is said where MLflow or the folder of the cache need one; a cache with a name can be listed."""

    def nobody(_number: int) -> None:
        raise KeyError

    for name in ("HOME", "XDG_CACHE_HOME", "FLOWERSWEEP_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert [cli.main(one) for one in (["data=demo"], ["inspect", "data=demo"], ["cache"])] == [2, 2, 2]
    said = capsys.readouterr().err.splitlines()
    assert set(said) == {
        "flowersweep: this user has no home folder, in which MLflow, Keras and the cache store files; set HOME to a folder."
    }
    monkeypatch.setenv("FLOWERSWEEP_CACHE", str(tmp_path))
    assert cli.main(["cache"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["cache"],
        ["completion"],
        ["help"],
        ["--help"],
        ["promote", "--help"],
        ["--cfg", "job"],
        ["--hydra-help"],
        ["--info"],
        ["-i", "config"],
        ["seed=1", "--info", "searchpath"],
    ],
)
def test_a_reader_that_leaves(arguments: list[str], tmp_path: Path) -> None:
    """As in `| head`: the command has done its work, and says nothing about it."""
    environment = {**os.environ, "FLOWERSWEEP_CACHE": str(tmp_path)}
    with unread() as stream:
        done = subprocess.run(
            [sys.executable, "-m", "flowersweep", *arguments],
            env=environment,
            stdout=stream,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
def test_closed_standard_output(tmp_path: Path) -> None:
    """As in `>&-`: there is nothing to print on, and nothing fails."""
    command = shlex.join([sys.executable, "-m", "flowersweep", "cache", "--cache", str(tmp_path)])
    done = subprocess.run(["/bin/sh", "-c", f"{command} >&-"], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
def test_messages_without_a_reader_do_not_end_a_training(drawn: Path, cache: Path, tmp_path: Path) -> None:
    """As in `2>&1 | head`: all epochs are trained, and the run is finished."""
    small = ("trainer.image_size=16", "model.filters=[4]", "trainer.epochs=2", "tracking.log_figures=false")
    places = (f"data.dir={drawn}", f"paths.cache={cache}", f"tracking.dir={tmp_path}")
    command = [sys.executable, "-m", "flowersweep", "data=folder", *places, *small]
    with unread() as stream:
        done = subprocess.run(command, cwd=tmp_path, stdout=stream, stderr=stream, check=False)
    (found,) = client(prepare_store(tmp_path).uri).search_runs(["1"])
    assert (done.returncode, found.info.status, found.data.metrics["best/epoch"] >= 1) == (
        0,
        "FINISHED",
        True,
    )
