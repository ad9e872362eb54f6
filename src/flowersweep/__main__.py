"""`python -m flowersweep`."""

from flowersweep.cli import main

if __name__ == "__main__":
    main()
