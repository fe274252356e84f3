"""From the network's answers to transcriptions, as the options ask; and words beside torchaudio's alignment."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchaudio
from numpy.typing import NDArray
from tiny_model import HOP_LENGTH, N_FFT, SAMPLE_RATE, speak, write_model

from speechrnn.decoding import ConfidenceScale, DecodingOptions
from speechrnn.errors import ConfigError, SpeechRNNError, TextError
from speechrnn.lm.ngram import NgramModel
from speechrnn.lm.trie import Level, build_model
from speechrnn.manifest import read_manifest
from speechrnn.metrics import align
from speechrnn.runtime import Transcriber, Transcription
from speechrnn.runtime.metadata import write_metadata
from speechrnn.text import Vocabulary

SAMPLES = Path(__file__).parent.parent / "data" / "samples"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tones.onnx")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "labels.onnx", "classification")


def unigrams(**words: float) -> NgramModel:
    """Make a language model of single words and their probabilities."""
    vocabulary = ("<unk>", "<s>", "</s>", *words)
    log_probs = np.log([0.1, 1e-9, 0.5, *words.values()])
    return build_model(
        vocabulary, [Level(np.arange(len(vocabulary))[:, None], log_probs, np.zeros(len(vocabulary)))]
    )


def hear(model: Path, text: str, **options: Any) -> Transcription:
    return Transcriber(model, threads=1, decoding=DecodingOptions(**options)).transcribe(
        speak(text), SAMPLE_RATE
    )


def test_words_have_the_times_of_their_tones(model: Path) -> None:
    first, second = hear(model, "ab c").words
    assert (first.text, second.text) == ("ab", "c")
    # Tones are at 0.1 to 0.2 s, 0.3 to 0.4, (space) 0.5 to 0.6, 0.7 to 0.8; a frame of 10 ms may hear half.
    assert (first.start_s, first.end_s) == pytest.approx((0.1, 0.4), abs=0.015)
    assert (second.start_s, second.end_s) == pytest.approx((0.7, 0.8), abs=0.015)
    assert 0.99 < first.confidence <= 1


def test_a_frame_is_the_middle_of_its_window(model: Path) -> None:
    clock = Transcriber(model, threads=1).info.clock
    assert clock.frame_s == HOP_LENGTH / SAMPLE_RATE
    # The window of 320 samples reaches 80 further on both sides than the hop of 160.
    assert clock.first_s == (N_FFT - HOP_LENGTH) / 2 / SAMPLE_RATE


def test_a_beam_search_hears_what_greedy_decoding_hears(model: Path) -> None:
    greedy, beam = hear(model, "ab c"), hear(model, "ab c", beam_size=10)
    assert greedy.text == beam.text == "ab c"
    # Half a tone is as probable as the blank, so a frame may go either way.
    starts = [w.start_s for w in beam.words]
    assert [w.start_s for w in greedy.words] == pytest.approx(starts, abs=0.011)


def test_alternatives_follow_the_best(model: Path) -> None:
    result = hear(model, "ab", n_best=3)
    assert result.text == "ab"
    scores = [h.score for h in (result.hypothesis, *result.alternatives)]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


def test_a_lexicon_and_phrases_leave_only_what_they_list(model: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("# a comment\nab\n\nc\tspelled\n", encoding="utf-8")
    assert hear(model, "ab b", lexicon=words).text in ("ab", "ab ab", "ab c")
    assert hear(model, "ab b", phrases=["ab c", "c"]).text == "ab c"


def test_nothing_is_answered_below_the_least_confidence(model: Path) -> None:
    sure = hear(model, "ab", phrases=["ab"], min_confidence=0.9)
    unsure = hear(model, "ab", phrases=["c c"], min_confidence=0.9)
    assert sure.text == "ab"
    assert (unsure.text, unsure.words, unsure.confidence) == ("", (), 0.0)


def test_the_least_confidence_is_that_which_is_told(model: Path) -> None:
    faint = 0.55 * speak("ab ca")  # so that the tones are not far above the blank

    def hear_it(least: float) -> Transcription:
        decoding = DecodingOptions(min_confidence=least)
        return Transcriber(model, threads=1, decoding=decoding).transcribe(faint, SAMPLE_RATE)

    told = hear_it(0.0).confidence
    assert 0.01 < told < 0.99
    assert hear_it(told - 1e-6).text == "ab ca"
    assert (hear_it(told + 1e-6).text, hear_it(told + 1e-6).confidence) == ("", 0.0)


def test_a_language_model_weighs_in_and_alpha_0_is_without_it(model: Path) -> None:
    lm = unigrams(ab=0.2, c=0.2)
    alone = hear(model, "ab c", beam_size=20).hypothesis
    weighed = hear(model, "ab c", lm=lm, alpha=2.0, beta=1.0).hypothesis
    # Two words and </s>: log 0.2 + log 0.2 + log 0.5.
    assert weighed.lm_log_prob == pytest.approx(np.log(0.2 * 0.2 * 0.5), abs=1e-6)
    assert weighed.score == pytest.approx(weighed.log_prob + 2 * weighed.lm_log_prob + 2 * 1.0, abs=1e-5)
    assert hear(model, "ab c", lm=lm, alpha=0.0, beta=0.0).hypothesis.score == pytest.approx(alone.score)


class Wants:
    """A language model to which one text is all, and the others are 4 nats less."""

    def __init__(self, text: str) -> None:
        self.text = text

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return np.array([0.0 if text == self.text else -4.0 for text in texts])


def test_a_second_language_model_ranks_the_best_texts_again(model: Path) -> None:
    plain = hear(model, "ab c", n_best=5)
    second = plain.alternatives[0]
    wants = Wants(second.text)
    gap = plain.hypothesis.score - second.score
    assert hear(model, "ab c", rescorer=wants, rescore_weight=0.9 * gap / 4).text == "ab c"
    chosen = hear(model, "ab c", rescorer=wants, rescore_weight=1.1 * gap / 4, n_best=2)
    assert chosen.text == second.text
    assert [h.text for h in chosen.alternatives] == ["ab c"]
    assert hear(model, "ab c", rescorer=wants, rescore_weight=0.0).hypothesis == plain.hypothesis


def test_weights_and_the_scale_of_confidences_are_the_models_own_choice(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx")
    own = {"alpha": 2, "beta": 1, "temperature": 4, "bias": 0.5}
    write_metadata(path, {"speechrnn.decoding": json.dumps({"temperature": 3, "bias": -0.5, "lm": own})})
    lm = unigrams(ab=0.2, c=0.2)
    given = hear(path, "ab c", lm=lm, alpha=2.0, beta=1.0)
    assert hear(path, "ab c", lm=lm).hypothesis == given.hypothesis

    def scale_of(**options: Any) -> ConfidenceScale:
        return Transcriber(path, threads=1, decoding=DecodingOptions(**options)).interpreter.scale

    greedy = ConfidenceScale(temperature=3, bias=-0.5)
    assert (scale_of(), scale_of(lm=lm, alpha=0.0)) == (greedy, greedy)
    assert scale_of(lm=lm) == ConfidenceScale(temperature=4, bias=0.5)


def test_labels_have_alternatives_and_a_least_confidence_but_no_words(labels: Path) -> None:
    result = hear(labels, "b", n_best=2)
    assert (result.text, result.words) == ("b", ())
    assert next(h.text for h in result.alternatives) in ("a", "c")
    assert hear(labels, "bc", min_confidence=0.99).text == ""


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"hot_words": {"ax": 1.0}}, TextError, "hot word 'ax': .* no character 'x'"),
        (
            {"phrases": "ab"},
            ConfigError,
            "phrases must be a list of lines or a pathlib.Path, got the text 'ab'",
        ),
        ({"phrases": Path("none.txt")}, ConfigError, "none.txt: cannot be read: No such file"),
        ({"lexicon": ["a", "a b"]}, ConfigError, "lexicon:2: word 'a b' has a space in it"),
        (
            {"lm": unigrams(x=0.2, yz=0.2)},
            ConfigError,
            "can write 0 of the language model's 2 words, not 'x', 'yz'",
        ),
        (
            {"lm": "x.arpa"},
            ConfigError,
            "lm must be a model that speechrnn.lm.read_lm returned, got 'x.arpa'",
        ),
        ({"n_best": 0}, ConfigError, "n_best must be >= 1, got 0"),
        ({"rescore_weight": -1.0}, ConfigError, "rescore_weight must be >= 0 and finite, got -1.0"),
        ({"min_confidence": 1.5}, ConfigError, r"min_confidence must be in \[0, 1\], got 1.5"),
        ({"beam_size": 0}, ConfigError, "beam_size must be >= 1, got 0"),
    ],
)
def test_what_cannot_be_decoded_is_refused_at_once(
    options: dict[str, Any], error: type[SpeechRNNError], said: str, model: Path
) -> None:
    with pytest.raises(error, match=said):
        Transcriber(model, threads=1, decoding=DecodingOptions(**options))


def test_a_keyword_model_refuses_a_language_model(labels: Path) -> None:
    with pytest.raises(ConfigError, match="a keyword model picks one label for a clip"):
        Transcriber(labels, threads=1, decoding=DecodingOptions(lm=unigrams(a=0.2)))


def aligned_words(log_probs: NDArray[np.float32], text: str, vocabulary: Vocabulary) -> list[tuple[int, int]]:
    """First and last frame of each word of a text, as torchaudio aligns it."""
    targets = torch.tensor([vocabulary.encode(text)])
    [path], _ = torchaudio.functional.forced_align(torch.from_numpy(log_probs[None]), targets)
    frames = np.flatnonzero(path.numpy())
    is_space = path.numpy()[frames] == vocabulary.ids[" "]
    runs = np.split(frames, np.flatnonzero(np.diff(is_space)) + 1)
    return [(run[0], run[-1]) for run in runs[::2]]


def pair_hits(reference: Sequence[str], hypothesis: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Places in both of the words that are right."""
    place = word = 0
    for operation, said, heard in align(reference, hypothesis):
        if operation == "hit":
            yield place, word
        place, word = place + (said is not None), word + (heard is not None)


def test_words_of_real_speech_are_where_torchaudios_alignment_has_them() -> None:
    transcriber = Transcriber(threads=1)
    clock, vocabulary = transcriber.info.clock, transcriber.info.vocabulary
    distances = []
    for utterance in read_manifest(SAMPLES / "transcripts.tsv"):
        if not utterance.audio.name.startswith("an4_"):
            continue
        [emission] = transcriber.compute_each([utterance.audio])
        assert not isinstance(emission, SpeechRNNError)
        reference = vocabulary.normalize(utterance.text)
        words = transcriber.interpreter.read(emission).words
        aligned = aligned_words(emission.log_probs, reference, vocabulary)
        for place, word in pair_hits(reference.split(), [word.text for word in words]):
            first, last = aligned[place]
            distances.append(abs(words[word].start_s - clock.start_s(first)))
            distances.append(abs(words[word].end_s - clock.end_s(last)))
    assert len(distances) > 50
    assert np.median(distances) <= 0.060
