"""Words that a keyword could be heard in: which they are, and what they take off its score."""

import itertools
import json
import math
import string
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_model import metadata, speak, write_model

from speechrnn.decoding.keyword_search import KeywordSearch, Scores, SearchOptions
from speechrnn.decoding.keywords import Keyword
from speechrnn.decoding.rivalled_search import RivalledSearch
from speechrnn.decoding.rivals import MOST_RIVALS, RivalFinder, distances_within
from speechrnn.errors import ConfigError
from speechrnn.pronunciations import Pronunciations
from speechrnn.runtime import ModelFile, find_model
from speechrnn.runtime.keyword_spotter import KeywordSpotter, SpotterOptions
from speechrnn.runtime.model_file import PRONUNCIATIONS_KEY
from speechrnn.runtime.pronounced import find_rivals, pronounce
from speechrnn.text import Vocabulary

ALEXA, RECOLLECTION = "AH L EH K S AH", "R EH K AH L EH K SH AH N"
PHONES = ("AH", "EH", "K", "L", "N", "R", "S", "SH")
VOCABULARY = Vocabulary(PHONES, "phone")
FRAME_S = 0.04
WAIT = 4  # 0.15 s, in whole frames


def edits(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Levenshtein's distance, by its definition."""
    if not one or not other:
        return len(one) + len(other)
    replaced = edits(one[1:], other[1:]) + (one[0] != other[0])
    return min(replaced, edits(one[1:], other) + 1, edits(one, other[1:]) + 1)


def test_the_distance_is_that_to_the_nearest_part() -> None:
    rng = np.random.default_rng(1)
    words = rng.integers(0, 3, (30, 6)).astype(np.int16)
    words[::3, 4:] = -1  # shorter ones
    keyword = tuple(int(phone) for phone in rng.integers(0, 3, 4))
    for word, distance in zip(words.tolist(), distances_within(words, keyword), strict=True):
        said = tuple(phone for phone in word if phone >= 0)
        parts = {said[a:b] for a, b in itertools.combinations(range(len(said) + 1), 2)} | {()}
        assert distance == min(edits(keyword, part) for part in parts)


def test_rivals_are_longer_words_with_a_part_that_is_nearly_the_keyword() -> None:
    near = ["AH L EH K S IH S", "K AH L EH K SH AH N", RECOLLECTION]
    far = ["K AE T", "L EH K CH ER", "AH L AE S K AH", "EH L IH K T AH D"]
    own = [ALEXA, f"{ALEXA} Z", f"B AE N {ALEXA}"]  # the keyword, its plural, a word that ends so
    shorter = ["AH L EH K S", "L EH K S AH", "AH L EH S AH"]
    assert RivalFinder([*far, *own, *near, *shorter]).find_rivals([ALEXA]) == tuple(near)


def test_no_way_to_say_the_keyword_is_its_rival() -> None:
    other = "AH L EH K Z AH"
    finder = RivalFinder([ALEXA, other, f"{other} Z", "AH L IH K S AH Z"])
    assert finder.find_rivals([ALEXA]) == ("AH L EH K Z AH Z", "AH L IH K S AH Z")
    assert finder.find_rivals([ALEXA, other]) == ("AH L IH K S AH Z",)
    longer = "AH L EH K S IH AH"
    assert RivalFinder([longer]).find_rivals([ALEXA, longer]) == ()
    assert RivalFinder(["S K AE T IY", "S K AE N ER"]).find_rivals(["K AE T", "K AE T ER"]) == (
        "S K AE N ER",
    )


def test_a_dictionary_may_have_hundreds_of_phones() -> None:
    ways = [f"p{number} {ALEXA[:-2]} p{number + 1}" for number in range(300)]
    assert len(RivalFinder(ways).find_rivals([ALEXA])) == 300


def test_short_keywords_and_unknown_phones_have_no_rivals_and_there_are_not_too_many() -> None:
    finder = RivalFinder(f"AH L EH K {a} {b}" for a, b in itertools.product(string.ascii_uppercase, repeat=2))
    assert finder.find_rivals(["AH L EH"]) == ()
    assert finder.find_rivals(["ZH ZH ZH ZH"]) == ()
    assert len(finder.find_rivals(["AH L EH X"])) == MOST_RIVALS
    assert RivalFinder([]).find_rivals([ALEXA]) == ()


def say(*phones: str, doubt: dict[str, tuple[str, float]] | None = None) -> NDArray[np.float32]:
    """What a model hears: each phone for a frame, a blank between, and of some phones another one nearly as well."""
    heard = np.full((2 * len(phones) + 1, len(VOCABULARY)), 0.001)
    heard[::2, 0] = 1.0
    for place, phone in enumerate(phones):
        heard[2 * place + 1, VOCABULARY.encode(phone)] = 1.0
        if doubt and phone in doubt:
            other, share = doubt[phone]
            heard[2 * place + 1, VOCABULARY.encode(other)] = share
    probs = heard / heard.sum(axis=1, keepdims=True)
    log_probs: NDArray[np.float32] = np.log(probs).astype(np.float32)
    return log_probs


def typed(spelling: str = ALEXA) -> Keyword:
    return Keyword(label="alexa", spellings=(spelling,))


def search(
    *rivals: str,
    keyword: Keyword | None = None,
    floor: float = 0.01,
    options: SearchOptions = SearchOptions(),
) -> RivalledSearch:
    keywords = [keyword or typed()]
    return RivalledSearch(VOCABULARY, keywords, [rivals], frame_s=FRAME_S, floors=[floor], options=options)


def run(one: RivalledSearch, *pieces: NDArray[np.float32]) -> Scores:
    found = [*(one.feed(piece) for piece in pieces), one.finish()]
    return Scores(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


HEARD = say(*RECOLLECTION.split(), doubt={"SH": ("S", 0.3)})
END = 2 * 8 + 1  # of "alexa" in it: of AH, before N


def test_what_another_word_explains_better_is_taken_off() -> None:
    plain = KeywordSearch(VOCABULARY, [typed()], frame_s=FRAME_S).feed(HEARD)
    doubted = run(search(RECOLLECTION), HEARD)
    cost = -np.log(0.3) / 6 + 5 * 0.25 * FRAME_S / 6  # one token of six is not what was heard; five gaps
    assert plain.log_scores[END, 0] == pytest.approx(-cost, abs=1e-4)
    # The rival's path has gaps, too: nine of them.
    lead = (-np.log(0.3) + (5 - 9) * 0.25 * FRAME_S) / 6
    assert doubted.log_scores[END, 0] == pytest.approx(-cost - lead, abs=1e-4)
    np.testing.assert_array_equal(doubted.starts, plain.starts)


def test_the_keyword_itself_loses_nothing() -> None:
    heard = say("K", *ALEXA.split(), "N", doubt={"S": ("SH", 0.3)})
    plain = KeywordSearch(VOCABULARY, [typed()], frame_s=FRAME_S).feed(heard)
    np.testing.assert_array_equal(run(search(RECOLLECTION), heard).log_scores, plain.log_scores)
    assert np.exp(plain.log_scores.max()) > 0.95


def test_a_rival_must_lie_over_the_keyword() -> None:
    beside = np.concatenate([say(*ALEXA.split(), doubt={"S": ("SH", 0.3)}), say(*RECOLLECTION.split())])
    end = 2 * 6 - 1
    plain = KeywordSearch(VOCABULARY, [typed()], frame_s=FRAME_S).feed(beside)
    doubted = run(search(RECOLLECTION), beside)
    assert doubted.log_scores[end, 0] == plain.log_scores[end, 0]
    assert doubted.log_scores[-4:, 0].max() < plain.log_scores[-4:, 0].max() - 1


def test_scores_below_the_floor_are_left_and_without_rivals_nothing_waits() -> None:
    plain = KeywordSearch(VOCABULARY, [typed()], frame_s=FRAME_S).feed(HEARD)
    best = float(np.exp(plain.log_scores.max()))
    np.testing.assert_array_equal(
        run(search(RECOLLECTION, floor=best + 0.01), HEARD).log_scores, plain.log_scores
    )
    for alone in (search(), search(RECOLLECTION, options=SearchOptions(rivals_s=0.0))):
        assert alone.wait == 0
        np.testing.assert_array_equal(alone.feed(HEARD).log_scores, plain.log_scores)


def test_frames_are_told_when_it_is_known_what_follows() -> None:
    doubting = search(RECOLLECTION)
    assert doubting.wait == WAIT
    assert len(doubting.feed(HEARD[:WAIT]).log_scores) == 0
    assert len(doubting.feed(HEARD[WAIT:]).log_scores) == len(HEARD) - WAIT
    assert len(doubting.finish().log_scores) == WAIT
    assert len(doubting.finish().log_scores) == 0


def random_log_probs(frames: int, seed: int) -> NDArray[np.float32]:
    logits = 2.5 * np.random.default_rng(seed).normal(size=(frames, len(VOCABULARY)))
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def test_streamed_in_any_pieces_is_whole() -> None:
    words = [
        random_log_probs(40, seed=3),
        HEARD,
        random_log_probs(150, seed=4),
        HEARD,
        random_log_probs(9, seed=5),
    ]
    heard = np.concatenate(words)
    whole = run(search(RECOLLECTION, "L EH K S AH N"), heard)
    plain = KeywordSearch(VOCABULARY, [typed()], frame_s=FRAME_S).feed(heard)
    assert (whole.log_scores < plain.log_scores - 0.01).sum() > 5
    cuts = [0, 0, 1, 3, 30, 31, 47, 120, len(heard)]
    for pieces in (
        [heard[a:b] for a, b in itertools.pairwise(cuts)],
        [heard[a : a + 1] for a in range(len(heard))],
    ):
        streamed = run(search(RECOLLECTION, "L EH K S AH N"), *pieces)
        np.testing.assert_allclose(streamed.log_scores, whole.log_scores, atol=1e-9)
        np.testing.assert_array_equal(streamed.starts, whole.starts)


def test_of_several_spellings_the_one_that_was_said_duels() -> None:
    keyword = Keyword(label="alexa", spellings=(ALEXA, "K N EH S", f" {ALEXA} "))
    alone, several = (
        run(search(RECOLLECTION, keyword=k), HEARD).log_scores[END, 0] for k in (typed(), keyword)
    )
    assert several == alone


@pytest.mark.parametrize(("gap", "is_doubted"), [(21, True), (22, False)])
def test_a_rival_begins_at_most_so_long_before_the_keyword(gap: int, is_doubted: bool) -> None:
    """A pause lies in "rec … ollection"; where R is more than 0.8 s before the keyword, the word is cut off."""
    silence = np.full((60, len(VOCABULARY)), -20.0, np.float32)
    silence[:, 0] = 0.0
    rest = say(*RECOLLECTION.split()[3:], doubt={"SH": ("S", 0.3)})
    first = say("R", "EH", "K")
    heard = np.concatenate([first[:6], silence[: gap - 6], rest[1:]])
    options = SearchOptions(gap_cost=0.0)
    plain = KeywordSearch(VOCABULARY, [typed()], frame_s=FRAME_S, options=options).feed(heard).log_scores
    assert plain.argmax() == gap + 10  # the keyword's last phone; its first is at `gap`, R at 1
    doubted = run(search(RECOLLECTION, options=options), heard).log_scores
    assert (doubted[gap + 10, 0] < plain[gap + 10, 0] - 0.1) == is_doubted


def test_a_rival_that_begins_in_the_middle_of_the_keyword_does_not_explain_it() -> None:
    """L lies two frames behind the keyword's first phone, EH four."""
    plain = KeywordSearch(VOCABULARY, [typed()], frame_s=FRAME_S).feed(HEARD).log_scores[END, 0]
    assert run(search("EH K SH AH N"), HEARD).log_scores[END, 0] == plain
    assert run(search("L EH K SH AH N"), HEARD).log_scores[END, 0] < plain - 0.1


def test_rivals_take_off_no_more_than_the_score_is_below_0() -> None:
    heard = np.concatenate([random_log_probs(200, seed=8), HEARD])
    plain = KeywordSearch(VOCABULARY, [typed()], frame_s=FRAME_S).feed(heard).log_scores
    doubted = run(search(RECOLLECTION, "L EH K S AH N", "AH L EH K SH AH N"), heard).log_scores
    assert (doubted < plain).any()
    assert (doubted[np.isfinite(plain)] >= 2 * plain[np.isfinite(plain)] - 1e-9).all()


def test_keywords_have_rivals_of_their_own() -> None:
    keywords = [
        typed(),
        Keyword(label="snack", spellings=("S N EH K",)),
        Keyword(label="r", templates=(HEARD[:5],)),
    ]
    together = RivalledSearch(
        VOCABULARY, keywords, [(RECOLLECTION,), ("S N EH K S",), ()], frame_s=FRAME_S, floors=[0.01] * 3
    )
    scores = run(together, HEARD).log_scores
    np.testing.assert_array_equal(scores[:, 0], run(search(RECOLLECTION), HEARD).log_scores[:, 0])
    np.testing.assert_array_equal(
        scores[:, 2], KeywordSearch(VOCABULARY, keywords[2:], frame_s=FRAME_S).feed(HEARD).log_scores[:, 0]
    )


def test_hours_take_no_more_memory_than_seconds() -> None:
    piece = np.concatenate([random_log_probs(200, seed=6), HEARD])
    doubting = search(RECOLLECTION)
    for _ in range(3):
        doubting.feed(piece)
    tracemalloc.start()
    doubting.feed(piece)
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(20):
        doubting.feed(piece)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 10_000
    assert len(doubting.past.log_probs) <= doubting.reach + doubting.wait


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_wait_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ConfigError, match="rivals_s must be >= 0 and finite"):
        SearchOptions(rivals_s=value)


@pytest.fixture(scope="module")
def phones_en() -> ModelFile:
    return ModelFile(find_model("phones-en"), threads=1)


def test_the_shipped_model_knows_the_rivals_of_typed_words(phones_en: ModelFile) -> None:
    recorded = Keyword(label="r", spellings=("alexa",), templates=(HEARD,))
    short = Keyword(label="go", spellings=("go",))
    spoken = pronounce(phones_en.info, [typed("alexa"), recorded, short])
    rivals, *none = find_rivals(phones_en.info, spoken)
    assert none == [(), ()]
    assert RECOLLECTION in rivals
    assert not {"AH L EH K S AH", "AH L EH K S AH Z"} & set(rivals)


def test_a_model_of_letters_has_no_rivals() -> None:
    info = ModelFile(find_model("an4"), threads=1).info
    assert find_rivals(info, pronounce(info, [typed("rubout")])) == [()]


def test_a_keyword_with_rivals_is_known_that_much_later(phones_en: ModelFile) -> None:
    waiting, hasty = (
        KeywordSpotter(phones_en, [typed("alexa")], SpotterOptions(search=SearchOptions(rivals_s=rivals_s)))
        for rivals_s in (0.15, 0.0)
    )
    later_s = waiting.tracker.latency_s - hasty.tracker.latency_s
    assert later_s == pytest.approx(WAIT * phones_en.info.clock.frame_s)
    noise = 0.01 * np.random.default_rng(7).standard_normal(16_000).astype(np.float32)
    assert (
        sum(len(scores.log_scores) for scores in (waiting.tracker.feed(noise), waiting.tracker.finish()))
        == 25
    )


@pytest.fixture
def tones(tmp_path: Path) -> ModelFile:
    """A model whose tones a, b and c are phones, and a dictionary with a keyword and a word like it."""
    properties = metadata()
    config = json.loads(properties["speechrnn.config"])
    config["vocabulary"] = Vocabulary(("A", "B", "C", "D"), "phone").to_dict()
    said = Pronunciations.parse(["key A B C A", "cabbage C A B B A C"], "words.dict")
    properties |= {"speechrnn.config": json.dumps(config), PRONUNCIATIONS_KEY: said.pack()}
    return ModelFile(write_model(tmp_path / "tones.onnx", properties=properties), threads=1)


def doubtful(first: str, second: str) -> NDArray[np.float32]:
    """A sound between two tones, nearer to the first: by 80 · (0.5² - 0.498²) nats in each of nearly ten frames."""
    mixed: NDArray[np.float32] = speak(first)[:3200] + np.float32(0.996) * speak(second)[:3200]
    return mixed


@pytest.mark.parametrize("size", [3200, 100_000])
@pytest.mark.parametrize(
    ("heard", "confidence"),
    # One token of four is off by 1.5 nats; "cabbage" has none that is off, so as much is taken off again.
    [("cab?ac", math.exp(-2 * 1.5 / 4)), ("ab?a", math.exp(-1.5 / 4)), ("abca", 1.0)],
)
def test_a_spotter_takes_the_rival_for_what_it_is_until_the_stream_s_end(
    tones: ModelFile, heard: str, confidence: float, size: int
) -> None:
    sounds = [doubtful("b", "c") if tone == "?" else speak(tone)[:3200] for tone in heard]
    waveform = np.concatenate([*sounds, np.zeros(1600, np.float32)])
    slow = SearchOptions(rivals_s=0.3)  # as the tones are
    keyword = Keyword(label="key", spellings=("key",))
    spotter = KeywordSpotter(tones, [keyword], SpotterOptions(threshold=0.2, search=slow))
    pieces = [waveform[at : at + size] for at in range(0, len(waveform), size)]
    [hit] = [*(hit for piece in pieces for hit in spotter.feed(piece)), *spotter.finish()]
    assert hit.confidence == pytest.approx(confidence, abs=0.04)
    strict = KeywordSpotter(tones, [keyword], SpotterOptions(threshold=0.6, search=slow))
    assert len(strict.feed(waveform) + strict.finish()) == (confidence > 0.6)
