"""Files and folders that are whole or absent."""

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from flowersweep.cache.atomic import locked, new_folder, part_of, read_json, write_json
from flowersweep.errors import DataError


class TestNewFolder:
    """A folder that appears when it is finished."""

    def test_appears_at_the_end(self, tmp_path: Path) -> None:
        """While it is filled the target does not exist; afterwards only the target does."""
        with new_folder(tmp_path / "x") as part:
            (part / "file").write_text("1")
            assert not (tmp_path / "x").exists()

        assert (tmp_path / "x/file").read_text() == "1"
        assert not part.exists()

    def test_vanishes_on_an_error(self, tmp_path: Path) -> None:
        """An exception removes what was written and passes on."""

        def interrupted() -> None:
            with new_folder(tmp_path / "x") as part:
                (part / "file").write_text("1")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert list(tmp_path.iterdir()) == []

    def test_leftovers_are_replaced(self, tmp_path: Path) -> None:
        """What a killed process left is not mixed into the new folder."""
        part_of(tmp_path / "x").mkdir()
        (part_of(tmp_path / "x") / "old").touch()
        with new_folder(tmp_path / "x") as part:
            (part / "new").touch()

        assert [path.name for path in (tmp_path / "x").iterdir()] == ["new"]


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The second to ask enters when the first has left, and says for what it waits."""
    caplog.set_level("INFO")
    events: list[str] = []

    def second() -> None:
        with locked(tmp_path / "x"):
            events.append("second in")

    with locked(tmp_path / "x"):
        thread = threading.Thread(target=second)
        thread.start()
        while "Waiting" not in caplog.text and thread.is_alive():
            time.sleep(0.01)
        events.append("first out")
    thread.join()

    assert events == ["first out", "second in"]
    assert f"Waiting for another process that is preparing {tmp_path / 'x'}" in caplog.text


class TestJson:
    """Small notes beside the data."""

    def test_round_trip(self, tmp_path: Path) -> None:
        """What is written is read back, and no temporary file stays."""
        write_json(tmp_path / "folder/x.json", {"a": [1, "\udcff"]})

        assert read_json(tmp_path / "folder/x.json") == {"a": [1, "\udcff"]}
        assert [path.name for path in (tmp_path / "folder").iterdir()] == ["x.json"]

    def test_a_value_that_is_no_json_changes_nothing(self, tmp_path: Path) -> None:
        """If writing fails the old file stays whole."""
        write_json(tmp_path / "x.json", {"a": 1})
        with pytest.raises(TypeError):
            write_json(tmp_path / "x.json", {"a": object()})

        assert read_json(tmp_path / "x.json") == {"a": 1}
        assert len(list(tmp_path.iterdir())) == 1

    @pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
    def test_damaged_files_read_as_none(self, tmp_path: Path, content: bytes) -> None:
        """What is not a JSON object counts as absent."""
        (tmp_path / "x.json").write_bytes(content)

        assert read_json(tmp_path / "x.json") is None
        assert read_json(tmp_path / "absent.json") is None


def test_a_folder_that_is_removed_meanwhile(tmp_path: Path) -> None:
    """A JSON file is written although somebody else removes its folder whenever it is empty."""
    folder = tmp_path / "shared"
    done = threading.Event()

    def remove() -> None:
        while not done.wait(0.0002):  # longer than a writer needs, or it would never have its folder
            with suppress(OSError):
                folder.rmdir()

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        for number in range(2000):
            write_json(folder / "x.json", {"number": number})
            assert read_json(folder / "x.json") == {"number": number}
            (folder / "x.json").unlink()
    finally:
        done.set()
        remover.join()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """The system's error becomes a sentence with the settings that help."""
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be written: .*paths.cache=PATH or FLOWERSWEEP_CACHE"):
        write_json(tmp_path / "file/x.json", {})
