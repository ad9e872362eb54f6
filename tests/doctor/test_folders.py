"""The cache folder and the file systems below it."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from conftest import MakeConfig
from flowersweep.doctor import folders
from flowersweep.doctor.finding import Verdict, run_check
from flowersweep.doctor.folders import check_cache, check_checkpoints, try_to_write


class TestCache:
    def test_a_good_one_is_fine(self, make_config: MakeConfig, tmp_path: Path) -> None:
        """A folder that is not there yet is fine where it can be made, and looking does not make it."""
        (finding,) = check_cache(make_config(f"paths.cache={tmp_path}/new/cache"))

        assert finding.verdict is Verdict.FINE
        assert finding.found.startswith(f"{tmp_path}/new/cache is created by the first run, ")
        assert not (tmp_path / "new").exists()

    @pytest.mark.skipif(sys.platform != "linux", reason="a folder that not even root can write to")
    def test_a_read_only_one_is_to_be_mended(self, make_config: MakeConfig) -> None:
        """It says what can be done, the other folder included."""
        config = make_config("paths.cache=/sys/flowersweep")

        (finding,) = run_check("cache", lambda: check_cache(config))

        assert finding.verdict is Verdict.FIX
        assert finding.found == "/sys/flowersweep cannot be written: Permission denied"
        assert "paths.cache=PATH or FLOWERSWEEP_CACHE" in finding.fix

    def test_a_file_in_its_place_is_to_be_mended(self, make_config: MakeConfig, tmp_path: Path) -> None:
        """A cache below a file cannot be made."""
        (tmp_path / "file").touch()
        config = make_config(f"paths.cache={tmp_path}/file/cache")

        (finding,) = run_check("cache", lambda: check_cache(config))

        assert finding.verdict is Verdict.FIX
        assert finding.found == f"{tmp_path}/file/cache cannot be written: Not a directory"

    @pytest.mark.parametrize(("free", "verdict"), [(0.5e9, "fix"), (5e9, "note"), (50e9, "fine")])
    def test_room_is_compared_with_what_is_needed(
        self, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, free: float, verdict: str
    ) -> None:
        """Less than a gigabyte is too little; less than the feature bank's 20 is worth a note."""
        config = make_config("model=mobilenet_frozen", "model.weights=null")
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=int(free)))

        (finding,) = check_cache(config)

        assert finding.verdict == verdict
        assert ("bank.max_gigabytes=2" in finding.fix) is (verdict == "note")

    def test_nothing_is_left_behind(self, tmp_path: Path) -> None:
        """Trying to write leaves an empty folder empty."""
        try_to_write(tmp_path)

        assert list(tmp_path.iterdir()) == []


class TestCheckpoints:
    def test_in_the_cache_they_are_no_matter_of_their_own(self, make_config: MakeConfig) -> None:
        """The cache is checked already."""
        assert list(check_checkpoints(make_config())) == []

    def test_a_good_folder_is_fine(self, make_config: MakeConfig, tmp_path: Path) -> None:
        """Also one that is not there yet, which looking does not make."""
        (finding,) = check_checkpoints(make_config(f"paths.checkpoints={tmp_path}/new"))

        assert (finding.check, finding.verdict) == ("checkpoints", Verdict.FINE)
        assert finding.found.startswith(f"{tmp_path}/new/checkpoints is created by the first run, ")
        assert not (tmp_path / "new").exists()

    @pytest.mark.skipif(sys.platform != "linux", reason="a folder that not even root can write to")
    def test_a_read_only_one_is_noted(self, make_config: MakeConfig) -> None:
        """Trainings go on without checkpoints."""
        (finding,) = check_checkpoints(make_config("paths.checkpoints=/sys/flowersweep"))

        assert (finding.verdict, finding.found) == (
            Verdict.NOTE,
            "/sys/flowersweep/checkpoints cannot be written: Permission denied",
        )
        assert finding.fix == "make it writable, or choose another folder with paths.checkpoints=PATH"

    @pytest.mark.parametrize(("free", "verdict"), [(0.5e9, "note"), (5e9, "fine")])
    def test_room(
        self,
        make_config: MakeConfig,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        free: float,
        verdict: str,
    ) -> None:
        """Less than a gigabyte is little."""
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=int(free)))
        (finding,) = check_checkpoints(make_config(f"paths.checkpoints={tmp_path}"))

        assert finding.verdict == verdict


@pytest.mark.parametrize(("size", "text"), [(2.31e9, "2.3 GB"), (229e6, "229 MB"), (0, "0 MB")])
def test_sizes_are_written_as_people_write_them(size: float, text: str) -> None:
    """Gigabytes with one digit, megabytes with none."""
    assert folders.gigabytes(size) == text
