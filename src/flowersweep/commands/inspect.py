# A command's module has its name, and is imported with its package's name before it.
"""`flowersweep inspect data=folder data.dir=PATH`: look at pictures before anything is trained on them."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import compose, initialize_config_dir

from flowersweep import config
from flowersweep.commands.parsing.arguments import exit_code
from flowersweep.config import Config, cache_dir
from flowersweep.console import plain_console
from flowersweep.deploy.output import check_free, draft
from flowersweep.tables import Listing, show_text
from flowersweep.texts import expanded, in_one_line

if TYPE_CHECKING:
    from PIL.Image import Image

    from flowersweep.data.notices import Notice
    from flowersweep.inspection.looking import Looks

_PREVIEWED = 6  # pictures
_OUTPUT = "output="


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table and the findings, and write the page.

    Args:
        arguments: Overrides as for a run; None for those of the process.

    Returns:
        The exit code: 0, or 2 for bad input.
    """
    parser = argparse.ArgumentParser(
        prog="flowersweep inspect",
        description="Look at the pictures of a run before it is trained: how many of which class and part, sizes, "
        "duplicates and near duplicates, damaged files, examples, and what the augmentation does (aug=NAME). A table in "
        "the terminal, and a page that works offline.",
        epilog="example: python -m flowersweep inspect data=folder data.dir=PATH aug=RandomFlip",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        help="as for a run: data=folder data.dir=PATH data.split=stratified ...; output=FILE names the page (default: "
        "reports/inspect-FOLDER.html)",
    )
    return exit_code(lambda: _inspect(parser.parse_args(arguments).overrides))


def _inspect(given: Sequence[str]) -> int:
    overrides = [config.as_meant(one) for one in given if not one.startswith(_OUTPUT)]
    output = next((one.removeprefix(_OUTPUT) for one in given if one.startswith(_OUTPUT)), None)
    if output:  # a page replaces an earlier one, and nothing else
        check_free(expanded(output), overwrite=True)
    config.prepare()
    with config.composing(), initialize_config_dir(str(config.conf_dir())):
        settings = config.settings(compose("config", overrides=overrides))
    from flowersweep.inspection.findings import findings
    from flowersweep.inspection.looking import look
    from flowersweep.inspection.page import page
    from flowersweep.training.dataset import find_pictures

    catalogue, _ = find_pictures(settings)
    looks = look(settings, catalogue, cache_dir(settings.paths.cache))
    found = findings(settings, looks)
    folder = re.sub(r"[^\w.-]+", "-", looks.catalogue.root.name).strip(".-") or "pictures"
    target = expanded(output) if output else Path("reports", f"inspect-{folder}.html")
    html = page(settings, looks, found, _preview(settings, looks))
    with draft(target, overwrite=True) as part:
        part.write_text(html, encoding="utf-8")
    _show(looks, found)
    sys.stdout.write(f"{in_one_line(target)}\n")
    return 0


def _show(looks: "Looks", found: "Sequence[Notice]") -> None:
    from flowersweep.inspection.counts import counts_of

    counts = counts_of(looks)
    rows = [
        (name, *(f"{number:,}" for number in numbers))
        for name, numbers in (*counts.rows, ("all classes", counts.total))
    ]
    styles = [None] * len(counts.rows) + ["bold"]
    console = plain_console()
    Listing(
        ("class", *counts.columns),
        rows,
        title="Pictures",
        right=counts.columns,
        wrapping={"class"},
        styles=styles,
    ).show(console)
    size, ratio = (
        (looks.widths, looks.heights),
        looks.widths / looks.heights,
    )
    show_text(
        console,
        f"{size[0].min()} to {size[0].max()} pixels wide, {size[1].min()} to {size[1].max()} high, aspect ratios "
        f"{ratio.min():.2f} to {ratio.max():.2f}",
    )
    for one in found:
        show_text(console, f"- {in_one_line(str(one))}")
    if not found:
        show_text(console, "Nothing was found that needs attention.")


def _preview(settings: Config, looks: "Looks") -> "Image | None":
    """What the augmentation makes of the first training pictures; None if there is no augmentation or split."""
    from flowersweep.augment.base import NoAugmentation

    if looks.split is None or isinstance(settings.aug, NoAugmentation):
        return None
    import numpy as np

    from flowersweep.augment.preview import preview
    from flowersweep.data import decode
    from flowersweep.training.environment import start_tensorflow

    start_tensorflow(seed=0, threads=settings.trainer.threads, deterministic=False)
    rows = looks.split.train[:_PREVIEWED]
    size = settings.trainer.image_size
    paths = [looks.catalogue.root / looks.catalogue.paths[index] for index in rows]
    images = np.stack([decode(path, settings.aug.source_size(size), settings.data.resize) for path in paths])
    return preview(settings.aug, images, size, indices=rows)
