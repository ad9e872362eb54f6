"""The limits of a container count, and network file systems are told from local disks."""

import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from flowersweep.hardware import available_memory, available_processors, network_file_system


class TestContainer:
    @pytest.mark.parametrize(
        ("limit", "expected"),
        [
            ("max 100000", 64),
            ("400000 100000", 4),
            ("250000 100000", 3),
            ("10000 100000", 1),
            ("9000000 100000", 64),
        ],
    )
    def test_its_share_of_the_processors(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int
    ) -> None:
        """All 64 are visible, but it may use the time of some; a part of a processor is one more."""
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
        (tmp_path / "cpu.max").write_text(f"{limit}\n")

        assert available_processors(tmp_path) == expected

    @pytest.mark.parametrize(("limit", "expected"), [("max", 8_388_608_000), ("3000000000", 2_000_000_000)])
    def test_its_memory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int
    ) -> None:
        """What the machine has beyond it cannot be used."""
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8_388_608_000))
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text("1000000000\n")

        assert available_memory(tmp_path) == expected

    def test_files_that_it_has_read_do_not_fill_its_memory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After two gigabytes of pictures, of which the system keeps copies, as much is available as before."""
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8_388_608_000))
        (tmp_path / "memory.max").write_text("3000000000\n")
        (tmp_path / "memory.current").write_text("2900000000\n")
        (tmp_path / "memory.stat").write_text(
            "anon 800000000\ninactive_file 2000000000\nactive_file 100000000\n"
        )

        assert available_memory(tmp_path) == 2_100_000_000

    def test_without_limits_it_is_the_machine_s(self, tmp_path: Path) -> None:
        """More than nothing, and no more than there is."""
        assert available_processors(tmp_path / "none") == len(os.sched_getaffinity(0))
        assert 0 < available_memory(tmp_path / "none") < psutil.virtual_memory().total


class TestNetworkFileSystem:
    MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/fast xfs rw 0 0
//nas/share /mnt/my\\040share cifs rw 0 0
"""

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/home/somebody/mlruns/mlflow.db", "nfs4"),
            ("/home/fast/mlflow.db", None),
            ("/mnt/my share/x", "cifs"),
            ("/opt/mlflow.db", None),
        ],
    )
    def test_the_nearest_mount_decides(self, tmp_path: Path, path: str, kind: str | None) -> None:
        """A local disk mounted below a network's folder is local."""
        mounts = tmp_path / "mounts"
        mounts.write_text(self.MOUNTS)

        assert network_file_system(Path(path), mounts) == kind

    def test_without_a_list_of_mounts_nothing_is_said(self, tmp_path: Path) -> None:
        """Other systems have no such file."""
        assert network_file_system(Path("/home"), tmp_path / "none") is None
