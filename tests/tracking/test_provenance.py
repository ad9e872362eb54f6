"""Tests of flowersweep.tracking.provenance, on real Git checkouts in temporary folders."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.tracking.provenance import (
    command_line,
    git_state,
    host,
    package_versions,
    program,
    provenance,
)

ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def git(folder: Path, *arguments: str) -> str:
    """Run Git in a folder, as nobody in particular."""
    identity = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def asked(*arguments: str) -> str:
    """What another Python process prints."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=ENV).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one commit."""
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("one", encoding="utf-8")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


class TestGit:
    """The commit a run came from."""

    def test_commit_and_cleanliness_are_told(self, checkout: Path) -> None:
        """A fresh commit is clean; after an edit the same commit is dirty."""
        commit = git(checkout, "rev-parse", "HEAD")
        assert git_state(checkout) == {"commit": commit, "dirty": "false"}
        (checkout / "file").write_text("two", encoding="utf-8")
        assert git_state(checkout) == {"commit": commit, "dirty": "true"}

    def test_an_outer_project_is_not_mistaken_for_ours(self, checkout: Path) -> None:
        """A folder deeper inside somebody's checkout, such as its environment, has no commit of its own."""
        inner = checkout / "site-packages"
        inner.mkdir()
        assert git_state(inner) == {}

    def test_no_checkout_no_commit_and_no_git_are_no_errors(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Outside Git, before the first commit, and without the program, the answer is empty."""
        assert git_state(tmp_path) == {}
        git(tmp_path, "init", "-q")
        assert git_state(tmp_path) == {}
        monkeypatch.setenv("PATH", "")
        assert git_state(tmp_path) == {}

    def test_a_surrounding_hook_does_not_lead_elsewhere(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """GIT_DIR, which Git sets inside hooks, is ignored."""
        monkeypatch.setenv("GIT_DIR", str(checkout / "nowhere"))
        assert len(git_state(checkout)["commit"]) == 40


class TestCommand:
    """The command to type again."""

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["/env/bin/python3.11", "-m", "flowersweep", "aug=a,b"], "python -m flowersweep aug=a,b"),
            (["/env/bin/python", "/env/bin/flowersweep", "seed=1"], "flowersweep seed=1"),
            (["python", "train.py"], "python train.py"),
            (["/env/bin/python", "-m", "flowersweep", "x=[1, 2]"], "python -m flowersweep 'x=[1, 2]'"),
        ],
    )
    def test_command_reads_as_typed(self, arguments: list[str], expected: str) -> None:
        """The interpreter's folder is left out and what the shell would split is quoted."""
        assert command_line(arguments) == expected

    @pytest.mark.parametrize(
        ("process", "known", "expected"),
        [
            (["/env/bin/python", "train.py", "-m", "x=1,2"], ["train.py", "-m", "x=1,2"], "python train.py"),
            (["python3", "-m", "pack", "x=1"], ["/pack/__main__.py", "x=1"], "python -m pack"),
            (["/env/bin/python", "/env/bin/tool"], ["/env/bin/tool"], "tool"),
            (["python", "-m", "pytest", "-q"], ["train.py", "-m"], "python train.py"),
            (
                ["python", "t.py", "-m", "-cn", "b", "x=1", "--config-dir=my d", "hydra.searchpath=[e]"],
                ["t.py", "-m", "-cn", "b", "x=1", "--config-dir=my d", "hydra.searchpath=[e]"],
                "python t.py --config-name=b '--config-dir=my d' 'hydra.searchpath=[e]'",
            ),
        ],
    )
    def test_program(
        self, process: list[str], known: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The arguments of a program are left out, but not where its configuration is; a program whose arguments were replaced is known by its name."""
        monkeypatch.setattr(sys, "orig_argv", process)
        monkeypatch.setattr(sys, "argv", known)
        assert program() == expected

    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
    def test_pasted_into_a_shell_it_gives_the_same_arguments(self, arguments: list[str]) -> None:
        """Whatever the arguments hold, splitting the line as a shell does returns them."""
        assert shlex.split(command_line(["python", "-m", "x", *arguments])) == [
            "python",
            "-m",
            "x",
            *arguments,
        ]

    def test_without_arguments_it_is_how_the_process_was_started(self) -> None:
        """Options of the interpreter included, which a program cannot see in `sys.argv`."""
        code = "from flowersweep.tracking.provenance import command_line; print(command_line())"
        said = asked("-X", "utf8", "-c", code, "x=[1, 2]")
        assert shlex.split(said) == ["python", "-X", "utf8", "-c", code, "x=[1, 2]"]


class TestAll:
    """Everything together."""

    def test_installed_packages_are_listed_and_others_left_out(self) -> None:
        """A version is given for what is installed only."""
        assert list(package_versions(("numpy", "no-such-package-anywhere"))) == ["numpy"]

    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to CPUs")
    def test_host_counts_the_usable_cpus(self) -> None:
        """A process that may use one CPU counts one, however many the machine has."""
        code = (
            "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
            "from flowersweep.tracking.provenance import host; print(host()['host.cpus'])"
        )
        assert asked("-c", code) == "1"
        assert int(host()["host.cpus"]) == len(os.sched_getaffinity(0))

    def test_keys_are_dotted_and_values_are_texts(self, checkout: Path) -> None:
        """The result can be logged as tags as it is."""
        found = provenance(checkout)
        assert found["git.dirty"] == "false"
        assert found["version.tensorflow"].startswith("2.")
        assert all(value for value in found.values())

    def test_nothing_heavy_is_imported(self) -> None:
        """Provenance reads versions without importing the packages."""
        code = "import sys, flowersweep.tracking.provenance as p; p.provenance(); print('tensorflow' in sys.modules)"
        assert asked("-c", code) == "False"

    def test_the_command_may_be_given(self, checkout: Path) -> None:
        """A process that a sweep has started says what was typed for the sweep."""
        assert provenance(checkout, "python -m x -m a=1,2")["command"] == "python -m x -m a=1,2"
