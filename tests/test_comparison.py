"""Where errors are, and whether two runs differ by more than chance."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_model import SAMPLE_RATE, speak

from speechrnn.errors import ConfigError, ManifestError
from speechrnn.evaluation import Evaluation, UtteranceResult, compare_runs, read_results
from speechrnn.evaluation.breakdown import break_down, count_frequent_errors, measure_all
from speechrnn.evaluation.results import write_json
from speechrnn.evaluation.signal_to_noise import estimate_snr_db
from speechrnn.metrics import align, character_errors, paired_bootstrap, word_errors


def result_of(name: str, reference: str, hypothesis: str, **fields: object) -> UtteranceResult:
    made = UtteranceResult(
        id=name,
        audio=f"{name}.wav",
        speaker=None,
        reference=reference,
        hypothesis=hypothesis,
        confidence=0.9,
        duration_s=1.5,
        words=word_errors(reference, hypothesis),
        characters=character_errors(reference, hypothesis),
        alignment=align(reference.split(), hypothesis.split()),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def evaluation_of(results: Sequence[UtteranceResult], **fields: object) -> Evaluation:
    made = Evaluation(
        model="tones",
        model_sha256="",
        task="ctc",
        utterances=tuple(results),
        failures=(),
        measures=measure_all(results, "ctc"),
        num_speakers=None,
        breakdowns=break_down(results, "ctc"),
        frequent_errors=count_frequent_errors(results),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


# ---- The paired test --------------------------------------------------------------------------------------


def test_a_difference_in_every_utterance_is_no_chance() -> None:
    found = paired_bootstrap([1] * 20, [0] * 20, [4] * 20)
    assert (found.value, found.interval.low, found.interval.high) == (-0.25, -0.25, -0.25)
    # None of 2000 draws is zero or above: 2 (0 + 1) / 2001.
    assert found.p_value == pytest.approx(2 / 2001)


def test_no_difference_has_a_p_value_of_one() -> None:
    assert paired_bootstrap([1, 0], [1, 0], [2, 2]).p_value == 1


def test_pairing_sees_what_two_intervals_cannot() -> None:
    """Rates vary much from clip to clip; the second system has one error less in each of half the clips."""
    first = np.random.default_rng(0).integers(1, 20, size=60)
    second = first - (np.arange(60) % 2)
    assert paired_bootstrap(first, second, [20] * 60).p_value < 0.002


def test_few_speakers_who_disagree_show_nothing() -> None:
    # ann gains 10 errors, bob loses 9: drawn as speakers, either sign is likely.
    groups = ["ann"] * 10 + ["bob"] * 10
    first, second = [1] * 10 + [0] * 10, [0] * 10 + [1] * 9 + [0]
    assert paired_bootstrap(first, second, [2] * 20, groups=groups).p_value > 0.4


def test_the_p_value_of_random_labels_is_about_uniform() -> None:
    """Two systems of the same quality differ at p < 0.1 in about a tenth of cases."""
    generator = np.random.default_rng(3)
    values = [
        paired_bootstrap(*generator.binomial(5, 0.3, size=(2, 80)), [5] * 80, num_resamples=300).p_value
        for _ in range(200)
    ]
    assert 0.03 < np.mean(np.array(values) < 0.1) < 0.2


@pytest.mark.parametrize("counts", [([], [], []), ([1], [1, 2], [1]), ([[1]], [[1]], [[1]])])
def test_counts_that_do_not_pair_are_refused(counts: tuple[list[int], list[int], list[int]]) -> None:
    with pytest.raises(ConfigError, match=r"must be \(n,\) with n > 0"):
        paired_bootstrap(*counts)


def test_runs_are_paired_by_id() -> None:
    baseline = evaluation_of([result_of("1", "a b", "a"), result_of("2", "c", "c"), result_of("3", "d", "d")])
    run = evaluation_of([result_of("2", "c", "x y"), result_of("1", "a b", "a b"), result_of("9", "e", "e")])
    found = compare_runs(run, baseline)
    assert (found.num_utterances, found.num_unpaired, found.num_better, found.num_worse) == (2, 2, 1, 1)
    wer = found.differences[0]
    # 1 of 3 words wrong before, 2 of 3 after: substitution and insertion.
    assert (wer.baseline.value, wer.measure.value) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert wer.difference.value == pytest.approx(1 / 3)
    assert not wer.is_significant
    assert [(change.id, change.difference) for change in found.changes] == [("2", 2), ("1", -1)]


def test_runs_that_cannot_be_compared_are_refused() -> None:
    run = evaluation_of([result_of("1", "a", "a")])
    with pytest.raises(ManifestError, match="no utterance in common"):
        compare_runs(run, evaluation_of([result_of("2", "a", "a")]))
    with pytest.raises(ManifestError, match="'1' has the reference 'a' here and 'A' there"):
        compare_runs(run, evaluation_of([result_of("1", "A", "A")]))
    with pytest.raises(ManifestError, match="one model is for ctc, the other for classification"):
        compare_runs(run, replace(run, task="classification"))


def test_results_are_read_back_as_they_were(tmp_path: Path) -> None:
    evaluation = evaluation_of([result_of("1", "a b", "a c", speaker="ann", snr_db=7.5)])
    write_json(evaluation.to_dict(), tmp_path / "r.json")
    assert read_results(tmp_path / "r.json").utterances == evaluation.utterances
    assert json.loads((tmp_path / "r.json").read_text()) == evaluation.to_dict()
    with pytest.raises(ManifestError, match=r"gone\.json: cannot be read"):
        read_results(tmp_path / "gone.json")


# ---- Where the errors are -----------------------------------------------------------------------------------


def test_errors_are_counted_by_speaker_the_worst_first() -> None:
    results = [
        result_of("1", "a b", "a b", speaker="ann"),
        result_of("2", "a b", "x b", speaker="bob"),
        result_of("3", "a b c d", "a b c d", speaker="bob"),
    ]
    by_speaker, by_length = break_down(results, "ctc")
    assert [(g.name, g.num_utterances, g.measures[0].value) for g in by_speaker.groups] == [
        ("bob", 2, 1 / 6),
        ("ann", 1, 0.0),
    ]
    assert [(g.name, g.num_utterances) for g in by_length.groups] == [("1 to 2 s", 3)]


def test_lengths_and_ratios_fall_into_bins_with_their_lower_edge() -> None:
    durations = [(0.99, 40.0), (1.0, 30.0), (25.0, -1.0)]
    results = [
        result_of(str(n), "a", "a", duration_s=s, snr_db=db, is_snr_estimated=n == 0)
        for n, (s, db) in enumerate(durations)
    ]
    by_length, by_ratio = break_down(results, "ctc")
    assert [g.name for g in by_length.groups] == ["below 1 s", "1 to 2 s", "20 s and more"]
    assert [(g.name, g.num_utterances) for g in by_ratio.groups] == [("below 0 dB", 1), ("30 dB and more", 2)]
    assert by_ratio.num_estimated == 1


def test_frequent_errors_name_their_utterances_once() -> None:
    results = [result_of("1", "a b b", "a c c"), result_of("2", "b d", "c d e"), result_of("3", "x", "")]
    found = count_frequent_errors(results)
    assert [(e.operation, e.reference, e.hypothesis, e.count, e.utterances) for e in found] == [
        ("substitution", "b", "c", 3, ("1", "2")),
        ("deletion", "x", None, 1, ("3",)),
        ("insertion", None, "e", 1, ("2",)),
    ]


# ---- Noise ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio_db", [0.0, 10.0, 20.0, 30.0])
def test_the_ratio_of_tones_in_noise_is_estimated(ratio_db: float) -> None:
    clean = speak("abcab")
    noise = np.random.default_rng(0).standard_normal(len(clean))
    noise *= np.sqrt(np.mean(clean**2) / np.mean(noise**2)) * 10 ** (-ratio_db / 20)
    estimate = estimate_snr_db((clean + noise).astype(np.float32), SAMPLE_RATE)
    assert estimate == pytest.approx(ratio_db, abs=1.5)


def test_silence_and_snippets_have_no_ratio() -> None:
    assert estimate_snr_db(np.zeros(16000, np.float32), SAMPLE_RATE) is None
    assert estimate_snr_db(speak("a")[:3000], SAMPLE_RATE) is None
    assert estimate_snr_db(np.zeros(0, np.float32), SAMPLE_RATE) is None


def test_a_clip_with_digital_silence_is_as_clean_as_can_be_told() -> None:
    assert estimate_snr_db(speak("ab"), SAMPLE_RATE) == 60.0
