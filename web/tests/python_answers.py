"""Write down what Python answers, for the page's tests to compare with: web/tests/answers/*.json and *.wav.

Nothing of it is kept in the repository: the page has to agree with the Python beside it.
"""

import base64
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from networks import make_model, noise

from speechrnn.audio import load_audio
from speechrnn.decoding.greedy import greedy_decode
from speechrnn.decoding.keyword_hits import HitOptions, HitPicker
from speechrnn.decoding.keyword_search import KeywordSearch
from speechrnn.decoding.keywords import Keyword
from speechrnn.decoding.rivalled_search import RivalledSearch
from speechrnn.decoding.rivals import RivalFinder
from speechrnn.decoding.words import ConfidenceScale, FrameClock, split_words
from speechrnn.nn.export import export_model
from speechrnn.pronunciations import Pronunciations
from speechrnn.runtime import Interpreter, ModelFile, Transcriber, shipped_models
from speechrnn.runtime.emission_stream import WindowOptions, stream_emissions
from speechrnn.runtime.feature_statistics import count_statistics
from speechrnn.text import Vocabulary

SAMPLES = Path(__file__).parent.parent.parent / "data" / "samples"
RATES = [(48_000, 16_000), (44_100, 16_000), (8_000, 16_000), (22_050, 16_000), (16_000, 8_000)]
SUBTYPES = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]
SOUNDS: list[tuple[str, int, dict[str, str]]] = [
    ("stereo.wav", 44_100, {"subtype": "PCM_24"}),
    ("clip.flac", 48_000, {}),
    ("clip.ogg", 22_050, {}),
    ("clip.opus", 48_000, {"format": "OGG", "subtype": "OPUS"}),
    ("clip.mp3", 44_100, {"format": "MP3"}),
]
TEXTS = ["It’s  “fine”,\tisn't it?", "ÀÉ ﬁ ①", "a\x1cb\u2003c", "İstanbul ΣΑΣ", "x - y…  "]
STEPS = ["nfc", "nfkc", "lowercase", "uppercase", "strip_punctuation", "collapse_spaces"]
VOCABULARIES = [
    Vocabulary(tuple(" 'abcdef"), "character", ("lowercase", "collapse_spaces")),
    Vocabulary(("▁a", "▁", "b", "▁cd", "ef"), "token"),
    Vocabulary(("one", "two", "three"), "word"),
    Vocabulary(("AH", "K", "UW"), "phone"),
]
SCALES = [ConfidenceScale(temperature=1.7, bias=-0.4), ConfidenceScale(bias=2.5), ConfidenceScale()]
PHONES = ("AH", "EH", "ER", "K", "L", "N", "R", "S", "SH", "T")
# Words that sound alike, so that each is a rival of others.
ALIKE = [
    "alexa AH L EH K S AH",
    "collect K AH L EH K T",
    "connector K AH N EH K T ER",
    "electron AH L EH K T R AH N",
    "lecture L EH K SH ER",
    "lecture(2) L EH K T ER",
    "recollection R EH K AH L EH K SH AH N",
    "selector S AH L EH K T ER",
    "tree T R EH",
]
# Task, features and encoder of small networks of every kind that streams in a way of its own.
NETWORKS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "gru": ("ctc", {"deltas": 2, "normalization": "global"}, {"cell": "gru", "bidirectional": False}),
    "lstm": ("ctc", {"normalization": "utterance", "deltas": 1}, {"cell": "lstm", "bidirectional": False}),
    "bilstm": ("ctc", {"normalization": "utterance"}, {"cell": "lstm", "subsampling": 4}),
    "birnn": ("ctc", {"kind": "mfcc", "normalization": "none"}, {"cell": "rnn", "subsampling": 1}),
    "labels": ("classification", {"normalization": "global"}, {"cell": "gru", "bidirectional": False}),
    "bilabels": ("classification", {"normalization": "utterance"}, {"cell": "gru"}),
}
WINDOWS = {"chunk_s": 0.1, "context_s": 0.5, "lookahead_s": 0.25, "warm_up_s": 0.6}
STREAM_RATE = 8000
Plain = dict[str, Any]


def packed(array: np.ndarray) -> Plain:
    """Write an array of float32 so that nothing of it is lost."""
    values = np.ascontiguousarray(array, dtype="<f4")
    return {"shape": list(values.shape), "base64": base64.b64encode(values.tobytes()).decode()}


def answer_models() -> list[Plain]:
    """Tell of each shipped model what it is, and what it makes of the sample clips."""
    return [answer_model(name, path) for name, path in shipped_models().items()]


def answer_model(name: str, path: Path) -> Plain:
    """Run one model."""
    model = ModelFile(path, threads=1)
    info, interpreter = model.info, Interpreter(model.info)
    clips = []
    for emission in Transcriber(path, threads=1).compute_each(sorted(map(str, SAMPLES.glob("*.wav")))):
        answer = interpreter.read(emission)
        clips.append(
            {
                "file": Path(emission.name).name,
                "log_probs": packed(emission.log_probs),
                "text": answer.text,
                "words": [[w.text, w.start_s, w.end_s, w.confidence] for w in answer.words],
            }
        )
    return {
        "file": str(path),
        "name": info.name,
        "task": info.task,
        "hears": info.hears,
        "sample_rate": info.sample_rate,
        "n_fft": info.n_fft,
        "clock": list(info.clock),
        "scale": asdict(info.decoding.scale),
        "tokens": list(info.vocabulary.tokens),
        "clips": clips,
    }


def answer_decoding(rng: np.random.Generator) -> list[Plain]:
    """Decode random log probabilities, of few frames and of many, sure and unsure."""
    cases = []
    for vocabulary in VOCABULARIES:
        for num_frames, sharpness in [(0, 1), (1, 3), (60, 1), (60, 8)]:
            logits = sharpness * rng.standard_normal((1, num_frames, len(vocabulary)))
            log_probs = (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)
            [hypothesis] = greedy_decode(log_probs, [num_frames], vocabulary)
            scale = SCALES[len(cases) % len(SCALES)]
            words = split_words(hypothesis, vocabulary, FrameClock(0.02, 0.005), scale=scale)
            cases.append(
                {
                    "vocabulary": vocabulary.to_dict(),
                    "log_probs": packed(log_probs[0]),
                    "scale": asdict(scale),
                    "text": hypothesis.text,
                    "tokens": hypothesis.tokens,
                    "frames": hypothesis.frames,
                    "ends": hypothesis.ends,
                    "confidence": hypothesis.confidence,
                    "words": [[w.text, w.start_s, w.end_s, w.confidence] for w in words],
                }
            )
    return cases


def answer_normalization() -> list[Plain]:
    """Take awkward texts through every step."""
    return [
        {"step": step, "text": text, "normalized": Vocabulary(("a",), "character", (step,)).normalize(text)}
        for step in STEPS
        for text in TEXTS
    ]


def answer_resampling(rng: np.random.Generator) -> list[Plain]:
    """Resample noise."""
    noise = 0.3 * rng.standard_normal(4001).astype(np.float32)
    return [
        {"from": a, "to": b, "waveform": packed(noise), "resampled": packed(soxr.resample(noise, a, b))}
        for a, b in RATES
    ]


def answer_files(folder: Path, rng: np.random.Generator) -> list[Plain]:
    """Write a stereo clip in every WAV coding, and tell what the loader makes of it."""
    stereo = np.clip(0.3 * rng.standard_normal((2000, 2)), -1, 1)
    answers = []
    for subtype in SUBTYPES:
        path = folder / f"{subtype}.wav"
        soundfile.write(path, stereo, 16_000, subtype=subtype)
        answers.append({"file": path.name, "waveform": packed(load_audio(path, sample_rate=16_000))})
    return answers


def answer_keywords(rng: np.random.Generator) -> list[Plain]:
    """Search random log probabilities, in which some tokens are likely for a while, for keywords."""
    vocabulary = Vocabulary(tuple(" abcd"), "character")
    labels = ["ab", "aab", "cab d", "dad", "bb"]
    keywords = [Keyword(label=label, spellings=(label,)) for label in labels]
    cases = []
    for sharpness in (2.0, 4.0, 8.0):
        logits = rng.standard_normal((300, len(vocabulary)))
        logits += sharpness * (rng.integers(0, len(vocabulary), 100)[:, None] == np.arange(6)).repeat(
            3, axis=0
        )
        log_probs = (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)
        scores = KeywordSearch(vocabulary, keywords, frame_s=0.04).feed(log_probs)
        confidences = np.exp(np.minimum(scores.log_scores, 0))
        picker = HitPicker([0.3] * len(labels), frame_s=0.04, options=HitOptions())
        hits = picker.feed(confidences, scores.starts) + picker.finish()
        cases.append(
            {
                "tokens": list(vocabulary.tokens),
                "keywords": labels,
                "log_probs": packed(log_probs),
                "confidences": packed(confidences),
                "hits": [[hit.keyword, hit.start, hit.end] for hit in hits],
            }
        )
    return cases


def answer_rivals(rng: np.random.Generator) -> Plain:
    """Find the rivals of keywords in a dictionary that is drawn at random, of which some have too many."""
    ways = [" ".join(rng.choice(list("ABCDE"), rng.integers(2, 10))) for _ in range(3000)]
    keywords = [[way] for way in ways[:40]] + [ways[i : i + 3] for i in range(40, 70, 3)]
    keywords += [["A B C"], ["A B Q C Q D"], ["Q R S T"], [" ".join("ABCDEABCDE")], []]
    finder = RivalFinder(ways)
    return {"ways": ways, "keywords": keywords, "rivals": [finder.find_rivals(each) for each in keywords]}


def answer_rivalled(rng: np.random.Generator) -> list[Plain]:
    """Search for keywords where words that sound alike are said, in frames of several lengths, surely and not."""
    vocabulary, said = Vocabulary(PHONES, "phone"), Pronunciations.parse(ALIKE, "words.dict")
    labels = ["alexa", "collect", "lecture", "tree"]
    keywords = [Keyword(label=label, spellings=said.of_phrase(label)) for label in labels]
    finder = RivalFinder(way for ways in said.ways.values() for way in ways)
    rivals = [finder.find_rivals(keyword.spellings) for keyword in keywords]
    cases = []
    for frame_s, sharpness in [(0.04, 3.0), (0.04, 6.0), (0.032, 4.0), (0.2, 6.0)]:
        log_probs = say(vocabulary, [way for ways in said.ways.values() for way in ways], rng, sharpness)
        floors = [0.05] * len(labels)
        search = RivalledSearch(vocabulary, keywords, rivals, frame_s=frame_s, floors=floors)
        parts = zip(search.feed(log_probs), search.finish(), strict=True)
        log_scores, starts = (np.concatenate(pair) for pair in parts)
        cases.append(
            {
                "tokens": list(vocabulary.tokens),
                "packed": said.pack(),
                "keywords": labels,
                "frame_s": frame_s,
                "floor": 0.05,
                "log_probs": packed(log_probs),
                "confidences": packed(np.exp(np.minimum(log_scores, 0))),
                "starts": starts.ravel().tolist(),
            }
        )
    return cases


def say(vocabulary: Vocabulary, ways: list[str], rng: np.random.Generator, sharpness: float) -> np.ndarray:
    """Make log probabilities in which words are likely, one behind the other, with noise."""
    tokens: list[int] = []
    for number in rng.integers(0, len(ways), 60):
        for token in vocabulary.encode(ways[number]):
            tokens += [token] * rng.integers(1, 3) + [0] * rng.integers(0, 2)
    logits = rng.standard_normal((len(tokens), len(vocabulary)))
    logits[np.arange(len(tokens)), tokens] += sharpness
    return (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)


def answer_pronunciations() -> Plain:
    """Say words from a packed dictionary: in it, with an ending, put together, several, in too many ways."""
    lines = ["wake W EY K", "read R IY D", "read(2) R EH D", "jam's JH AE M Z", "café K AE F EY"]
    said = Pronunciations.parse(lines, "words.dict")
    words = [
        "Wake",
        "read",
        "wakes",
        "reading",
        "wakeread",
        "jam's",
        "CAFÉ",
        "read read",
        " ".join(4 * ["read"]),
    ]
    return {"packed": said.pack(), "words": {word: said.of_phrase(word) for word in words}}


def write_sounds(folder: Path) -> None:
    """Write one clip in other formats, rates and channels, and several as one that is long."""
    clip = load_audio(SAMPLES / "an4_menk_an425.wav", sample_rate=16_000)
    for name, rate, options in SOUNDS:
        samples = soxr.resample(clip, 16_000, rate)
        soundfile.write(folder / name, np.stack([samples, samples], axis=1), rate, **options)
    clips = [load_audio(path, sample_rate=16_000) for path in sorted(SAMPLES.glob("an4_*.wav"))]
    soundfile.write(folder / "long.flac", np.concatenate(4 * clips), 16_000)


def answer_streams(folder: Path) -> list[Plain]:
    """Stream growing noise through small networks, with mean and variance estimated and known."""
    samples = noise(1, 20_011, seed=3).numpy()[0] * np.linspace(0.05, 1, 20_011, dtype=np.float32)
    answers = []
    for name, (task, features, encoder) in NETWORKS.items():
        path = folder / f"{name}.onnx"
        export_model(make_model(task, features, encoder), path)
        model, options = ModelFile(path, threads=1), WindowOptions(**WINDOWS)
        for statistics in (None, count_statistics(model, [samples])):
            streamed = np.concatenate(
                list(stream_emissions(model, [samples], options, statistics=statistics))
            )
            answers.append(
                {
                    "file": path.name,
                    "waveform": packed(samples),
                    "knows_statistics": statistics is not None,
                    "whole": packed(model.run(samples[None], [len(samples)])[0][0]),
                    "streamed": packed(streamed),
                }
            )
    return answers


def main() -> None:
    """Write everything into the folder that the first argument names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    write_sounds(folder)
    answers = {
        "models": answer_models(),
        "decoding": answer_decoding(rng),
        "keywords": answer_keywords(rng),
        "pronunciations": answer_pronunciations(),
        "normalization": answer_normalization(),
        "resampling": answer_resampling(rng),
        "files": answer_files(folder, rng),
        "streams": answer_streams(folder),
        "rivals": answer_rivals(rng),
        "rivalled": answer_rivalled(rng),
    }
    for name, answer in answers.items():
        (folder / f"{name}.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
