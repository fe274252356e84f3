"""Stretches of longer recordings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from speechrnn.errors import AudioError
from speechrnn.manifest import Utterance
from speechrnn.training.stretches import consecutive_stretches, middle_stretch


def test_a_stretch_is_the_middle_of_the_utterance_within_its_file() -> None:
    utterance = Utterance(
        id="a", audio=Path("a.wav"), text="so be it", speaker="s", start_s=10.0, duration_s=4.0
    )
    cut = middle_stretch(utterance, 1.0, "other")
    assert (cut.id, cut.text, cut.speaker, cut.start_s, cut.duration_s) == (
        "other-a",
        "other",
        "s",
        11.5,
        1.0,
    )


def test_a_short_recording_of_unknown_length_is_taken_whole(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.zeros(8000), 16000)
    cut = middle_stretch(Utterance(id="a", audio=tmp_path / "a.wav", text=""), 1.0, "other")
    assert (cut.start_s, cut.duration_s) == (0.0, 0.5)


def test_consecutive_stretches_leave_out_what_is_no_whole_one() -> None:
    utterance = Utterance(
        id="a", audio=Path("a.wav"), text="so be it", speaker="s", start_s=10.0, duration_s=2.9
    )
    cuts = list(consecutive_stretches(utterance, 1.0, "other"))
    assert [(cut.id, cut.text, cut.speaker, cut.start_s, cut.duration_s) for cut in cuts] == [
        ("other-a-0", "other", "s", 10.0, 1.0),
        ("other-a-1", "other", "s", 11.0, 1.0),
    ]
    every_second = consecutive_stretches(replace(utterance, duration_s=3.0), 1.0, "other", every=2)
    assert [cut.start_s for cut in every_second] == [10.0, 12.0]


def test_audio_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"a\.wav cannot be read"):
        middle_stretch(Utterance(id="a", audio=tmp_path / "a.wav", text=""), 1.0, "other")
