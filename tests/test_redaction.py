"""Passwords, in whatever spelling, wherever they come from."""

import json
import logging
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep import redaction
from flowersweep.data.catalogue import read_folder
from flowersweep.errors import SweepError, TrackingError
from flowersweep.redaction import Formatter, learn, redacted, redacted_tree
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.study.outcome import of_exception
from flowersweep.tracking.lookup import Files
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.store.store import prepare_store
from servers import mlflow_server


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test learns its own passwords."""
    monkeypatch.setattr(redaction, "_learned", {})
    monkeypatch.setattr(redaction, "_told", {})
    monkeypatch.setattr(sys, "orig_argv", ["python"])


class TestByShape:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (
                "storage=postgresql+psycopg://me:s3:cret@host/db",
                "storage=postgresql+psycopg://me:***@host/db",
            ),
            ("uri=http://host:5000 a@b:c", "uri=http://host:5000 a@b:c"),
            ("http://me:p@ss/w:rd@host:5000/a?b#c", "http://me:***@host:5000/a?b#c"),
            ("'http://me:p%40ss@host', 'http://you:x@host'", "'http://me:***@host', 'http://you:***@host'"),
            ("http://a:x@h,http://b:y@h", "http://a:***@h,http://b:***@h"),
            ("http://127.0.0.1:5000/models@champion", "http://127.0.0.1:5000/models@champion"),
            ("postgresql://host/db?user=me&password=pw&x=1", "postgresql://host/db?user=me&password=***&x=1"),
            ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
            ("http://:pw@host", "http://:***@host"),
            ("s3://bucket/a:b@c", "s3://bucket/a:b@c"),
            ("http://[::1]:5000/models@champion", "http://[::1]:5000/models@champion"),
            ("http://me:pw@[::1]:5000/a", "http://me:***@[::1]:5000/a"),
            (
                "mssql+pyodbc:///?odbc_connect=UID%3Dsa%3BPWD%3Da%26b%3BServer%3Dx",
                "mssql+pyodbc:///?odbc_connect=UID%3Dsa%3BPWD%3D***%3BServer%3Dx",
            ),
            ("odbc_connect=Pwd%3D%7Ba%3Bb%7D%3BServer%3Dx", "odbc_connect=Pwd%3D***%3BServer%3Dx"),
            ("DRIVER={ODBC};UID=sa;PWD={a;b};SERVER=x", "DRIVER={ODBC};UID=sa;PWD=***;SERVER=x"),
        ],
        ids=range(15),  # pytest puts them into the environment
    )
    def test_an_address_keeps_all_but_its_password(self, text: str, expected: str) -> None:
        """User, host, path and whatever merely looks alike stay as they are."""
        assert redacted(text) == expected


class TestInUse:
    # What a library may make of a password in its messages.
    SPELLINGS = (
        str,
        quote,
        quote_plus,
        lambda text: quote(text, safe=""),
        lambda text: re.sub(r"%..", lambda code: code.group().lower(), quote(text, safe="")),
        lambda text: json.dumps(text)[1:-1],
        lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
        lambda text: repr(text)[1:-1],
        lambda text: shlex.quote(text).strip("'"),
    )

    @pytest.mark.parametrize("spelled", SPELLINGS)
    @pytest.mark.parametrize("password", ["secret", "p@ss/w:rd%20", 'it\'s "quoted" \\ ü', "p@s1"])
    def test_it_is_found_without_its_address(self, password: str, spelled: "type[str]") -> None:
        """As it is, percent-encoded, and as it stands in JSON."""
        learn(f"postgresql://me:{quote(password, safe='')}@host/db")

        assert redacted(f"authentication with {spelled(password)} failed") == "authentication with *** failed"
        assert redacted(f"failed\\n{spelled(password)}%3A") == "failed\\n***%3A"

    @given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=8, max_size=30))
    def test_any_password_is_found(self, password: str) -> None:
        """Whatever characters it is made of, in an address or alone."""
        redaction._learned.clear()
        password = f"Zq7{password}9xW"
        address = f"postgresql://me:{quote(password, safe='')}@host/db"
        learn(address)

        for text in (address, f"<{password}>", f"uri={quote(address, safe='')}", json.dumps({"a": password})):
            hidden = redacted(text)
            assert password not in hidden
            assert quote(password, safe="") not in hidden
            assert "***" in hidden

    def test_one_in_an_argument_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Unencoded, with quotes and blanks in it, which its shape alone would not tell."""
        monkeypatch.setattr(sys, "orig_argv", ["python", "tracking.uri='http://me:a b\"c@h@host'"])

        assert (
            redacted("refused: 'a b\"c@h' (http://me:a b\"c@h@host)") == "refused: '***' (http://me:***@host)"
        )

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("MLFLOW_TRACKING_PASSWORD", "hush-hush"),
            ("MLFLOW_TRACKING_TOKEN", "hush-hush"),
            ("AWS_SECRET_ACCESS_KEY", "hush-hush"),
            ("PGPASSWORD", "hush-hush"),
            ("DB_PASS", "hush-hush"),
            ("OPTUNA_STORAGE", "postgresql://me:hush-hush@host/db"),
            ("OPTUNA_STORAGE", "http://me:hush-hush@host/somebody@work"),
            ("OPTUNA_STORAGE", "mssql+pyodbc:///?odbc_connect=UID%3Dsa%3BPWD%3Dhush-hush%3BServer%3Dx"),
        ],
        ids=range(8),
    )
    def test_one_in_the_environment_is_known(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        """Under the names that MLflow, AWS and PostgreSQL read, or in any variable's address."""
        assert redacted("it was hush-hush") == "it was hush-hush"

        monkeypatch.setenv(name, value)

        assert redacted("it was hush-hush") == "it was ***"

    @pytest.mark.parametrize(
        ("password", "hidden"),
        [
            ("a-bc", True),
            ("a-b", False),
            ("abcdef", True),
            ("abcde", False),
            ("1234567890", True),
            ("123456789", False),
            ("12345-", True),
        ],
    )
    def test_a_short_one_could_be_anything(
        self, monkeypatch: pytest.MonkeyPatch, password: str, *, hidden: bool
    ) -> None:
        """Four characters where one is neither letter nor digit, six letters, or ten digits are told from other text."""
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
        assert redacted(f"it was {password} then") == (
            "it was *** then" if hidden else f"it was {password} then"
        )

    @pytest.mark.parametrize(
        "address",
        ["postgresql://mlflow:mlflow@host/runs", "mysql://root:adam@host/db", "http://me:123456@host"],
    )
    def test_words_that_stand_everywhere_are_hidden_in_addresses_only(self, address: str) -> None:
        """Of a password that is the user's name, or four letters, or a number, nothing else is to be made unreadable."""
        learn(address)
        text = "mlflow.db optimizer=adam seed=123456"

        assert redacted(text) == text
        assert ":***@host" in redacted(address)

    def test_the_words_of_commands_and_paths_stay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stars for what a command or a folder is called would hide nothing, and nothing could be typed again."""
        monkeypatch.setenv("PWD", "/srv/greenhouse")
        for name, value in (
            ("A_PASSWORD", "flowersweep"),
            ("B_PASSWORD", "MLflow"),
            ("C_PASSWORD", "greenhouse"),
        ):
            monkeypatch.setenv(name, value)
        text = "python -m flowersweep ui tracking.dir=/srv/greenhouse with mlflow.db"

        assert redacted(text) == text
        assert redacted("postgresql://me:mlflow@host/db") == "postgresql://me:***@host/db"

    @pytest.mark.slow
    def test_classes_keep_their_names(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """One that somebody has for a password is in the labels, in which other programs look it up."""
        monkeypatch.setenv("SOME_TOKEN", "sunflowers")
        for name in ("daisy", "sunflowers"):
            (tmp_path / "pictures" / name).mkdir(parents=True)
            (tmp_path / "pictures" / name / "1.png").touch()
        store = prepare_store(tmp_path / "results")
        tracker = MLflowTracker.start(store, "e", "run")

        read_folder(tmp_path / "pictures")
        tracker.json(["daisy", "sunflowers"], "labels.json")

        kept = Files(store, tracker.run_id).text("labels.json")
        assert json.loads(kept or "") == ["daisy", "sunflowers"]

    def test_a_switch_is_no_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Names that merely contain such a word are not meant, nor are folders."""
        monkeypatch.setenv("TOKENIZERS_PARALLELISM", "parallelism")
        monkeypatch.setenv("SECRETS_FOLDER", "/home/me")

        assert redacted("parallelism in /home/me") == "parallelism in /home/me"


class TestWhereItIsUsed:
    @pytest.mark.parametrize("host", ["gardener:gardener@host", "me:gardener@gardener"])
    def test_one_that_the_address_shows_anyway_is_hidden_there_only(self, host: str) -> None:
        """The name of the user or of the machine is no secret, and would be missing elsewhere."""
        learn(f"postgresql://{host}/db")
        assert redacted("by gardener") == "by gardener"

    def test_it_is_no_part_of_a_longer_word(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stars in the midst of another word would tell what the password is."""
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "petals")
        assert redacted("petals, petals2 and mypetals") == "***, petals2 and mypetals"

    def test_one_in_the_header_of_a_request_is_hidden(self) -> None:
        """Libraries write user and password in base 64."""
        learn("http://me:hush-hush@host/db")
        assert redacted("Authorization: Basic bWU6aHVzaC1odXNo") == "Authorization: Basic ***"

    @pytest.mark.parametrize("name", ["HOME", "LOGNAME", "PWD", "USER"])
    def test_the_users_name_and_folders_stay(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        """Also where somebody has chosen one of them for a password."""
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "gardener")
        assert redacted("by gardener") == "by ***"
        monkeypatch.setenv(name, "/home/gardener")
        assert redacted("by gardener") == "by gardener"

    def test_trees_keep_their_shape(self) -> None:
        """Texts in lists and mappings are redacted, all else is what it was."""
        learn("http://me:hush-hush@host")
        tree = {"a": ["hush-hush", 1, None], "b": {"c": "http://me:x@host", "d": True}, "e": ("hush-hush", 2)}

        assert redacted_tree(tree) == {
            "a": ["***", 1, None],
            "b": {"c": "http://me:***@host", "d": True},
            "e": ["***", 2],
        }

    def test_errors_have_none(self) -> None:
        """The sentence, and what is quoted in it."""
        learn("http://me:hush-hush@host")

        assert (
            str(TrackingError("http://me:hush-hush@host says hush-hush.")) == "http://me:***@host says ***."
        )

    def test_log_lines_have_none(self) -> None:
        """Arguments and tracebacks too."""
        learn("http://me:hush-hush@host")
        with pytest.raises(OSError, match="hush") as caught:
            Path("/no/hush-hush").read_bytes()
        told = (caught.type, caught.value, caught.tb)
        record = logging.makeLogRecord({"msg": "at %s", "args": ("hush-hush",), "exc_info": told})

        line = Formatter("%(message)s").format(record)

        assert line.startswith("at ***\nTraceback")
        assert line.endswith("No such file or directory: '/no/***'")

    def test_the_end_of_a_trial_has_none(self) -> None:
        """Neither the reason nor the traceback that go into the study, whichever exception it was."""
        learn("http://me:hush-hush@host")
        error = RuntimeError("http://me:hush-hush@host does not answer")
        error.__cause__ = OSError("hush-hush")

        outcome = of_exception(error)

        assert outcome.reason == "RuntimeError: http://me:***@host does not answer"
        assert "OSError: ***" in outcome.traceback
        assert "hush" not in outcome.traceback

    @pytest.mark.slow
    def test_what_a_tracker_keeps_has_none(self, tmp_path: Path) -> None:
        """Params, tags, texts and JSON, short and long."""
        learn("http://me:hush-hush@host")
        store = prepare_store(tmp_path)
        tracker = MLflowTracker.start(store, "e", "run")
        tracker.params({"a": "hush-hush", "long": "hush-hush " * 2000})
        tracker.tags({"b": "http://me:hush-hush@host"})
        tracker.text("c: hush-hush", "c.yaml")
        tracker.json({"d": ["hush-hush"], "seed": 123456}, "d.json")

        run, files = client(store.uri).get_run(tracker.run_id), Files(store, tracker.run_id)
        texts = [files.text(name) or "" for name in ("c.yaml", "d.json", "long_values/long.txt")]
        assert "hush" not in repr((run.data.params, run.data.tags, texts))
        assert [text.count("***") for text in texts] == [1, 1, 2000]
        assert json.loads(texts[1]) == {"d": ["***"], "seed": 123456}

    def test_it_takes_no_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is in use is looked for once, as long as nothing changes."""
        monkeypatch.setattr(os, "environ", dict(os.environ))
        redaction._in_use.cache_clear()
        for _ in range(50):
            redacted("text")

        assert redaction._in_use.cache_info().misses == 1


class TestBackends:
    """What drivers and MLflow say of addresses that do not work."""

    @pytest.mark.parametrize("password", ["secret", "s3/c:r@t", "s%c r'et"])
    @pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgres", "mysql", "http"])
    def test_their_sentences_have_none(self, tmp_path: Path, scheme: str, password: str) -> None:
        """Nobody listens, the driver is missing, the scheme is unknown: as a tracking store and as a storage of studies."""
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        address = f"{scheme}://me:{quote(password, safe='')}@127.0.0.1:{port}/db"
        opened: list[Callable[[], object]] = [
            lambda: prepare_store(tmp_path, address),
            lambda: open_storage(address, tmp_path),
        ]

        for opening in opened:
            with pytest.raises((TrackingError, SweepError)) as caught:
                opening()
            assert password not in str(caught.value)
            assert quote(password, safe="") not in str(caught.value)


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_a_sweep_keeps_none(tmp_path: Path, drawn: Path) -> None:
    """Neither MLflow, Optuna, Hydra's files nor the output has the password of the server; trials say what was typed."""
    typed = [
        "--multirun",
        "data=folder",
        "aug=none,RandomFlip",
        f"data.dir={drawn}",
        "trainer.image_size=16",
        "model.filters=[4]",
        "trainer.epochs=1",
        "hydra.output_subdir=.hydra",
        "hydra.sweeper.n_jobs=2",
        f"tracking.dir={tmp_path}/results",
        f"paths.cache={tmp_path}/cache",
    ]
    with mlflow_server(tmp_path / "served") as store:
        uri = store.uri.replace("://", "://me:se%40cret@")
        done = subprocess.run(
            [sys.executable, "-m", "flowersweep", *typed, f"tracking.uri='{uri}'"],
            cwd=tmp_path,
            env={**os.environ, "MLFLOW_TRACKING_PASSWORD": "hush-hush"},
            capture_output=True,
            check=False,
            timeout=300,
        )
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    commands = [json.loads(text)["command"] for path, text in kept.items() if path.name == "provenance.json"]

    assert done.returncode == 0, done.stderr
    assert any(path.parent.name == ".hydra" for path in kept)
    assert len(commands) == 2
    assert all(
        one.startswith("python -m flowersweep --multirun data=folder aug=none,RandomFlip") for one in commands
    )
    for told in (done.stdout, done.stderr, *kept.values()):
        for password in (b"se@cret", b"se%40cret", b"hush-hush"):
            assert password not in told
