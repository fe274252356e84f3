"""Hits from confidences made by hand; a frame is 0.1 s."""

from collections.abc import Sequence

import numpy as np
import pytest

from speechrnn.decoding.keyword_hits import Candidate, HitOptions, HitPicker
from speechrnn.errors import ConfigError


def pick(
    *confidences: Sequence[float], thresholds: Sequence[float] = (0.5,), cut: int = 1000, **options: float
) -> list[Candidate]:
    """Pick from rows of confidences, a row a keyword; each path is three frames long."""
    rows = np.array(confidences, float).T
    starts = np.repeat(np.maximum(0, np.arange(len(rows)) - 2)[:, None], rows.shape[1], axis=1)
    picker = HitPicker(thresholds, frame_s=0.1, options=HitOptions(**{"hold_s": 0.2, **options}))  # type: ignore[arg-type]
    hits: list[Candidate] = []
    for place in range(0, len(rows), cut):
        hits += picker.feed(rows[place : place + cut], starts[place : place + cut])
    return hits + picker.finish()


def places(hits: list[Candidate]) -> list[tuple[int, int]]:
    return [(hit.keyword, hit.end) for hit in hits]


def test_a_hit_is_told_at_its_best_once_nothing_better_came() -> None:
    [hit] = pick([0, 0.6, 0.9, 0.7, 0, 0, 0])
    assert (hit.start, hit.end, hit.confidence, hit.decided) == (0, 2, 0.9, 4)  # 0.2 s later


def test_nothing_below_the_threshold_is_a_hit() -> None:
    assert pick([0.49] * 30) == []


def test_the_end_of_the_stream_ends_the_waiting() -> None:
    assert places(pick([0, 0, 0.8])) == [(0, 2)]


def test_after_a_hit_the_keyword_rests() -> None:
    two = [0.8, 0, 0, 0, 0, 0.9, 0, 0, 0, 0, 0, 0]
    assert places(pick(two, refractory_s=0.6)) == [(0, 0)]
    assert places(pick(two, refractory_s=0.4)) == [(0, 0), (0, 5)]


def test_a_confidence_that_stays_up_is_one_hit_however_long() -> None:
    up = [0.9] * 20
    assert places(pick([*up, 0, *up], refractory_s=0.5, hold_s=0.0)) == [(0, 0), (0, 21)]
    assert places(pick([*up, 0, *up], refractory_s=2.5, hold_s=0.0)) == [(0, 0), (0, 25)]


def test_a_stretched_copy_of_a_hit_is_none() -> None:
    confidences = np.zeros((40, 1))
    confidences[[3, 20, 36], 0] = 1.0, 0.8, 0.8  # the second is the first, with silence behind it
    starts = np.zeros((40, 1), np.int64)
    starts[36] = 33
    picker = HitPicker([0.5], frame_s=0.1, options=HitOptions(hold_s=0.2, refractory_s=0.5))
    assert places(picker.feed(confidences, starts) + picker.finish()) == [(0, 3), (0, 36)]


def test_a_phrase_that_begins_with_a_keyword_is_told_behind_it() -> None:
    confidences = np.zeros((12, 2))
    confidences[3, 0], confidences[9, 1] = 1.0, 0.8
    starts = np.tile([[0, 0]], (12, 1))
    for overlap, expected in ((0.5, [(0, 3), (1, 9)]), (0.2, [(0, 3)])):
        picker = HitPicker([0.5, 0.5], frame_s=0.1, options=HitOptions(hold_s=0.2, overlap=overlap))
        assert places(picker.feed(confidences, starts) + picker.finish()) == expected
    # The shorter one behind the longer one lies in it altogether.
    confidences[3, 0], confidences[10, 0], starts[10, 0] = 0.0, 1.0, 7
    picker = HitPicker([0.5, 0.5], frame_s=0.1, options=HitOptions(hold_s=0.0))
    assert places(picker.feed(confidences, starts) + picker.finish()) == [(1, 9)]


def test_patience_asks_for_several_frames_in_a_row() -> None:
    assert pick([0.9, 0, 0.9, 0, 0, 0], patience=2) == []
    assert places(pick([0.9, 0.8, 0, 0, 0], patience=2)) == [(0, 1)]


def test_of_two_keywords_in_one_place_the_surer_stays() -> None:
    first, second = [0, 0, 0.7, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0.9, 0, 0, 0, 0, 0]
    assert places(pick(first, second, thresholds=(0.5, 0.5))) == [(1, 3)]
    # 0.7 lies at half between 0.4 and 1, 0.9 at a fifth between 0.875 and 1
    assert places(pick(first, second, thresholds=(0.4, 0.875))) == [(0, 2)]


def test_overlaps_may_be_allowed() -> None:
    first, second = [0, 0, 0.7, 0, 0, 0], [0, 0, 0, 0.9, 0, 0]
    assert places(pick(first, second, thresholds=(0.5, 0.5), overlap=1.0)) == [(0, 2), (1, 3)]


def test_a_hit_that_was_told_is_not_told_again_under_another_name() -> None:
    first, second = [0, 0, 0.7, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0.9, 0, 0]
    starts_late = pick(first, second, thresholds=(0.5, 0.5))
    assert places(starts_late) == [(0, 2), (1, 5)]  # frames 0–2 and 3–5 share nothing


@pytest.mark.parametrize("cut", [1, 2, 3, 7])
def test_hits_do_not_depend_on_the_pieces(cut: int) -> None:
    rows = np.random.default_rng(0).random((2, 200)) ** 2
    whole = pick(*rows.tolist(), thresholds=(0.7, 0.8), patience=1)
    assert len(whole) > 5
    assert pick(*rows.tolist(), thresholds=(0.7, 0.8), patience=1, cut=cut) == whole


@pytest.mark.parametrize(
    ("name", "value"), [("patience", 0), ("hold_s", -1), ("refractory_s", np.inf), ("overlap", 1.5)]
)
def test_options_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be"):
        HitOptions(**{name: value})  # type: ignore[arg-type]
