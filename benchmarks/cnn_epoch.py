"""The published study's CNN: the ratio of an epoch in plain Keras to an epoch in flowersweep, measured alternately.

    python benchmarks/cnn_epoch.py --data PATH/flower_photos

The same as `python benchmarks/epochs.py --only cnn`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.command import main
from benchmarks.epochs import cnn

if __name__ == "__main__":
    main(__doc__, {"cnn": cnn})
