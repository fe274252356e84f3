"""Make jsonargparse's messages short, and have them name the nearest valid key."""

import dataclasses
import difflib
import inspect
import re
from collections.abc import Iterable

UNKNOWN_KEY = (
    r"unrecognized arguments: --(?P<key>[\w.]+)",
    r"Group '(?P<group>[\w.]+)' does not accept option '(?P<key>[\w.]+)'",
    r"does not accept option '(?P<key>[\w.]+)'",
    r"Option '(?P<key>[\w.]+)' is not accepted",
)
MISSING = r"the following arguments are required: (?P<key>[\w.]+)$"
UNKNOWN_CLASS = r"Expected a dot import path string: (?P<name>\w+)"
OUT_OF_RANGE = r"(?P<said>[\w.]+ must be .*)"
LONGEST_LINE = 200


def explain(message: str, keys: Iterable[str], classes: Iterable[str], arguments: Iterable[str] = ()) -> str:
    """Say in one line what is wrong with a configuration.

    Args:
        message: jsonargparse's.
        keys: Valid dotted keys.
        classes: Valid class names.
        arguments: The command line, which may say more of a key than the message does.
    """
    if found := re.search(OUT_OF_RANGE, message):
        return found["said"]
    for pattern in UNKNOWN_KEY:
        if found := re.search(pattern, message):
            groups = found.groupdict()
            key = as_typed(".".join(filter(None, (groups.get("group"), groups["key"]))), arguments)
            return f"unknown key {key!r}; did you mean {nearest(key, keys)!r}?"
    if found := re.search(MISSING, message):
        return f"--{nearest(found['key'], keys)} is missing"
    if found := re.search(UNKNOWN_CLASS, message):
        name = found["name"]
        return f"unknown class {name!r}; did you mean {nearest(name, classes)!r}?"
    lines = [line for line in message.splitlines() if len(line) <= LONGEST_LINE]
    return "\n".join(lines)


def as_typed(key: str, arguments: Iterable[str]) -> str:
    """Find the option ``--data.key`` of which jsonargparse names only the last part."""
    options = (word.partition("=")[0].removeprefix("--") for word in arguments)
    return next((option for option in options if option.endswith(f".{key}")), key)


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Find the candidate most like a word; a key may be known under a longer, dotted name."""
    by_tail = {".".join(key.split(".")[-1 - word.count(".") :]): key for key in candidates}
    [tail] = difflib.get_close_matches(word, by_tail, n=1, cutoff=0.0)
    return by_tail[tail]


def keys_of_class(kind: type, prefix: str) -> list[str]:
    """List the dotted keys that configure a class, dataclass parameters opened up."""
    keys = []
    for name, parameter in inspect.signature(kind).parameters.items():
        keys.append(f"{prefix}.{name}")
        if dataclasses.is_dataclass(parameter.annotation):
            keys += [f"{prefix}.{name}.{f.name}" for f in dataclasses.fields(parameter.annotation)]
    return keys
