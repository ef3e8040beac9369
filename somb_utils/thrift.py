"""Thrift's compact protocol, in which Parquet writes its footer and page headers: read only, and never trusted."""

from typing import Any

_DEPTH = 16
_BITS = 64

Struct = dict[int, Any]


def read_struct(content: bytes, at: int, depth: int = 0) -> tuple[Struct, int]:
    """Return the fields of a struct by their numbers, and where it ends.

    Truth values are left out; texts are bytes; lists hold what their items are.

    Raises
    ------
    ValueError
        If there is no such struct at `at`.
    """
    found: Struct = {}
    number = 0
    while True:
        head, at = _byte(content, at)
        if head == 0:
            return found, at
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(content, at)
        if head & 15 > 2:  # 1 and 2 are true and false themselves
            found[number], at = _value(content, at, head & 15, depth)


def _value(content: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if depth > _DEPTH:
        raise ValueError("structs are nested too deeply")
    if kind in (4, 5, 6):
        return _integer(content, at)
    if kind == 8:
        length, at = _varint(content, at)
        return _bytes(content, at, length)
    if kind == 9:
        return _list(content, at, depth)
    if kind == 12:
        return read_struct(content, at, depth + 1)
    if kind in (1, 2, 3):
        return _byte(content, at)
    if kind == 7:
        return _bytes(content, at, 8)
    raise ValueError(f"values of kind {kind} are not read")


def _list(content: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    head, at = _byte(content, at)
    size = head >> 4
    if size == 15:
        size, at = _varint(content, at)
    items = []
    for _ in range(size):  # each takes a byte at least, so that the content ends a size that was made up
        item, at = _value(content, at, head & 15, depth + 1)
        items.append(item)
    return items, at


def _integer(content: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(content, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < _BITS:
        part, at = _byte(content, at)
        value |= (part & 127) << shift
        shift += 7
        if part < 128:
            return value, at
    raise ValueError("a number is too long")


def _bytes(content: bytes, at: int, length: int) -> tuple[bytes, int]:
    if at + length > len(content):
        raise ValueError("a text is cut off")
    return content[at : at + length], at + length


def _byte(content: bytes, at: int) -> tuple[int, int]:
    if at >= len(content):
        raise ValueError("a value is cut off")
    return content[at], at + 1
