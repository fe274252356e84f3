"""Words said by espeak-ng, and by a stand-in that answers what it is told."""

import shutil
import sys
from pathlib import Path

import pytest

from speechrnn.cli.main import main
from speechrnn.pronunciations import Pronunciations
from speechrnn.training.espeak_phones import WORDS_PER_CALL, say_words, to_cmudict
from speechrnn.training.synthetic_speech import SynthesisError

PROGRAM = """#!{python}
import sys
ANSWERS = {answers!r}
for line in sys.stdin:
    word = line.split(" ")[0].strip()
    if word:
        print(" " + ANSWERS.get(word, "b_'aI"))
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program that knows three words, and says "by" for all others, in espeak-ng's place."""
    answers = {"quillan": "k_w_'I_l_@_n", "loch": "l_'Q_q", "two": "t_'u:"}
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "espeak-ng"
    program.write_text(PROGRAM.format(python=sys.executable, answers=answers), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize(
    ("sounds", "phones"),
    [
        ("m_'aa_n_t_E_l_I_S", "M AE N T EH L IH SH"),
        ("dZ_'A@_v_I_s", "JH AA R V IH S"),
        ("s_'3:_dZ_3_r_i", "S ER JH ER IY"),  # one R where the vowel has it
        ("tS_'E_v_I_@_t", "CH EH V IY AH T"),  # no IH before a vowel
        ("I_k_s_p_'i@_r_I2_@_n_s", "IH K S P IH R IY AH N S"),
        ("n_'oU_l_I_z f_O@", "N OW L IH Z F AO R"),
        ("l_'Q_q", ""),  # no sounds of English
    ],
)
def test_sounds_become_cmudicts_phones(sounds: str, phones: str) -> None:
    assert to_cmudict(sounds) == phones


@pytest.mark.usefixtures("stand_in")
def test_words_are_said_in_their_order_and_what_cannot_be_said_is_passed_over() -> None:
    done = []
    words = ["quillan", "42", "o-k", "loch", "two", "café"]
    said = list(say_words(words, on_word=lambda: done.append(1)))
    assert said == [("quillan", "K W IH L AH N"), ("two", "T UW")]
    assert len(done) == len(words)


@pytest.mark.usefixtures("stand_in")
def test_many_words_take_several_calls() -> None:
    letters = "abcdefghij"
    words = [
        f"x{''.join(letters[int(digit)] for digit in str(number))}"
        for number in range(2 * WORDS_PER_CALL + 1)
    ]
    assert [word for word, _ in say_words(words)] == words


def test_without_espeak_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SynthesisError, match="apt-get install espeak-ng"):
        list(say_words(["quillan"]))


def test_a_program_that_fails_or_says_too_little_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "espeak-ng"
    monkeypatch.setenv("PATH", str(tmp_path))
    for script, message in (
        ("echo no voice >&2; exit 3", "espeak-ng cannot say 'quillan' and what follows: no voice"),
        ("echo b_aI", "espeak-ng says 2 words from 'quillan' on in 1 clauses"),
    ):
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        with pytest.raises(SynthesisError, match=message):
            list(say_words(["quillan", "two"]))


@pytest.mark.usefixtures("stand_in")
def test_a_dictionary_is_written_of_what_others_lack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, known, out = tmp_path / "text.txt", tmp_path / "known.dict", tmp_path / "out.dict"
    text.write_text("Quillan, two twos!\nQuillan: loch; once\n", encoding="utf-8")
    known.write_text("two  T UW1\nonce  W AH1 N S\n", encoding="utf-8")
    given = ["prepare", "pronunciations", str(text), str(out), "--pronunciations", str(known)]
    assert main(given) == 0
    assert out.read_text(encoding="utf-8") == "quillan  K W IH L AH N\n"  # "twos" is two and an ending
    assert "out.dict: 1 words, 1 passed over" in capsys.readouterr().out
    assert Pronunciations.read([out]).of("quillan") == ("K W IH L AH N",)
    assert main(given) == 1
    assert "exists already" in capsys.readouterr().err
    assert main([*given, "--overwrite", "--least", "3"]) == 1
    assert "no word comes 3 times and is not in the dictionaries" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == "quillan  K W IH L AH N\n"


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_espeak_itself_says_words_much_as_people_do() -> None:
    said = dict(say_words(["bird", "judge", "thing", "yellow", "mantelish", "don't"]))
    assert said["bird"] == "B ER D"
    assert said["judge"] == "JH AH JH"
    assert said["thing"] == "TH IH NG"
    assert said["yellow"] == "Y EH L OW"
    assert said["mantelish"].split()[:3] == ["M", "AE", "N"]
    assert said["don't"] == "D OW N T"
