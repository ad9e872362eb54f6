"""What a reader of Markdown would type: its blocks of code, and the commands in blocks and between backticks."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "$ "


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        page: The file, relative to the project.
        line: Its first line in the file, counted from 1.
        language: What a fence says; empty for other blocks.
        text: The content, without its indentation.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def first(self) -> str:
        """The first line of the content."""
        return self.text.splitlines()[0]


def pages() -> list[str]:
    """README.md and every page of the documentation."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    return ["README.md", *(str(page.relative_to(ROOT)) for page in found)]


def blocks(page: str) -> list[Block]:
    """All blocks of code of a page, those in lists included."""
    tokens = MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8"))
    return [
        Block(page, (token.map or [0])[0] + 1, token.info, token.content)
        for token in tokens
        if token.type in {"fence", "code_block"}
    ]


def inline_commands(page: str) -> list[str]:
    """Command lines between backticks."""
    tokens = MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8"))
    texts = (
        child.content for token in tokens for child in token.children or () if child.type == "code_inline"
    )
    typed = [text for text in texts if text.startswith(("python -m flowersweep ", "make "))]
    return [text for text in typed if not text.endswith("=")]  # which is typed before the TAB key


def commands(text: str) -> Iterator[str]:
    """The command lines of a block: all lines, or those after a prompt; a line may go on in the next one."""
    lines = text.replace("\\\n", " ").splitlines()
    after_prompt, begun = any(line.startswith(PROMPT) for line in lines), ""
    for line in lines:
        if begun or not after_prompt or line.startswith(PROMPT):
            begun += line if begun else line.removeprefix(PROMPT)
            if _goes_on(begun):
                begun += "\n"
            elif begun.strip():
                yield begun
                begun = ""


def _goes_on(command: str) -> bool:
    """Whether a shell waits for another line: a quote is open, or the next command of a pipeline is missing."""
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return True
    return command.endswith("|")


def parts(line: str) -> list[list[str]]:
    """The words of the commands of a pipeline, without redirections and the variables that are set for them."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|>")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    words = iter(lexer)
    for word in words:
        if set(word) == {"|"}:
            found.append([])
        elif set(word) == {">"}:
            next(words)
        elif found[-1] or "=" not in word or not word.partition("=")[0].isupper():
            found[-1].append(word)
    return found
