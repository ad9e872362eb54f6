"""Network file systems are told from local disks."""

from pathlib import Path

import pytest

from flowersweep.hardware import network_file_system


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
