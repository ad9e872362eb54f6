"""Access to the artifacts of a run that may not exist."""

import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.store.store import Store


@dataclass(frozen=True)
class Files:
    """The artifacts of one run.

    Attributes:
        store: The store of the run.
        run_id: The id of the run.
    """

    store: Store
    run_id: str

    def data(self, name: str) -> bytes | None:
        """The content of a file; None if the run has no file of that name.

        Raises:
            TrackingError: The file exists but cannot be read.
        """
        folder = str(PurePosixPath(name).parent)
        service = client(self.store.uri)
        with translated(f"read {name} of run {self.run_id}"), tempfile.TemporaryDirectory() as place:
            listed = service.list_artifacts(self.run_id, None if folder == "." else folder)
            if name not in {item.path for item in listed}:
                return None
            return Path(service.download_artifacts(self.run_id, name, place)).read_bytes()

    def text(self, name: str) -> str | None:
        """The content of a text file; None if the run has no file of that name."""
        data = self.data(name)
        return None if data is None else data.decode("utf-8", errors="replace")
