"""`flowersweep --help` and `flowersweep help NAME`."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flowersweep import cli
from flowersweep.augment import AUGMENTATIONS
from flowersweep.commands import COMMANDS
from flowersweep.commands.help import topics
from flowersweep.config.describe import groups
from flowersweep.sweep.schema import PRUNERS

Help = Callable[..., tuple[int, str]]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Help:
    """Run the command line; give its exit code and what it printed."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["flowersweep", *arguments])
        code = cli.main()
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


class TestOverview:
    def test_names_everything(self, shown: Help) -> None:
        """Commands, groups with all choices, searches, samplers, pruners and flags; nothing internal."""
        code, text = shown("--help")
        words = set(re.findall(r"[\w.=/-]+", text))

        assert code == 0
        assert set(COMMANDS) <= words
        assert {
            choice.name for group in groups() if len(group.choices) > 1 for choice in group.choices
        } <= words
        assert set(AUGMENTATIONS) <= words
        assert {*PRUNERS, "auto", "tpe", "random", "grid", "qmc", "cmaes", "gp", "nsgaii", "nsgaiii"} <= words
        assert {"n_trials", "n_jobs", "n_repeats", "timeout", "--multirun", "--cfg", "--config-dir"} <= words
        assert {"seed", "objective.metric"} <= words
        assert "motpe" not in words
        assert "schema" not in text

    @pytest.mark.parametrize("arguments", [("--help",), ("help",), ("-h",)])
    def test_fits_into_80_columns(self, shown: Help, arguments: tuple[str, ...]) -> None:
        """Piped or on a small terminal; no line is longer."""
        _, text = shown(*arguments)
        assert max(len(line) for line in text.splitlines()) <= 80

    def test_a_wide_terminal_is_used(self, shown: Help, monkeypatch: pytest.MonkeyPatch) -> None:
        """Up to 100 columns."""
        monkeypatch.setenv("COLUMNS", "200")
        assert 80 < max(len(line) for line in shown("help", "trainer")[1].splitlines()) <= 100


class TestTopic:
    @pytest.mark.slow
    @pytest.mark.parametrize("topic", topics())
    def test_each_is_explained(self, shown: Help, topic: str) -> None:
        """In 80 columns, without a reference as it is written in files, and each key with its default."""
        code, text = shown("help", topic)

        assert code == 0
        assert max(len(line) for line in text.splitlines() if "http" not in line) <= 80
        assert "${" not in text.replace("${seed}", "")  # which a description quotes
        assert text.count("      default:") == len(
            re.findall(r"\n\n  [a-z][\w.]+(?:  \(only|\n)", f"\n{text}")
        )
        assert ("default:" in text) is (topic not in {"cluster", "experiment", "search"})

    def test_a_key_of_several_choices(self, shown: Help) -> None:
        """One entry, with the default of each choice."""
        _, text = shown("--help", "trainer")
        assert (
            "  trainer.batch_size\n      Pictures per step.\n      an integer, at least 1 and at most 65536\n"
            "      default: 128 (default); 32 (quick)\n"
        ) in text

    def test_a_choice(self, shown: Help) -> None:
        """Only its keys."""
        _, text = shown("help", "optimizer=sgd")
        assert "optimizer.nesterov" in text
        assert "that of model.learning_rate" in text
        assert "beta_1" not in text
        assert "adam" not in text

    def test_what_was_typed_before_it(self, shown: Help) -> None:
        """--help after overrides explains these."""
        code, text = shown("model=cnn", "trainer.epochs=3", "--help")
        assert code == 0
        assert "model.filters" in text
        assert "fine_tune_at" not in text
        assert text.rstrip().endswith("default: 100 (default); 5 (quick)")

    def test_a_command(self, shown: Help) -> None:
        """It has its own help."""
        assert shown("help", "report") == (
            0,
            "report: write a page about a sweep; see python -m flowersweep report --help\n",
        )

    def test_own_files(self, shown: Help, tmp_path: Path) -> None:
        """Choices in a folder of one's own are listed; a file that is no YAML is one sentence."""
        (tmp_path / "trainer").mkdir()
        (tmp_path / "trainer" / "long.yaml").write_text("# Long.\nepochs: 500\n", encoding="utf-8")
        assert "trainer=long\n      Long." in shown("--help", "trainer", "--config-dir", str(tmp_path))[1]
        (tmp_path / "trainer" / "bad.yaml").write_text("a: [1\n", encoding="utf-8")
        code, text = shown("help", "--config-dir", str(tmp_path))
        assert code == 2
        assert text.startswith(f"flowersweep: {tmp_path}/trainer/bad.yaml, line 1: the list that starts here")

    @pytest.mark.parametrize(
        ("topic", "said"),
        [
            ("trainr", "Did you mean trainer?"),
            ("trainer.epcohs", "Did you mean trainer.epochs?"),
            ("model=resnet", "model has no choice 'resnet'; choose one of backbone, cnn,"),
        ],
    )
    def test_unknown(self, shown: Help, topic: str, said: str) -> None:
        """One sentence with what there is."""
        code, text = shown("help", topic)
        assert (code, text.count("\n")) == (2, 1)
        assert said in text
