"""The feature bank among processes: each draw computed once, and whole whoever is killed."""

import subprocess
import sys
from pathlib import Path

import pytest

FILL = """
import logging, sys
from pathlib import Path
import keras, numpy as np
from flowersweep.augment import build
from flowersweep.models.bank import FeatureBank
from flowersweep.training.dataset import PictureSet
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
keras.utils.set_random_seed(0)
inputs = keras.Input((64, 64, 3))
prefix = keras.Model(inputs, keras.layers.Conv2D(256, 7, strides=2)(inputs))
rng = np.random.default_rng(0)
part = PictureSet(rng.integers(0, 256, (200, 64, 64, 3), dtype=np.uint8), np.arange(200), np.zeros(200, np.int32))
bank = FeatureBank(prefix, part=part, augmentation=build("RandomRotation"), image_size=64, fingerprint="x",
                   cache=Path(sys.argv[1]), dtype="float16", engine="litert", max_bytes=10**10)
print("ready", flush=True)
sys.stdin.readline()
for epoch in range(4):
    print("sum", epoch, np.asarray(bank.draw(epoch)).astype(np.float64).sum(), flush=True)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
class TestProcesses:
    def test_compute_each_draw_once(self, tmp_path: Path) -> None:
        """Two processes that need the same four draws at once compute four in all and read the same."""
        both = [started(tmp_path) for _ in range(2)]
        for process in both:  # none begins before both are ready
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate()[0] for process in both]
        sums = [[line for line in output.splitlines() if line.startswith("sum")] for output in outputs]

        assert "".join(outputs).count("Computing the features of 200 pictures") == 4
        assert len(sums[0]) == 4
        assert sums[0] == sums[1]
        assert len(list(tmp_path.glob("features/*/*.npy"))) == 4

    def test_killed_ones_leave_no_half_draw(self, tmp_path: Path) -> None:
        """A process killed while it computes leaves draws that are whole or absent; the next one does the rest."""
        first = started(tmp_path)
        assert first.stdin is not None
        assert first.stdout is not None
        first.stdin.write("go\n")
        first.stdin.flush()
        while "draw 1" not in (line := first.stdout.readline()):
            assert line, "the process ended without a second draw"
        first.kill()
        first.communicate()
        second = started(tmp_path)
        output = second.communicate("go\n")[0]

        assert "damaged" not in output
        assert output.count("Computing the features") == 3
        assert output.count("sum") == 4
        assert not list(tmp_path.glob("features/*/*.part"))


def started(cache: Path) -> subprocess.Popen[str]:
    """A process that has built its bank and waits for a line before it draws."""
    process = subprocess.Popen(
        [sys.executable, "-c", FILL, str(cache)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while (line := process.stdout.readline()) != "ready\n":
        assert line, "the process ended before it was ready"
    return process
