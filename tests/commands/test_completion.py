"""The TAB key: what is offered, through a real bash, and how fast."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowersweep.commands import COMMANDS
from flowersweep.commands.completion import WITH_ARGUMENTS, WITH_OVERRIDES, candidates

BIN = Path(sys.executable).parent

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


class TestCandidates:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("flowersweep aug=RandomF", ["aug=RandomFlip ", "aug=RandomFlip_prob "]),
            ("flowersweep aug=RandA", ["aug=RandAugment "]),
            (
                "python -m flowersweep model=",
                [
                    "model=backbone ",
                    "model=cnn ",
                    "model=mobilenet_frozen ",
                    "model=mobilenet_ft ",
                    "model=own ",
                ],
            ),
            ("python3.11 -m flowersweep optimizer.lea", ["optimizer.learning_rate="]),
            ("env/bin/python -m flowersweep mod", ["model.", "model="]),
            ("flowersweep model=mobilenet_ft model.fi", ["model.fine_tune_at="]),
            ("flowersweep model=cnn model.fi", ["model.filters."]),
            ("flowersweep search=", ["search=aug_finetune ", "search=cnn ", "search=optimizer "]),
            ("flowersweep hydra/sweeper/pruner=h", ["hydra/sweeper/pruner=hyperband "]),
            ("flowersweep hydra.sweeper.n_t", ["hydra.sweeper.n_trials="]),
            ("flowersweep --mul", ["--multirun "]),
            ("python -m flowersweep doctor --j", ["--json "]),
        ],
    )
    def test_groups_choices_and_keys(self, line: str, expected: list[str]) -> None:
        """A choice ends with a space, a key goes on; the keys are those of the groups chosen before."""
        assert candidates(line) == expected

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            (
                "flowersweep trainer.precision=",
                ["trainer.precision=auto ", "trainer.precision=bfloat16 ", "trainer.precision=float32 "],
            ),
            ("flowersweep tracking.log_model=t", ["tracking.log_model=true "]),
            ("flowersweep model=backbone model.backbone=Dense", ["model.backbone=DenseNet121 ", "model.backbone=DenseNet169 "]),
            ("flowersweep hydra.sweeper.on_mismatch=", ["hydra.sweeper.on_mismatch=error ", "hydra.sweeper.on_mismatch=new "]),
            ("flowersweep trainer.batch_size=", ["trainer.batch_size=128 "]),
        ],
    )  # fmt: skip
    def test_values(self, line: str, expected: list[str]) -> None:
        """All legal ones where there are few, else the one that it has."""
        assert candidates(line) == expected

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("flowersweep -m aug=none,RandomF", ["aug=none,RandomFlip", "aug=none,RandomFlip_prob"]),
            ("flowersweep --multirun aug=RandomFlip,RandomFl", ["aug=RandomFlip,RandomFlip_prob"]),
            ("flowersweep -m optimizer=ada", ["optimizer=adam", "optimizer=adamw"]),
            ("flowersweep -m model=cnn,mobilenet_ft model.fi", ["model.fine_tune_at="]),
            ("flowersweep -m 'model.dropout=interval(0, 0.5)' aug=AugM", ["aug=AugMix"]),
            (
                "flowersweep -m 'optimizer.learning_rate=tag(log,interval(1e-4,1e-1))' trainer.ep",
                ["trainer.epochs="],
            ),
        ],
    )
    def test_sweeps(self, line: str, expected: list[str]) -> None:
        """Lists go on after a comma, without what is in them already; searched values before do no harm."""
        assert candidates(line) == expected

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("python -m flowers", ["flowersweep "]),
            ("python -m flowersweep rep", ["report "]),
            ("flowersweep e", ["ensemble ", "evaluate ", "experiment=", "export "]),
            ("flowersweep aug=none rep", []),
            ("python -m flowersweep doctor aug=AugM", ["aug=AugMix "]),
            ("python -m flowersweep report st", ["study="]),
            ("python -m flowersweep export format=s", ["format=saved_model "]),
            ("python -m flowersweep cache ", []),
        ],
    )
    def test_the_other_commands(self, line: str, expected: list[str]) -> None:
        """Their names, their arguments, their choices."""
        assert candidates(line) == expected

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "line",
        [
            "",
            "flowersweep",
            "flowersweep 'aug=no",
            "flowersweep data.dir=/",
            "flowersweep aug=Nope optimizer=x aug=Zzz",
            "flowersweep nope.",
            "flowersweep aug=[",
            "flowersweep ${ x=",
            "python -m json.tool ",
        ],
    )
    def test_what_cannot_be_completed_offers_nothing(self, line: str) -> None:
        """Open quotes, paths (they are the shell's), what does not compose: no error, no noise."""
        assert candidates(line) == []

    def test_help_offers_what_it_explains(self) -> None:
        """Groups and the settings of sweeps."""
        assert candidates("flowersweep help s") == ["sampler ", "schedule ", "search ", "seed ", "sweeper "]

    def test_every_command_is_known(self) -> None:
        """Those that complete something are commands; the cache's arguments and the shell's own part need not be."""
        assert {*WITH_OVERRIDES, *WITH_ARGUMENTS} == set(COMMANDS) - {"cache", "completion"}


def _seconds_of_children() -> float:
    """Processor time of the processes that ended; unlike time on the wall it is not that of others."""
    used = os.times()
    return used.children_user + used.children_system


@pytest.mark.slow
def test_an_answer_imports_nothing_heavy() -> None:
    """Neither TensorFlow, Keras, MLflow, Optuna nor Matplotlib; the answer takes less than two seconds of a processor."""
    code = (
        "import sys; from flowersweep.commands.completion import candidates\n"
        "print(candidates('flowersweep aug=RandA'))\n"
        "print(sorted({'tensorflow', 'keras', 'mlflow', 'optuna', 'matplotlib'} & set(sys.modules)))"
    )
    before = _seconds_of_children()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert _seconds_of_children() - before < 2
    assert done.stdout.splitlines() == ["['aug=RandAugment ']", "[]"]


@needs_bash
@pytest.mark.slow
class TestInBash:
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["flowersweep", "aug=RandA"], ["RandAugment "]),
            (["python", "-m", "flowersweep", "optimizer.lea"], ["optimizer.learning_rate="]),
            (["python", "-m", "flowersweep", "expo"], ["export "]),
            (["python", "script.py"], ["before"]),
        ],
    )
    def test_its_function_fills_the_reply(self, words: list[str], expected: list[str]) -> None:
        """As bash wants it: what follows the =; other uses of Python are completed as before."""
        quoted = " ".join(f"'{word}'" for word in words)
        line = " ".join(words)
        script = f"""
        before() {{ COMPREPLY=(before); }}
        complete -F before python
        eval "$(python -m flowersweep completion)"
        COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; COMP_POINT={len(line)}
        [[ $(complete -p {words[0]}) =~ -F\\ ([^ ]+) ]] && "${{BASH_REMATCH[1]}}"
        printf '[%s]\\n' "${{COMPREPLY[@]}}"
        """
        done = subprocess.run(
            [str(shutil.which("bash")), "--norc", "-c", script],
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )

        assert done.stdout.splitlines() == [f"[{one}]" for one in expected]
        assert done.stderr == ""

    @pytest.mark.parametrize(
        ("typed", "completed"),
        [
            ("flowersweep aug=RandA", "flowersweep aug=RandAugment "),
            ("python -m flowersweep optimizer.lea", "python -m flowersweep optimizer.learning_rate="),
            ("flowersweep -m aug=none,RandomShe", "flowersweep -m aug=none,RandomShear"),
        ],
    )
    def test_the_tab_key_completes_what_is_typed(self, typed: str, completed: str) -> None:
        """A bash in a terminal of its own, keys and all."""
        with _terminal() as terminal:
            os.write(terminal, b'eval "$(python -m flowersweep completion)"; echo rea""dy\n')
            _wait_for(terminal, "ready\r\n")
            os.write(terminal, f"{typed}\t".encode())
            _wait_for(terminal, completed)


@contextmanager
def _terminal() -> Iterator[int]:
    """The master side of a terminal in which bash waits for commands."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "TERM": "dumb", "COLUMNS": "200"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)  # noqa: S606, S607 - bash from the PATH, with no shell around it
    try:
        yield terminal
    finally:
        os.write(terminal, b"\x15exit\n")
        os.waitpid(pid, 0)
        os.close(terminal)


def _wait_for(terminal: int, text: str, seconds: float = 120) -> None:
    """Read until a text has appeared; fail with what came instead."""
    seen, end = "", time.monotonic() + seconds
    while text not in seen:
        if not select.select([terminal], [], [], max(0.0, end - time.monotonic()))[0]:
            pytest.fail(f"{text!r} did not appear, but {seen!r}")
        seen += os.read(terminal, 4096).decode(errors="replace")
