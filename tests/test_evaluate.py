"""Evaluation: references against hypotheses, measures with intervals, and the report."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import SAMPLE_RATE, TOKEN_S, speak, write_model

from speechrnn.errors import AudioError, ManifestError
from speechrnn.evaluation import Evaluation, UtteranceResult, evaluate, render_listing, render_summary
from speechrnn.evaluation.evaluate import load_utterance
from speechrnn.evaluation.report import fold, transcript_rows
from speechrnn.manifest import Utterance
from speechrnn.metrics import ErrorCounts, Interval, align, character_errors, word_errors
from speechrnn.runtime import Transcriber


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Transcriber:
    return Transcriber(write_model(tmp_path_factory.mktemp("models") / "tones.onnx"), threads=1)


@pytest.fixture(scope="module")
def keywords(tmp_path_factory: pytest.TempPathFactory) -> Transcriber:
    path = tmp_path_factory.mktemp("models") / "keywords.onnx"
    return Transcriber(write_model(path, "classification"), threads=1)


def say(folder: Path, said: str, text: str | None = None, **fields: Any) -> Utterance:
    """Record ``said`` and claim that it is ``text``."""
    path = folder / f"{said or 'silence'}.wav"
    soundfile.write(path, speak(said), SAMPLE_RATE)
    text = said if text is None else text
    return Utterance(id=f"{said}={text}", audio=path, text=text, **fields)


# ---- Measures -------------------------------------------------------------------------------------------


def test_errors_are_summed_and_divided_by_the_sum_of_lengths(tones: Transcriber, tmp_path: Path) -> None:
    utterances = [
        say(tmp_path, "a b c a", "a b c"),  # 1 insertion, 3 words; 2 of 5 characters
        say(tmp_path, "a", "b a"),  # 1 deletion, 2 words; 2 of 3 characters
        say(tmp_path, "c", "b"),  # 1 substitution, 1 word; 1 of 1 character
    ]
    wer, cer = evaluate(tones, utterances).measures
    # 3 errors in 6 words; the mean of rates would be (1/3 + 1/2 + 1) / 3 = 0.61.
    assert (wer.name, wer.numerator, wer.denominator, wer.value) == ("WER", 3, 6, 0.5)
    assert wer.counts == ErrorCounts(hits=4, substitutions=1, deletions=1, insertions=1)
    assert (cer.name, cer.numerator, cer.denominator) == ("CER", 5, 9)
    assert wer.interval.low <= wer.value <= wer.interval.high


def test_results_keep_the_manifests_order_and_the_models_words(tones: Transcriber, tmp_path: Path) -> None:
    texts = ["abc", "a", "b c", "cab"]
    results = evaluate(tones, [say(tmp_path, text) for text in texts]).utterances
    assert [result.hypothesis for result in results] == texts
    assert [result.reference for result in results] == texts
    assert results[0].duration_s == pytest.approx(7 * TOKEN_S)


def test_references_are_normalised_as_the_model_was_trained(tones: Transcriber, tmp_path: Path) -> None:
    (result,) = evaluate(tones, [say(tmp_path, "ab", "AB")]).utterances
    assert (result.reference, result.words.errors) == ("ab", 0)


def test_a_reference_the_model_cannot_spell_counts_as_wrong(tones: Transcriber, tmp_path: Path) -> None:
    (result,) = evaluate(tones, [say(tmp_path, "ab", "xyz")]).utterances
    assert result.words.errors == 1


def test_an_empty_reference_and_silence_agree(tones: Transcriber, tmp_path: Path) -> None:
    evaluation = evaluate(tones, [say(tmp_path, "", "")])
    assert [measure.value for measure in evaluation.measures] == [0, 0]


def test_intervals_go_by_speaker_where_all_are_known(tones: Transcriber, tmp_path: Path) -> None:
    known = [say(tmp_path, "a", speaker="ann"), say(tmp_path, "b", "c", speaker="bob")]
    assert evaluate(tones, known).num_speakers == 2
    one_unknown = [*known, say(tmp_path, "c")]
    assert evaluate(tones, one_unknown).num_speakers is None
    one_speaker = [say(tmp_path, "a", speaker="ann"), say(tmp_path, "b", speaker="ann")]
    assert evaluate(tones, one_speaker).num_speakers is None


def test_labels_give_accuracy_and_a_table(keywords: Transcriber, tmp_path: Path) -> None:
    utterances = [say(tmp_path, "a"), say(tmp_path, "b"), say(tmp_path, "c", "b"), say(tmp_path, "bb", "b")]
    evaluation = evaluate(keywords, utterances)
    (accuracy,) = evaluation.measures
    assert (accuracy.name, accuracy.numerator, accuracy.denominator) == ("accuracy", 3, 4)
    assert accuracy.value == 0.75
    assert evaluation.table is not None
    rows = {row.label: row for row in evaluation.table.classes}
    assert rows["b"].recall == pytest.approx(2 / 3)
    assert rows["b"].precision == 1
    assert rows["c"].precision == 0


def test_a_label_of_several_words_is_one_answer(keywords: Transcriber, tmp_path: Path) -> None:
    (result,) = evaluate(keywords, [say(tmp_path, "a", "turn it off")]).utterances
    assert result.words == ErrorCounts(substitutions=1)


def test_progress_is_told_of_each_utterance(tones: Transcriber, tmp_path: Path) -> None:
    calls: list[None] = []
    utterances = [say(tmp_path, "a"), Utterance(id="x", audio=tmp_path / "gone.wav", text="a")]
    evaluate(tones, utterances, on_utterance=lambda: calls.append(None))
    assert len(calls) == 2


def test_an_evaluation_is_plain_data_for_json(keywords: Transcriber, tmp_path: Path) -> None:
    plain = evaluate(keywords, [say(tmp_path, "a"), say(tmp_path, "b", "c")]).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["measures"]["accuracy"]["value"] == 0.5
    assert plain["classes"]["labels"] == ["a", "b", "c"]
    assert plain["classes"]["confusion"] == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert plain["model"]["sha256"] == keywords.model.sha256


# ---- Bad audio ------------------------------------------------------------------------------------------


def test_audio_that_cannot_be_read_is_left_out_and_listed(tones: Transcriber, tmp_path: Path) -> None:
    gone = Utterance(id="gone", audio=tmp_path / "gone.wav", text="a")
    evaluation = evaluate(tones, [say(tmp_path, "a"), gone, say(tmp_path, "b")])
    assert [result.reference for result in evaluation.utterances] == ["a", "b"]
    (failure,) = evaluation.failures
    assert (failure.id, failure.reason) == ("gone", f"{gone.audio}: no such file")
    assert evaluation.measures[0].denominator == 2


def test_a_clip_that_is_too_short_is_named(tones: Transcriber, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "blip.wav", np.zeros(100), SAMPLE_RATE)
    blip = Utterance(id="blip", audio=tmp_path / "blip.wav", text="a")
    (failure,) = evaluate(tones, [say(tmp_path, "a"), blip]).failures
    assert failure.reason.startswith(f"{blip.audio}: ")
    assert "too short" in failure.reason


def test_nothing_to_evaluate_is_an_error(tones: Transcriber, tmp_path: Path) -> None:
    gone = Utterance(id="gone", audio=tmp_path / "gone.wav", text="a")
    with pytest.raises(ManifestError, match=r"none of 1 utterances .*; the first: .*gone\.wav: no such"):
        evaluate(tones, [gone])
    with pytest.raises(ManifestError, match="none of 0 utterances"):
        evaluate(tones, [])


# ---- Stretches of a recording ---------------------------------------------------------------------------


def test_stretches_of_one_recording_are_evaluated_each_by_itself(tones: Transcriber, tmp_path: Path) -> None:
    whole = say(tmp_path, "abc")
    # Token k sounds from (1 + 2 k) * 0.1 s; half a silence on either side makes 0.2 s.
    parts = [
        Utterance(id=t, audio=whole.audio, text=t, start_s=0.05 + 0.2 * k, duration_s=0.2)
        for k, t in enumerate("abc")
    ]
    assert [result.hypothesis for result in evaluate(tones, parts).utterances] == ["a", "b", "c"]


def test_a_stretch_without_an_end_goes_to_the_end(tmp_path: Path) -> None:
    whole = say(tmp_path, "abc")
    rest = Utterance(id="rest", audio=whole.audio, text="c", start_s=0.45)
    assert len(load_utterance(rest, SAMPLE_RATE)) == round(0.25 * SAMPLE_RATE)


@pytest.mark.parametrize("file_duration_s", [0.701, 0.699, 0.705])
def test_a_rounded_duration_of_the_whole_file_cuts_nothing_off(
    tmp_path: Path, file_duration_s: float
) -> None:
    path = say(tmp_path, "abc").audio
    whole = Utterance(id="x", audio=path, text="abc", duration_s=0.699, file_duration_s=file_duration_s)
    assert len(load_utterance(whole, SAMPLE_RATE)) == round(0.7 * SAMPLE_RATE)


@pytest.mark.parametrize(("start_s", "duration_s"), [(0.7, None), (0.5, 0.3), (9.0, 0.1)])
def test_a_stretch_beyond_the_end_is_refused(
    tmp_path: Path, start_s: float, duration_s: float | None
) -> None:
    path = say(tmp_path, "abc").audio
    beyond = Utterance(id="x", audio=path, text="", start_s=start_s, duration_s=duration_s)
    with pytest.raises(AudioError, match=r"abc\.wav: utterance 'x' is at .* the file ends at 0\.700 s"):
        load_utterance(beyond, SAMPLE_RATE)


def test_a_channel_of_the_manifest_is_heard(tones: Transcriber, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "two.wav", np.stack([speak("a"), speak("b")], axis=1), SAMPLE_RATE)
    both = [Utterance(id=f"{c}", audio=tmp_path / "two.wav", text="", channel=c) for c in (0, 1)]
    assert [result.hypothesis for result in evaluate(tones, both).utterances] == ["a", "b"]


def test_a_recording_is_read_once_for_all_its_stretches(tones: Transcriber, tmp_path: Path) -> None:
    whole = say(tmp_path, "abc")
    calls: list[Path] = []

    def load(path: Path, **options: Any) -> Any:
        calls.append(path)
        return speak("abc")

    part = Utterance(id="a", audio=whole.audio, text="a", start_s=0.05, duration_s=0.2)
    assert len(load_utterance(part, SAMPLE_RATE, load=load)) == round(0.2 * SAMPLE_RATE)
    assert calls == [whole.audio]


# ---- The report -----------------------------------------------------------------------------------------


def result_of(reference: str, hypothesis: str, name: str = "clip") -> UtteranceResult:
    return UtteranceResult(
        id=name,
        audio=f"{name}.wav",
        speaker=None,
        reference=reference,
        hypothesis=hypothesis,
        confidence=0.9,
        duration_s=1.0,
        words=word_errors(reference, hypothesis),
        characters=character_errors(reference, hypothesis),
        alignment=align(reference.split(), hypothesis.split()),
    )


def evaluation_of(results: Sequence[UtteranceResult]) -> Evaluation:
    return Evaluation(
        model="tones",
        model_sha256="",
        task="ctc",
        utterances=tuple(results),
        failures=(),
        measures=(),
        num_speakers=None,
    )


def test_words_are_aligned_and_marked() -> None:
    rows = list(transcript_rows(result_of("one two three", "one too three four"), 40))
    assert rows == [
        "clip                 2 errors in 3 words",
        "   reference   one two three ****",
        "   hypothesis  one too three four",
        "                   S         I",
    ]


def test_a_correct_utterance_has_no_row_of_marks() -> None:
    assert list(transcript_rows(result_of("go", "go"), 30)) == [
        "clip                   correct",
        "   reference   go",
        "   hypothesis  go",
    ]


def test_an_utterance_of_which_nothing_was_heard_shows_what_is_missing() -> None:
    rows = list(transcript_rows(result_of("go on", ""), 50))
    assert rows[1:] == ["   reference   go on", "   hypothesis  ** **", "               D  D"]
    assert rows[0].endswith("2 errors in 2 words")


def test_an_utterance_without_words_is_shown_as_empty() -> None:
    assert list(transcript_rows(result_of("", ""), 30))[1:] == [
        "   reference   (empty)",
        "   hypothesis  (empty)",
    ]


WORDS = st.lists(st.text("abc", min_size=1, max_size=12), max_size=30).map(" ".join)


@given(WORDS, WORDS, st.integers(30, 100))
def test_no_row_is_wider_than_the_terminal_and_no_word_is_lost(
    reference: str, hypothesis: str, width: int
) -> None:
    rows = list(transcript_rows(result_of(reference, hypothesis), width))
    assert all(len(row) <= width for row in rows)
    for label, text in (("   reference   ", reference), ("   hypothesis  ", hypothesis)):
        shown = " ".join(row.removeprefix(label) for row in rows[1:] if row.startswith(label))
        words = [word for word in shown.split() if set(word) != {"*"} and word != "(empty)"]
        assert words == text.split()


def test_folding_puts_a_word_wider_than_the_terminal_on_a_row_of_its_own() -> None:
    cells = [("a", "a", " "), ("b" * 20, "b" * 20, " " * 20), ("c", "c", " ")]
    assert [len(row) for row in fold(cells, 10)] == [1, 1, 1]


def test_the_worst_utterances_come_first() -> None:
    results = [result_of("a b", "a b", "right"), result_of("a b", "x", "bad"), result_of("a", "", "lost")]
    listing = render_listing(evaluation_of(results), most=2)
    assert listing.startswith("The 2 worst of 3 utterances:\n\nbad ")
    assert "lost" in listing
    assert "right" not in listing


def test_few_utterances_are_shown_in_their_order() -> None:
    results = [result_of("a", "a", "first"), result_of("a", "b", "second")]
    listing = render_listing(evaluation_of(results), most=2)
    assert listing.index("first") < listing.index("second")


def test_the_summary_names_rates_counts_and_intervals(tones: Transcriber, tmp_path: Path) -> None:
    utterances = [say(tmp_path, "a b", speaker="ann"), say(tmp_path, "c", "b", speaker="bob")]
    lines = render_summary(evaluate(tones, utterances)).splitlines()
    # ann has 0 of 2 words wrong, bob 1 of 1, so draws of speakers range from 0 to 100 %.
    assert lines == [
        "tones on 2 utterances, 1.0 s of audio",
        "WER  33.33 %  [0.00, 100.00]  1 error in 3 words: 1 S, 0 D, 0 I",
        "CER  25.00 %  [0.00, 100.00]  1 error in 4 characters: 1 S, 0 D, 0 I",
        # The tones are sure of three words, and two are right.
        "ECE  33.33 %  expected calibration error of the confidences of 3 words",
        "[ ] 95 % bootstrap over 2 speakers; S substituted, D deleted, I inserted",
    ]
    assert max(map(len, lines)) <= 80


def test_the_summary_of_no_errors_says_what_a_bootstrap_cannot(tones: Transcriber, tmp_path: Path) -> None:
    lines = render_summary(evaluate(tones, [say(tmp_path, "a b"), say(tmp_path, "c")])).splitlines()
    # 1 - 0.05^(1/2) = 1 - 0.22361 = 77.64 %
    assert lines[-1] == "no errors: if the utterances are independent, at most 77.64 % of such have one"


def test_an_interval_has_the_level_it_was_asked_for(tones: Transcriber, tmp_path: Path) -> None:
    interval = evaluate(tones, [say(tmp_path, "a")]).measures[0].interval
    assert interval == Interval(0.0, 0.0, 0.95)


def test_a_ratio_of_the_manifest_goes_before_an_estimate(tones: Transcriber, tmp_path: Path) -> None:
    utterances = [say(tmp_path, "ab", snr_db=12.0), say(tmp_path, "c")]
    known, estimated = evaluate(tones, utterances).utterances
    assert (known.snr_db, known.is_snr_estimated) == (12.0, False)
    assert (estimated.snr_db, estimated.is_snr_estimated) == (60.0, True)


def test_the_worst_are_looked_at_closely_and_the_right_ones_not(tones: Transcriber, tmp_path: Path) -> None:
    utterances = [say(tmp_path, "a"), say(tmp_path, "b", "c c"), say(tmp_path, "c", "a")]
    close_ups = evaluate(tones, utterances, num_close_ups=5).close_ups
    assert [close_up.id for close_up in close_ups] == ["b=c c", "c=a"]
    (first, _) = close_ups
    assert (first.text, first.tokens) == ("b", ("", "a", "b", "c", " "))
    assert len(first.waveform) == round(first.duration_s * first.sample_rate)
    assert first.log_probs.shape[1] == 5
    assert [close_up.id for close_up in evaluate(tones, utterances, num_close_ups=1).close_ups] == ["b=c c"]
