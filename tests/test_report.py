"""Pages to look at: all that was found is on them, nothing is loaded, and no text can be taken for markup."""

import base64
import io
import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from test_comparison import evaluation_of, result_of
from tiny_model import SAMPLE_RATE, speak, write_model

from speechrnn.cli.main import main
from speechrnn.decoding.keywords import Keyword
from speechrnn.errors import ConfigError
from speechrnn.evaluation import Evaluation, compare_runs, evaluate
from speechrnn.evaluation.close_up import CloseUp, look_closely
from speechrnn.evaluation.keyword_recordings import KeywordTrial
from speechrnn.evaluation.keywords import KeywordEvaluation, evaluate_keywords
from speechrnn.evaluation.results import Breakdown, Failure
from speechrnn.manifest import Utterance
from speechrnn.report import (
    draw_inspection,
    render_evaluation,
    render_inspection,
    render_keyword_evaluation,
)
from speechrnn.report.close_up_plot import plot_close_up
from speechrnn.report.pictures import fold_columns, sound_address, to_svg, visible
from speechrnn.runtime import Transcriber
from speechrnn.runtime.keyword_spotter import SpotterOptions

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></script><svg onload=alert(1)>",
    "{{ 7 * 7 }} {% raw %}",
    "$\\frac{1}{2}$ & &amp; '",
    "\u202eabc\u202c",
    "שלום مرحبا 你好 🎉",
    "\udcff\x00\x1b[31m",
)
VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """A page taken apart: elements with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Transcriber:
    return Transcriber(write_model(tmp_path_factory.mktemp("models") / "tones.onnx"), threads=1)


@pytest.fixture(scope="module")
def keywords(tmp_path_factory: pytest.TempPathFactory) -> Transcriber:
    path = tmp_path_factory.mktemp("models") / "keywords.onnx"
    return Transcriber(write_model(path, "classification"), threads=1)


def record(folder: Path, said: str, text: str, **fields: Any) -> Utterance:
    soundfile.write(folder / f"{said}.wav", speak(said), SAMPLE_RATE)
    return Utterance(id=f"{said}-{text}", audio=folder / f"{said}.wav", text=text, **fields)


def pictures(page: Page) -> list[ElementTree.Element]:
    addresses = [str(image["src"]) for image in page.all("img")]
    assert all(address.startswith("data:image/svg+xml,") for address in addresses)
    return [ElementTree.fromstring(urllib.parse.unquote(a.partition(",")[2])) for a in addresses]


def texts_of(svg: ElementTree.Element) -> list[str]:
    return ["".join(element.itertext()) for element in svg.iter("{http://www.w3.org/2000/svg}text")]


def look_at(transcriber: Transcriber, said: str, name: str = "clip.wav") -> CloseUp:
    return look_closely(transcriber, speak(said), name)


# ---- The page of an evaluation ------------------------------------------------------------------------------


def test_a_page_has_all_parts_of_an_evaluation(tones: Transcriber, tmp_path: Path) -> None:
    utterances = [
        record(tmp_path, "a b", "a b", speaker="ann"),
        record(tmp_path, "c", "b", speaker="bob", snr_db=7.0),
        Utterance(id="gone", audio=tmp_path / "gone.wav", text="a"),
    ]
    evaluation = evaluate(tones, utterances, num_close_ups=3)
    html = render_evaluation(
        evaluation, manifest="clips/test.tsv", comparison=compare_runs(evaluation, evaluation)
    )
    page = Page(html)
    assert not page.open
    assert "33.33 %" in page.text  # 1 of 3 words
    assert "1 errors in 3 words: 1 substituted, 0 deleted, 0 inserted" in page.text
    assert "gone.wav: no such file" in page.text
    assert "95 % percentile bootstrap over 2 speakers" in page.text
    assert "text normalisation lowercase" in page.text
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert {"comparison", "by-speaker", "by-length", "by-SNR", "errors", "calibration", "worst", "all"} <= ids
    targets = {str(a["href"]) for a in page.all("a")}
    assert all(target.startswith("#") and target[1:] in ids for target in targets)
    (audio,) = page.all("audio")
    sound = base64.b64decode(str(audio["src"]).partition(",")[2])
    samples, rate = soundfile.read(io.BytesIO(sound))
    assert (len(samples), rate) == (len(speak("c")), SAMPLE_RATE)


def test_a_page_loads_nothing(tones: Transcriber, tmp_path: Path) -> None:
    html = render_evaluation(evaluate(tones, [record(tmp_path, "a", "b")], num_close_ups=1))
    page = Page(html)
    for _, attributes in page.elements:
        for name in ("src", "href"):
            assert re.match("data:|#|None", str(attributes.get(name)))
    assert not re.search(r"url\((?!#|&#)|@import", html.partition("<body>")[0])
    policy = next(str(m["content"]) for m in page.all("meta") if "http-equiv" in m)
    assert "default-src 'none'" in policy
    assert all(
        element.get("{http://www.w3.org/1999/xlink}href", "data:#").startswith(("data:", "#"))
        for svg in pictures(page)
        for element in svg.iter()
    )


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_can_be_taken_for_markup(hostile: str, tones: Transcriber, tmp_path: Path) -> None:
    close_up = replace(look_at(tones, "ab"), id=hostile)
    word = replace(close_up.words[0], text=hostile)
    close_up = replace(close_up, words=(word,), text=hostile, tokens=("", hostile, "b", "c", " "))
    results = [
        result_of(hostile, f"x {hostile}", f"{hostile} y", speaker=hostile, audio=hostile),
        result_of("2", hostile, "", speaker="ann"),
    ]
    evaluation = evaluation_of(results, model=hostile, close_ups=(close_up,), settings={"hears": hostile})
    plain = evaluation_of(
        [result_of("1", "x w", "w y", speaker="bob"), result_of("2", "w", "", speaker="ann")],
        close_ups=(replace(close_up, id="1"),),
        settings={"hears": "w"},
    )
    hostile_page, plain_page = (
        Page(render_evaluation(e, manifest=e.model, comparison=compare_runs(e, e)))
        for e in (evaluation, plain)
    )
    assert not hostile_page.open
    assert {tag for tag, _ in hostile_page.elements} == {tag for tag, _ in plain_page.elements}
    assert len(hostile_page.all("script")) == 1
    assert not [a for _, attributes in hostile_page.elements for a in attributes if a.startswith("on")]
    shown = " ".join(visible(hostile).split())
    assert shown in hostile_page.text
    assert any(shown in " ".join(text.split()) for svg in pictures(hostile_page) for text in texts_of(svg))
    render_inspection(close_up, model=hostile).encode()


def test_characters_that_turn_text_around_are_written_out() -> None:
    assert visible("a\u202eb\u2066\x00\udc80") == "a⟨U+202E⟩b⟨U+2066⟩⟨U+0000⟩⟨U+DC80⟩"
    assert visible("שלום 🎉 a\u200db") == "שלום 🎉 a\u200db"


def test_errors_are_told_by_more_than_colour() -> None:
    page = Page(render_evaluation(evaluation_of([result_of("1", "a b c", "a x c d")])))
    assert [a["title"] for a in page.all("abbr")] == ["substitution", "insertion"]
    assert len(page.all("del")) == 2  # and one in the legend
    assert len(page.all("ins")) == 3


def test_a_page_can_be_read_by_ear_and_by_keyboard(tones: Transcriber, tmp_path: Path) -> None:
    page = Page(render_evaluation(evaluate(tones, [record(tmp_path, "a", "b")], num_close_ups=1)))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert all(image["alt"] for image in page.all("img"))
    assert all(cell["scope"] in ("row", "col") for cell in page.all("th"))
    assert all(box.get("tabindex") == "0" for box in page.all("div") if "scroll" in str(box.get("class")))
    assert all("controls" in audio for audio in page.all("audio"))


def test_labels_have_a_table_and_a_confusion_matrix(keywords: Transcriber, tmp_path: Path) -> None:
    utterances = [record(tmp_path, "a", "a"), record(tmp_path, "b", "c"), record(tmp_path, "c", "c")]
    page = Page(render_evaluation(evaluate(keywords, utterances, num_close_ups=2)))
    assert "2 of 3 clips" in page.text
    assert "c 100.00 50.00 2 1" in page.text  # precision, recall, clips, answered
    shares = [str(cell["style"]) for cell in page.all("td") if "style" in cell]
    assert [float(share.partition(":")[2]) for share in shares] == [1, 0, 0, 0, 0, 0, 0, 0.5, 0.5]
    assert "b 100.00 %" in page.text  # the surest mistake


def test_no_errors_are_bounded() -> None:
    page = Page(render_evaluation(evaluation_of([result_of("1", "a", "a"), result_of("2", "b", "b")])))
    # 1 - 0.05^(1/2) = 77.64 %
    assert "at most 77.64 % of such have one" in page.text


def test_many_speakers_are_drawn_in_part_and_listed_in_full() -> None:
    results = [result_of(str(n), "a", "a", speaker=f"s{n:02}") for n in range(45)]
    page = Page(render_evaluation(evaluation_of(results)))
    assert "The first 40 of 45." in page.text
    assert all(f"s{n:02} 1 1.5 0.00" in page.text for n in range(45))


def test_a_long_utterance_is_shown_in_part(tones: Transcriber) -> None:
    close_up = look_closely(tones, np.tile(speak("ab"), 130), "1")  # 65 s
    evaluation = evaluation_of([result_of("1", "a", "b", duration_s=65.0)], close_ups=(close_up,))
    assert "The first 60 of 65.0 s." in Page(render_evaluation(evaluation)).text


def test_a_thousand_utterances_make_a_small_page(tones: Transcriber) -> None:
    words = [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    ]
    results = [
        result_of(
            f"utterance-{n}",
            " ".join(words),
            " ".join([*words[:5], "x", *words[7:], "y"]),
            speaker=f"s{n % 40}",
        )
        for n in range(1000)
    ]
    close_ups = [replace(look_closely(tones, np.tile(speak("abc"), 14), f"utterance-{n}")) for n in range(20)]
    html = render_evaluation(evaluation_of(results, close_ups=tuple(close_ups)))
    assert len(html.encode()) < 20e6


def test_pages_of_the_same_results_are_the_same() -> None:
    evaluation = evaluation_of(
        [result_of("1", "a", "b", speaker="ann"), result_of("2", "a", "a", speaker="bob")]
    )
    assert render_evaluation(evaluation) == render_evaluation(evaluation)


# ---- The page of keywords -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def detector(tones: Transcriber, tmp_path_factory: pytest.TempPathFactory) -> KeywordEvaluation:
    """A minute of negatives, two positives of "ab", of which one is something else, and none of "cb" but one."""
    folder = tmp_path_factory.mktemp("keywords")

    def clip(said: str, text: str) -> Utterance:
        waveform = np.concatenate([np.zeros(SAMPLE_RATE // 2, np.float32), speak(said)])
        soundfile.write(folder / f"{said}-{text}.wav", waveform, SAMPLE_RATE)
        return Utterance(id=f"{said}-{text}", audio=folder / f"{said}-{text}.wav", text=text)

    rest = np.zeros(60 * SAMPLE_RATE, np.float32)
    soundfile.write(folder / "long.wav", np.concatenate([rest, speak("aaacb"), rest]), SAMPLE_RATE)
    trial = KeywordTrial(
        negatives=[Utterance(id="long", audio=folder / "long.wav", text="")],
        positives=[clip("abab", "abab"), clip("cc", "abab"), clip("cb", "cb")],
        noise=[clip("b", "")],
        snrs_db=(40.0,),
        rates=(0.0, 60.0),
    )
    spelled = [Keyword(label=label, spellings=(label,), threshold=0.4) for label in ("abab", "cb")]
    options = SpotterOptions(chunk_s=2.0)
    return evaluate_keywords(tones.model, spelled, trial, options, num_close_ups=2)


def test_a_page_of_keywords_has_all_parts(detector: KeywordEvaluation) -> None:
    page = Page(render_keyword_evaluation(detector, sources=[("negatives", "long.wav")]))
    assert not page.open
    assert "tones as a detector of 2 keywords" in page.text
    assert "abab 0.4000 0.00" in page.text
    assert "negatives long.wav" in page.text
    # One of two is found; in 121 s one false alarm makes 29.9 an hour, and "cb" is said once in the negatives.
    assert "own threshold 0.4000 0 0.00" in page.text
    assert "own threshold 0.4000 1 29." in page.text
    assert "40 dB: missed (%)" in page.text
    # The one clip of "cb" is found: one such is no surprise where 97.5 % are missed.
    assert "0.00 0.00 to 97.50§" in page.text
    assert "§ none or all are missed" in page.text
    assert "each keyword is measured as if it were the only one" in page.text
    assert page.text.count("Hardest to find") == 2
    assert "cc-abab confidence" in page.text
    assert "long from" in page.text
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert all(str(a["href"])[1:] in ids for a in page.all("a"))
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("audio")) == len(page.all("img")) - 1


def test_the_det_curve_names_its_keywords(detector: KeywordEvaluation) -> None:
    page = Page(render_keyword_evaluation(detector))
    (det,) = [svg for svg in pictures(page) if "false alarms per hour" in texts_of(svg)]
    assert {"abab", "cb", "missed (%)"} <= set(texts_of(det))


def test_a_close_up_of_a_keyword_shows_the_sound_at_its_place(detector: KeywordEvaluation) -> None:
    (found,) = detector.keywords[1].surest_negatives
    # "aaacb" begins at 60 s; "cb" ends about 0.5 s later, and 2 s before that are shown.
    assert found.confidence == detector.keywords[1].negatives.scores[0]
    assert found.confidences.max() == np.float32(found.confidence)
    peak_s = found.start_s + found.ends_s[found.confidences.argmax()]
    assert peak_s == pytest.approx(60 + len(speak("aaacb")) / SAMPLE_RATE, abs=0.3)
    np.testing.assert_allclose(found.duration_s, 2.5, atol=0.01)
    hardest = detector.keywords[0].hardest_positives
    assert [close_up.id for close_up in hardest] == ["cc-abab", "abab-abab"]
    assert [close_up.confidence for close_up in hardest] == pytest.approx(
        sorted(detector.keywords[0].positives)
    )


def test_without_positives_a_page_has_no_curve(detector: KeywordEvaluation) -> None:
    blind = [
        replace(keyword, curve=None, positives=np.zeros(0), hardest_positives=())
        for keyword in detector.keywords
    ]
    page = Page(render_keyword_evaluation(replace(detector, keywords=tuple(blind))))
    assert "misses are unknown" in page.text
    assert "Detection error trade-off" not in page.text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_keyword_can_be_taken_for_markup(hostile: str, detector: KeywordEvaluation) -> None:
    first = detector.keywords[0]
    close_up = replace(first.hardest_positives[0], id=hostile)
    keywords = (replace(first, label=hostile, hardest_positives=(close_up,)), *detector.keywords[1:])
    failures = (Failure(id=hostile, audio=hostile, reason=hostile),)
    evaluation = replace(
        detector, model=hostile, keywords=keywords, failures=failures, settings={"keywords": [hostile]}
    )
    page = Page(render_keyword_evaluation(evaluation, sources=[("positives", hostile)]))
    plain = Page(
        render_keyword_evaluation(replace(detector, failures=(Failure(id="a", audio="a", reason="a"),)))
    )
    assert not page.open
    assert {tag for tag, _ in page.elements} == {tag for tag, _ in plain.elements}
    assert len(page.all("script")) == 1
    assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on")]
    assert " ".join(visible(hostile).split()) in page.text


# ---- Pictures -------------------------------------------------------------------------------------------------


def test_words_and_tokens_stand_where_they_were_spoken(tones: Transcriber) -> None:
    svg = ElementTree.fromstring(to_svg(plot_close_up(look_at(tones, "ab c"))))
    texts = texts_of(svg)
    assert {"ab", "c", "a", "b", "␣", "blank", "time (s)"} <= set(texts)


def test_ink_follows_the_theme(tones: Transcriber) -> None:
    svg = to_svg(plot_close_up(look_at(tones, "a")))
    assert "#010203" not in svg
    assert "currentColor" in svg
    assert "prefers-color-scheme:dark" in svg


@pytest.mark.parametrize(
    ("rate", "opus_rate"), [(8000, 8000), (11025, 12000), (22050, 24000), (96000, 48000)]
)
def test_sound_of_any_rate_is_embedded(rate: int, opus_rate: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)
    data = base64.b64decode(sound_address(tone, rate).partition(",")[2])
    samples, found = soundfile.read(io.BytesIO(data))
    assert (found, len(samples)) == (opus_rate, opus_rate)
    assert np.argmax(np.abs(np.fft.rfft(samples))) == 440


def test_columns_are_averaged_to_no_more_than_can_be_seen() -> None:
    values = np.arange(10.0)[:, None]
    np.testing.assert_array_equal(fold_columns(values, 4)[:, 0], [1, 4, 7, 9])
    assert fold_columns(values, 10) is values
    assert fold_columns(values[:0], 4).shape == (0, 1)


# ---- The command lines ------------------------------------------------------------------------------------------


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    rows = ["audio\ttext"]
    for said, text in (("ab", "ab"), ("c", "b")):
        soundfile.write(tmp_path / f"{said}.wav", speak(said), SAMPLE_RATE)
        rows.append(f"{said}.wav\t{text}")
    (tmp_path / "clips.tsv").write_text("\n".join(rows))
    return str(tmp_path / "clips.tsv")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_evaluate_writes_a_page_and_its_results(
    tones: Transcriber, manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", manifest, "-m", str(tones.info.path), "--report", str(tmp_path / "new" / "out")]
    status, out, err = run(capsys, *command)
    assert status == 0
    assert "WER  50.00 %" in out
    assert f"report: {tmp_path}/new/out/index.html" in err
    assert "50.00 %" in Page((tmp_path / "new/out/index.html").read_text()).text
    assert sorted(path.name for path in (tmp_path / "new/out").iterdir()) == ["index.html", "results.json"]
    status, out, err = run(capsys, *command)
    assert (status, out) == (1, "")
    assert "index.html: exists already; --overwrite replaces it" in err
    assert run(capsys, *command, "--overwrite", "--compare", str(tmp_path / "new/out/results.json"))[0] == 0
    assert "Comparison" in Page((tmp_path / "new/out/index.html").read_text()).text


def test_a_report_cannot_go_where_a_file_is(
    tones: Transcriber, manifest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, "evaluate", manifest, "-m", str(tones.info.path), "--report", manifest)
    assert status == 1
    assert "clips.tsv: cannot be written: it is not a folder" in err


def test_inspect_draws_a_page_and_a_picture(
    tones: Transcriber, manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, model = str(tmp_path / "ab.wav"), str(tones.info.path)
    status, out, _ = run(capsys, "inspect", clip, "-m", model, "-o", str(tmp_path / "view.html"))
    assert (status, out) == (0, "ab\n")
    page = Page((tmp_path / "view.html").read_text())
    assert not page.open
    assert "ab 0.105 0.395 100.00" in page.text  # tones from 0.1 to 0.4 s, in frames of 10 ms
    assert run(capsys, "inspect", clip, "-m", model, "-o", str(tmp_path / "view.PNG"))[0] == 0
    assert (tmp_path / "view.PNG").read_bytes().startswith(b"\x89PNG")
    status, _, err = run(capsys, "inspect", clip, "-m", model, "-o", str(tmp_path / "view.PNG"))
    assert status == 1
    assert "view.PNG: exists already; --overwrite replaces it" in err


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["-o", "view.txt"], "view.txt: must end in .html or .png"),
        (["-o", "view.png", "--start", "9"], "ends at 0.500 s, before --start 9"),
        (["-o", "view.png", "--start", "0.49"], "is too short"),
    ],
)
def test_inspect_says_what_cannot_be_shown(
    options: Sequence[str],
    wanted: str,
    tones: Transcriber,
    manifest: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, "inspect", "ab.wav", "-m", str(tones.info.path), *options)
    assert (status, out) == (1, "")
    assert wanted in err
    assert not list(tmp_path.glob("view*"))
    assert not list(tmp_path.glob(".view*"))


def test_a_long_recording_is_drawn_in_rows_and_refused_as_a_picture(tones: Transcriber) -> None:
    close_up = look_closely(tones, np.tile(speak("abc"), 90), "long.wav")  # 63 s
    page = Page(render_inspection(close_up, model="tones"))
    assert len(page.all("figure")) == 4
    assert "60.0 to 63.0 s" in page.text
    with pytest.raises(ConfigError, match=r"long\.wav: 63\.0 s are too much for one picture; write \.html"):
        draw_inspection(close_up)


def test_inspect_of_a_very_long_file_shows_its_beginning_and_says_so(
    tones: Transcriber, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechrnn.cli.inspect.MOST_S", 2.0)
    soundfile.write(tmp_path / "long.wav", np.tile(speak("abc"), 4), SAMPLE_RATE)
    output = tmp_path / "view.html"
    command = ["inspect", str(tmp_path / "long.wav"), "-m", str(tones.info.path), "-o", str(output)]
    status, _, err = run(capsys, *command)
    assert status == 0
    assert "the first 2 of 2.8 s; --start shows others" in err
    assert "from 0.00 s of a file of 2.80 s" in Page(output.read_text()).text
    assert run(capsys, *command, "--start", "0.8", "--overwrite")[2].count("warning") == 0


def test_inspect_shows_what_a_keyword_model_thinks(keywords: Transcriber) -> None:
    page = Page(render_inspection(look_at(keywords, "b"), model="keywords"))
    assert "label probability (%) b 100.00" in page.text


def test_a_breakdown_of_failures_alone_is_none() -> None:
    evaluation: Evaluation = evaluation_of([result_of("1", "", "")])
    assert [type(b) for b in evaluation.breakdowns] == [Breakdown]
    assert "nothing said" in Page(render_evaluation(evaluation)).text
