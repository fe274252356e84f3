"""Prefixes of one future, which nothing yet to come tells apart: only the best of them go on; compiled by Numba."""

from typing import Any

import numpy as np
from numba import njit

from speechrnn.decoding.beam_layout import MINUS_INFINITY, NONE, STAYS_IN_BLANK
from speechrnn.lm.scoring import compile_small

MULTIPLIER = 0x9E3779B97F4A7C15  # 2^64 / golden ratio (Knuth, The Art of Computer Programming, 6.4)


@njit(cache=True)
def drop_joined(
    beam: Any, count: int, candidates: Any, table: Any, tree: Any, tokens: Any, options: Any
) -> None:
    """Drop candidates behind which enough better ones have the same future, in place, if the beam cannot hold all.

    Where ``options.num_alike`` texts are asked for, so many go on of each future. With the best path of each text that
    loses nothing: no text that is among the best in the end was ever behind so many that end as it does. With the sum
    of paths it may, as a prefix still gains by the paths of its own beginning; the room in the beam is worth more where
    words are long, and so is taken only if the beam is full.

    Args:
        beam: The prefixes alive.
        count: Candidates in use.
        candidates: What they may become; the total of those dropped becomes -inf.
        table: (power of two, more than twice the beam,) to work with.
        tree: Of the prefixes.
        tokens: (tokens,) of TOKEN.
        options: Settings.
    """
    totals = candidates.total[:count]
    near = np.flatnonzero(totals >= totals.max() - options.threshold)
    if len(near) <= options.beam_size:
        return
    table[:] = NONE
    num_kept = 0
    for place in np.argsort(-totals[near]):
        c = near[place]
        future = future_of(c, beam, candidates, tree, tokens)
        slot, num_alike = first_slot(future, len(table)), 0
        while table[slot] != NONE:
            num_alike += future_of(table[slot], beam, candidates, tree, tokens) == future
            slot = (slot + 1) % len(table)
        if num_alike >= options.num_alike:
            totals[c] = MINUS_INFINITY
            continue
        table[slot] = c
        num_kept += 1
        if num_kept == options.beam_size:
            return


@compile_small
def future_of(c: int, beam: Any, candidates: Any, tree: Any, tokens: Any) -> tuple[int, int, int, int]:
    """Tell all that later frames see of a candidate: its three states, and how it ends."""
    r, token = candidates.row[c], candidates.token[c]
    prefix = candidates.prefixes[c] if token >= 0 else beam.prefixes[r]
    if token >= 0:
        ending = 2 * tokens[token].column
    elif prefix.node == 0:
        ending = NONE
    else:
        ending = 2 * tokens[tree.prefixes[prefix.node].token].column + (token == STAYS_IN_BLANK)
    return np.int64(prefix.lm_state), np.int64(prefix.lexicon), np.int64(prefix.hot), np.int64(ending)  # type: ignore[return-value]


@compile_small
def first_slot(future: tuple[int, int, int, int], size: int) -> int:
    """Choose where in a table of a power of two to look for a future first."""
    mixed = np.uint64(0)
    for number in future:
        mixed = (mixed ^ np.uint64(number)) * np.uint64(MULTIPLIER)
    return np.int64((mixed >> np.uint64(32)) & np.uint64(size - 1))  # type: ignore[return-value]


@njit(cache=True)
def make_table(beam_size: int) -> Any:
    """Make the table that ``drop_joined`` works with."""
    size = 4
    while size <= 2 * beam_size:
        size *= 2
    return np.empty(size, np.int32)
