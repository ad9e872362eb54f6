"""The page about pictures."""

import datetime as dt
import re
from pathlib import Path

from PIL import Image

from conftest import MakeConfig
from flowersweep.data import read_folder
from flowersweep.inspection.findings import findings
from flowersweep.inspection.looking import look
from flowersweep.inspection.page import page
from pages import Page


def test_everything_is_inside_the_page(make_config: MakeConfig, garden: Path, cache: Path) -> None:
    """No script and no address; names are text, not markup; pictures, copies and damaged files are shown."""
    config = make_config(f"data.dir='{garden}'", "data.split=stratified", "aug=RandomFlip")
    looks = look(config, read_folder(garden), cache)
    html = page(
        config, looks, findings(config, looks), Image.new("RGB", (4, 4)), made=dt.datetime.now(dt.UTC)
    )

    assert "<script" not in html
    assert not re.search(r"""(src|href)=["'](?!data:)""", html)
    assert "<garden>" not in html
    assert "My &lt;garden&gt;" in html
    elements = Page(html).elements
    alts = [one.attributes.get("alt") for one in elements if one.tag == "img"]
    # 8 of each class, the preview, and two groups of two for each kind of copies.
    assert len(alts) == 3 * 8 + 1 + 8
    assert alts.count("d/grey.png") >= 1
    headings = [one.text.strip() for one in elements if one.tag == "h2"]
    assert headings == [
        "What to do",
        "Pictures of each class",
        "What RandomFlip makes of six training pictures",
        "Sizes",
        "Identical files",
        "Pictures that look alike",
        "Files that cannot be read",
        "Examples of each class",
    ]
    rows = [one.text.split() for one in elements if one.tag == "tr"]
    assert ["c8311"] in rows


def test_nothing_to_say(make_config: MakeConfig, drawn: Path, cache: Path) -> None:
    """A page without findings, preview and damaged files."""
    config = make_config()
    looks = look(config, read_folder(drawn), cache)
    html = page(config, looks, [], None)
    assert "Nothing was found that needs attention." in html
    assert "makes of six" not in html
    assert "cannot be read" not in html
