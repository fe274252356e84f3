"""The spotter on tones, whose answers are known."""

import logging
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_model import SAMPLE_RATE, speak, write_model

from speechrnn.cli.tuned_model import keep_choice
from speechrnn.decoding.keyword_hits import HitOptions
from speechrnn.decoding.keyword_search import SearchOptions
from speechrnn.decoding.keywords import Keyword
from speechrnn.errors import AudioError, ConfigError, TextError
from speechrnn.runtime import keyword_spotter
from speechrnn.runtime.keyword_spotter import (
    KeywordHit,
    KeywordSpotter,
    ScoreTracker,
    SpotterOptions,
)
from speechrnn.runtime.label_scores import find_labels
from speechrnn.runtime.model_file import ModelFile

ABC = Keyword(label="abc", spellings=("abc",))
CAB = Keyword(label="cab", spellings=("cab",))
LONG = Keyword(label="long", spellings=("abca", "abcb"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    return ModelFile(write_model(tmp_path_factory.mktemp("model") / "tones.onnx"), threads=1)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    path = write_model(tmp_path_factory.mktemp("model") / "labels.onnx", "classification")
    return ModelFile(path, threads=1)


def spot(
    model: ModelFile,
    waveform: NDArray[np.float32],
    keywords: Sequence[Keyword],
    options: SpotterOptions = SpotterOptions(),
) -> list[KeywordHit]:
    return keyword_spotter.spot(model, waveform, keywords, options, sample_rate=SAMPLE_RATE)


def feed_in_pieces(spotter: KeywordSpotter, waveform: NDArray[np.float32], size: int) -> list[KeywordHit]:
    hits = [hit for at in range(0, len(waveform), size) for hit in spotter.feed(waveform[at : at + size])]
    return hits + spotter.finish()


def test_a_keyword_is_found_where_it_was_said(model: ModelFile) -> None:
    # bb takes 0.5 s, then a is at 0.6 s and c begins at 1.0 s.
    [hit] = spot(model, np.concatenate([speak("bb"), speak("abc")]), [ABC])
    assert hit.label == "abc"
    assert hit.start_s == pytest.approx(0.6, abs=0.03)
    assert hit.end_s == pytest.approx(1.0, abs=0.03)
    assert hit.confidence > 0.9
    assert hit.decided_s >= hit.end_s


def test_keywords_that_were_not_said_are_not_found(model: ModelFile) -> None:
    assert spot(model, speak("bacbbcaab"), [ABC, CAB]) == []


def test_silence_has_no_keyword(model: ModelFile) -> None:
    assert spot(model, np.zeros(5 * SAMPLE_RATE, np.float32), [ABC]) == []


@pytest.mark.parametrize("size", [137, 1600, 100_000])
def test_hits_do_not_depend_on_how_the_stream_is_cut(model: ModelFile, size: int) -> None:
    waveform = np.concatenate([speak("cab"), speak("abc"), np.zeros(8000, np.float32), speak("abc")])
    whole = spot(model, waveform, [ABC, CAB])
    assert [hit.label for hit in whole] == ["cab", "abc", "abc"]
    assert feed_in_pieces(KeywordSpotter(model, [ABC, CAB]), waveform, size) == whole


def test_two_keywords_in_one_place_are_one_hit(model: ModelFile) -> None:
    longer = Keyword(label="longer", spellings=("abca",))
    for keywords in ([ABC], [longer]):
        assert len(spot(model, speak("abca"), keywords)) == 1
    [hit] = spot(model, speak("abca"), [ABC, longer])
    assert hit.label in ("abc", "longer")


def test_the_model_s_own_threshold_is_the_default_of_the_options(model: ModelFile) -> None:
    strict = Keyword(label="abc", spellings=("abc",), threshold=1.0)
    assert spot(model, speak("abc"), [strict]) == []
    assert spot(model, speak("abc"), [ABC], SpotterOptions(threshold=1.0)) == []


def test_no_keyword_is_put_together_across_a_gap(model: ModelFile, caplog: pytest.LogCaptureFixture) -> None:
    first, second = speak("ab"), speak("c")
    assert spot(model, np.concatenate([first, second]), [ABC])
    spotter = KeywordSpotter(model, [ABC])
    spotter.feed(first, at_s=0.0)
    with caplog.at_level(logging.WARNING):
        spotter.feed(second, at_s=60.0)
    assert spotter.finish() == []
    assert "the clock jumped from 0.50 s to 60.00 s" in caplog.text


@pytest.mark.parametrize("at_s", [-100.0, 1000.0])
def test_hits_behind_a_jump_of_the_clock_are_told_in_its_time(model: ModelFile, at_s: float) -> None:
    spotter = KeywordSpotter(model, [ABC])
    spotter.feed(np.zeros(16000, np.float32), at_s=0.0)
    hits = spotter.feed(speak("abc"), at_s=at_s) + spotter.finish()
    [hit] = hits
    assert hit.start_s == pytest.approx(at_s + 0.1, abs=0.03)


def test_a_hit_before_a_jump_is_told(model: ModelFile) -> None:
    spotter = KeywordSpotter(model, [ABC])
    hits = spotter.feed(speak("abc"), at_s=5.0)
    hits += spotter.feed(np.zeros(1600, np.float32), at_s=99.0)
    assert [(hit.label, round(hit.start_s, 1)) for hit in hits] == [("abc", 5.1)]


def test_a_clock_that_is_right_changes_nothing(model: ModelFile) -> None:
    waveform = np.concatenate([speak("abc"), np.zeros(16000, np.float32)])
    spotter = KeywordSpotter(model, [ABC])
    hits = []
    for at in range(0, len(waveform), 1600):
        hits += spotter.feed(waveform[at : at + 1600], at_s=at / SAMPLE_RATE + 0.01)
    assert hits + spotter.finish() == spot(model, waveform, [ABC])


def test_a_stream_s_buffers_do_not_grow(model: ModelFile) -> None:
    spotter = KeywordSpotter(model, [ABC, LONG])
    sizes = []
    for _ in range(60):
        spotter.feed(np.concatenate([speak("abc"), np.zeros(8000, np.float32)]))
        sizes.append(len(spotter.tracker.emissions.waveform))
    assert max(sizes[30:]) <= max(sizes[:30])
    assert len(spotter.picker.recent) <= 8


@pytest.mark.parametrize("task", ["ctc", "classification"])
def test_ten_minutes_leave_no_more_behind_than_one(task: str, tmp_path: Path) -> None:
    model = ModelFile(write_model(tmp_path / "m.onnx", task), threads=1)
    keyword = ABC if task == "ctc" else Keyword(label="a", spellings=("a",))
    spotter = KeywordSpotter(model, [keyword], SpotterOptions(chunk_s=0.5))
    said = speak("abc" if task == "ctc" else "aaa")
    piece = np.resize(np.concatenate([said, np.zeros(2 * SAMPLE_RATE, np.float32)]), 10 * SAMPLE_RATE)
    tracemalloc.start()
    try:
        after = []
        for count in (6, 54):
            num_hits = sum(len(spotter.feed(piece)) for _ in range(count))
            after.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert num_hits > 100
    assert spotter.now_s == pytest.approx(600)
    assert after[1] - after[0] < 20_000


def test_the_meter_s_confidence_is_the_highest_that_was_heard_last(model: ModelFile) -> None:
    spotter = KeywordSpotter(model, [ABC], SpotterOptions(chunk_s=2.0))
    spotter.feed(np.concatenate([np.zeros(8000, np.float32), speak("abc"), np.zeros(32000, np.float32)]))
    assert spotter.confidences[0] > 0.9
    spotter.feed(np.zeros(64000, np.float32))
    assert spotter.confidences[0] < 0.1


def test_what_the_end_decides_is_not_told_behind_it(model: ModelFile) -> None:
    [hit] = spot(model, speak("abc"), [ABC], SpotterOptions(chunk_s=2.0))
    assert hit.decided_s <= len(speak("abc")) / SAMPLE_RATE


def test_short_keywords_are_warned_of(model: ModelFile, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        KeywordSpotter(model, [ABC])
    assert "keyword 'abc' is very short" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        KeywordSpotter(model, [LONG])
    assert not caplog.text
    with caplog.at_level(logging.WARNING):
        KeywordSpotter(model, [replace(ABC, threshold=1.0)])
    assert "even its threshold of 1 does not keep these out, and may miss it" in caplog.text


def test_keywords_that_take_too_long_to_say_are_warned_of(
    model: ModelFile, caplog: pytest.LogCaptureFixture
) -> None:
    for size, is_warned in ((12, False), (13, True)):  # twelve tokens take a second
        caplog.clear()
        keyword = Keyword(label="x", spellings=(("abc" * 5)[:size],))
        with caplog.at_level(logging.WARNING):
            KeywordSpotter(model, [keyword], SpotterOptions(search=SearchOptions(longest_s=1.0)))
        assert (
            "'x' is very long: what takes longer than 1 s to say is never found" in caplog.text
        ) == is_warned


def test_a_models_threshold_is_of_keywords_that_are_typed_without_a_boost(tmp_path: Path) -> None:
    path = write_model(tmp_path / "tones.onnx")
    keep_choice(path, lambda choice: replace(choice, keyword_thresholds={"abc": 0.05}))
    model = ModelFile(path, threads=1)
    template = np.log(np.full((5, len(model.info.vocabulary)), 1 / len(model.info.vocabulary), np.float32))
    for keyword, threshold in (
        (ABC, 0.05),
        (replace(ABC, threshold=0.2), 0.2),
        (replace(ABC, label="x"), 0.05),
        (replace(CAB, label="abc"), 0.5),
        (replace(ABC, boost=1.0), 0.5),
        (replace(ABC, templates=(template,)), 0.58),
        (replace(ABC, spellings=(), templates=(template,)), 0.6),
    ):
        assert KeywordSpotter(model, [keyword]).thresholds == (threshold,)


def test_samples_that_are_whole_numbers_and_times_that_are_none_are_refused(model: ModelFile) -> None:
    spotter = KeywordSpotter(model, [ABC])
    with pytest.raises(AudioError, match=r"must be floating-point numbers in \[-1, 1\], got whole ones"):
        spotter.feed((speak("abc") * 32767).astype(np.int16))
    with pytest.raises(ConfigError, match="at_s must be finite, got nan"):
        spotter.feed(speak("abc"), at_s=float("nan"))


def test_wrong_keywords_are_refused(model: ModelFile) -> None:
    with pytest.raises(TextError, match="keyword 'xyz'"):
        KeywordSpotter(model, [Keyword(label="x", spellings=("xyz",))])
    with pytest.raises(ConfigError, match="no keyword"):
        KeywordSpotter(model, [])
    with pytest.raises(ConfigError, match="label 'abc' names 2 keywords"):
        KeywordSpotter(model, [ABC, ABC])


def test_samples_that_are_no_numbers_are_refused(model: ModelFile) -> None:
    with pytest.raises(AudioError, match="finite"):
        KeywordSpotter(model, [ABC]).feed(np.full(100, np.nan, np.float32))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"threshold": 1.5}, "threshold must be in"),
        ({"smoothing": 0}, "smoothing must be >= 1"),
        ({"chunk_s": 0.0}, "chunk_s must be > 0"),
        ({"window_s": np.inf}, "window_s must be > 0 and finite"),
    ],
)
def test_options_out_of_range_are_refused(values: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SpotterOptions(**values)  # type: ignore[arg-type]


LABEL_A = Keyword(label="alpha", spellings=("a",))
LABEL_B = Keyword(label="b", spellings=("b",))
FAST = SpotterOptions(chunk_s=0.1, window_s=0.3)


def test_a_classifier_s_label_is_found(classifier: ModelFile) -> None:
    waveform = np.concatenate(
        [np.zeros(SAMPLE_RATE, np.float32), speak("a"), np.zeros(SAMPLE_RATE, np.float32)]
    )
    [hit] = spot(classifier, waveform, [LABEL_A, LABEL_B], FAST)
    assert hit.label == "alpha"
    assert 0.7 < hit.start_s < 1.2 < hit.end_s < 1.6


@pytest.mark.parametrize("size", [137, 1600, 7777])
def test_a_classifier_s_scores_do_not_depend_on_the_pieces(classifier: ModelFile, size: int) -> None:
    waveform = np.concatenate([speak("ab"), np.zeros(4000, np.float32), speak("ca")])

    def confidences(size: int) -> NDArray[np.float64]:
        tracker = ScoreTracker(classifier, [LABEL_A, LABEL_B], FAST, floors=[0.0, 0.0])
        pieces = [tracker.feed(waveform[at : at + size]) for at in range(0, len(waveform), size)]
        return np.concatenate([piece.log_scores for piece in [*pieces, tracker.finish()]])

    np.testing.assert_allclose(confidences(size), confidences(len(waveform)), atol=1e-5)


def test_a_classifier_s_score_is_the_mean_of_its_answers_for_the_windows(classifier: ModelFile) -> None:
    waveform = np.concatenate([speak("ab"), speak("ca")])
    options = SpotterOptions(chunk_s=0.1, window_s=0.3, smoothing=2)
    tracker = ScoreTracker(classifier, [LABEL_A], options, floors=[0.0])
    scores = np.concatenate([tracker.feed(waveform).log_scores, tracker.finish().log_scores])[:, 0]
    # Frames are 10 ms; the answer at 0.5 s is of the 30 frames before it, that at 0.4 s too.
    alone = []
    for end in (40, 50):
        clip = waveform[(end - 30) * 160 : (end - 1) * 160 + 320]
        alone.append(float(np.exp(classifier.run(clip[None], [len(clip)])[0][0, 0])))
    assert np.exp(scores[4]) == pytest.approx(np.mean(alone), rel=1e-4)


def test_a_classifier_is_asked_for_its_own_labels_only(classifier: ModelFile) -> None:
    with pytest.raises(ConfigError, match="has no label 'zebra'; its labels are a, b, c"):
        KeywordSpotter(classifier, [Keyword(label="z", spellings=("zebra",))])
    with pytest.raises(ConfigError, match="keyword 'z': 'a' and 'b' are labels of their own"):
        KeywordSpotter(classifier, [Keyword(label="z", spellings=("a", "b"))])
    with pytest.raises(ConfigError, match="keyword 'z': a classifier knows labels, no recordings"):
        KeywordSpotter(classifier, [Keyword(label="z", templates=(np.zeros((2, 3), np.float32),))])


def test_of_several_spellings_one_is_a_classifier_s_label(classifier: ModelFile) -> None:
    sounds_alike = Keyword(label="alpha", spellings=("eh", "a"))
    assert find_labels(classifier, [sounds_alike]) == find_labels(classifier, [LABEL_A])


def test_a_classifier_s_window_holds_a_chunk(classifier: ModelFile) -> None:
    with pytest.raises(ConfigError, match=r"window_s must be >= chunk_s, got 1.0 and 2.0"):
        KeywordSpotter(classifier, [LABEL_A], SpotterOptions(chunk_s=2.0))


def test_hits_need_patience(classifier: ModelFile) -> None:
    waveform = np.concatenate(
        [np.zeros(SAMPLE_RATE, np.float32), speak("a"), np.zeros(SAMPLE_RATE, np.float32)]
    )
    options = SpotterOptions(chunk_s=0.1, window_s=0.3, hits=HitOptions(patience=20))
    assert spot(classifier, waveform, [LABEL_A], options) == []


def test_two_keywords_are_not_the_same_label(tmp_path: Path) -> None:
    labels = ModelFile(write_model(tmp_path / "labels.onnx", "classification"), threads=1)
    keywords = [Keyword(label=label, spellings=("a",)) for label in ("first", "second")]
    with pytest.raises(ConfigError, match="keywords 'first' and 'second' are both the label 'a'"):
        KeywordSpotter(labels, keywords)
