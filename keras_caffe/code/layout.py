"""One line of code, broken where it is too long as ruff format breaks it."""

from __future__ import annotations

from collections.abc import Iterator

WIDTH = 120
OPENING, CLOSING = "([{", ")]}"


def fitted(line: str, indent: int = 4) -> list[str]:
    """The line, or several where it is too long.

    Args:
        line: a statement, an argument or an item without indentation. Only its brackets can be broken.
        indent: how many spaces stand before it.
    """
    margin = " " * indent
    pairs = [(start, end) for start, end in _pairs(line) if end > start + 1]
    if len(margin + line) <= WIDTH or not pairs:
        return [margin + line]
    # The last brackets are broken, unless what stands before them is too long by itself.
    start, end = next((pair for pair in reversed(pairs) if indent + pair[0] < WIDTH), pairs[0])
    head, inside, tail = line[: start + 1], line[start + 1 : end], line[end:]
    is_call = start > 0 and (line[start - 1].isalnum() or line[start - 1] in "_)]")
    if is_call and indent + 4 + len(inside) <= WIDTH:
        return [margin + head, f"{margin}    {inside}", margin + tail]
    rows = [row for item in _items(inside) for row in fitted(f"{item},", indent + 4)]
    return [margin + head, *rows, margin + tail]


def _pairs(line: str) -> Iterator[tuple[int, int]]:
    """(opening, closing) of the outermost brackets."""
    depth, begin = 0, 0
    for place, sign in outside_strings(line):
        if sign in OPENING:
            begin = begin if depth else place
            depth += 1
        elif sign in CLOSING:
            depth -= 1
            if not depth:
                yield begin, place


def _items(inside: str) -> list[str]:
    """What the outermost commas separate."""
    depth, cuts = 0, [-1]
    for place, sign in outside_strings(inside):
        depth += (sign in OPENING) - (sign in CLOSING)
        if sign == "," and not depth:
            cuts.append(place)
    items = [inside[start + 1 : end].strip() for start, end in zip(cuts, [*cuts[1:], len(inside)], strict=True)]
    return [item for item in items if item]


def outside_strings(text: str) -> Iterator[tuple[int, str]]:
    """The characters that stand in no string."""
    quote, escaped = "", False
    for place, sign in enumerate(text):
        if quote:
            quote = quote if escaped or sign != quote else ""
            escaped = sign == "\\" and not escaped
        elif sign in "\"'":
            quote = sign
        else:
            yield place, sign
