"""The epochs of a run and the best of them."""

from flowersweep.training.history import RECALL, History


def history(monitor: str, *losses_and_accuracies: tuple[float, float]) -> History:
    """A history whose epochs have these val_loss and val_accuracy."""
    filled = History(monitor=monitor)
    for loss, accuracy in losses_and_accuracies:
        filled.append(
            {"loss": 1.0, "accuracy": 0.5, "val_loss": loss, "val_accuracy": accuracy, "learning_rate": 0.1}
            | {"seconds": 2.0, "images_per_second": 10.0}
        )
    return filled


class TestBestEpoch:
    def test_is_the_highest_accuracy(self) -> None:
        """Of an accuracy the largest value is the best, counted from epoch 1."""
        assert history("val_accuracy", (0.9, 0.5), (0.7, 0.8), (0.6, 0.7)).best_epoch == 2

    def test_is_the_lowest_loss(self) -> None:
        """Of a loss the smallest value is the best."""
        assert history("val_loss", (0.9, 0.5), (0.7, 0.8), (0.6, 0.7)).best_epoch == 3

    def test_is_the_earlier_on_a_tie(self) -> None:
        """Of two equal epochs the earlier one is kept."""
        assert history("val_accuracy", (0.9, 0.8), (0.7, 0.8)).best_epoch == 1


class TestSummary:
    def test_holds_best_and_last(self) -> None:
        """best/* are the best epoch's values, last/* the last one's, total/* sums over all."""
        summary = history("val_accuracy", (0.9, 0.5), (0.7, 0.8), (0.6, 0.7)).summary()

        assert (summary["best/val_accuracy"], summary["best/val_loss"]) == (0.8, 0.7)
        assert (summary["last/val_accuracy"], summary["last/val_loss"]) == (0.7, 0.6)
        assert (summary["best/epoch"], summary["total/epochs"], summary["total/seconds"]) == (2, 3, 6.0)

    def test_csv_quotes_names_of_classes(self) -> None:
        """A class may be called `a,b`; its recall is one column."""
        filled = History(monitor="val_accuracy")
        filled.append({"val_accuracy": 0.5, f"{RECALL}a,b": 0.25})
        assert filled.csv() == 'epoch,val_accuracy,"recall/a,b"\n1,0.5,0.25\n'

    def test_csv_has_one_line_per_epoch(self) -> None:
        """The table has a header, then epochs numbered from 1."""
        lines = history("val_accuracy", (0.9, 0.5), (0.7, 0.8)).csv().splitlines()

        assert lines[0] == "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds,images_per_second"
        assert lines[1:] == ["1,1,0.5,0.9,0.5,0.1,2,10", "2,1,0.5,0.7,0.8,0.1,2,10"]
