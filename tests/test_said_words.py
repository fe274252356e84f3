"""Phones read as words: against all paths and all words that sound like them, and as users meet it."""

import itertools
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from test_beam import UNLIMITED, all_paths, bigrams, emissions
from test_pronunciations import write, write_phone_model
from tiny_model import SAMPLE_RATE, speak

from speechrnn.cli.main import main
from speechrnn.decoding import BeamConfig, BeamDecoder, DecodingOptions, FrameClock, Hypothesis, split_words
from speechrnn.decoding.lexicon import MOST_ALIKE
from speechrnn.errors import ConfigError, TextError
from speechrnn.lm import NgramModel, estimate_model, read_lm, write_lm
from speechrnn.lm.trie import Level, build_model
from speechrnn.pronunciations import Pronunciations
from speechrnn.runtime import Transcriber
from speechrnn.text import Vocabulary

PHONES = Vocabulary(("A", "B", "C"), "phone")
# Two pairs of words that sound alike, a word that begins as another ends, one said in two ways, one with a repeat.
SAID = Pronunciations(
    {
        "ay": ("A",),
        "eh": ("A",),
        "abbey": ("A B",),
        "abby": ("A B",),
        "bay": ("B A",),
        "cay": ("C A", "C B"),
        "aah": ("A A",),
    }
)


def decode(
    frames: NDArray[Any], config: BeamConfig = BeamConfig(), n_best: int = 1, **space: Any
) -> list[Hypothesis]:
    decoder = BeamDecoder(PHONES, config, pronunciations=SAID, **space)
    return decoder.decode(frames[None], [len(frames)], n_best=n_best)[0]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n_best", [1, 4])
def test_a_full_beam_that_holds_every_future_finds_the_best_texts(seed: int, n_best: int) -> None:
    lm = bigrams(tuple(SAID.ways), "word", seed)
    frames = emissions(10, len(PHONES), seed, peakiness=0.5)
    # Seven words or the begin to go on from, ten nodes of the trie, two endings: at most 160 futures.
    small, large = (
        BeamConfig(**UNLIMITED | {"beam_size": size}, log_add=False, alpha=0.7, beta=0.4)
        for size in (160 * n_best, 60_000)
    )
    expected, found = (decode(frames, config, n_best, lm=lm) for config in (large, small))
    assert [(h.text, h.frames, h.ends) for h in found] == [(h.text, h.frames, h.ends) for h in expected]
    assert [h.score for h in found] == pytest.approx([h.score for h in expected], abs=1e-9)
    stream = BeamDecoder(PHONES, large, pronunciations=SAID, lm=lm).stream()
    stream.accept(frames)
    assert stream.size > 2 * 160 * 4  # or nothing was full


def hear(phones: str, noise: float = 6.0) -> NDArray[np.float64]:
    """Log posteriors in which phones are likely, a blank after each."""
    ids = [i for token in PHONES.encode(phones) for i in (token, 0)]
    logits = np.zeros((len(ids), len(PHONES)))
    logits[np.arange(len(ids)), ids] += noise
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def parse(phones: tuple[int, ...]) -> Iterator[list[str]]:
    """Read phones as words in all ways."""
    if not phones:
        yield []
    for word, ways in SAID.ways.items():
        for way in ways:
            begin = tuple(PHONES.encode(way))
            if phones[: len(begin)] == begin:
                yield from ([word, *others] for others in parse(phones[len(begin) :]))


@pytest.mark.parametrize("seed", range(12))
def test_words_are_scored_as_their_definition_says(seed: int) -> None:
    # A text's score is the best over the ways to say it; each way's is all its paths, the words, and beta for each.
    lm: NgramModel = bigrams(tuple(SAID.ways), "word", seed)
    config = BeamConfig(**UNLIMITED, alpha=0.7, beta=0.4)
    frames = emissions(1 + seed % 6, len(PHONES), seed)
    expected: dict[str, float] = {}
    for phones, paths in all_paths(frames).items():
        acoustic = float(np.logaddexp.reduce([log_prob for log_prob, _ in paths]))
        for words in parse(phones):
            score = acoustic + 0.7 * float(lm.score_sentence(words).sum()) + 0.4 * len(words)
            expected[" ".join(words)] = max(score, expected.get(" ".join(words), -np.inf))
    found = decode(frames, config, n_best=10, lm=lm)
    best = sorted(expected.items(), key=lambda item: -item[1])[: len(found)]
    assert len(found) == min(10, len(expected))
    assert [h.text for h in found] == [text for text, _ in best]
    assert [h.score for h in found] == pytest.approx([score for _, score in best], abs=1e-5)
    for hypothesis in found:
        expected_lm = float(lm.score_sentence(hypothesis.text.split()).sum())
        assert hypothesis.lm_log_prob == pytest.approx(expected_lm, abs=1e-5)


def test_the_language_model_tells_words_that_sound_alike_by_what_follows() -> None:
    for wanted, other in itertools.permutations(("abbey", "abby")):
        lm = sentences([f"{wanted} bay", other, other, other])
        assert decode(hear("A B B A"), lm=lm)[0].text == f"{wanted} bay"
        assert decode(hear("A B"), lm=lm)[0].text == other


def sentences(lines: list[str]) -> NgramModel:
    """A bigram model of a few sentences."""
    return estimate_model([line.split() for line in lines], order=2)


def test_a_word_may_be_said_in_every_way_and_begin_with_what_the_last_ended_in() -> None:
    words = ["cay", "bay"]
    assert decode(hear("C A B A"), lexicon=words)[0].text == "cay bay"
    assert decode(hear("C B B A"), lexicon=words)[0].text == "cay bay"


def test_the_same_phone_twice_takes_a_blank_across_words_too() -> None:
    frames = hear("B A A B")  # of bay and abbey, with a blank between the two A
    assert decode(frames, lexicon=["bay", "abbey"])[0].text == "bay abbey"
    together = np.delete(frames, 3, axis=0)  # without it: one A, which is of one word
    [found] = decode(together, BeamConfig(token_threshold=4.0), lexicon=["bay", "abbey"])
    assert found.text == "bay"


def test_words_have_times_and_confidences_and_phones_stay_what_was_heard() -> None:
    [found] = decode(hear("B A C B"), lexicon=["bay", "cay"])
    assert found.text == "bay cay"
    assert PHONES.decode(found.tokens) == "B A C B"
    bay, cay = split_words(found, PHONES, FrameClock(0.5))
    assert (bay.text, bay.start_s, bay.end_s) == ("bay", 0.0, 1.5)
    assert (cay.text, cay.start_s, cay.end_s) == ("cay", 2.0, 3.5)
    peak = float(np.exp(6) / (np.exp(6) + 3))
    assert bay.confidence == pytest.approx(peak**2)


def test_without_a_language_model_the_first_of_the_words_that_sound_alike_is_told() -> None:
    found = decode(hear("A B"), n_best=10, lexicon=["abby", "abbey"])
    assert found[0].text == "abby"
    assert not any("abbey" in hypothesis.text for hypothesis in found)


def test_a_lexicon_may_say_its_words_itself() -> None:
    lexicon = ["# ours", "kappa\tC A B A0", "kappa\tC B A", "bay"]
    for phones in ("C A B A", "C B A"):
        assert decode(hear(f"{phones} B A"), lexicon=lexicon)[0].text == "kappa bay"


def test_hot_words_are_words() -> None:
    lexicon = ["bay", "cay"]
    frames = hear("B A")
    frames[0, [2, 3]] = np.log(0.45)  # B or C
    frames[0, [0, 1]] = np.log(0.05)
    assert decode(frames, lexicon=lexicon, hot_words={"cay": 1.0})[0].text == "cay"
    assert decode(frames, lexicon=lexicon, hot_words={"bay": 1.0})[0].text == "bay"
    [found] = decode(frames, lexicon=lexicon, hot_words={"cay": 1.0})
    assert found.score == pytest.approx(found.log_prob + 1.0)


def test_frames_in_pieces_give_the_same_words() -> None:
    lm = bigrams(tuple(SAID.ways), "word", 3)
    frames = emissions(30, len(PHONES), 5)
    decoder = BeamDecoder(PHONES, BeamConfig(), pronunciations=SAID, lm=lm)
    stream = decoder.stream(n_best=5)
    for frame in frames:
        stream.accept(frame[None])
    assert stream.finish() == decoder.decode(frames[None], [30], n_best=5)[0]


def test_silence_is_no_word() -> None:
    blank = np.log(np.tile([0.97, 0.01, 0.01, 0.01], (5, 1)))
    [found] = decode(blank, lm=bigrams(tuple(SAID.ways), "word", 1), config=BeamConfig(alpha=0.1))
    assert found.text == ""
    assert found.word_starts == ()


def test_words_that_nobody_can_say_are_refused_or_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(
        TextError, match=r"lexicon:2: word 'zed': the dictionary does not say how 'zed' is said"
    ):
        decode(hear("A"), lexicon=["bay", "zed"])
    with pytest.raises(TextError, match=r"lexicon:1: word 'zed'.*no phone 'Z'"):
        decode(hear("A"), lexicon=["zed\tZ A"])
    with pytest.raises(TextError, match=r"hot word 'zed'"):
        decode(hear("A"), lexicon=["bay"], hot_words={"zed": 1.0})
    with pytest.raises(
        ConfigError, match=r"the dictionary says 1 of the language model's 3 words, not 'x', 'y'"
    ):
        decode(hear("A"), lm=bigrams(("x", "y", "bay"), "word", 0))
    with caplog.at_level(logging.WARNING, logger="speechrnn"):
        decode(hear("A"), lm=bigrams(("x", "bay", "cay"), "word", 0))
    assert "the dictionary does not say 1 of the language model's 3 words ('x')" in caplog.text


def test_a_large_text_may_have_more_rare_words_than_the_dictionary_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rare = [f"x{number}" for number in range(20)]
    lm = estimate_model([["bay", "cay", "abbey"]] * 30 + [[word] for word in rare], order=1)
    with caplog.at_level(logging.WARNING, logger="speechrnn"):
        assert decode(hear("B A"), lm=lm)[0].text == "bay"
    assert "does not say 20 of the language model's 23 words" in caplog.text


@pytest.mark.parametrize("seed", range(5))
def test_one_of_the_phrases_that_are_said_is_the_answer_and_has_the_probability_of_its_best_way(
    seed: int,
) -> None:
    frames = emissions(7, len(PHONES), seed, peakiness=4.0)
    phrases = ["abbey", "bay cay", "cay [aah]"]
    texts = all_paths(frames)
    exact: dict[str, float] = {}
    for phones, paths in texts.items():
        for words in parse(phones):
            if (text := " ".join(words)) in ("abbey", "bay cay", "cay", "cay aah"):
                log_prob = float(np.logaddexp.reduce([each for each, _ in paths]))
                exact[text] = max(log_prob, exact.get(text, -np.inf))
    found = decode(frames, BeamConfig(beam_size=1), n_best=9, phrases=phrases)
    assert [h.text for h in found] == sorted(exact, key=lambda text: -exact[text])
    assert [h.log_prob for h in found] == pytest.approx(sorted(exact.values(), reverse=True), abs=1e-9)


def test_of_words_that_sound_alike_phrases_tell_which_may_stand_where() -> None:
    phrases = ["ay bay", "abby cay | abbey bay"]
    for phones, text in (("A B A", "ay bay"), ("A B C A", "abby cay"), ("A B B A", "abbey bay")):
        assert decode(hear(phones), phrases=phrases)[0].text == text
    assert decode(hear("A B"), phrases=["abbey", "abby"])[0].text == "abbey"  # the first of the file


def test_the_words_of_phrases_have_times_and_may_be_hot() -> None:
    [found] = decode(hear("B A C B"), phrases=["(bay | ay)+ cay"])
    words = split_words(found, PHONES, FrameClock(0.5))
    assert [(word.text, word.start_s, word.end_s) for word in words] == [("bay", 0.0, 1.5), ("cay", 2.0, 3.5)]
    frames = hear("B A")
    frames[0, [2, 3]] = np.log(0.45)  # B or C
    frames[0, [0, 1]] = np.log(0.05)
    for word in ("bay", "cay"):
        assert decode(frames, phrases=["bay", "cay"], hot_words={word: 1.0})[0].text == word


def test_phrases_may_say_their_words_themselves() -> None:
    phrases = ["hey <who>", "<who> = kappa\tC A1 B A0", "hey\tB A", "hey\tB B"]
    for phones, text in (("B A C A B A", "hey kappa"), ("B B C A B A", "hey kappa"), ("B B", "hey")):
        assert decode(hear(phones), phrases=phrases)[0].text == text
    with pytest.raises(
        ConfigError, match=r"phrases:1: phones stand behind a single word, not behind 'hey you'"
    ):
        decode(hear("A"), phrases=["hey you\tA B"])
    with pytest.raises(TextError, match=r"phrases:2: word 'zed'.*no phone 'Z'"):
        decode(hear("A"), phrases=["bay", "zed\tZ A"])
    with pytest.raises(
        TextError, match=r"phrases:1: word 'zed': the dictionary does not say how 'zed' is said"
    ):
        decode(hear("A"), phrases=["zed"])


def test_without_words_asked_for_phones_stay_phones() -> None:
    assert decode(hear("B A"), config=BeamConfig(beam_size=20))[0].text == "B A"
    assert decode(hear("B A"), hot_words={"B A": 1.0})[0].text == "B A"
    with pytest.raises(
        TextError,
        match=r"hot word 'bay': the model writes phones; a language model, a lexicon or phrases make words of them",
    ):
        decode(hear("B A"), hot_words={"bay": 1.0})
    assert decode(hear("B A"), BeamConfig(alpha=0.0), lm=bigrams(("bay", "cay"), "word", 0))[0].text == "B A"


def test_of_many_words_that_sound_alike_the_usual_ones_are_kept() -> None:
    words = [f"w{place}" for place in range(MOST_ALIKE + 4)]
    said = Pronunciations(dict.fromkeys(words, ("A",)))
    scores = np.log(np.arange(1, len(words) + 4) / 100)  # the later, the more usual
    names = ("<unk>", "<s>", "</s>", *words)
    lm = build_model(names, [Level(np.arange(len(names))[:, None], scores, np.zeros(len(names)))])
    decoder = BeamDecoder(PHONES, BeamConfig(beam_size=500), pronunciations=said, lm=lm)
    [found] = decoder.decode(hear("A A")[None], [4], n_best=500)
    assert found[0].text == f"{words[-1]} {words[-1]}"
    assert {word for hypothesis in found for word in hypothesis.text.split()} == set(words[4:])


def test_words_of_a_language_model_in_upper_case_are_told_in_lower_case_and_a_lexicons_as_they_stand() -> (
    None
):
    assert decode(hear("B A"), lexicon=["BAY"])[0].text == "BAY"
    loud = bigrams(tuple(word.upper() for word in SAID.ways), "word", 0)
    assert decode(hear("B A"), BeamConfig(alpha=0.1), lm=loud)[0].text == "bay"


# ---- On the command line, with a model whose four tones are the phones A, B, C and D ---------------------


@pytest.fixture
def tones(tmp_path: Path) -> Path:
    return write_phone_model(tmp_path / "tones.onnx")


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A language model of the dictionary's words: abba, cab and dab."""
    path = tmp_path / "words.arpa"
    write_lm(estimate_model([["abba", "cab"], ["cab", "dab"], ["dab", "abba"]], order=2), path)
    return path


def say(path: Path, tones: str) -> Path:
    soundfile.write(path, speak(tones), SAMPLE_RATE, subtype="PCM_16")
    return path


@pytest.mark.parametrize("how", ["--lm", "--lexicon", "--phrases"])
def test_transcribe_writes_words_with_a_language_model_a_lexicon_or_phrases(
    tones: Path, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    clip = say(tmp_path / "clip.wav", "abbacb")
    if how != "--lm":
        words = write(
            tmp_path / "words.txt", *(["cab", "abba"] if how == "--lexicon" else ["abba+ (cab | dab)"])
        )
    assert main(["transcribe", "-m", str(tones), str(clip)]) == 0
    assert capsys.readouterr().out == "A B B A C B\n"
    assert main(["transcribe", "-m", str(tones), str(clip), how, str(words), "-f", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["text"] == "abba cab"
    assert [word["word"].strip() for word in answer["segments"][0]["words"]] == ["abba", "cab"]


def test_evaluate_compares_words_with_words_once_they_are_asked_for(
    tones: Path, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say(tmp_path / "clip.wav", "abbacb")
    manifest = write(tmp_path / "test.csv", "audio,text", "clip.wav,abba dab")
    assert main(["evaluate", "-m", str(tones), str(manifest)]) == 1
    assert "with --lm the model writes words" in capsys.readouterr().err
    assert main(["evaluate", "-m", str(tones), str(manifest), "--lm", str(words)]) == 0
    assert "50.00 %" in capsys.readouterr().out  # cab for dab: one of two words


def test_a_model_without_a_dictionary_writes_no_words(
    words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare, clip = write_phone_model(tmp_path / "bare.onnx", None), say(tmp_path / "clip.wav", "ab")
    assert main(["transcribe", "-m", str(bare), str(clip), "--lm", str(words)]) == 1
    assert "speechrnn export" in capsys.readouterr().err
    own = write(tmp_path / "own.txt", "kappa\tA B")
    for how in ("--lexicon", "--phrases"):
        assert main(["transcribe", "-m", str(bare), str(clip), how, str(own)]) == 0
        assert capsys.readouterr().out == "kappa\n"


def test_a_stream_is_words_as_well(tones: Path, words: Path) -> None:
    transcriber = Transcriber(tones, decoding=DecodingOptions(lm=read_lm(words)))
    samples = speak("abbacb")
    stream = transcriber.stream(SAMPLE_RATE)
    for start in range(0, len(samples), 400):
        stream.feed(samples[start : start + 400])
    assert stream.final().text == "abba cab" == transcriber.transcribe(samples, SAMPLE_RATE).text
