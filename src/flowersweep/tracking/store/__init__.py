"""The tracking store: how it is created or reached, whether it was moved, and how its pages look at first."""
