"""Which parts of a document are commands, programs and expected output?

    ```sh             run by the shell, all lines as one script
    ```python         run as a program; if its first line is a comment with a file name, it is written to that file
    ```text           straight after one of these: what it prints, on stdout and stderr together

A line of three dots in the expected output stands for any lines, three dots within a line for any characters; runs of
blanks and tabs are one blank. A comment before a block changes how it is run:

    <!-- exits with 2 -->       its exit code
    <!-- not run: a reason -->  it is not
    <!-- on a, b and c, in the background -->  on each of these hosts: test_hosts.py does it
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(
    r"<!--\s*(exits with (?P<code>\d+)|not run: (?P<reason>[^>]+?)"
    r"|on (?P<hosts>\w+((, | and )\w+)*)(?P<behind>, in the background)?)\s*-->\s*\Z"
)
_FILE = re.compile(r"#\s*(?P<name>[\w.-]+\.\w+)$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a document; `expected` is None where the document shows no output."""

    document: Path
    line: int
    language: str
    text: str
    expected: str | None
    exit_code: int
    is_run: bool  # here, by test_commands.py
    hosts: tuple[str, ...] = ()  # on which it is run instead
    in_background: bool = False

    @property
    def place(self) -> str:
        return f"{self.document.name}, line {self.line}"

    @property
    def file_name(self) -> str | None:
        """The file that the block shows, if it shows one."""
        match = _FILE.match(self.text.partition("\n")[0])
        return match["name"] if match else None


def read_blocks(document: Path) -> list[Block]:
    """The blocks that are run, in order."""
    page = document.read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(page))
    blocks: list[Block] = []
    for number, fence in enumerate(fences):
        if fence[1] not in ("sh", "python"):
            continue
        after = fences[number + 1] if number + 1 < len(fences) else None
        is_answer = after is not None and after[1] == "text" and not page[fence.end() : after.start()].strip()
        comment = _COMMENT.search(page, 0, fence.start())
        blocks.append(
            Block(
                document,
                page.count("\n", 0, fence.start()) + 1,
                fence[1],
                fence[2],
                after[2] if after is not None and is_answer else None,
                int(comment["code"] or 0) if comment else 0,
                comment is None or not (comment["reason"] or comment["hosts"]),
                tuple(re.split(", | and ", comment["hosts"])) if comment and comment["hosts"] else (),
                bool(comment and comment["behind"]),
            )
        )
    return blocks


def is_as_expected(expected: str, printed: str) -> bool:
    """Whether what was printed is what the document shows."""
    pattern = ""
    for line in expected.splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*"
        else:
            pattern += re.escape(_squeezed(line)).replace(re.escape("..."), ".*") + r"\n"
    text = "".join(f"{_squeezed(line)}\n" for line in printed.splitlines())
    return re.fullmatch(pattern, text) is not None


def _squeezed(line: str) -> str:
    return re.sub(r"[ \t]+", " ", line).strip()
