"""A detector measured on tones; then calibrated, as a user would."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_model import SAMPLE_RATE, speak, write_model

from speechrnn.cli.main import main
from speechrnn.decoding.keyword_hits import HitOptions
from speechrnn.decoding.keywords import Keyword
from speechrnn.errors import ConfigError, ManifestError
from speechrnn.evaluation.keyword_calibration import (
    calibrate_keywords,
    describe_calibration,
    thresholds_of,
)
from speechrnn.evaluation.keyword_listener import Listener, lasting, mix, power
from speechrnn.evaluation.keyword_recordings import (
    KeywordTrial,
    assign,
    find_positives,
    find_recordings,
    says,
)
from speechrnn.evaluation.keyword_report import render_keywords
from speechrnn.evaluation.keywords import KeywordEvaluation, evaluate_keywords
from speechrnn.manifest import Utterance
from speechrnn.runtime.keyword_spotter import KeywordSpotter, SpotterOptions
from speechrnn.runtime.model_file import ModelFile

KEYWORDS = [Keyword(label="abc a", spellings=("abca",)), Keyword(label="bcb", spellings=("bcb",))]
OPTIONS = SpotterOptions(chunk_s=2.0)
TONE_OF_B = np.log(np.tile(np.array([0.01, 0.01, 0.96, 0.01, 0.01], np.float32), (9, 1)))  # log_probs
SOME = (Utterance(id="x", audio=Path("x.wav"), text=""),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and recordings: 60 s without keywords but for one bcb, and clips of both keywords."""
    folder = tmp_path_factory.mktemp("recordings")
    write_model(folder / "tones.onnx")

    def write(name: str, *parts: np.ndarray) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.concatenate(parts), SAMPLE_RATE)

    rest = np.zeros(29 * SAMPLE_RATE, np.float32)
    write("negatives/1.wav", speak("aacc"), rest, speak("ac"))
    write("negatives/deep/2.wav", speak("bcb"), rest, speak("cc"))
    quiet = np.zeros(SAMPLE_RATE, np.float32)
    for number in range(3):
        write(f"positives/abc_a/{number}.wav", quiet, speak("abca"), quiet)
        write(f"positives/bcb/{number}.wav", quiet, speak("bcb" if number else "acac"), quiet)
    write("noise/b.wav", np.sin(2 * np.pi * 1000 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE))  # the tone of b
    return folder


@pytest.fixture(scope="module")
def evaluation(folder: Path) -> KeywordEvaluation:
    trial = KeywordTrial(
        negatives=find_recordings(folder / "negatives"),
        positives=find_positives(folder / "positives", KEYWORDS),
        noise=find_recordings(folder / "noise"),
        snrs_db=(40.0, -20.0),
        rates=(0.0, 60.0),
    )
    return evaluate_keywords(ModelFile(folder / "tones.onnx", threads=1), KEYWORDS, trial, OPTIONS)


def test_what_is_found_and_what_is_not_is_counted(evaluation: KeywordEvaluation) -> None:
    first, second = evaluation.keywords
    assert [point.num_misses for point in first.points] == [0, 0, 0]
    assert first.positives.min() > 0.9
    # One of three clips of bcb says something else; the false alarm is as sure as the others.
    assert second.negatives.scores.max() > 0.9
    assert second.negatives.recordings[second.negatives.scores.argmax()] == 1
    assert [point.num_misses for point in second.points] == [
        3,
        1,
        1,
    ]  # the last at the threshold of spelled keywords
    assert second.points[1].num_false_alarms == 1
    assert evaluation.hours == pytest.approx(60.7 / 3600, rel=0.02)


def test_noise_makes_misses(evaluation: KeywordEvaluation) -> None:
    in_noise = evaluation.keywords[0].in_noise
    assert in_noise[40.0][1].miss_rate == 0
    assert in_noise[-20.0][1].miss_rate == 1


def test_the_latency_is_counted_from_the_end_of_the_speech(evaluation: KeywordEvaluation) -> None:
    latency = evaluation.keywords[0].median_latency_s
    # The chunk of 2 s, the lookahead of 0.6 s and the hold of 0.3 s, less what voice activity pads.
    assert latency == pytest.approx(2.0 + 0.6 + 0.3, abs=0.5)


def test_latencies_are_those_of_the_spotter(folder: Path, tmp_path: Path) -> None:
    """A classifier is sure long before it is surest."""
    model = ModelFile(write_model(tmp_path / "labels.onnx", "classification"), threads=1)
    keyword = Keyword(label="bcb", spellings=("b",), threshold=0.5)
    clip = find_positives(folder / "positives", [keyword])[-1]
    trial = KeywordTrial(negatives=find_recordings(folder / "negatives"), positives=[clip], rates=(0.0,))
    options = SpotterOptions(threshold=0.5)
    [result] = evaluate_keywords(model, [keyword], trial, options).keywords
    listener = Listener(model, [keyword], options, lambda seconds: None)
    heard = listener.hear_positives(trial, [0], None)
    gap = np.zeros(SAMPLE_RATE, np.float32)
    said = soundfile.read(clip.audio, dtype="float32")[0]
    spotter = KeywordSpotter(model, [keyword], options)
    hits = spotter.feed(np.concatenate([gap, said, gap]))
    expected = hits[0].decided_s - heard.places[0].speech_end_s
    assert heard.latencies_s(0.5) == pytest.approx([expected], abs=0.01)
    assert np.isnan(heard.latencies_s(1.1)).all()
    assert len(result.latencies_s) == 1


@pytest.mark.parametrize(("num_noises", "told"), [(0, ""), (1, "0.wav"), (5, "0.wav, 1.wav, 2.wav, …")])
def test_positives_in_which_no_speech_is_found_count_and_are_named(
    num_noises: int, told: str, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    generator, positives = np.random.default_rng(0), find_positives(folder / "positives", KEYWORDS[1:])
    for number in range(num_noises):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, generator.normal(0, 0.005, 2 * SAMPLE_RATE), SAMPLE_RATE)
        positives.append(Utterance(id=path.name, audio=path, text="bcb"))
    trial = KeywordTrial(
        negatives=find_recordings(folder / "negatives"),
        positives=positives,
        noise=find_recordings(folder / "noise"),
        snrs_db=(40.0,),  # the clips are heard twice, and named once
    )
    model = ModelFile(folder / "tones.onnx", threads=1)
    [result] = evaluate_keywords(model, KEYWORDS[1:], trial, OPTIONS).keywords
    assert result.points[0].num_positives == 3 + num_noises
    said = [record.getMessage() for record in caplog.records if "no speech" in record.getMessage()]
    names = (
        told.replace("0.wav", f"{tmp_path}/0.wav").replace(" ", f" {tmp_path}/").replace(f"{tmp_path}/…", "…")
    )
    count = f"no speech is found in {num_noises} of the positives, which count all the same, likely as misses"
    assert said == ([f"{count}: {names}"] if told else [])


def test_the_table_says_what_it_rests_on(evaluation: KeywordEvaluation) -> None:
    text = render_keywords(evaluation)
    assert "abc a: 3 positives, 0.02 h of negatives" in text
    assert "with noise, -20 dB below:" in text
    assert (
        "each keyword is measured as if it were the only one; at their own thresholds all are heard" in text
    )
    alone = replace(evaluation, keywords=evaluation.keywords[:1])
    assert "the only one" not in render_keywords(alone)
    assert "the only one" not in " ".join(describe_calibration(alone))
    assert "the only one" in " ".join(describe_calibration(evaluation))
    assert "† less than one false alarm is allowed in 0.02 h" in text
    # Of three clips all are found: up to 1 - 0.025^(1/3) may be missed.
    assert "[0.0, 70.8]§" in text
    assert "§ none or all are missed, of which a bootstrap tells nothing: the exact interval" in text


def test_a_clip_fainter_than_what_is_counted_is_missed_even_where_every_false_alarm_may_pass(
    folder: Path,
) -> None:
    keyword = Keyword(label="bcb", spellings=("bbbb",))  # nobody says it: 0.0067 in acac, 0.023 in bcb
    trial = KeywordTrial(
        negatives=find_recordings(folder / "negatives"),
        positives=find_positives(folder / "positives", [keyword]),
        rates=(3600.0,),
    )
    evaluation = evaluate_keywords(ModelFile(folder / "tones.onnx", threads=1), [keyword], trial, OPTIONS)
    point = evaluation.keywords[0].points[0]
    assert (point.threshold, point.num_misses, point.num_positives) == (0.01, 1, 3)
    assert "thresholds end at 0.01: what is fainter is neither found nor a false" in render_keywords(
        evaluation
    )


def test_everything_goes_into_json(evaluation: KeywordEvaluation) -> None:
    plain = json.loads(json.dumps(evaluation.to_dict()))
    assert plain["keywords"][1]["points"][1]["misses"] == 1
    assert len(plain["keywords"][0]["curve"]["miss_rates"]) == len(
        plain["keywords"][0]["curve"]["thresholds"]
    )


def test_the_detector_at_a_threshold_tells_as_many_as_were_counted(folder: Path) -> None:
    """The peaks that are counted are the hits that a spotter tells."""
    model = ModelFile(folder / "tones.onnx", threads=1)
    recordings = find_recordings(folder / "negatives")
    trial = KeywordTrial(negatives=recordings)
    scores = evaluate_keywords(model, KEYWORDS, trial, OPTIONS).keywords[1].negatives.scores
    for threshold in (0.05, 0.3, 0.9):
        options = SpotterOptions(threshold=threshold, chunk_s=2.0)
        spotter = KeywordSpotter(model, KEYWORDS[1:], options)
        hits = []
        for recording in recordings:
            hits += spotter.feed(soundfile.read(recording.audio, dtype="float32")[0])
        hits += spotter.finish()
        assert sorted(hit.confidence for hit in hits) == pytest.approx(
            sorted(scores[scores >= threshold]), rel=1e-5
        )


def test_at_their_own_thresholds_keywords_in_one_place_are_counted_as_they_are_told(folder: Path) -> None:
    """Each clip of abca says bca, too; alone both are found there, together the surer one is told."""
    model = ModelFile(folder / "tones.onnx", threads=1)
    keywords = [Keyword(label=label, spellings=(label,)) for label in ("abca", "bca")]
    clips = [replace(clip, text="abca") for clip in find_positives(folder / "positives", KEYWORDS[:1])]
    negatives = [*find_recordings(folder / "negatives"), *(replace(clip, text="") for clip in clips)]
    inside = [replace(clip, id=f"{clip.id} again", text="bca") for clip in clips]
    trial = KeywordTrial(negatives=negatives, positives=[*clips, *inside], rates=(3600.0,))
    results = evaluate_keywords(model, keywords, trial, OPTIONS).keywords
    assert [result.points[0].num_misses for result in results] == [0, 0]
    assert sorted(result.own.num_misses or 0 for result in results) == [0, 3]
    spotter = KeywordSpotter(model, keywords, OPTIONS)
    waveforms = (soundfile.read(recording.audio, dtype="float32")[0] for recording in negatives)
    hits = [hit.label for waveform in waveforms for hit in spotter.feed(waveform)]
    hits += [hit.label for hit in spotter.finish()]
    assert [result.own.num_false_alarms for result in results] == [hits.count("abca"), hits.count("bca")]
    assert len(hits) == 3
    for keyword, result in zip(keywords, results, strict=True):
        assert (result.negatives.scores >= 0.5).sum() >= 3
        alone = evaluate_keywords(model, [keyword], replace(trial, positives=()), OPTIONS).keywords[0]
        assert alone.own.num_false_alarms == (alone.negatives.scores >= 0.5).sum()


def test_negatives_of_less_than_a_minute_are_refused(folder: Path) -> None:
    trial = KeywordTrial(negatives=find_recordings(folder / "negatives")[:1])
    with pytest.raises(ConfigError, match="the negatives hold 30"):
        evaluate_keywords(ModelFile(folder / "tones.onnx", threads=1), KEYWORDS, trial, OPTIONS)


def test_negatives_that_cannot_be_read_are_refused_with_the_reason(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"no audio")
    model = ModelFile(folder / "tones.onnx", threads=1)
    with pytest.raises(
        ConfigError, match=r"no recording of the negatives could be read; the first: .*a\.wav"
    ):
        evaluate_keywords(model, KEYWORDS, KeywordTrial(negatives=find_recordings(tmp_path)), OPTIONS)


def test_to_hear_a_keyword_where_the_text_says_it_is_no_false_alarm(folder: Path) -> None:
    one, two = find_recordings(folder / "negatives")
    long = [one, replace(one, id="again"), replace(two, text="so BCB it is")]
    trial = KeywordTrial(negatives=long)
    first, second = evaluate_keywords(
        ModelFile(folder / "tones.onnx", threads=1), KEYWORDS, trial, OPTIONS
    ).keywords
    assert (first.num_left_out, second.num_left_out) == (0, 1)
    assert second.negatives.hours == pytest.approx(first.negatives.hours * 2 / 3, rel=0.02)
    assert second.negatives.scores.max(initial=0.0) < 0.5
    assert second.negatives.recordings.max(initial=0) < len(second.negatives.durations_s)


@pytest.mark.parametrize(
    ("text", "said"),
    [("turn on the light", True), ("the ONSET", False), ("", False), ("put_on", True), ("a switch", False)],
)
def test_a_text_says_a_keyword_in_whole_words(text: str, said: bool) -> None:
    utterance = Utterance(id="a", audio=Path("a.wav"), text=text)
    assert says(utterance, Keyword(label="switch", spellings=("on", "off"))) is said


def test_positives_of_silence_are_named_and_part_of_no_measure(folder: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(2 * SAMPLE_RATE), SAMPLE_RATE)
    silent = Utterance(id="silence", audio=tmp_path / "silence.wav", text="abc_a")
    positives = [*find_positives(folder / "positives", KEYWORDS[:1]), silent]
    trial = KeywordTrial(negatives=find_recordings(folder / "negatives"), positives=positives)
    model = ModelFile(folder / "tones.onnx", threads=1)
    evaluation = evaluate_keywords(model, KEYWORDS[:1], trial, OPTIONS)
    assert [failure.reason for failure in evaluation.failures] == [f"{silent.audio}: holds no speech"]
    assert evaluation.keywords[0].points[0].num_positives == 3
    trial = KeywordTrial(negatives=trial.negatives, positives=[silent])
    with pytest.raises(ConfigError, match="keyword 'abc a': no positive could be used"):
        evaluate_keywords(model, KEYWORDS[:1], trial, OPTIONS)


def test_positives_of_no_keyword_and_keywords_without_positives_are_refused(folder: Path) -> None:
    model, negatives = ModelFile(folder / "tones.onnx", threads=1), find_recordings(folder / "negatives")
    other = Utterance(id="x", audio=folder / "x.wav", text="xyz")
    with pytest.raises(ConfigError, match="'xyz', which is no keyword; those are abc a, bcb"):
        evaluate_keywords(model, KEYWORDS, KeywordTrial(negatives=negatives, positives=[other]), OPTIONS)
    one = find_positives(folder / "positives", KEYWORDS[:1])
    with pytest.raises(ConfigError, match="there are no positives of 'bcb'"):
        evaluate_keywords(model, KEYWORDS, KeywordTrial(negatives=negatives, positives=one), OPTIONS)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"negatives": ()}, "no negatives"),
        ({"rates": ()}, "false alarms an hour must be"),
        ({"rates": (-1.0,)}, "false alarms an hour must be"),
        ({"snrs_db": (5.0,)}, "noise and signal-to-noise ratios go together"),
        ({"snrs_db": (5.0, float("nan")), "noise": SOME}, r"must be from -100 to 100 dB, got \[5.0, nan\]"),
        ({"snrs_db": (float("inf"),), "noise": SOME}, "must be from -100 to 100 dB"),
        ({"snrs_db": (-4000.0,), "noise": SOME}, "must be from -100 to 100 dB"),
    ],
)
def test_a_trial_that_cannot_be_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        KeywordTrial(**({"negatives": SOME} | values))  # type: ignore[arg-type]


def test_positives_are_found_by_folder_or_alone(folder: Path) -> None:
    found = find_positives(folder / "positives", KEYWORDS)
    assert [utterance.text for utterance in found] == ["abc a"] * 3 + ["bcb"] * 3
    alone = find_positives(folder / "positives" / "bcb", KEYWORDS[:1])
    assert [utterance.text for utterance in alone] == ["abc a"] * 3
    named = [Keyword(label="x", spellings=("bcb",)), Keyword(label="y", spellings=("abc a", "aa"))]
    found = find_positives(folder / "positives", named)  # by what is looked for
    assert [utterance.text for utterance in found] == ["y"] * 3 + ["x"] * 3
    assert assign(find_positives(folder / "positives", named[:1]), named[:1]) == [0] * 3
    with pytest.raises(ManifestError, match="has no folder named after a keyword: abc a, bcb"):
        find_positives(folder / "noise", KEYWORDS)
    with pytest.raises(
        ManifestError, match="has no folder named after a keyword: x"
    ):  # other words are no positives
        find_positives(folder / "positives", [Keyword(label="x", spellings=("cc",))])
    (folder / "empty").mkdir(exist_ok=True)
    with pytest.raises(ManifestError, match="holds no audio"):
        find_recordings(folder / "empty")


def test_a_manifest_without_a_keyword_is_no_manifest_of_positives(folder: Path, tmp_path: Path) -> None:
    first, second = (folder / "positives" / "bcb" / f"{number}.wav" for number in range(2))
    manifest = tmp_path / "positives.tsv"
    manifest.write_text(f"audio\ttext\n{first}\tBCB\n{second}\tsomething else\n")
    assert [utterance.text for utterance in find_positives(manifest, KEYWORDS)] == ["BCB"]
    manifest.write_text(f"audio\ttext\n{first}\tsomething else\n{second}\t\n")
    with pytest.raises(ManifestError, match=r"positives.tsv: has no text that is a keyword: abc a, bcb"):
        find_positives(manifest, KEYWORDS)


def test_noise_is_mixed_at_the_level_that_was_asked_for() -> None:
    generator = np.random.default_rng(0)
    clip, noise = (0.1 * generator.normal(size=8000).astype(np.float32) for _ in range(2))
    mixed = mix(clip, noise, level=power(clip), snr_db=20.0)
    assert 10 * np.log10(power(clip) / power(mixed - clip)) == pytest.approx(20.0, abs=0.01)
    np.testing.assert_array_equal(mix(clip, np.zeros_like(clip), level=1.0, snr_db=0.0), clip)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no recording of the noise could be read; the first: .*0.wav"),
        (np.zeros(SAMPLE_RATE), "0.wav: silent, as is all of the noise"),
    ],
)
def test_noise_that_cannot_be_heard_is_refused_before_the_work(
    content: np.ndarray | None, said: str, folder: Path, tmp_path: Path
) -> None:
    for number in range(2):
        if content is None:
            (tmp_path / f"{number}.wav").write_text("no audio")
        else:
            soundfile.write(tmp_path / f"{number}.wav", content, SAMPLE_RATE)
    trial = KeywordTrial(
        negatives=find_recordings(folder / "negatives"),
        positives=find_positives(folder / "positives", KEYWORDS),
        noise=find_recordings(tmp_path),
        snrs_db=(0.0,),
    )
    heard: list[float] = []
    with pytest.raises(ConfigError, match=said):
        evaluate_keywords(
            ModelFile(folder / "tones.onnx", threads=1), KEYWORDS, trial, OPTIONS, on_audio=heard.append
        )
    assert heard == []


def test_recordings_that_follow_each_other_for_ever_end_where_none_can_be_read(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.wav").write_text("no audio")
    [broken], some = find_recordings(tmp_path), find_recordings(folder / "noise")
    model = ModelFile(folder / "tones.onnx", threads=1)
    listener = Listener(model, KEYWORDS, OPTIONS, on_audio=lambda seconds: None)
    assert len(listener.pieces([broken, *some])(5 * SAMPLE_RATE)) == 5 * SAMPLE_RATE
    for kind in ("noise", "negatives"):
        with pytest.raises(
            ConfigError, match=f"no recording of the {kind} could be read; the first: .*broken.wav"
        ):
            listener.pieces([broken], kind)(1)


def test_patience_takes_the_least_of_so_many_frames() -> None:
    column = np.array([[0.5], [0.9], [0.7], [0.8]], np.float32)
    assert lasting(column, 1)[:, 0].tolist() == column[:, 0].tolist()
    np.testing.assert_array_equal(lasting(column, 2)[:, 0], np.array([0, 0.5, 0.7, 0.7], np.float32))


def test_patience_is_part_of_what_is_measured(folder: Path) -> None:
    options = SpotterOptions(chunk_s=2.0, hits=HitOptions(patience=50))
    trial = KeywordTrial(
        negatives=find_recordings(folder / "negatives"),
        positives=find_positives(folder / "positives", KEYWORDS),
    )
    model = ModelFile(folder / "tones.onnx", threads=1)
    assert evaluate_keywords(model, KEYWORDS, trial, options).keywords[0].positives.max() < 0.5


def test_evaluate_kws_from_the_command_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "kws", "-m", str(folder / "tones.onnx"), "--keywords", "abca @abc a, bcb"]
    sources = ["--negatives", str(folder / "negatives"), "--positives", str(folder / "positives")]
    outputs = ["-o", str(tmp_path / "r.json"), "--plot", str(tmp_path / "r.png")]
    assert main([*command, *sources, *outputs]) == 0
    assert "bcb: 3 positives" in capsys.readouterr().out
    results = json.loads((tmp_path / "r.json").read_text())
    assert results["keywords"][0]["label"] == "abc a"
    assert results["negatives"] == str(folder / "negatives")
    assert results["positives"] == str(folder / "positives")
    assert "noise" not in results
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("ratio", ["nan", "inf", "101"])
def test_ratios_that_cannot_be_are_wrong_usage(ratio: str, capsys: pytest.CaptureFixture[str]) -> None:
    sources = ["--negatives", "n", "--positives", "p", "--noise", "n"]
    assert main(["evaluate", "kws", "--keywords", "bcb", *sources, "--snr", "10", ratio]) == 2
    assert "--snr: must be a number >= -100 and <= 100" in capsys.readouterr().err


def test_evaluate_kws_writes_a_page_and_its_results(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "kws", "-m", str(folder / "tones.onnx"), "--keywords", "abca @abc a, bcb"]
    sources = ["--negatives", str(folder / "negatives"), "--positives", str(folder / "positives")]
    assert main([*command, *sources, "--report", str(tmp_path / "out")]) == 0
    assert f"report: {tmp_path}/out/index.html" in capsys.readouterr().err
    assert "Surest false alarms" in (tmp_path / "out/index.html").read_text()
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert (results["keywords"][1]["label"], results["negatives"]) == ("bcb", str(folder / "negatives"))
    assert main([*command, *sources, "--report", str(tmp_path / "out")]) == 1
    assert "index.html: exists already; --overwrite replaces it" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".PNG", ".xyz"])
def test_curves_are_plotted_as_the_file_is_named(
    suffix: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "kws", "-m", str(folder / "tones.onnx"), "--keywords", "bcb"]
    sources = ["--negatives", str(folder / "negatives"), "--positives", str(folder / "positives" / "bcb")]
    plot = tmp_path / f"det{suffix}"
    status = main([*command, *sources, "--plot", str(plot)])
    assert status == (suffix == ".xyz")
    if status:
        assert f"{plot}: must end in .png, .svg, .pdf" in capsys.readouterr().err
    else:
        assert plot.read_bytes()[:4] in (b"\x89PNG", b"<svg", b"%PDF")


def test_calibrate_keeps_thresholds_in_the_keyword_file(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("# mine\nabca @abc a\nbcb\n")
    command = ["calibrate", "-m", str(folder / "tones.onnx"), "--keywords", str(words)]
    sources = ["--negatives", str(folder / "negatives"), "--positives", str(folder / "positives")]
    assert main([*command, *sources, "--target-fa-per-hour", "60"]) == 0
    captured = capsys.readouterr()
    assert "bcb: threshold" in captured.out
    assert "misses 33.3 %" in captured.out
    assert "rest on 0.02 h of negatives" in captured.out
    assert f"kept in {words}" in captured.err
    lines = words.read_text().splitlines()
    assert lines[0] == "# mine"
    assert lines[1].startswith("abca #")
    assert main([*command, *sources]) == 0
    assert "too few for 0.5 an hour: with no false alarm in 0.02 h" in capsys.readouterr().out


def test_calibrate_keeps_typed_keywords_thresholds_in_the_model(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "mine.onnx")
    command = ["calibrate", "-m", str(model), "--keywords", "bcb, abca"]
    assert main([*command, "--negatives", str(folder / "negatives"), "--target-fa-per-hour", "0"]) == 0
    captured = capsys.readouterr()
    assert "misses unknown without --positives" in captured.out
    assert (
        "recordings, which are heard in chunks of 2 s; what listens live is calibrated with --chunk 0.2"
        in captured.err
    )
    thresholds = ModelFile(model).info.decoding.keyword_thresholds
    assert set(thresholds) == {"bcb", "abca"}
    assert thresholds["bcb"] > 0.9
    assert main(["spot", "-m", str(model), "--keywords", "bcb", str(folder / "negatives" / "deep")]) == 0
    assert capsys.readouterr().out == ""


def test_a_model_keeps_no_thresholds_of_keywords_with_a_boost(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "mine.onnx")
    command = ["calibrate", "-m", str(model), "--keywords", "bcb, abca :1"]
    assert main([*command, "--negatives", str(folder / "negatives")]) == 1
    assert (
        "keyword 'abca' has a boost; a model keeps the thresholds of keywords without"
        in capsys.readouterr().err
    )


def test_typed_keywords_whose_thresholds_a_shipped_model_cannot_keep_may_go_into_a_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["calibrate", "--negatives", str(folder / "negatives")]
    assert main([*command, "--keywords", "view glass"]) == 1
    assert (
        "phones-en.onnx belongs to the installation; copy it, and tune the copy with -m; or, simpler, write the "
        "keywords into a file, one a line, which keeps their thresholds"
    ) in capsys.readouterr().err
    assert main([*command, "--any-keyword"]) == 1
    assert capsys.readouterr().err.endswith("copy it, and tune the copy with -m\n")


def test_a_target_that_the_highest_threshold_misses_is_told_of(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("a :5 @always\n")  # a boost that makes all its hits sure
    command = ["calibrate", "-m", str(folder / "tones.onnx"), "--keywords", str(words)]
    assert main([*command, "--negatives", str(folder / "negatives"), "--patience", "2"]) == 0
    captured = capsys.readouterr()
    said = captured.out
    assert "the thresholds hold for --patience 2; give the same to spot" in captured.err
    assert "always: threshold 1.0000; 3 false alarms" in said
    assert "always: 0.5 false alarms an hour cannot be kept to" in said


def test_evaluate_runs_a_classifier_as_a_detector(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "labels.onnx", "classification")
    lines = ["id\taudio\ttext", *(f"{n}\t{folder}/negatives/1.wav\tmore" for n in range(4))]
    for text in "ab":
        soundfile.write(tmp_path / f"{text}.wav", np.pad(speak(text), (8000, 8000)), SAMPLE_RATE)
        lines.append(f"{text}\t{tmp_path}/{text}.wav\t{text}")
    manifest = tmp_path / "clips.tsv"
    manifest.write_text("\n".join(lines))
    assert main(["evaluate", str(manifest), "-m", str(model), "--detector"]) == 0
    said = capsys.readouterr().out
    assert "a: 1 positives, 0.03 h of negatives (1 that say it left out)" in said
    assert "c: " not in said
    assert main(["evaluate", str(manifest), "-m", str(folder / "tones.onnx"), "--detector"]) == 1
    assert "--detector is for keyword classifiers" in capsys.readouterr().err
    assert main(["evaluate", str(manifest), "-m", str(model), "--detector", "--compare", "x"]) == 2


def test_calibrate_tells_which_model_it_takes_for_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "default: an4, or phones-en with --keywords or --any-keyword" in said


def test_calibrate_does_one_thing_at_a_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["m.tsv", "--keywords", "bcb", "--negatives", "x"], ["--keywords", "bcb"]):
        assert main(["calibrate", "-m", str(folder / "tones.onnx"), *arguments]) == 2
        assert "give a MANIFEST, or --keywords or --any-keyword with --negatives" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("own", "in_model", "kept"),
    [
        (None, {}, 0.5),  # of spelled keywords
        (0.3, {}, 0.3),
        (0.5801, {}, 0.5801),  # which is not 5801 / 10,000 in binary, and is not rounded up again
        (None, {"abca": 0.21}, 0.21),
        (0.3, {"abca": 0.7}, 0.3),
    ],
)
def test_too_little_background_lowers_no_threshold(
    own: float | None, in_model: dict[str, float], kept: float, folder: Path
) -> None:
    """In a minute 0.008 false alarms are allowed, at 0.5 an hour; abca has none of 0.2 and more."""
    model = ModelFile(folder / "tones.onnx", threads=1)
    model.info = replace(
        model.info, decoding=replace(model.info.decoding, keyword_thresholds=in_model | {"bcb": 0.1})
    )
    keywords = [
        Keyword(label="abca", spellings=("abca",), threshold=own),
        Keyword(label="bcb", spellings=("bcb",), threshold=own),
    ]
    negatives = find_recordings(folder / "negatives")
    evaluation = calibrate_keywords(model, keywords, negatives=negatives, rate=0.5, options=OPTIONS)
    first, *more = describe_calibration(evaluation)
    assert thresholds_of(evaluation)["abca"] == kept
    assert first.startswith(f"abca: threshold {kept:.4f}; 0 false alarms")
    assert "abca: stays as it was: 0.02 h are too few to tell that less is enough" in more
    # A false alarm of 0.985 raises the other, whosever its threshold was.
    assert 0.98 < thresholds_of(evaluation)["bcb"] < 0.99
    assert not any("bcb: stays" in line for line in more)
    # Sixty an hour are one: enough to tell that less will do.
    enough = calibrate_keywords(model, keywords, negatives=negatives, rate=60.0, options=OPTIONS)
    assert thresholds_of(enough)["abca"] < 0.2
    assert not any("stays" in line for line in describe_calibration(enough))


@pytest.mark.parametrize(
    ("task", "keyword", "kept"),
    [
        ("classification", Keyword(label="c", spellings=("c",)), 0.9),
        ("ctc", Keyword(label="x", templates=(TONE_OF_B,)), 0.6),
        ("ctc", Keyword(label="b", spellings=("bbbb",), templates=(TONE_OF_B,)), 0.58),
    ],
)
def test_each_kind_of_keyword_has_its_usual_threshold_with_too_little_background(
    task: str, keyword: Keyword, kept: float, folder: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(61 * SAMPLE_RATE), SAMPLE_RATE)
    model = ModelFile(write_model(tmp_path / "model.onnx", task), threads=1)
    evaluation = calibrate_keywords(
        model, [keyword], negatives=find_recordings(tmp_path), rate=0.5, options=SpotterOptions()
    )
    assert thresholds_of(evaluation) == {keyword.label: kept}


@pytest.mark.parametrize(
    ("rate", "end"),
    [
        (0.0, "an hour with 95 % confidence"),
        (0.5, "with 95 % confidence; 6 h without one would show what was asked"),  # -ln(0.05) = 3.0 over 0.5
    ],
)
def test_no_hours_would_show_that_there_is_never_a_false_alarm(
    rate: float, end: str, evaluation: KeywordEvaluation
) -> None:
    first = evaluation.keywords[0]
    point = replace(first.points[0], target=rate)
    *_, line = describe_calibration(replace(evaluation, keywords=(replace(first, points=(point,)),)))
    assert line.endswith(end)


def test_thresholds_stay_within_what_they_may_be(evaluation: KeywordEvaluation) -> None:
    assert all(0.05 <= threshold <= 1 for threshold in thresholds_of(evaluation).values())
    assert any("three" in line or "false alarms rest on" in line for line in describe_calibration(evaluation))
