"""Search the settings of a scikit-learn network for handwritten digits, and stop unpromising trials.

python examples/digits.py
python examples/digits.py --multirun
python examples/digits.py --multirun hydra/sweeper/pruner=none hydra.sweeper.study_name=digits-whole
"""

import hydra
from omegaconf import DictConfig
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from flowersweep import current_trial


@hydra.main(config_path="conf", config_name="digits")
def main(cfg: DictConfig) -> dict[str, float]:
    """Train one network and return how good it is."""
    pictures, digits = load_digits(return_X_y=True)
    train, valid, train_digits, valid_digits = train_test_split(
        pictures, digits, test_size=0.3, stratify=digits, random_state=0
    )
    scaler = StandardScaler().fit(train)
    train, valid = scaler.transform(train), scaler.transform(valid)
    model = MLPClassifier(
        hidden_layer_sizes=(cfg.units,) * cfg.layers,
        learning_rate_init=cfg.learning_rate,
        alpha=cfg.weight_decay,
        random_state=cfg.seed,
    )
    trial = current_trial()
    for epoch in range(1, cfg.epochs + 1):
        model.partial_fit(train, train_digits, classes=range(10))
        accuracy = model.score(valid, valid_digits)
        trial.report(epoch, accuracy)
    print(f"{cfg.epochs} epochs, accuracy {accuracy:.4f}")
    return {"accuracy": accuracy, "loss": log_loss(valid_digits, model.predict_proba(valid))}


if __name__ == "__main__":
    main()
