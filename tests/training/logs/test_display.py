"""What is printed while a run trains and at its end."""

import io

from rich.console import Console

from flowersweep.training.logs.display import TrainingDisplay, ui_command

VALUES = {
    "loss": 1.25,
    "accuracy": 0.5,
    "val_loss": 1.5,
    "val_accuracy": 0.625,
    "learning_rate": 1e-3,
    "seconds": 12.34,
    "images_per_second": 245.6,
}


def test_an_epoch_is_one_line_where_there_is_no_terminal() -> None:
    """Without a terminal there is no bar, and each epoch gives one line with all its values."""
    output = io.StringIO()
    with TrainingDisplay("head", 9, 23, first_epoch=2, console=Console(file=output, width=60)) as display:
        display.batch()
        display.epoch(3, VALUES)

    assert output.getvalue() == (
        "head epoch  3/11  loss 1.2500  accuracy 0.5000  val_loss 1.5000  val_accuracy 0.6250  "
        "lr 1.00e-03  12.3 s  246 images/s\n"
    )


def test_a_terminal_shows_the_step_and_the_time_left() -> None:
    """On a terminal a bar says which step of which epoch it is; it is drawn once more when it ends."""
    for epochs_done, seen in ((0, "training epoch 1"), (1, "training epoch 2")):
        output = io.StringIO()
        console = Console(file=output, width=100, force_terminal=True)
        with TrainingDisplay("training", 2, 4, console=console) as display:
            for number in range(1, epochs_done + 1):
                for _ in range(4):
                    display.batch()
                display.epoch(number, VALUES)
            for _ in range(3):
                display.batch()
        last = [line for line in output.getvalue().splitlines() if "step" in line][-1]

        assert seen in last
        assert "step 3/4" in last
        assert "left at most" in last


def test_a_server_is_opened_by_its_address() -> None:
    """The way to look at runs on a server is its address; for a file it is a command with that file."""
    assert ui_command("http://127.0.0.1:5000") == "http://127.0.0.1:5000"
    assert "mlflow ui --backend-store-uri sqlite:////tmp/x.db --host 127.0.0.1" in ui_command(
        "sqlite:////tmp/x.db"
    )
