"""How pictures become squares, in words."""

# By the value of data.resize.
RESIZED = {
    "stretch": "stretched to a square",
    "crop": "the central square of each picture",
    "pad": "each picture in the middle of a black square",
}


def input_words(size: int, resizing: str) -> str:
    """What a model takes, for people who use it from another program.

    Args:
        size: Side length of the model's pictures in pixels.
        resizing: As data.resize of the model's run.
    """
    return (
        f"RGB pictures of {size} x {size} pixels, values 0..255, {RESIZED[resizing]} (data.resize={resizing})"
    )
