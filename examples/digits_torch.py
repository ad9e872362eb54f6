"""The search of examples/digits.py with a loop of PyTorch.

python examples/digits_torch.py
python examples/digits_torch.py --multirun hydra.sweeper.n_jobs=2
"""

import hydra
import torch
from omegaconf import DictConfig
from sklearn.datasets import load_digits
from torch import nn

from flowersweep import current_trial


@hydra.main(config_path="conf", config_name="digits_torch")
def main(cfg: DictConfig) -> float:
    """Train one network and return its accuracy."""
    torch.manual_seed(cfg.seed)
    pictures, digits = load_digits(return_X_y=True)
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
    pictures = torch.tensor(pictures, dtype=torch.float32)[order] / 16
    digits = torch.tensor(digits)[order]
    train, valid = slice(500, None), slice(0, 500)
    model = nn.Sequential(
        nn.Linear(64, cfg.units), nn.ReLU(), nn.Dropout(cfg.dropout), nn.Linear(cfg.units, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.learning_rate)
    trial = current_trial()
    accuracy = 0.0
    for epoch in range(1, cfg.epochs + 1):
        model.train()
        for batch in torch.randperm(len(digits) - 500).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(pictures[train][batch]), digits[train][batch]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            accuracy = (model(pictures[valid]).argmax(1) == digits[valid]).float().mean().item()
        trial.report(epoch, accuracy)
    torch.save(model.state_dict(), trial.folder / "model.pt")
    return accuracy


if __name__ == "__main__":
    main()
