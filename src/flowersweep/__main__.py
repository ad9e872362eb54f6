"""`python -m flowersweep`."""

import sys

from flowersweep.cli import main

if __name__ == "__main__":
    sys.exit(main())
