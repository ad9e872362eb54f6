"""What flowersweep uses of Hydra without its promise is there, and does what it is used for; error texts are provoked."""

import logging
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped] # it ships no types
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, configure_log
from hydra.errors import ConfigCompositionException, OverrideParseException
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf

from flowersweep import config
from flowersweep.doors import hydra_api
from private_parts import Part, require

HERE = "doors.hydra_api."


def named(module: str, *path: str) -> object:
    """Something inside a module."""
    found: Any = import_module(f"hydra.{module}")
    for name in path:
        found = getattr(found, name)
    return found


def sources() -> dict[str, type]:
    """Hydra's readers of files and the like, once it knows its plugins."""
    Plugins.instance()
    registry: Any = named("_internal.sources_registry", "SourcesRegistry", "instance")
    known: dict[str, type] = registry().types
    return known


def part(module: str, path: str, function: str, purpose: str) -> Part:
    """A part of Hydra."""
    return Part(
        f"hydra.{module}.{path}", lambda: named(module, *path.split(".")), f"{HERE}{function}", purpose
    )


SOURCE = ("FileSource", "say in one sentence what is wrong with a file")
HIDE = "keep passwords out of the files of Submitit's jobs"
PARTS = (
    part("_internal.core_plugins.file_config_source", "FileConfigSource._normalize_file_name", *SOURCE),
    part("_internal.core_plugins.file_config_source", "FileConfigSource._get_header_dict", *SOURCE),
    Part(
        "SourcesRegistry.instance().types",
        lambda: sources()["file"],
        f"{HERE}read_files_with",
        SOURCE[1],
    ),
    part(
        "_internal.core_plugins.bash_completion",
        "BashCompletion._query",
        "completions",
        "offer groups and keys at TAB",
    ),
    part(
        "_internal.callbacks",
        "Callbacks",
        "without_callbacks",
        "keep workers from the user's callbacks",
    ),
    Part(
        "hydra.core.utils.JobReturn._return_value",
        lambda: JobReturn.__dataclass_fields__["_return_value"],
        f"{HERE}returned",
        "learn how a trial failed without a word on standard error",
    ),
    Part(
        "hydra.core.override_parser.types.Override._value",
        lambda: Override.__dataclass_fields__["_value"],
        f"{HERE}with_value",
        "read a shuffled range in order",
    ),
    part(
        "_internal.logging_config",
        "_BUILTIN_LOGGING_TARGETS",
        "forbid_log_files",
        "keep a configuration of somebody else from writing files",
    ),
    part("core.singleton", "Singleton.get_state", "state", "start training processes"),
    part("core.singleton", "Singleton.set_state", "restore", "start training processes"),
    part("core.utils", "setup_globals", "restore", "start training processes"),
    Part("HydraConfig.cfg", lambda: "cfg" in vars(HydraConfig.instance()) or None, f"{HERE}configured", HIDE),
    part("_internal.config_loader_impl", "ConfigLoaderImpl", "configured", HIDE),
    part("_internal.defaults_list", "__name__", "is_circular", "say that files name each other"),
    part("_internal.core_plugins.basic_launcher", "log", "LOGGER", "keep workers from being announced"),
)


@pytest.mark.parametrize("needed", PARTS, ids=str)
def test_hydra_still_has_it(needed: Part) -> None:
    """Each private part is there; the failure says which one is gone, and what needs it."""
    require("hydra-core", needed)


class FileConfigSource(hydra_api.FileSource):
    """Named as Hydra wants it."""


def test_files_are_read_by_a_class_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hydra makes the source itself, for a folder; where a file is and what its header says come from Hydra."""
    monkeypatch.setitem(sources(), "file", sources()["file"])
    hydra_api.read_files_with(FileConfigSource)
    (tmp_path / "x.yaml").write_text("a: 1\n")
    with initialize_config_dir(str(tmp_path)):
        used = [type(one) for one in GlobalHydra.instance().config_loader().get_sources()]
        assert FileConfigSource in used
        assert compose("x").a == 1
    source = FileConfigSource("me", str(tmp_path))
    assert source.file_of("x") == tmp_path / "x.yaml"
    assert source.header_of("# @package _global_\na: 1\n")["package"] == "_global_"
    with pytest.raises(ValueError, match="package"):
        source.header_of("# @package a b c\n")


def test_completions_are_hydras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last word is completed, after the others; the process's own command line has no part in it."""
    monkeypatch.setenv("COMP_LINE", "something else")
    (tmp_path / "config.yaml").write_text("first: 1\nfifth: 2\n")
    with initialize_config_dir(str(tmp_path)):
        loader = GlobalHydra.instance().config_loader()
        assert hydra_api.completions(loader, ["fi"]) == ["fifth=", "first="]
        assert hydra_api.completions(loader, ["first=7", "first="]) == ["first=7"]


def test_log_files_are_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra opens one for an application with a whitelist, and no longer after that."""
    monkeypatch.setattr("hydra._internal.logging_config._BUILTIN_LOGGING_TARGETS", ("logging.FileHandler",))
    handler = {"class": "logging.FileHandler", "filename": str(tmp_path / "log"), "delay": True}
    cfg = OmegaConf.create(
        {"version": 1, "handlers": {"file": handler}, "root": {}, "disable_existing_loggers": False}
    )
    configure_log(cfg, execution_whitelist=())
    hydra_api.forbid_log_files()
    with pytest.raises(ValueError, match="file") as caught:
        configure_log(cfg, execution_whitelist=())
    assert hydra_api.refused_target(caught.value) == "logging.FileHandler"
    assert hydra_api.refused_target(ValueError("file")) is None


def test_a_context_without_callbacks_keeps_its_loader(tmp_path: Path) -> None:
    """Nobody is told, and the context that was given is left as it was."""
    told: list[str] = []

    class Telling:
        def on_job_start(self, **_: object) -> None:
            told.append("start")

    telling: Any = Telling()
    with initialize_config_dir(str(tmp_path)):
        context = HydraContext(GlobalHydra.instance().config_loader(), telling)
    quiet = hydra_api.without_callbacks(context)
    assert quiet.config_loader is context.config_loader
    quiet.callbacks.on_job_start(config=None, task_function=None)  # type: ignore[arg-type]
    assert told == []
    assert context.callbacks is telling


def test_another_configuration_for_a_while(tmp_path: Path) -> None:
    """What is handed to other processes has nothing of the process's own one, which is there again afterwards."""
    (tmp_path / "main.yaml").write_text("word: nothing\n", encoding="utf-8")
    with initialize_config_dir(str(tmp_path)):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        loader = hydra.config_loader
        other, mine = (
            hydra.compose_config("main", [f"word={word}"], RunMode.MULTIRUN, activate_config_repository=keeps)
            for word, keeps in (("other", False), ("swordfish", True))
        )
        HydraConfig.instance().set_config(mine)
        known = HydraConfig.instance().cfg
        assert b"swordfish" in cloudpickle.dumps((hydra_api.state(), loader))
        with hydra_api.configured(other, loader):
            assert b"swordfish" not in cloudpickle.dumps((hydra_api.state(), loader))
        assert HydraConfig.instance().cfg is known
        assert b"swordfish" in cloudpickle.dumps(loader)


def test_what_a_job_returned(capsys: pytest.CaptureFixture[str]) -> None:
    """The value or, without a word, the exception; Hydra's own property writes and raises."""
    assert hydra_api.returned(JobReturn(status=JobStatus.COMPLETED, _return_value=3)) == 3
    error = ValueError("no")
    failed = JobReturn(status=JobStatus.FAILED, _return_value=error, overrides=[])
    assert hydra_api.returned(failed) is error
    assert capsys.readouterr().err == ""
    with pytest.raises(ValueError, match="no"):
        _ = failed.return_value
    assert capsys.readouterr().err


def test_an_override_with_another_value() -> None:
    """Key and input stay; the override that was given is left as it was."""
    (shuffled,) = OverridesParser.create().parse_overrides(["x=shuffle(range(1,4))"])
    sweep = shuffled.value()
    ordered = hydra_api.with_value(shuffled, RangeSweep(start=1, stop=4, step=1))
    assert list(ordered.sweep_iterator()) == [1, 2, 3]
    assert (ordered.key_or_group, ordered.input_line) == ("x", "x=shuffle(range(1,4))")
    assert shuffled.value() is sweep


def test_the_state_is_there_in_another_process() -> None:
    """What was registered here is known there, as in a training process; without the state it is not."""
    ConfigStore.instance().store(name="doors", node={"a": 1})
    try:
        packed = cloudpickle.dumps(hydra_api.state())
    finally:
        del ConfigStore.instance().repo["doors.yaml"]
    code = (
        "import sys, cloudpickle; from flowersweep.doors import hydra_api; from hydra.core.config_store import ConfigStore;"
        "from omegaconf import OmegaConf; known = cloudpickle.load(sys.stdin.buffer);"
        "before = ConfigStore.instance().list(''); hydra_api.restore(known);"
        "print('doors.yaml' in before, 'doors.yaml' in ConfigStore.instance().list(''), OmegaConf.has_resolver('now'))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=packed, capture_output=True, check=False)
    assert done.stdout.split() == [b"False", b"True", b"True"], done.stderr.decode()


def test_the_log_has_this_name() -> None:
    """It is the one on which jobs are announced."""
    assert import_module(hydra_api.LOGGER).log is logging.getLogger(hydra_api.LOGGER)


def refusal(folder: Path, *overrides: str, files: dict[str, str] | None = None) -> Exception:
    """What Hydra raises of a command line, with files of one's own."""
    config.prepare()
    for name, content in (files or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    with pytest.raises(Exception) as caught, initialize_config_dir(str(config.conf_dir())):  # noqa: PT011 (Hydra raises several kinds)
        compose("config", [*overrides, f"hydra.searchpath=[{folder}]"])
    return caught.value


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "overrides", "content", "group", "purpose"),
    [
        ("UNKNOWN_KEY", ["nothing=1"], None, "nothing", "name a key that there is not"),
        ("UNKNOWN_KEY", ["trainer.epoch=1"], None, "trainer.epoch", "name a key that there is not"),
        (
            "NOT_MERGED",
            ["trainer.epochs=many"],
            None,
            "trainer.epochs=many",
            "name a value that does not fit",
        ),
        (
            "IN_A_FILE",
            ["experiment=x"],
            "trainer:\n  epoch: 3\n",
            "experiment/x",
            "name the file that is faulty",
        ),
    ],
)
def test_error_texts(
    tmp_path: Path, *, pattern: str, overrides: list[str], content: str | None, group: str, purpose: str
) -> None:
    """Each pattern finds in Hydra's own error what it is there to find."""
    files = {} if content is None else {"experiment/x.yaml": f"# @package _global_\n{content}"}
    error = refusal(tmp_path, *overrides, files=files)
    compiled: re.Pattern[str] = getattr(hydra_api, pattern)
    match = compiled.match(str(error).strip())
    assert isinstance(error, ConfigCompositionException)
    assert match is not None, (
        f"hydra-core {version('hydra-core')} no longer says {compiled.pattern!r}, which flowersweep.config.explain needs to "
        f"{purpose}; it says: {error}"
    )
    assert match.group(1) == group


def test_the_error_of_a_file_knows_its_key(tmp_path: Path) -> None:
    """OmegaConf's error is the context of Hydra's; its text is the end of Hydra's."""
    error = refusal(
        tmp_path,
        "experiment=x",
        files={"experiment/x.yaml": "# @package _global_\ntrainer:\n  epochs: many\n"},
    )
    assert getattr(error.__context__, "full_key", None) == "trainer.epochs"
    match = hydra_api.IN_A_FILE.match(str(error))
    assert match is not None
    assert match.group(2) == str(error.__context__)


def test_a_group_that_is_given_something_else(tmp_path: Path) -> None:
    """A bare ValueError that begins with these words."""
    error = refusal(tmp_path, "trainer={epochs:1}", "trainer=1.5")
    assert str(error).startswith(hydra_api.NOT_A_CHOICE), error


def test_a_circle_of_files_is_recognized(tmp_path: Path) -> None:
    """Hydra goes round until Python stops it; another recursion is none of its."""
    error = refusal(
        tmp_path,
        "experiment=x",
        files={"experiment/x.yaml": "# @package _global_\ndefaults:\n  - /experiment/x\n"},
    )
    assert isinstance(error, RecursionError)
    assert hydra_api.is_circular(error)

    def endless() -> None:
        endless()

    with pytest.raises(RecursionError) as caught:
        endless()
    assert not hydra_api.is_circular(caught.value)


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("a=[1", "no viable alternative at input '[1'"),
        ("a=1~", None),
        ("nonsense", "missing EQUAL at '<EOF>'"),
        ("a=b c=d", "mismatched input '='"),
    ],
)
def test_faults_of_grammar(override: str, fault: str | None) -> None:
    """The one line that tells something, without the list of what was expected; none where the override is repeated only."""
    with pytest.raises(OverrideParseException) as caught:
        OverridesParser.create().parse_overrides([override])
    found = hydra_api.fault_of_grammar(str(caught.value))
    assert (found if fault is None else (found or "")[: len(fault)]) == fault
