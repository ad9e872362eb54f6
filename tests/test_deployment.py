"""The files in deploy/: they are what their schemas allow, and their command lines are those of this program.

The schemas in tests/schemas/ are the published ones, without descriptions.
"""

import functools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml  # type: ignore[import-untyped] # it ships no types
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from jsonschema import Draft202012Validator
from packaging.specifiers import SpecifierSet

from conftest import ROOT
from flowersweep import config, hydra_app
from flowersweep.commands.study import join
from flowersweep.sweep.settings import Settings, searched_space, sweep_settings
from flowersweep.sweep.space.overrides import left_to_trials, read_arguments
from flowersweep.sweep.study.attributes import COMMAND

DEPLOY = ROOT / "deploy"
if not DEPLOY.is_dir():
    pytest.skip("an installed copy is tested, without its files for deployment", allow_module_level=True)

MANIFESTS = sorted(DEPLOY.glob("kubernetes/*.yaml"))
ARRAY = DEPLOY / "slurm/workers.sh"
EXAMPLE = dict(
    line.split("=", 1)
    for line in (DEPLOY / "example.env").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)
# deploy/.env as a user writes it.
SETTINGS = {**EXAMPLE, "POSTGRES_PASSWORD": "a/b c"}
# How compose.yaml uses a setting: with a default, or with what is said if it is missing.
SETTING = re.compile(r"\$\{(\w+)(?::-([^}]*)|:\?([^}]*))\}")


@functools.cache
def validator(name: str) -> Draft202012Validator:
    """What checks a file against a schema."""
    return Draft202012Validator(json.loads((ROOT / f"tests/schemas/{name}.json").read_text(encoding="utf-8")))


def compose_file() -> dict[str, Any]:
    """compose.yaml with SETTINGS in it."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    body = "".join(line for line in text.splitlines(keepends=True) if not line.strip().startswith("#"))
    read = yaml.safe_load(SETTING.sub(lambda found: SETTINGS.get(found[1]) or found[2] or "", body))
    assert isinstance(read, dict)
    return read


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """The jobs of Kubernetes, each with the name of its container."""
    for path in MANIFESTS:
        for one in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if one["kind"] == "Job":
                (container,) = one["spec"]["template"]["spec"]["containers"]
                yield container["name"], one


def command_lines() -> dict[str, list[str]]:
    """The arguments of flowersweep in all these files."""
    services = compose_file()["services"]
    found = {f"compose: {name}": shlex.split(services[name]["command"]) for name in ("sweep", "worker")}
    for name, job in jobs():
        found[f"kubernetes: {name}"] = job["spec"]["template"]["spec"]["containers"][0]["args"]
    (typed,) = re.findall(r"^#   sbatch .*workers\.sh (.+)$", ARRAY.read_text(encoding="utf-8"), re.MULTILINE)
    return found | {"slurm: worker": ["join", *shlex.split(typed)]}


def sweep_of(words: Sequence[str]) -> tuple[Settings, str]:
    """The settings of a sweep from its command line, and its tracking URI; its space is checked."""
    config.prepare()
    with config.composing(), initialize_config_dir(str(config.conf_dir())):
        loader = GlobalHydra.instance().config_loader()
        _, *typed = left_to_trials(["--multirun", *words])
        found = loader.load_configuration("config", typed, run_mode=RunMode.MULTIRUN)
        arguments = [
            one.input_line or "" for one in read_arguments(words, loader) if not one.is_hydra_override()
        ]
        settings = sweep_settings(found)
        assert searched_space(arguments, settings, found, loader).searched
    return settings, found.tracking.uri


class TestSchemas:
    """A misspelled key would be ignored, or refused only by a cluster."""

    @pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
    def test_kubernetes(self, path: Path) -> None:
        """Every object has the keys and types of its kind, and no other."""
        check = validator("kubernetes")
        for one in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            assert [error.message for error in check.iter_errors(one)] == []

    def test_compose(self) -> None:
        """The file is one of the Compose Specification."""
        assert [error.message for error in validator("compose").iter_errors(compose_file())] == []

    def test_what_is_wrong_is_found(self) -> None:
        """A misspelled key, a wrong type and an unknown kind."""
        check, (_, job) = validator("kubernetes"), next(jobs())
        job["spec"]["backofLimit"] = 6
        assert not check.is_valid(job)
        assert not check.is_valid({"apiVersion": "v1", "kind": "Jbo"})
        services = compose_file()["services"]
        services["worker"]["restrat"] = "always"
        assert not validator("compose").is_valid({"services": services})


class TestCommands:
    """What stands in the files can be run."""

    def test_a_sweep_and_its_workers(self) -> None:
        """The sweep is a search in PostgreSQL; from what it stores, the workers' command makes the same search."""
        lines = command_lines()
        _, *words = lines["compose: sweep"]
        searched, uri = sweep_of(words)
        assert searched.storage == "postgresql+psycopg://flowersweep@postgres/studies"
        assert (searched.study_name, searched.join, uri) == ("cnn", False, "http://mlflow:5000")

        study = optuna.create_study(study_name="cnn")
        program = hydra_app._job.__module__
        study.set_user_attr(COMMAND, {"program": program, "arguments": words, "deadline": None})
        _, *joining = join.arguments_of(study, join.COMMAND.parse(lines["compose: worker"][1:]), 0.0)
        assert sweep_of(joining) == (replace(searched, join=True, n_jobs=1), uri)

    def test_they_are_the_same_everywhere(self) -> None:
        """Containers of Kubernetes are started as those of Compose; a job of Slurm is one worker, too."""
        lines = command_lines()
        assert lines["kubernetes: sweep"] == lines["compose: sweep"]
        assert lines["kubernetes: worker"] == lines["compose: worker"]
        assert join.COMMAND.parse(lines["slurm: worker"][1:])["n_jobs"] == "1"

    def test_mlflow_serves(self) -> None:
        """MLflow has the server's options, and lets it be asked under the name that workers use."""
        spec = find_spec("mlflow")
        assert spec is not None
        assert spec.origin is not None
        source = (Path(spec.origin).parent / "cli/__init__.py").read_text(encoding="utf-8")
        options = (Path(spec.origin).parent / "utils/cli_args.py").read_text(encoding="utf-8")
        manifests = [
            one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        ]
        (deployed,) = (one for one in manifests if one["kind"] == "Deployment")
        command = compose_file()["services"]["mlflow"]["command"]
        assert deployed["spec"]["template"]["spec"]["containers"][0]["args"] == command
        assert command[0] == "server"
        given = dict(word.split("=", 1) for word in command[1:])
        assert [name for name in given if f'"{name}"' not in source + options] == []
        assert given["--backend-store-uri"] == "postgresql+psycopg://flowersweep@postgres/mlflow"
        assert given["--allowed-hosts"].split(",")[0] == "mlflow:5000"

    def test_other_programs(self) -> None:
        """Those of Docker and of Slurm's script say nothing against the files, where they are installed."""
        checked = {
            "docker-compose": ["--file", "deploy/compose.yaml", "config", "--quiet"],
            "hadolint": ["deploy/Dockerfile"],
            "shellcheck": [str(ARRAY)],
        }
        found = {name: words for name, words in checked.items() if shutil.which(name)}
        if not found:
            pytest.skip(f"none of {', '.join(checked)} is installed")
        for name, words in found.items():
            done = subprocess.run(
                [name, *words],
                cwd=ROOT,
                env=os.environ | SETTINGS,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode, done.stdout) == (0, ""), done.stderr


class TestCompose:
    def test_it_is_reached_from_this_machine_only(self) -> None:
        """Unless an address is set."""
        ports = [port for one in compose_file()["services"].values() for port in one.get("ports", [])]
        assert ports == ["127.0.0.1:5432:5432", "127.0.0.1:5000:5000"]

    def test_settings_are_in_the_example(self) -> None:
        """Every setting without a default is there; a password has no value."""
        used = SETTING.findall((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
        needed = {name for name, _, missing in used if missing}
        assert needed == {"POSTGRES_PASSWORD", "STUDY", "SWEEP"}
        assert needed <= set(EXAMPLE) <= {name for name, _, _ in used}
        assert EXAMPLE["POSTGRES_PASSWORD"] == ""
        assert "/deploy/.env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()

    def test_a_worker_has_time_to_give_its_trial_back(self) -> None:
        """More than the 30 seconds in which it does, everywhere."""
        services = compose_file()["services"]
        assert {services[name]["stop_grace_period"] for name in ("sweep", "worker")} == {"60s"}
        pods = [job["spec"]["template"]["spec"] for _, job in jobs()]
        assert [pod["terminationGracePeriodSeconds"] for pod in pods] == [60, 60]


class TestImage:
    TEXT = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")

    def test_it_copies_what_there_is(self) -> None:
        """Every file that is copied exists, is not ignored, and nothing else gets into the image."""
        copied = {
            name for line in re.findall(r"^COPY (.+) \S+$", self.TEXT, re.MULTILINE) for name in line.split()
        }
        ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        assert all((ROOT / name).exists() for name in copied)
        assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied
        assert ignored[1] == "*"

    def test_its_python_and_extras_are_the_project_s(self) -> None:
        """A version that the project supports, and names of its extras."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        (python,) = re.findall(r"^FROM python:(\S+)-slim$", self.TEXT, re.MULTILINE)
        (extras,) = re.findall(r"^ARG EXTRAS=(\S+)$", self.TEXT, re.MULTILINE)
        assert f"{python}.99" in SpecifierSet(project["requires-python"])
        assert set(extras.split(",")) | {"s3"} <= set(project["optional-dependencies"])
        assert compose_file()["x-image"]["build"]["args"]["EXTRAS"] == extras
        assert re.findall(r"^USER (.+)$", self.TEXT, re.MULTILINE) == ["1000"]


# A worker that gives its trial back when it is told to, and counts how often it is.
WORKER = """\
import signal, sys, time
from pathlib import Path
said = Path("said")
def told(number, frame):
    with said.open("a") as file:
        file.write(signal.Signals(number).name + chr(10))
signal.signal(signal.SIGTERM, told)
Path("arguments").write_text(" ".join(sys.argv[1:]))
while not said.exists():
    time.sleep(0.02)
time.sleep(0.3)
sys.exit(143)
"""


@pytest.fixture
def array(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Slurm's script with a worker in it, in a group of processes of its own."""
    (tmp_path / "worker.py").write_text(WORKER, encoding="utf-8")
    for name, text in (
        ("python", f'exec {sys.executable} worker.py "$@"'),
        ("scontrol", 'echo "$@" >requeued'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    with subprocess.Popen(
        ["bash", str(ARRAY), "study=cnn"],  # noqa: S607 (wherever it is)
        cwd=tmp_path,
        env=environment,
        start_new_session=True,
    ) as script:
        end = time.monotonic() + 30
        while not (tmp_path / "arguments").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        yield script
        script.kill()


class TestArray:
    def test_before_its_time_is_up_it_gives_its_trial_back_and_is_submitted_again(
        self, array: "subprocess.Popen[bytes]", tmp_path: Path
    ) -> None:
        """The signal is for the script alone, which passes it on and waits for the worker."""
        array.send_signal(signal.SIGUSR1)

        assert array.wait(30) == 143
        assert (tmp_path / "arguments").read_text() == "-m flowersweep join study=cnn"
        assert (tmp_path / "said").read_text() == "SIGTERM\n"
        assert (tmp_path / "requeued").read_text() == "requeue 7\n"

    def test_a_cancelled_job_is_not_submitted_again(
        self, array: "subprocess.Popen[bytes]", tmp_path: Path
    ) -> None:
        """The signal reaches all processes; the worker gets it once, since a second one would end it at once."""
        os.killpg(array.pid, signal.SIGTERM)

        assert array.wait(30) == 143
        assert (tmp_path / "said").read_text() == "SIGTERM\n"
        assert not (tmp_path / "requeued").exists()
