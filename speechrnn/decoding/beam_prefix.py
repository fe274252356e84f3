"""What a prefix of the beam is worth as it grows: words, language model, hot words; compiled by Numba."""

from typing import Any

from speechrnn.decoding.beam_layout import NONE, UNKNOWN_WORD
from speechrnn.lm.scoring import compile_small, score_word


@compile_small
def follow(lexicon: Any, node: int, token: int) -> int:
    """Find the node to which a token leads, or NONE."""
    arcs = lexicon.arcs
    low, end = lexicon.nodes[node].first_arc, lexicon.nodes[node + 1].first_arc
    high = end
    while low < high:
        middle = (low + high) // 2
        if arcs[middle].token < token:
            low = middle + 1
        else:
            high = middle
    return arcs[low].target if low < end and arcs[low].token == token else NONE


@compile_small
def lm_step(lm: Any, state: int, word: int) -> tuple[float, int]:
    """Score a word after a state."""
    return score_word(lm.words, lm.log_probs, lm.backoffs, lm.first_child, lm.suffixes, state, word)


@compile_small
def count_words(lexicon: Any, node: int) -> int:
    """Count the words that end in a node: none, one, or some that sound alike."""
    if node == UNKNOWN_WORD:
        return 0
    return int(lexicon.nodes[node + 1].first_word - lexicon.nodes[node].first_word)


@compile_small
def finish_word(prefix: Any, choice: int, lm: Any, lexicon: Any, options: Any) -> bool:
    """End the unfinished word of a prefix, one of those that end here, in place; False if none does."""
    if choice < count_words(lexicon, prefix.lexicon):
        word = lexicon.words[lexicon.nodes[prefix.lexicon].first_word + choice]
    else:
        if options.closed:
            return False
        word = options.unknown
        prefix.extra += options.unknown_score
    if options.has_lm:
        log_prob, state = lm_step(lm, prefix.lm_state, word)
        prefix.lm_state = state
        prefix.lm_score += log_prob
    prefix.num_words += 1
    prefix.lexicon = 0
    return True


@compile_small
def unfinished(node: int, lexicon: Any, options: Any) -> float:
    """Score of a word still being spelled: its best possible end, so that it competes with finished ones."""
    if not options.has_lexicon or node == 0:
        return 0.0
    if node == UNKNOWN_WORD:
        return float(options.alpha * options.unknown_ahead + options.unknown_score)
    return float(options.alpha * lexicon.nodes[node].ahead)


@compile_small
def highest_gain(prefix: Any, lexicon: Any, hot: Any, options: Any) -> float:
    """Bound what any token may add to a prefix's bonus.

    A log probability is never above 0, and a word's look-ahead never rises on the way to its end.
    """
    gain = max(options.beta, 0.0) + max(options.unknown_score, 0.0)
    gain += max(-unfinished(prefix.lexicon, lexicon, options), 0.0)
    return float(gain + hot.highest_gain[prefix.hot] if options.has_hot_words else gain)


@compile_small
def append_token(prefix: Any, token: int, lm: Any, lexicon: Any, hot: Any, tokens: Any, options: Any) -> bool:
    """Append a token to a prefix, in place but for its tree node; False if it may not follow."""
    if options.has_hot_words:
        prefix.extra += hot.gain[prefix.hot, token]
        prefix.hot = hot.next[prefix.hot, token]
    if options.has_lexicon:
        is_separator = token == options.separator
        if is_separator and prefix.lexicon == 0:
            return False
        if (
            (is_separator or (options.words_begin and tokens[token].begins_word))
            and prefix.lexicon != 0
            and not finish_word(prefix, tokens[token].choice, lm, lexicon, options)
        ):
            return False
        if not is_separator and prefix.lexicon != UNKNOWN_WORD:
            prefix.lexicon = follow(lexicon, prefix.lexicon, tokens[token].arc)
            if prefix.lexicon == NONE and options.closed:
                return False
    elif options.has_lm:
        log_prob, state = lm_step(lm, prefix.lm_state, tokens[token].lm_word)
        prefix.lm_state = state
        prefix.lm_score += log_prob
        prefix.num_words += 1
    prefix.bonus = options.alpha * prefix.lm_score + options.beta * prefix.num_words + prefix.extra
    prefix.bonus += unfinished(prefix.lexicon, lexicon, options)
    return True


@compile_small
def finish_text(
    text: Any, choice: int, lm: Any, lexicon: Any, hot: Any, end_of_sentence: int, options: Any
) -> bool:
    """End a text, in place; False if it may not end here."""
    unfinished_word = options.has_lexicon and (text.lexicon != 0 or not options.may_be_empty)
    if unfinished_word and not finish_word(text, choice, lm, lexicon, options):
        return False
    if options.has_lm and end_of_sentence != NONE:
        text.lm_score += lm_step(lm, text.lm_state, end_of_sentence)[0]
    if options.has_hot_words:
        text.extra += hot.at_end[text.hot]
    return True
