"""The article's CNN: an epoch in plain Keras against an epoch in flowersweep, alternating, as a ratio.

    python benchmarks/cnn_epoch.py --data PATH/flower_photos

The same as `python benchmarks/epochs.py --only cnn`, which has the others too.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.command import main
from benchmarks.epochs import cnn

if __name__ == "__main__":
    main(__doc__, {"cnn": cnn})
