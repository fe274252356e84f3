"""The tree of prefixes and of their best paths, and the endings that lead into it; compiled by Numba."""

from typing import Any

import numpy as np
from numba import njit

from speechrnn.decoding.beam_layout import MINUS_INFINITY, NONE
from speechrnn.lm.scoring import compile_small


@compile_small
def is_last(beam: Any, r: int, token: int, tree: Any, tokens: Any) -> bool:
    """Tell whether a prefix ends in what a token sounds like: then only a blank in between makes it a second one."""
    node = beam.prefixes[r].node
    return bool(node != 0 and tokens[tree.prefixes[node].token].column == tokens[token].column)


@compile_small
def clear_ending(ending: Any) -> None:
    """Forget the paths of one kind."""
    ending.score = MINUS_INFINITY
    ending.best = MINUS_INFINITY
    ending.peak = 0.0
    ending.path = NONE
    ending.end = NONE


@compile_small
def better_ending(beam: Any, r: int) -> Any:
    """Choose the ending whose best path is the better."""
    return beam.endings[r, 0] if beam.endings[r, 0].best >= beam.endings[r, 1].best else beam.endings[r, 1]


@compile_small
def stay_in_blank(target: Any, beam: Any, r: int, after: Any, log_prob: float) -> None:
    """Carry a prefix on through a blank."""
    source = better_ending(beam, r)
    target.score = after.score[r, 0]
    target.best = source.best + log_prob
    target.peak, target.path, target.end = source.peak, source.path, source.end


@compile_small
def stay_in_token(
    target: Any, beam: Any, r: int, after: Any, row: Any, frame: int, tree: Any, tokens: Any, options: Any
) -> None:
    """Carry a prefix on through its last token, which may also begin only now."""
    token = tree.prefixes[beam.prefixes[r].node].token
    source, parent_row = beam.endings[r, 1], after.parent_row[r]
    if token == options.separator:
        source = better_ending(beam, r)
    if parent_row != NONE:
        begun = begin_from(beam, parent_row, token, tree, tokens)
        if begun.best > source.best:
            begin_token(target, begun, token, row[token], frame, tree)
            target.score = after.score[r, 1]
            return
    target.score = after.score[r, 1]
    target.best = source.best + row[token]
    target.peak = max(source.peak, row[token])
    target.path, target.end = source.path, frame


@compile_small
def begin_from(beam: Any, r: int, token: int, tree: Any, tokens: Any) -> Any:
    """Choose the ending after which a token may begin."""
    return beam.endings[r, 0] if is_last(beam, r, token, tree, tokens) else better_ending(beam, r)


@compile_small
def begin_token(target: Any, source: Any, token: int, log_prob: float, frame: int, tree: Any) -> None:
    """Begin a token in this frame."""
    number = tree.size[1]
    tree.size[1] += 1
    path = tree.paths[number]
    path.before, path.token, path.start = source.path, token, frame
    path.end_before, path.peak_before = source.end, source.peak
    target.best = source.best + log_prob
    target.peak, target.path, target.end = log_prob, number, frame


@compile_small
def child_of(tree: Any, parent: int, token: int) -> int:
    """Find a prefix with one token more, or add it: one that was dropped may come back to its own extensions."""
    prefixes = tree.prefixes
    child = prefixes[parent].child
    while child != NONE:
        if prefixes[child].token == token:
            return int(child)
        child = prefixes[child].sibling
    number = tree.size[0]
    tree.size[0] += 1
    add_child(prefixes, number, parent, token)
    return int(number)


@compile_small
def add_child(prefixes: Any, number: int, parent: int, token: int) -> None:
    """Write a prefix into the tree."""
    prefixes[number].parent, prefixes[number].token = parent, token
    prefixes[number].child = NONE
    prefixes[number].sibling = prefixes[parent].child
    prefixes[parent].child = number


@compile_small
def write_extended(
    target: Any, k: int, beam: Any, c: int, candidates: Any, row: Any, frame: int, tree: Any, tokens: Any
) -> None:
    """Write a candidate that has one token more than its prefix."""
    r, token = candidates.row[c], candidates.token[c]
    target.prefixes[k] = candidates.prefixes[c]
    target.prefixes[k].node = child_of(tree, beam.prefixes[r].node, token)
    clear_ending(target.endings[k, 0])
    begun = begin_from(beam, r, token, tree, tokens)
    begin_token(target.endings[k, 1], begun, token, row[token], frame, tree)
    target.endings[k, 1].score = candidates.total[c] - candidates.prefixes[c].bonus


@njit(cache=True)
def compact(size: int, beam: Any, tree: Any) -> None:
    """Forget the prefixes and paths that no row of the beam comes from, in place; order is kept."""
    prefix_at = np.full(tree.size[0], NONE, np.int32)
    path_at = np.full(tree.size[1], NONE, np.int32)
    prefix_at[0] = 0
    for r in range(size):
        node = beam.prefixes[r].node
        while prefix_at[node] == NONE:
            prefix_at[node] = 0
            node = tree.prefixes[node].parent
        for ending in range(2):
            node = beam.endings[r, ending].path
            while node != NONE and path_at[node] == NONE:
                path_at[node] = 0
                node = tree.paths[node].before
    count = 1
    tree.prefixes[0].child = NONE
    for node in range(1, len(prefix_at)):  # parents come before their children
        if prefix_at[node] != NONE:
            prefix_at[node] = count
            add_child(tree.prefixes, count, prefix_at[tree.prefixes[node].parent], tree.prefixes[node].token)
            count += 1
    tree.size[0] = count
    count = 0
    for node in range(len(path_at)):
        if path_at[node] != NONE:
            path_at[node] = count
            before = tree.paths[node].before
            tree.paths[count] = tree.paths[node]
            tree.paths[count].before = path_at[before] if before != NONE else NONE
            count += 1
    tree.size[1] = count
    for r in range(size):
        beam.prefixes[r].node = prefix_at[beam.prefixes[r].node]
        for ending in range(2):
            if beam.endings[r, ending].path != NONE:
                beam.endings[r, ending].path = path_at[beam.endings[r, ending].path]
