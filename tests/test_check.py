"""The check finds what training would stumble over, names it, and counts the rest right."""

import json
import re
import wave
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import tiny_model
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.cli.main import main
from speechrnn.errors import AudioError, ConfigError, ManifestError
from speechrnn.manifest import Utterance, scan_manifest
from speechrnn.nn.checkpoint import checkpoint_entry
from speechrnn.nn.config import EncoderConfig, FeatureConfig, ModelConfig
from speechrnn.text import Vocabulary
from speechrnn.training.check import (
    CheckReport,
    Problem,
    check_manifest,
    count_repeats,
    shared_speakers,
)
from speechrnn.training.check_report import format_report, list_counts, show_character
from speechrnn.training.probe import describe_duration, map_in_order, probe_audio, probe_utterances
from speechrnn.training.recipe import config_from_recipe

RATE = 16_000
FRAMES = FeatureConfig(n_fft=400, win_length=400, hop_length=160)


def write_audio(path: Path, num_samples: int = RATE, *, rate: int = RATE, channels: int = 1) -> Path:
    noise = np.random.default_rng(num_samples).uniform(-0.5, 0.5, (num_samples, channels))
    sf.write(path, noise, rate)
    return path


def make_config(tokens: str = "ab ", *, subsampling: Any = 1, task: Any = "ctc") -> ModelConfig:
    """A model with frames of 400 samples every 160: 1 + (n - 400) // 160 of them."""
    unit: Any = "character" if task == "ctc" else "label"
    listed = tuple(tokens) if task == "ctc" else tuple(tokens.split())
    return ModelConfig(
        task=task,
        vocabulary=Vocabulary(tokens=listed, unit=unit, normalization=("lowercase",)),
        features=FRAMES,
        encoder=EncoderConfig(subsampling=subsampling),
    )


def utterance(audio: Path, **changes: Any) -> Utterance:
    return Utterance(**{"id": "u", "audio": audio, "text": "ab", "place": "x:1", **changes})


def check(*found: Utterance | ManifestError, **options: Any) -> CheckReport:
    return check_manifest(found, manifest="x", **options)


def kinds(report: CheckReport) -> list[str]:
    return [problem.kind for problem in report.problems]


def write_json(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


# ---- Frames -------------------------------------------------------------------------------------

# By hand, 720 samples: 1 + 320 // 160 = 3 frames; halved and rounded up 2; again 1.
# "ab" needs 2 frames, "aab" 3 + 1 blank between the two a, "" none but the clip must have one.


@pytest.mark.parametrize(
    ("num_samples", "subsampling", "text", "problem"),
    [
        (720, 1, "aba", None),
        (720, 1, "aab", "0.045 s make 3 output frames, but 3 tokens and 1 repeats need 4"),
        (880, 1, "aab", None),
        (720, 2, "ab", None),
        (720, 2, "aa", "make 2 output frames, but 2 tokens and 1 repeats need 3"),
        (720, 4, "a", None),
        (720, 4, "ab", "make 1 output frames, but 2 tokens need 2"),
        (720, 4, "", None),
        (400, 4, "a", None),
        (399, 1, "a", "0.025 s make 0 output frames, but 1 tokens need 1"),
        (399, 1, "", "make 0 output frames, but a clip needs one (0.025 s)"),
    ],
)
def test_an_utterance_is_feasible_exactly_when_its_frames_hold_tokens_and_blanks(
    num_samples: int, subsampling: int, text: str, problem: str | None, tmp_path: Path
) -> None:
    audio = write_audio(tmp_path / "a.wav", num_samples)
    config = make_config(subsampling=subsampling)
    report = check(utterance(audio, text=text), config=config)
    if problem is None:
        assert report.problems == []
    else:
        (found,) = report.problems
        assert found.kind == "frames"
        assert problem in found.message
        assert found.message.startswith("x:1: ")
        assert found.message.endswith("(utterance 'u')")


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    """Merge repeats, then drop blanks (0): what CTC reads from a path of frames."""
    merged = [token for index, token in enumerate(path) if index == 0 or path[index - 1] != token]
    return tuple(token for token in merged if token != 0)


@given(st.lists(st.integers(1, 2), max_size=4), st.integers(1, 5))
def test_needed_frames_are_those_for_which_a_path_exists(ids: list[int], num_frames: int) -> None:
    exists = any(collapse(path) == tuple(ids) for path in product(range(3), repeat=num_frames))
    assert exists == (num_frames >= len(ids) + count_repeats(ids))


def test_the_length_counts_at_the_models_rate(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav", 360, rate=8000)  # 720 samples at 16 kHz: 3 frames
    assert kinds(check(utterance(audio, text="aba"), config=make_config())) == []
    assert kinds(check(utterance(audio, text="abab"), config=make_config())) == ["frames"]


def test_a_stretch_counts_as_long_as_it_is(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav", RATE)
    part = utterance(audio, text="abab", start_s=0.5, duration_s=720 / RATE)
    report = check(part, config=make_config())
    assert kinds(report) == ["frames"]
    assert report.durations_s == [720 / RATE]


def test_the_utterance_with_the_fewest_frames_to_spare_is_told(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav", 720)
    longer = write_audio(tmp_path / "b.wav", RATE)
    report = check(
        utterance(longer, id="long", text="ababab"),
        utterance(audio, id="short", text="ab"),
        utterance(tmp_path / "a.wav", id="none", text="aaaa", start_s=1e-9),
        config=make_config(),
    )
    assert report.tightest == ("short", 3, 2)
    assert "tightest      short: 3 output frames for 2 needed" in format_report(report)


def test_a_keyword_clip_needs_one_frame_and_a_known_label(tmp_path: Path) -> None:
    config = make_config("yes no", task="classification")
    whole = utterance(write_audio(tmp_path / "a.wav"), text="YES")
    stranger = utterance(write_audio(tmp_path / "b.wav"), id="v", text="maybe")
    short = utterance(write_audio(tmp_path / "c.wav", 399), id="w", text="no")
    report = check(whole, stranger, short, config=config)
    assert kinds(report) == ["text", "frames"]
    assert "not in the vocabulary: 'maybe' (1)" in report.problems[0].message
    assert "labels without a clip" not in format_report(report)
    assert "labels without a clip: no" in format_report(check(whole, config=config))


# ---- Texts --------------------------------------------------------------------------------------


def test_characters_outside_the_vocabulary_are_named_with_their_counts(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav")
    report = check(
        utterance(audio, text="AB é3é"),
        utterance(audio, id="v", text="é", start_s=0.5),
        config=make_config(),
    )
    assert kinds(report) == ["text", "text"]
    expected = "x:1: not in the vocabulary: 'é' (2), '3' (1) (utterance 'u')"
    assert report.problems[0] == Problem("text", expected)
    assert report.unknown == Counter({"é": 3, "3": 1})
    assert "  unknown       'é' U+00E9 (3)  3 (1)" in format_report(report).splitlines()


def test_texts_are_checked_even_where_the_audio_is_missing(tmp_path: Path) -> None:
    report = check(utterance(tmp_path / "nix.wav", text="é"), config=make_config())
    assert kinds(report) == ["audio", "text"]


def test_empty_texts_are_allowed_and_counted(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav")
    report = check(utterance(audio, text=" "), config=make_config())
    assert (report.num_empty_texts, kinds(report)) == (1, [])
    assert "note          empty texts: 1" in format_report(report)


# ---- Audio --------------------------------------------------------------------------------------


def write_cut_wav(path: Path) -> None:
    whole = write_audio(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def write_cut_flac(path: Path) -> None:
    sf.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, RATE), RATE, format="FLAC")
    path.write_bytes(path.read_bytes()[:10_000])


def write_cut_ogg(path: Path) -> None:
    sf.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, RATE), RATE, format="OGG")
    path.write_bytes(path.read_bytes()[:5000])


def write_not_a_number(path: Path) -> None:
    samples = np.zeros(RATE, dtype=np.float32)
    samples[-1] = np.nan
    sf.write(path, samples, RATE, format="WAV", subtype="FLOAT")


def write_nothing(path: Path) -> None:
    sf.write(path, np.zeros(0), RATE, format="WAV")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "does not exist"),
        (lambda path: path.write_bytes(b""), r"is empty \(0 bytes\)"),
        (lambda path: path.write_bytes(b"no audio" * 99), "cannot be read: .*not recognised"),
        (write_cut_wav, r"is cut short: 15978 of 32000 bytes of samples are there"),
        (write_cut_flac, "cannot be read: "),
        (write_cut_ogg, "holds no samples; is it cut short"),
        (write_not_a_number, "holds samples that are not finite numbers"),
        (write_nothing, "holds no samples"),
    ],
)
def test_audio_that_cannot_be_trained_on_is_named(write: Any, message: str, tmp_path: Path) -> None:
    audio = tmp_path / "a.wav"
    write(audio)
    with pytest.raises(AudioError, match=rf"audio file .*a\.wav {message}"):
        probe_audio(audio, decode=True)
    (problem,) = check(utterance(audio)).problems
    assert problem.kind == "audio"
    assert problem.message.startswith(f"x:1: audio file {audio}")


def test_an_mp3_that_is_cut_short_is_found_by_decoding_it(tmp_path: Path) -> None:
    audio = tmp_path / "a.mp3"
    sf.write(audio, np.random.default_rng(0).uniform(-0.5, 0.5, 2 * RATE), RATE)
    whole = audio.read_bytes()
    audio.write_bytes(whole[: len(whole) // 2])
    assert probe_audio(audio, decode=False).num_samples == 2 * RATE
    with pytest.raises(AudioError, match=r"is cut short: [0-9]+ of 32000 samples"):
        probe_audio(audio, decode=True)


def test_an_ogg_file_that_is_cut_between_two_pages_is_noted(tmp_path: Path) -> None:
    audio = tmp_path / "a.ogg"
    sf.write(audio, np.random.default_rng(0).uniform(-0.5, 0.5, 10 * RATE), RATE)
    assert not probe_audio(audio, decode=True).lacks_end
    whole = audio.read_bytes()
    audio.write_bytes(whole[: whole.rindex(b"OggS")])
    assert probe_audio(audio, decode=True).num_samples < 10 * RATE
    report = check(utterance(audio))
    assert (kinds(report), report.num_without_end) == ([], 1)
    assert "in Ogg files without an end mark, perhaps cut short: 1" in format_report(report)


def test_formats_that_libsndfile_does_not_know_come_with_a_cure(tmp_path: Path) -> None:
    audio = tmp_path / "a.m4a"
    audio.write_bytes(b"\0\0\0 ftypM4A " * 20)
    with pytest.raises(AudioError, match=r"convert it: ffmpeg -i a\.m4a a\.flac"):
        probe_audio(audio, decode=False)


def test_damage_behind_the_header_is_found_unless_only_headers_are_read(tmp_path: Path) -> None:
    audio = tmp_path / "a.wav"
    write_not_a_number(audio)
    assert kinds(check(utterance(audio), decode=False)) == []
    assert kinds(check(utterance(audio), decode=True)) == ["audio"]


def test_a_wav_file_written_to_a_pipe_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
    audio = tmp_path / "a.wav"
    with wave.open(str(audio), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(b"\1\0" * RATE)
    content = bytearray(audio.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff\xff\xff\xff"  # ffmpeg -f wav - cannot go back and fill this in
    audio.write_bytes(content)
    assert probe_audio(audio, decode=True).num_samples == RATE


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2)])
def test_rates_channels_and_lengths_are_told(rate: int, channels: int, tmp_path: Path) -> None:
    facts = probe_audio(write_audio(tmp_path / "a.wav", 3 * rate, rate=rate, channels=channels), decode=True)
    assert (facts.sample_rate, facts.num_channels, facts.duration_s) == (rate, channels, 3.0)
    assert not facts.is_silent


def test_digital_silence_and_low_rates_are_worth_a_note(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.zeros(8000), 8000)
    silent = utterance(tmp_path / "a.wav")
    loud = utterance(write_audio(tmp_path / "b.wav"), id="v")
    report = check(silent, loud, config=make_config())
    assert kinds(report) == []
    text = format_report(report)
    assert "note          utterances of digital silence: 1" in text
    assert "note          below the model's 16000 Hz, so without the upper band: 1" in text
    assert "note          sample rates differ" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"duration_s": 1.05, "file_duration_s": 1.05}, None),
        ({"duration_s": 1.2, "file_duration_s": 1.2}, "x:1: states 1.2 s, .* lasts 1 s"),
        ({"duration_s": 0.8, "file_duration_s": 0.8}, "x:1: states 0.8 s, .* lasts 1 s"),
        ({"start_s": 0.5, "duration_s": 0.55}, None),
        ({"start_s": 0.5, "duration_s": 0.7}, r"x:1: ends at 1.2 s, .*a\.wav at 1 s"),
        ({"start_s": 1.0}, r"x:1: ends at 1 s, .*a\.wav at 1 s"),
    ],
)
def test_durations_that_the_audio_does_not_have_are_named(
    changes: Mapping[str, Any], message: str | None, tmp_path: Path
) -> None:
    report = check(utterance(write_audio(tmp_path / "a.wav"), **changes))
    assert kinds(report) == ([] if message is None else ["duration"])
    assert message is None or re.search(message, report.problems[0].message)


def test_a_channel_that_is_not_there_is_named(tmp_path: Path) -> None:
    report = check(utterance(write_audio(tmp_path / "a.wav"), channel=1))
    assert report.problems == [
        Problem("audio", f"x:1: {tmp_path / 'a.wav'} has no channel 1 (utterance 'u')")
    ]


def test_a_file_that_several_utterances_share_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    original = sf.SoundFile

    def counting(path: Path) -> sf.SoundFile:
        reads.append(path)
        return original(path)

    audio = write_audio(tmp_path / "a.wav")
    monkeypatch.setattr(sf, "SoundFile", counting)
    parts = [utterance(audio, id=str(n), start_s=n / 1000) for n in range(100)]
    assert len(list(probe_utterances(parts, decode=True))) == 100
    assert len(reads) == 1


def test_results_of_several_threads_come_in_order_and_not_far_ahead() -> None:
    taken = 0

    def numbers() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    pairs = map_in_order(lambda number: number * number, numbers())
    assert next(pairs) == (0, 0)
    assert taken < 50
    assert [square for _, square in pairs] == [number * number for number in range(1, 1000)]


# ---- Manifests ----------------------------------------------------------------------------------


def test_lines_ids_and_audio_that_came_before_are_named(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav")
    report = check(
        utterance(audio),
        ManifestError("x:2: is not one JSON object"),
        utterance(audio, text="b", place="x:3"),
        utterance(audio, id="part", start_s=0.5, place="x:4"),
    )
    assert report.num_utterances == 3
    assert report.problems == [
        Problem("line", "x:2: is not one JSON object"),
        Problem("id", "x:3: id 'u' was already used at x:1"),
        Problem("repeat", f"x:3: audio {audio} was already used at x:1 (utterance 'u')"),
    ]


def test_a_whole_file_is_the_same_audio_whether_its_duration_is_stated_or_not(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav")
    stated = utterance(audio, duration_s=1.0, file_duration_s=1.0)
    assert kinds(check(stated, utterance(audio, id="v"))) == ["repeat"]


def test_audio_in_two_manifests_is_found_but_ids_may_be_the_same(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav")
    other = write_audio(tmp_path / "b.wav")
    heard: dict[Any, str] = {}
    assert kinds(check(utterance(audio, place="train:1"), heard=heard)) == []
    report = check(utterance(audio, place="test:1"), utterance(other, id="v", place="test:2"), heard=heard)
    assert kinds(report) == ["repeat"]
    assert "test:1: audio" in report.problems[0].message
    assert "was already used at train:1" in report.problems[0].message


def test_speakers_in_two_manifests_are_found() -> None:
    reports = [
        CheckReport(manifest=name, speakers=Counter(speakers))
        for name, speakers in (("train", "abc"), ("dev", "d"), ("test", "cbx"))
    ]
    assert shared_speakers(reports) == {("train", "test"): ["b", "c"]}


def test_a_manifest_that_breaks_off_is_reported_with_what_came_before(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav")
    path = tmp_path / "x.jsonl"
    good = json.dumps({"audio": audio.name, "text": "a"}).encode()
    path.write_bytes(good + b"\n\xff\n" + good)
    report = check_manifest(scan_manifest(path), manifest="x")
    assert (report.num_utterances, kinds(report)) == (1, ["line"])
    assert "x.jsonl:2: is not UTF-8 text" in report.problems[0].message


def test_an_empty_manifest_is_a_problem() -> None:
    assert check().problems == [Problem("line", "x: holds no utterance")]


def test_the_report_counts_everything(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav", 2 * RATE)
    stereo = write_audio(tmp_path / "b.wav", RATE, channels=2)
    report = check(
        utterance(audio, id="1", text="aab", speaker="ann"),
        utterance(audio, id="2", text="b", speaker="ann", start_s=0.5),
        utterance(stereo, id="3", text="b", speaker="bob"),
        utterance(stereo, id="4", text="b", start_s=0.5),
    )
    # Durations by hand: 2, 1.5, 1 and 0.5 s; the median is 1.25, the 25th percentile
    # 0.5 + 0.75 * 0.5 = 0.875 (linear, between the first and the second of four).
    assert format_report(report).splitlines() == [
        "x: 4 utterances, 5.0 s",
        "  seconds       min 0.50  1 % 0.52  5 % 0.57  25 % 0.88  median 1.25  75 % 1.62  "
        "95 % 1.92  99 % 1.98  max 2.00",
        "  sample rates  16000 Hz (4)",
        "  channels      1 (2)  2 (2)",
        "  speakers      2, of 1 to 2 utterances; utterances of unknown speakers: 1",
        "  texts         2 different: b (3)  aab (1)",
        "  characters    2 different: b (4)  a (2)",
        "  note          vocabulary and frames are checked when --config or -m names a model",
        "  no problems",
    ]


def test_transcripts_are_not_listed_like_keywords(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav")
    many = [utterance(audio, id=str(n), text=f"{n}", start_s=n / 1e4) for n in range(300)]
    report = check(*many)
    assert report.labels is None
    assert "  texts " not in format_report(report)


def test_very_many_characters_are_shortened_to_the_most_frequent_and_the_rarest() -> None:
    counts = Counter({chr(0x4E00 + n): 200 - n for n in range(200)})
    listed = list_counts(counts)
    assert listed.startswith("一 (200)")
    assert "… 120 more …" in listed
    assert listed.endswith(f"{chr(0x4E00 + 199)} (1)")


@pytest.mark.parametrize(
    ("character", "shown"),
    [("a", "a"), ("'", "'"), (" ", "' '"), ("\u00a0", r"'\xa0' U+00A0"), ("а", "'а' U+0430")],
)
def test_characters_that_look_alike_are_told_apart(character: str, shown: str) -> None:
    assert show_character(character) == shown


def test_durations_are_written_in_seconds_or_hours() -> None:
    assert [describe_duration(s) for s in (0.0, 359.94, 360.0, 9000.0)] == [
        "0.0 s",
        "359.9 s",
        "0.10 h",
        "2.50 h",
    ]


# ---- Recipes ------------------------------------------------------------------------------------

RECIPE = """\
model:
  class_path: CTCTask
  init_args:
    vocabulary: {tokens: "abc '", normalization: [lowercase]}
    features: {n_fft: 400, win_length: 400, hop_length: 200}
"""


def test_a_recipe_tells_vocabulary_frames_and_defaults(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    config = config_from_recipe(path)
    assert config.task == "ctc"
    assert config.vocabulary.tokens == ("a", "b", "c", " ", "'")
    assert config.vocabulary.unit == "character"
    assert config.features == FeatureConfig(n_fft=400, win_length=400, hop_length=200)
    assert config.encoder == EncoderConfig()


def test_a_recipe_for_keywords_is_one_for_classification(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "model:\n  class_path: speechrnn.training.classification_task.ClassificationTask\n"
        "  init_args:\n    vocabulary: {unit: label, tokens: ['yes', 'no']}\n"
        "    head: {pooling: mean}\n",
        encoding="utf-8",
    )
    config = config_from_recipe(path)
    assert (config.task, config.head.pooling) == ("classification", "mean")
    assert config.vocabulary.tokens == ("yes", "no")


@pytest.mark.parametrize("recipe", sorted(Path(__file__).parent.parent.glob("recipes/*/*.yaml")))
def test_every_recipe_of_ours_can_be_checked_against_unless_it_hears_nothing(recipe: Path) -> None:
    if "LanguageModelTask" in recipe.read_text(encoding="utf-8"):
        with pytest.raises(ConfigError, match="yaml: is a recipe for a language model, which hears nothing"):
            config_from_recipe(recipe)
    else:
        assert config_from_recipe(recipe).vocabulary.tokens


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            RECIPE.replace("n_fft", "n_ftt"),
            "features.n_ftt does not exist; did you mean features.n_fft",
        ),
        (RECIPE.replace("200", "0"), "features.hop_length must be > 0, got 0"),
        (RECIPE.replace("tokens", "token"), "is no recipe, which has model.init_args.vocabulary"),
        (RECIPE.replace("abc", "aac"), "a"),
        ("model: {class_path: CTCTask}", "is no recipe, which has .*KeyError"),
        ("- a\n- b\n", "is no recipe, which has .*TypeError"),
        ("", "is no recipe, which has .*TypeError"),
        ("{", "cannot be read as YAML: "),
    ],
)
def test_a_recipe_that_is_none_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"recipe\.yaml: .*{message}"):
        config_from_recipe(path)


def test_a_missing_recipe_and_a_missing_yaml_package_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"nix\.yaml: cannot be read as YAML: .*No such file"):
        config_from_recipe(tmp_path / "nix.yaml")

    def refuse(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("importlib.import_module", refuse)
    with pytest.raises(ConfigError, match=r'needs PyYAML; pip install "speechrnn\[train\]"'):
        config_from_recipe(tmp_path / "nix.yaml")


# ---- Command ------------------------------------------------------------------------------------


def test_the_command_exits_0_when_all_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_audio(tmp_path / "a.wav")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    manifest = write_json(tmp_path / "x.jsonl", {"audio": "a.wav", "text": "ABC"})
    assert main(["check", str(manifest), "--config", str(recipe)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{manifest}: 1 utterances, 1.0 s\n")
    assert out.endswith("  no problems\n")
    assert err == ""


def test_the_command_names_each_problem_first_and_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_audio(tmp_path / "a.wav")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    path = tmp_path / "x.jsonl"
    path.write_text(
        '{"audio": "a.wav", "text": "xyz"}\n{"audio": "nix.wav", "text": "a"}\nbad\n',
        encoding="utf-8",
    )
    assert main(["check", str(path), "--config", str(recipe)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[0] for line in lines[:3]] == [f"{path}:{n}:" for n in (1, 2, 3)]
    assert lines[3].startswith(f"{path}: 2 utterances")
    assert lines[-3:] == [
        "  problem       texts that the vocabulary cannot spell: 1",
        "  problem       utterances whose audio is missing or damaged: 1",
        "  problem       lines that cannot be read: 1",
    ]


def test_the_command_goes_on_behind_a_manifest_that_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_audio(tmp_path / "a.wav")
    first = write_json(tmp_path / "1.jsonl", {"audio": "a.wav", "text": "x", "speaker": "ann"})
    second = write_json(tmp_path / "2.jsonl", {"audio": "a.wav", "text": "y", "speaker": "ann"})
    arguments = ["check", str(tmp_path / "nix.csv"), str(first), str(second), "--headers-only"]
    assert main(arguments) == 1
    out = capsys.readouterr().out
    assert f"{tmp_path / 'nix.csv'}: no such file or folder\n" in out
    assert f"2.jsonl:1: audio {tmp_path / 'a.wav'} was already used at {first}:1" in out
    assert out.endswith(f"note: {first} and {second} share 1 speakers: ann\n")


def test_the_command_checks_against_a_model_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    properties = tiny_model.metadata()
    config = json.loads(properties["speechrnn.config"])
    config["features"]["win_length"] = config["features"]["n_fft"]
    properties["speechrnn.config"] = json.dumps(config)
    model = tiny_model.write_model(tmp_path / "tones.onnx", properties=properties)
    write_audio(tmp_path / "a.wav")
    manifest = write_json(tmp_path / "x.jsonl", {"audio": "a.wav", "text": "abz"})
    assert main(["check", str(manifest), "-m", str(model)]) == 1
    assert "x.jsonl:1: not in the vocabulary: 'z' (1)" in capsys.readouterr().out


def test_the_command_checks_against_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "last.ckpt"
    torch.save({"speechrnn": checkpoint_entry(make_config()), "state_dict": {}}, path)
    write_audio(tmp_path / "a.wav")
    manifest = write_json(tmp_path / "x.jsonl", {"audio": "a.wav", "text": "abz"})
    assert main(["check", str(manifest), "-m", str(path)]) == 1
    assert "x.jsonl:1: not in the vocabulary: 'z' (1)" in capsys.readouterr().out


def test_the_command_takes_one_model_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "x", "--config", "a.yaml", "-m", "b.onnx"]) == 2
    assert "not allowed with argument" in capsys.readouterr().err
