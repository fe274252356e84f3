"""The inner loop of the prefix beam search, compiled by Numba."""

from typing import Any

import numpy as np
from numba import njit

from speechrnn.decoding.beam_joining import drop_joined, make_table
from speechrnn.decoding.beam_layout import (
    BLANK_ENDING,
    MINUS_INFINITY,
    NONE,
    PREFIX,
    STAYS_IN_BLANK,
    STAYS_IN_TOKEN,
    After,
    Candidates,
)
from speechrnn.decoding.beam_prefix import append_token, count_words, finish_text, highest_gain
from speechrnn.decoding.beam_tree import clear_ending, is_last, stay_in_blank, stay_in_token, write_extended
from speechrnn.lm.scoring import compile_small


@compile_small
def merge(first: float, second: float, sums: bool) -> float:
    """Join two log probabilities: their sum, or the greater."""
    high, low = (first, second) if first > second else (second, first)
    if not sums or low == MINUS_INFINITY:
        return high
    return float(high + np.log1p(np.exp(low - high)))


@njit(cache=True)
def select_tokens(row: Any, options: Any, chosen: Any) -> int:
    """Put the tokens worth trying in a frame into ``chosen`` and count them."""
    floor = row.max() - options.token_threshold
    if options.top_tokens < len(row) - 1:
        without_blank = np.delete(row, options.blank)
        cut = len(without_blank) - options.top_tokens
        floor = max(floor, np.partition(without_blank, cut)[cut])
    count = 0
    for token in range(len(row)):
        if token != options.blank and row[token] >= floor:
            chosen[count] = token
            count += 1
    return count


@compile_small
def stay(
    beam: Any, size: int, row: Any, tree: Any, row_of_node: Any, after: Any, tokens: Any, options: Any
) -> None:
    """Compute what the prefixes alive are worth after the frame, as they are."""
    for r in range(size):
        row_of_node[beam.prefixes[r].node] = r
    for r in range(size):
        node = beam.prefixes[r].node
        in_blank, in_token = beam.endings[r, 0].score, beam.endings[r, 1].score
        after.either[r] = merge(in_blank, in_token, options.sums)
        after.score[r, 0] = after.either[r] + row[options.blank]
        after.score[r, 1] = in_token + row[tree.prefixes[node].token] if node else MINUS_INFINITY
        if node == 0 and options.separator != NONE:
            after.score[r, 0] = after.either[r] + merge(
                row[options.blank], row[options.separator], options.sums
            )
        elif node != 0 and tree.prefixes[node].token == options.separator:
            after.score[r, 1] = after.either[r] + row[options.separator]
        after.parent_row[r] = row_of_node[tree.prefixes[node].parent] if node else NONE
    # Where both a prefix and its parent are alive, the parent's step to it adds to it.
    for r in range(size):
        parent_row = after.parent_row[r]
        if parent_row != NONE:
            token = tree.prefixes[beam.prefixes[r].node].token
            after.child_row[parent_row, token] = r
            repeats = is_last(beam, parent_row, token, tree, tokens)
            before = beam.endings[parent_row, 0].score if repeats else after.either[parent_row]
            after.score[r, 1] = merge(after.score[r, 1], before + row[token], options.sums)


@compile_small
def forget_rows(beam: Any, size: int, tree: Any, row_of_node: Any, after: Any) -> None:
    """Undo what ``stay`` noted of who is alive."""
    for r in range(size):
        node = beam.prefixes[r].node
        row_of_node[node] = NONE
        if after.parent_row[r] != NONE:
            after.child_row[after.parent_row[r], tree.prefixes[node].token] = NONE


@compile_small
def offer_stays(beam: Any, size: int, after: Any, candidates: Any) -> int:
    """List the prefixes alive as candidates; returns how many there are."""
    count = 0
    for r in range(size):
        for ending in range(2):
            total = after.score[r, ending] + beam.prefixes[r].bonus
            if total > MINUS_INFINITY:
                candidates.total[count], candidates.row[count] = total, r
                candidates.token[count] = STAYS_IN_BLANK if ending == BLANK_ENDING else STAYS_IN_TOKEN
                count += 1
    return count


@njit(cache=True)
def lowest_useful(totals: Any, options: Any) -> float:
    """Find the total below which a candidate cannot survive, whatever else is offered, unless some are joined."""
    if len(totals) == 0:
        return MINUS_INFINITY
    floor = totals.max() - options.threshold
    if len(totals) > options.beam_size:
        cut = len(totals) - options.beam_size
        floor = max(floor, np.partition(totals, cut)[cut])
    return float(floor)


@compile_small
def list_followers(
    node: int, chosen: Any, is_chosen: Any, lexicon: Any, tokens: Any, options: Any, followers: Any
) -> int:
    """Put the chosen tokens that may follow a node of a closed lexicon into ``followers`` and count them.

    They are the node's arcs, and behind an unfinished word what ends it: few, where most tokens lead nowhere.
    Of words that sound alike, each is followed by beginnings of its own.
    """
    count = 0
    for arc in range(lexicon.nodes[node].first_arc, lexicon.nodes[node + 1].first_arc):
        token = lexicon.arcs[arc].token
        if token >= 0 and is_chosen[token]:
            followers[count] = token
            count += 1
    if options.separator != NONE and is_chosen[options.separator]:
        followers[count] = options.separator
        count += 1
    num_words = count_words(lexicon, node)
    if node != 0 and num_words > 0 and options.words_begin:
        for token in chosen:
            if tokens[token].begins_word and tokens[token].choice < num_words:
                followers[count] = token
                count += 1
    return count


@compile_small
def offer_extensions(
    beam: Any,
    size: int,
    row: Any,
    chosen: Any,
    is_chosen: Any,
    followers: Any,
    floor: float,
    count: int,
    after: Any,
    candidates: Any,
    tree: Any,
    lm: Any,
    lexicon: Any,
    hot: Any,
    tokens: Any,
    options: Any,
) -> int:
    """List the prefixes with one token more as candidates; returns how many there are now."""
    best_token = MINUS_INFINITY
    for token in chosen:
        is_chosen[token] = True
        best_token = max(best_token, row[token])
    totals, rows, appended, prefixes = candidates
    child_row, either = after.child_row, after.either
    for r in range(size):
        prefix = beam.prefixes[r]
        last = tokens[tree.prefixes[prefix.node].token].column if prefix.node else NONE
        after_blank, after_any = beam.endings[r, 0].score, either[r]
        needed = floor - prefix.bonus - highest_gain(prefix, lexicon, hot, options)
        if after_any == MINUS_INFINITY or after_any + best_token < needed:
            continue
        tried, num_tried = chosen, len(chosen)
        if options.closed:
            tried = followers
            num_tried = list_followers(prefix.lexicon, chosen, is_chosen, lexicon, tokens, options, followers)
        for index in range(num_tried):
            token = tried[index]
            acoustic = (after_blank if tokens[token].column == last else after_any) + row[token]
            if acoustic < needed or child_row[r, token] != NONE or acoustic == MINUS_INFINITY:
                continue
            prefixes[count] = prefix
            if not append_token(prefixes[count], token, lm, lexicon, hot, tokens, options):
                continue
            total = acoustic + prefixes[count].bonus
            if total >= floor:
                totals[count], rows[count], appended[count] = total, r, token
                count += 1
                floor = max(floor, total - options.threshold)
    for token in chosen:
        is_chosen[token] = False
    return count


@compile_small
def survive(
    beam: Any,
    row: Any,
    frame: int,
    count: int,
    floor: float,
    after: Any,
    candidates: Any,
    target: Any,
    tree: Any,
    tokens: Any,
    options: Any,
) -> int:
    """Write the best candidates to the next beam; returns its size."""
    for r in range(len(after.new_row)):
        after.new_row[r] = NONE
    size = 0
    num_kept = 0
    for c in range(count):
        if candidates.total[c] < floor or num_kept == options.beam_size:
            continue
        num_kept += 1
        r, token = candidates.row[c], candidates.token[c]
        if token >= 0:
            write_extended(target, size, beam, c, candidates, row, frame, tree, tokens)
            size += 1
            continue
        if after.new_row[r] == NONE:
            after.new_row[r] = size
            target.prefixes[size] = beam.prefixes[r]
            clear_ending(target.endings[size, 0])
            clear_ending(target.endings[size, 1])
            size += 1
        if token == STAYS_IN_BLANK:
            log_prob = row[options.blank]
            if beam.prefixes[r].node == 0 and options.separator != NONE:
                log_prob = max(log_prob, row[options.separator])
            stay_in_blank(target.endings[after.new_row[r], 0], beam, r, after, log_prob)
        else:
            ending = target.endings[after.new_row[r], 1]
            stay_in_token(ending, beam, r, after, row, frame, tree, tokens, options)
    return size


@njit(cache=True)
def advance(
    log_probs: Any,
    first_frame: int,
    size: int,
    beam: Any,
    spare: Any,
    tree: Any,
    lm: Any,
    lexicon: Any,
    hot: Any,
    tokens: Any,
    options: Any,
) -> tuple[int, Any, Any]:
    """Search through some frames.

    Args:
        log_probs: (frames, tokens).
        first_frame: Number of the first one.
        size: Rows of ``beam`` in use.
        beam: The prefixes alive.
        spare: Another beam, to write to.
        tree: Prefixes and paths, with room for ``frames * beam_size`` more of each.
        lm: Language model.
        lexicon: What may be said; one node if anything.
        hot: Hot words.
        tokens: (tokens,) of TOKEN.
        options: Settings.

    Returns:
        The new size, beam, and spare beam.
    """
    num_tokens = log_probs.shape[1]
    chosen, followers = np.empty(num_tokens, np.int32), np.empty(num_tokens + 1, np.int32)
    is_chosen = np.zeros(num_tokens, np.bool_)
    row_of_node = np.full(len(tree.prefixes), NONE, np.int32)
    after, candidates = make_workspace(options.beam_size, num_tokens)
    table = make_table(options.beam_size)
    for t in range(len(log_probs)):
        row = log_probs[t]
        num_chosen = select_tokens(row, options, chosen)
        stay(beam, size, row, tree, row_of_node, after, tokens, options)
        count = offer_stays(beam, size, after, candidates)
        count = offer_extensions(
            beam,
            size,
            row,
            chosen[:num_chosen],
            is_chosen,
            followers,
            lowest_useful(candidates.total[:count], options),
            count,
            after,
            candidates,
            tree,
            lm,
            lexicon,
            hot,
            tokens,
            options,
        )
        forget_rows(beam, size, tree, row_of_node, after)
        if options.joins and count:
            drop_joined(beam, count, candidates, table, tree, tokens, options)
        size = survive(
            beam,
            row,
            first_frame + t,
            count,
            lowest_useful(candidates.total[:count], options),
            after,
            candidates,
            spare,
            tree,
            tokens,
            options,
        )
        beam, spare = spare, beam
    return size, beam, spare


@njit(cache=True)
def make_workspace(beam_size: int, num_tokens: int) -> tuple[Any, Any]:
    """Make the arrays that a frame writes to."""
    most = beam_size * (2 + num_tokens) + 1
    after = After(
        np.empty((beam_size, 2)),
        np.empty(beam_size),
        np.full(beam_size, NONE, np.int32),
        np.full((beam_size, num_tokens), NONE, np.int32),
        np.empty(beam_size, np.int32),
    )
    candidates = Candidates(
        np.empty(most), np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, PREFIX)
    )
    return after, candidates


@njit(cache=True)
def finish(
    size: int, beam: Any, lm: Any, lexicon: Any, hot: Any, end_of_sentence: int, options: Any
) -> tuple[Any, Any, Any]:
    """Score each prefix as a whole text, with each of the words that may end there as its last one.

    Returns:
        (size, choices) total scores (-inf where the text may not end so), (size,) acoustic scores, and (size, choices)
        LM scores.
    """
    num_choices = 1
    for r in range(size):
        num_choices = max(num_choices, count_words(lexicon, beam.prefixes[r].lexicon))
    totals, lm_scores = np.full((size, num_choices), MINUS_INFINITY), np.zeros((size, num_choices))
    acoustics, scratch = np.empty(size), np.empty(1, PREFIX)
    for r in range(size):
        acoustics[r] = merge(beam.endings[r, 0].score, beam.endings[r, 1].score, options.sums)
        for choice in range(max(1, count_words(lexicon, beam.prefixes[r].lexicon))):
            scratch[0] = beam.prefixes[r]
            text = scratch[0]
            if finish_text(text, choice, lm, lexicon, hot, end_of_sentence, options):
                totals[r, choice] = acoustics[r] + options.beta * text.num_words + text.extra
                totals[r, choice] += options.alpha * text.lm_score
                lm_scores[r, choice] = text.lm_score
    return totals, acoustics, lm_scores
