"""All measurements in this folder that compare flowersweep with plain Keras, in one table.

    python benchmarks/all.py --data PATH/flower_photos --weights PATH.weights.h5 --markdown

They take hours. --only and the other arguments are those of epochs.py, sweeps.py, overhead.py and whole_run.py.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import epochs, overhead, sweeps, whole_run
from benchmarks.command import main

if __name__ == "__main__":
    main(__doc__, {**epochs.CONTESTS, **sweeps.CONTESTS, **overhead.CONTESTS, **whole_run.CONTESTS})
