"""Only speech is transcribed: cut out of blocks, batched over clips, put together in its place."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_model import SAMPLE_RATE, speak, write_model

from speechrnn.decoding import DecodingOptions
from speechrnn.decoding.hypothesis import NOTHING
from speechrnn.errors import AudioError
from speechrnn.runtime import Transcriber
from speechrnn.runtime.speech_only import SpokenParts, cut, transcribe_speech
from speechrnn.voice_activity import Interval

PAUSE = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Transcriber:
    return Transcriber(write_model(tmp_path_factory.mktemp("models") / "tones.onnx"))


@pytest.mark.parametrize("size", [1, 3, 4, 7, 100])
def test_stretches_are_cut_out_of_blocks_of_any_size(size: int) -> None:
    waveform = np.arange(20, dtype=np.float32)
    blocks = np.split(waveform, range(size, 20, size))
    stretches = [Interval(0.0, 0.2), Interval(0.3, 0.7), Interval(0.7, 0.8), Interval(1.5, 2.0)]
    parts = [part.tolist() for part in cut(blocks, stretches, sample_rate=10)]
    assert parts == [[0, 1], [3, 4, 5, 6], [7], [15, 16, 17, 18, 19]]


def test_words_and_frames_are_where_they_were_said(tones: Transcriber) -> None:
    clip = np.concatenate([PAUSE, speak("ab"), PAUSE, speak("c"), PAUSE])
    (answer,) = transcribe_speech(tones, [clip])
    assert isinstance(answer, SpokenParts)
    heard = answer.transcription
    assert (heard.text, heard.duration_s, len(answer.speech)) == ("ab c", len(clip) / SAMPLE_RATE, 2)
    # Tones begin 0.1 s behind each pause: a at 2.1, b at 2.3, and c at 2 + 0.5 + 2 + 0.1 = 4.6 s.
    assert [word.start_s for word in heard.words] == pytest.approx([2.1, 4.6], abs=0.02)
    assert [frame / 100 for frame in heard.hypothesis.frames] == pytest.approx([2.1, 2.3, 4.6], abs=0.02)
    assert len(heard.hypothesis.tokens) == len(heard.hypothesis.ends) == len(heard.hypothesis.peaks) == 3


def test_the_search_for_speech_and_the_silence_behind_it_are_told(tones: Transcriber) -> None:
    told: list[float] = []
    clip = np.concatenate([PAUSE, speak("ab"), PAUSE, speak("c"), PAUSE])  # 6.8 s: one block
    list(transcribe_speech(tones, [clip], on_heard=lambda done_s, whole_s: told.append(done_s / whole_s)))
    # A fifth of the work; the first stretch, which ends 0.2 s behind its tones; all, though there is silence yet.
    assert list(dict.fromkeys(told)) == pytest.approx([0.2, 0.2 + 0.8 * 2.6 / 6.8, 1.0], abs=0.01)


def test_clips_come_in_their_order_with_their_errors_in_their_places(
    tones: Transcriber, tmp_path: Path
) -> None:
    path, opened = tmp_path / "b.wav", io.BytesIO()
    soundfile.write(path, np.concatenate([PAUSE, speak("b"), PAUSE]), SAMPLE_RATE)
    soundfile.write(opened, np.concatenate([PAUSE, speak("c"), PAUSE]), SAMPLE_RATE, format="WAV")
    opened.seek(0)
    sources = [tmp_path / "gone", PAUSE, path, b"no audio", opened, PAUSE, lambda: path.read_bytes()]
    answers = list(transcribe_speech(tones, sources))
    assert [isinstance(answer, AudioError) for answer in answers] == [True, False, False, True, *[False] * 3]
    texts = [answer.transcription.text for answer in answers if isinstance(answer, SpokenParts)]
    assert texts == ["", "b", "c", "", "b"]


def test_what_is_not_sure_enough_is_no_answer(tones: Transcriber) -> None:
    unsure = Transcriber(tones.info.path, decoding=DecodingOptions(min_confidence=1.0))
    (answer,) = transcribe_speech(unsure, [np.concatenate([PAUSE, speak("a"), PAUSE])])
    assert isinstance(answer, SpokenParts)
    assert answer.transcription.hypothesis == NOTHING
