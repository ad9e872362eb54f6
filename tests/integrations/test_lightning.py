"""The callback for Lightning reports each validation, and stops a training that is pruned."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flowersweep import Pruned
from flowersweep.sweep.workers.trial import RunningTrial, running

if not TYPE_CHECKING and not any(map(importlib.util.find_spec, ("lightning", "pytorch_lightning"))):
    pytest.skip("Lightning is not installed", allow_module_level=True)

import torch

from flowersweep.integrations import lightning

pytestmark = [
    pytest.mark.slow,
    # Lightning's own, of loaders without workers and of versions.
    pytest.mark.filterwarnings("default"),
]


def _fit(folder: Path, monitor: str) -> int:
    """Train a tiny network and return how many epochs it has trained."""
    import pytorch_lightning

    class Module(pytorch_lightning.LightningModule):  # type: ignore[misc,unused-ignore] # it has no types here
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch: Any, _index: int) -> Any:
            return ((self.layer(batch) - batch) ** 2).mean()

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val_loss", self.training_step(batch, index))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    loader = torch.utils.data.DataLoader(torch.linspace(0, 1, 8)[:, None], batch_size=4)
    trainer = pytorch_lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[lightning.ReportEpochs(monitor)],
    )
    trainer.fit(Module(), loader, loader)
    return int(trainer.current_epoch)


def test_reports(tmp_path: Path) -> None:
    """Epochs are counted from 1, without Lightning's trial run before them; outside a sweep nothing happens."""
    reports: dict[int, float] = {}

    def report(step: int, value: float) -> bool:
        reports[step] = value
        return step == 2

    assert _fit(tmp_path, "val_loss") == 3
    with running(RunningTrial(0, "s", {}, _report=report)), pytest.raises(Pruned, match="after step 2"):
        _fit(tmp_path, "val_loss")
    assert sorted(reports) == [1, 2]
    with pytest.raises(ValueError, match=r"no metric 'accuracy', only val_loss\."):
        _fit(tmp_path, "accuracy")
