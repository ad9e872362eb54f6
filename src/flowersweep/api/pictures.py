"""Pictures that a notebook shows: the figures of a run, the charts of a study."""

import base64
import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flowersweep.tracking.lookup import Files
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.store.store import Store


@dataclass(frozen=True, repr=False)
class Picture:
    """A picture; a notebook shows it.

    Attributes:
        name: What it shows.
        png: The content of the PNG file.
    """

    name: str
    png: bytes

    def html(self) -> str:
        """The picture as an element of a page."""
        data = base64.b64encode(self.png).decode()
        return (
            f'<img alt="{html.escape(self.name)}" style="max-width:100%" src="data:image/png;base64,{data}">'
        )

    def __repr__(self) -> str:
        return f"<Picture {self.name}>"

    def _repr_png_(self) -> bytes:
        return self.png


class Pictures(Mapping[str, Picture]):
    """Pictures by name; a notebook shows all of them."""

    def __init__(self, pictures: Mapping[str, Picture]) -> None:
        self._pictures = dict(pictures)

    @classmethod
    def of_run(cls, store: Store, run_id: str) -> "Pictures":
        """The figures among a run's artifacts."""
        with translated(f"list the figures of run {run_id}"):
            paths = [item.path for item in client(store.uri).list_artifacts(run_id)]
        files = Files(store, run_id)
        names = [path.removesuffix(".png") for path in paths if path.endswith(".png")]
        return cls({name: Picture(name, files.data(f"{name}.png") or b"") for name in names})

    def __getitem__(self, name: str) -> Picture:
        return self._pictures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pictures)

    def __len__(self) -> int:
        return len(self._pictures)

    def __repr__(self) -> str:
        return f"<Pictures {', '.join(self)}>"

    def _repr_html_(self) -> str:
        return "".join(f"<p>{picture.html()}</p>" for picture in self.values())
