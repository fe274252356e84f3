"""Spotting keywords in live streams, one thread: many streams at once, and what more keywords cost."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from an4_network import load_speech, make_network, write_model_file
from timing import Comparison, Target, compare, time_in_turn

from speechrnn.audio import Waveform
from speechrnn.decoding.keywords import Keyword
from speechrnn.nn.config import EncoderConfig, FeatureConfig, ModelConfig
from speechrnn.nn.export import export_model
from speechrnn.nn.model import SpeechModel
from speechrnn.runtime.keyword_spotter import KeywordSpotter, SpotterOptions
from speechrnn.runtime.model_file import ModelFile
from speechrnn.text import Vocabulary

REPEATS = 5
NUM_STREAMS = 100
STREAM_S, SPEECH_S = 3.0, 20.0
PIECE_S = 0.1  # as a microphone's
MOST_PARAMETERS = 300_000
LABELS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "_unknown_", "_silence_")
NUM_KEYWORDS = 50
IN_REAL_TIME = Target(at_most=1)
AT_MOST_TWICE = Target(at_most=2)


def make_detector() -> SpeechModel:
    """Build a detector of ten command words that carries its state on, with random weights."""
    torch.manual_seed(0)
    config = ModelConfig(
        task="classification",
        vocabulary=Vocabulary(LABELS, "label"),
        features=FeatureConfig(n_mels=40, normalization="global"),
        encoder=EncoderConfig(
            cell="gru", bidirectional=False, hidden_size=128, num_layers=2, conv_channels=24, subsampling=4
        ),
    )
    detector = SpeechModel(config).eval()
    num_parameters = sum(parameter.numel() for parameter in detector.parameters())
    if num_parameters > MOST_PARAMETERS:
        raise ValueError(f"the detector has {num_parameters} parameters, more than {MOST_PARAMETERS}")
    detector.features.set_statistics(torch.zeros(40), torch.ones(40))
    return detector


def make_keywords(number: int) -> list[Keyword]:
    """Make up keywords of seven letters."""
    words = [f"{a}lex{b}nd" for a in "abcdefgh" for b in "aeiourst"][:number]
    return [Keyword(label=word, spellings=(word,)) for word in words]


def listen(model: ModelFile, keywords: Sequence[Keyword], waveforms: Sequence[Waveform]) -> int:
    """Search streams of one length, a piece of each in turn, as a server would; return the number of hits."""
    spotters = [KeywordSpotter(model, keywords, SpotterOptions()) for _ in waveforms]
    size = round(PIECE_S * model.info.sample_rate)
    num_hits = 0
    for at in range(0, len(waveforms[0]), size):
        for spotter, waveform in zip(spotters, waveforms, strict=True):
            num_hits += len(spotter.feed(waveform[at : at + size]))
    return num_hits + sum(len(spotter.finish()) for spotter in spotters)


def measure(repeats: int) -> Iterator[Comparison]:
    """Measure both."""
    with tempfile.TemporaryDirectory() as folder:
        yield measure_streams(Path(folder), repeats)
        yield measure_keywords(Path(folder), repeats)


def measure_streams(folder: Path, repeats: int) -> Comparison:
    """Time many streams at once against their duration; below 1, one core keeps up with all of them."""
    model = ModelFile(export_model(make_detector(), folder / "detector.onnx"), threads=1)
    size = round(STREAM_S * model.info.sample_rate)
    speech = load_speech(model.info.sample_rate, NUM_STREAMS * STREAM_S)
    waveforms = np.split(np.resize(speech, NUM_STREAMS * size), NUM_STREAMS)
    keywords = [Keyword(label=label, spellings=(label,)) for label in LABELS[:10]]
    streams, real_time = f"{NUM_STREAMS} streams", "real time"
    works: dict[str, Callable[[], object]] = {streams: lambda: listen(model, keywords, waveforms)}
    seconds = time_in_turn(works, repeats=repeats, clock=time.process_time)  # whatever else runs
    seconds[real_time] = [STREAM_S] * repeats
    title = f"ten words in {NUM_STREAMS} streams of {STREAM_S:g} s, a detector of under 300,000 parameters"
    return compare(title, streams, real_time, seconds, target=IN_REAL_TIME)


def measure_keywords(folder: Path, repeats: int) -> Comparison:
    """Time many typed keywords against one, with the AN4 recipe's network."""
    model = ModelFile(write_model_file(make_network(), folder), threads=1)
    waveform = load_speech(model.info.sample_rate, SPEECH_S)
    works: dict[str, Callable[[], object]] = {
        name: (lambda keywords=make_keywords(number): listen(model, keywords, [waveform]))
        for name, number in ((f"{NUM_KEYWORDS} keywords", NUM_KEYWORDS), ("1 keyword", 1))
    }
    seconds = time_in_turn(works, repeats=repeats)
    return compare(
        "typed keywords in a stream",
        f"{NUM_KEYWORDS} keywords",
        "1 keyword",
        seconds,
        target=AT_MOST_TWICE,
        audio_s=len(waveform) / model.info.sample_rate,
    )
