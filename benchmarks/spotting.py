"""Spotting keywords in a stream, one thread: how many streams a core can hear, and what more keywords cost."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

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
STREAM_S, SPEECH_S = 60.0, 20.0
PIECE_S = 0.1  # as a microphone's
MOST_PARAMETERS = 300_000
LABELS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "_unknown_", "_silence_")
NUM_KEYWORDS = 50
AT_LEAST_100 = Target(at_least=100)
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


def listen(model: ModelFile, keywords: Sequence[Keyword], waveform: Waveform, piece_s: float) -> int:
    """Search a stream that comes in pieces; return the number of hits."""
    spotter = KeywordSpotter(model, keywords, SpotterOptions())
    size = round(piece_s * model.info.sample_rate)
    hits = [hit for at in range(0, len(waveform), size) for hit in spotter.feed(waveform[at : at + size])]
    return len(hits + spotter.finish())


def measure(repeats: int) -> Iterator[Comparison]:
    """Measure both."""
    with tempfile.TemporaryDirectory() as folder:
        yield measure_streams(Path(folder), repeats)
        yield measure_keywords(Path(folder), repeats)


def measure_streams(folder: Path, repeats: int) -> Comparison:
    """Time a detector on a stream against the stream's own duration."""
    model = ModelFile(export_model(make_detector(), folder / "detector.onnx"), threads=1)
    waveform = load_speech(model.info.sample_rate, STREAM_S)
    duration_s = len(waveform) / model.info.sample_rate
    keywords = [Keyword(label=label, spellings=(label,)) for label in LABELS[:10]]
    works: dict[str, Callable[[], object]] = {"heard": lambda: listen(model, keywords, waveform, PIECE_S)}
    seconds = time_in_turn(works, repeats=repeats)
    title = "streams of audio heard at once by a detector of ten words, under 300,000 parameters"
    return compare(
        title, "duration", "heard", seconds | {"duration": [duration_s] * repeats}, target=AT_LEAST_100
    )


def measure_keywords(folder: Path, repeats: int) -> Comparison:
    """Time many typed keywords against one, with the AN4 recipe's network."""
    model = ModelFile(write_model_file(make_network(), folder), threads=1)
    waveform = load_speech(model.info.sample_rate, SPEECH_S)
    works: dict[str, Callable[[], object]] = {
        name: (lambda keywords=make_keywords(number): listen(model, keywords, waveform, PIECE_S))
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
