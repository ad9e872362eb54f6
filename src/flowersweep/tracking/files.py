"""The files of a run, which may be there or not."""

import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.store.store import Store


@dataclass(frozen=True)
class Files:
    """The artifacts of one run.

    Attributes:
        store: Where it is.
        run_id: Its id.
    """

    store: Store
    run_id: str

    def data(self, name: str) -> bytes | None:
        """The content of a file; None if the run has none of that name.

        Raises:
            TrackingError: It cannot be read although it is there.
        """
        folder = str(PurePosixPath(name).parent)
        service = client(self.store.uri)
        with translated(f"read {name} of run {self.run_id}"), tempfile.TemporaryDirectory() as place:
            listed = service.list_artifacts(self.run_id, None if folder == "." else folder)
            if name not in {item.path for item in listed}:
                return None
            return Path(service.download_artifacts(self.run_id, name, place)).read_bytes()

    def text(self, name: str) -> str | None:
        """The content of a text file; None if the run has none of that name."""
        data = self.data(name)
        return None if data is None else data.decode("utf-8", errors="replace")
