"""Parses the sources in Swift below the given paths, and the blocks of pages, and says where one is not Swift."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import tree_sitter_swift
from tree_sitter import Language, Node, Parser

# An attribute of the compiler's own, which UniFFI writes and the grammar does not know.
UNKNOWN = b"@_documentation(visibility: private)"

# The fewest sources: with less, a directory was not found.
FEWEST = 20


def sources(paths: list[Path]) -> Iterator[tuple[str, bytes]]:
    """The title and the text of each source."""
    for path in paths:
        if path.is_file():
            text = path.read_text()
            for block in re.finditer(r"^```swift\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
                line = text.count("\n", 0, block.start()) + 1
                yield f"{path.name}:{line}", block.group(1).encode()
        for file in sorted(path.glob("**/*.swift")):
            yield file.name, file.read_bytes()


def faults(node: Node) -> Iterator[Node]:
    """The nodes at which the text is not Swift."""
    if node.is_error or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from faults(child)


def main() -> None:
    parser = Parser(Language(tree_sitter_swift.language()))
    count = wrong = 0
    for title, text in sources([Path(argument) for argument in sys.argv[1:]]):
        count += 1
        for node in faults(parser.parse(text.replace(UNKNOWN, b"")).root_node):
            wrong += 1
            line = node.start_point.row
            print(f"{title}, line {line + 1}: {text.splitlines()[line].decode().strip()!r}")
    broken = parser.parse(b"func f() { let = }").root_node
    if not list(faults(broken)) or count < FEWEST:
        sys.exit(f"{count} sources were parsed, and the grammar finds no fault in what is none")
    print(f"{count} sources are Swift" if wrong == 0 else f"{wrong} faults")
    sys.exit(wrong != 0)


main()
