"""Files of the user's own: whatever they hold, they are read or refused in one sentence."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from flowersweep import config
from flowersweep.errors import ConfigError, FlowersweepError

HEAD = "# @package _global_\n"

# The bytes of a preset, and what the sentence about it says after its name.
FAULTS: dict[str, tuple[str | bytes, str]] = {
    "a tab": (
        f"{HEAD}trainer:\n\tepochs: 3\n",
        ", line 3: there is a tab, which YAML does not allow here; use spaces.",
    ),
    "a key twice": (f"{HEAD}seed: 1\nseed: 2\n", ", line 3: seed occurs twice; keep one."),
    "an open quote": (
        f'{HEAD}seed: "1\n\n\n',
        ", line 2: the quote that starts here is not closed; close it.",
    ),
    "half a character": (
        f'{HEAD}data: {{dir: "\\ud800"}}\n',
        ", line 2: this is not valid YAML (",
    ),
    "an open list": (
        f"{HEAD}seed: [1\n",
        ", line 2: the list that starts here is not closed; close its bracket.",
    ),
    "an open mapping": (
        f"{HEAD}trainer: {{epochs: 1\n",
        ", line 2: the mapping that starts here is not closed",
    ),
    "wrong indentation": (
        f"{HEAD}trainer:\n  epochs: 3\n   patience: 3\n",
        ", line 4: this is not valid YAML (",
    ),
    "no UTF-8": (
        f"{HEAD}# gr\xfcn\n".encode("latin-1"),
        ", line 2: the byte 0xfc is not UTF-8; save the file as UTF-8.",
    ),
    "UTF-16": (f"{HEAD}seed: 1\n".encode("utf-16"), ", line 1: the byte 0xff is not UTF-8"),
    "a control character": (
        f"{HEAD}seed: 1 # \x07\n",
        ", line 2: the character U+0007 is not allowed in YAML",
    ),
    "an unknown anchor": (f"{HEAD}seed: *x\n", ", line 2: this is not valid YAML (found undefined alias)"),
    "a Python object": (
        f"{HEAD}seed: !!python/name:os.system 1\n",
        ", line 2: this is not valid YAML (could not determine",
    ),
    "an open reference": (f"{HEAD}seed: ${{nope\n", " has a reference that is not of the form '${seed}'"),
    "a list": (
        f"{HEAD}- a\n- b\n",
        " contains a list; it must contain keys and their values, as in 'seed: 1'.",
    ),
    "words": (f"{HEAD}just words\n", " contains words; it must contain keys and their values"),
    "no number": (f"{HEAD}seed: !!int\n", " is not a configuration ("),
    "a number": (f"{HEAD}5\n", " is not a configuration ("),
    "nothing": ("", f" does not start with the line {HEAD.strip()!r}"),
    "no package": (
        "seed: 1\n",
        f" does not start with the line {HEAD.strip()!r}, which lets a preset set any key",
    ),
    "hydra as a value": (
        f"{HEAD}hydra: 5\n",
        ": hydra is a group of keys, but is 5; set its keys, or remove it.",
    ),
    "presets of a package": (
        f"{HEAD}hydra:\n  searchpath: ['pkg://json']\n",
        ": hydra.searchpath names 'pkg://json', but a file may only name folders",
    ),
    "presets of a module, by a reference": (
        f"{HEAD}place: structured://json\nhydra:\n  searchpath: ['file:///tmp', '${{place}}']\n",
        ": hydra.searchpath names 'structured://json', but a file may only name folders",
    ),
    "half a package": ("# @package\nseed: 1\n", ", line 1: Expected header format: KEY VALUE"),
}
# What is wrong with keys and values, which composing finds.
REFUSED = {
    "an unknown key": ("trainer:\n  epohcs: 3\n", "There is no key 'trainer.epohcs'. Did you mean epochs?"),
    "an unknown key of a sweep": (
        "hydra:\n  sweeper:\n    n_trails: 3\n",
        "'hydra.sweeper.n_trails'. Did you mean n_trials?",
    ),
    "a wrong type": ("trainer:\n  epochs: many\n", "trainer.epochs must be an integer, but is 'many'."),
    "a group as a value": ("aug: RandomFlip\n", "as in '- override /aug: NAME'"),
    "a list as keys": ("trainer:\n  - 5\n", "trainer is a group of keys, but is '[5]' here"),
    "a group that is not overridden": (
        "defaults:\n  - trainer: quick\n",
        "write '- override /trainer: quick'",
    ),
    "an unknown choice": ("defaults:\n  - override /aug: RandomFlp\n", "Did you mean RandomFlip?"),
    "a group without keys": ("trainer: null\n", "trainer is a group of keys, but is null here; set its keys"),
    "no number": ("trainer:\n  epochs: null\n", "trainer.epochs must be an integer, but is null."),
    "an unknown file": ("defaults:\n  - /nope\n", "There is no configuration file nope.yaml"),
    "an unknown group": (
        "defaults:\n  - /mdoel: cnn\n",
        "There is no group 'mdoel'; choose one of data, model,",
    ),
    "itself": (
        "defaults:\n  - /search/mine@_global_\n",
        "The defaults list of a file is circular",
    ),
    "no list of defaults": ("defaults: 3\n", "defaults must be a list"),
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of presets, which Hydra looks through."""
    folder = tmp_path_factory.mktemp("own files")
    (folder / "search").mkdir()
    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        yield folder


def composed(folder: Path, content: str | bytes, *overrides: str) -> config.Config:
    """The configuration with a preset of that content."""
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / "search" / "mine.yaml").write_bytes(raw)
    with config.composing():
        searched = f"hydra.searchpath=['file://{folder}']"
        return config.settings(
            compose("config", overrides=["data=demo", "search=mine", searched, *overrides])
        )


@pytest.mark.slow
@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_told_with_file_and_line(own: Path, case: str) -> None:
    """And with what to do, in one line."""
    content, expected = FAULTS[case]

    with pytest.raises(ConfigError) as caught:
        composed(own, content)

    said = str(caught.value)
    assert said.startswith(f"{own}/search/mine.yaml{expected}")
    assert said.count("\n") == 0
    assert said.endswith(".")


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_told_with_its_file(own: Path, case: str) -> None:
    """In the words that the command line gets for the same mistake."""
    content, expected = REFUSED[case]

    with pytest.raises(ConfigError) as caught:
        composed(own, HEAD + content)

    assert expected in str(caught.value)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    "content",
    [
        f"{HEAD}seed: 7\n".encode(),
        b"\xef\xbb\xbf" + f"{HEAD}seed: 7\n".encode(),
        f"{HEAD}seed: 7\n".replace("\n", "\r\n").encode(),
        f"{HEAD}seed: 7\n".replace("\n", "\r").encode(),
        f"\n\n{HEAD}\n# grün\nseed: 7".encode(),
    ],
    ids=["plain", "BOM", "CRLF", "CR", "no last line end"],
)
def test_what_editors_do_to_files_is_read(own: Path, content: bytes) -> None:
    """Marks before the text and ends of lines of other systems change nothing."""
    assert composed(own, content).seed == 7


@pytest.mark.slow
@pytest.mark.parametrize("typed", ["1e5", "017", "1_000", "12:30:00", "yes", "0x10", ".inf", "2026-01-01"])
def test_texts_are_texts_in_files_too(own: Path, typed: str) -> None:
    """A folder, an experiment and a name that YAML would read as numbers, truth values or times."""
    found = composed(
        own, f"{HEAD}data:\n  dir: {typed}\ntracking:\n  run_name: {typed}\n  experiment: {typed}\n"
    )

    assert found.data.dir is not None
    assert Path(found.data.dir).name == typed
    assert [found.tracking.run_name, found.tracking.experiment] == [typed, typed]


@pytest.mark.parametrize("typed", ["1e5", "017", "2024_11_27"])
def test_texts_that_are_searched_are_texts_too(own: Path, typed: str) -> None:
    """The only value of a key in the search of a preset, with and without quotes."""
    for written in (typed, f"'{typed}'"):
        (own / "search" / "mine.yaml").write_text(
            f"{HEAD}hydra:\n  sweeper:\n    params:\n      data.dir: {written}\n      seed: 017\n"
        )
        searched = f"hydra.searchpath=['file://{own}']"
        params = compose(
            "config", overrides=["data=folder", "search=mine", searched], return_hydra_config=True
        ).hydra.sweeper.params
        assert params == {"data.dir": typed, "seed": 15}


def test_texts_are_texts_in_a_file_of_a_group(own: Path) -> None:
    """Its keys have no group before them; null and numbers stay what they are."""
    (own / "data").mkdir(exist_ok=True)
    (own / "data" / "mine.yaml").write_text(
        "defaults: [folder]\ndir: 017\nvalidation_split: 0.5\n", encoding="utf-8"
    )

    found = composed(own, f"{HEAD}tracking:\n  run_name: null\n", "data=mine")

    assert found.data.dir is not None
    assert Path(found.data.dir).name == "017"
    assert found.data.validation_split == 0.5
    assert found.tracking.run_name is None


def test_what_names_ones_own_files() -> None:
    """The folder and the name, as they are typed; without them nothing."""
    sources = [{"path": "/conf", "provider": "main"}, {"path": "/my own", "provider": "command-line"}]
    told = {"runtime": {"config_sources": sources}, "job": {"config_name": "mine"}}

    assert config.flags(OmegaConf.create({"hydra": told})) == ["--config-dir=/my own", "--config-name=mine"]
    assert config.flags(OmegaConf.create({"hydra": {"job": {"config_name": "config"}}})) == []


def test_a_search_path_is_named_too() -> None:
    """Folders of presets that were named as hydra.searchpath belong to the command, as they were typed."""
    typed = ["hydra.sweeper.n_trials=3", "hydra.searchpath=[/my own,/other]"]
    told = OmegaConf.create({"hydra": {"overrides": {"hydra": typed}}})

    assert config.flags(told) == ["hydra.searchpath=[/my own,/other]"]


LINES = [
    HEAD,
    "seed: 1\n",
    "trainer:\n",
    "  epochs: 3\n",
    "defaults:\n",
    "- override /aug: RandomFlip\n",
    "hydra:\n",
]
WORDS = ["${seed}", "${", "<<: ", "---\n", "null", "1e5", "!!int ", *"[]{}'\"#|>?:-,\t\n\r\ufeffü%@`&*!\x00"]
PIECES = st.sampled_from(LINES) | st.sampled_from(WORDS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=20), head=st.booleans())
@example(text="# @package _global_\n${seed}\tseed: 1\n", head=False)
def test_any_file_is_read_or_refused(own: Path, text: str, *, head: bool) -> None:
    """No content leads to anything but a configuration or a sentence."""
    with contextlib.suppress(FlowersweepError):
        composed(own, (HEAD * head + text).encode("utf-8", "replace"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            ["seed", "trainer.epochs", "data.dir", "model.filters", "aug", "trainer", "hydra", "=", "+", "~"]
        )
        | st.sampled_from(
            [*"[](){},'\"\\ü#\t:@./", "choice(", "range(", "interval(", "${", "null", "1", "true"]
        ),
        min_size=1,
        max_size=7,
    ).map("".join)
)
def test_any_override_is_taken_or_refused(own: Path, override: str) -> None:
    """Whatever is typed."""
    with contextlib.suppress(FlowersweepError):
        composed(own, f"{HEAD}seed: 7\n", override)
