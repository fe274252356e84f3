"""How espeak-ng would say words, in the phones of CMUdict: for names, and whatever no dictionary has."""

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from speechrnn.training.synthetic_speech import TIMEOUT_S, SynthesisError

VOICE = "en-us"
INSTALL = "apt-get install espeak-ng"
WORDS_PER_CALL = 1000
WORD = re.compile(r"[a-z]+(?:'[a-z]+)*'?")  # espeak-ng spells or skips the rest
SAME = "b d f g k l m n p r s t v w z"  # CMUdict's, in lower case
# CMUdict's phones, and how espeak-ng writes them (-x --sep=_), marks of stress and length left out.
NAMES = {
    **{
        "AA": "A A# 0 0#",
        "AE": "a aa",
        "AH": "@ @2 @5 @- a# V",
        "AO": "O O2",
        "AW": "aU",
        "AY": "aI",
        "EH": "E",
    },
    **{"ER": "3 VR", "EY": "eI", "IH": "I I2 I#", "IY": "i", "OW": "oU", "OY": "OI", "UH": "U", "UW": "u"},
    **{
        "AA N": "A~",
        "AA R": "A@",
        "AH L": "@L",
        "AH N": "n-",
        "AO R": "O@ o@",
        "AY AH": "aI@",
        "AY ER": "aI3",
    },
    **{
        "EH R": "e@",
        "IH R": "i@3 IR",
        "IY AH": "i@",
        "UH R": "U@",
        "CH": "tS",
        "DH": "D",
        "HH": "h",
        "JH": "dZ",
    },
    **{
        "K": "x",
        "L": "l#",
        "NG": "N",
        "R": "r-",
        "SH": "S",
        "T": "t# t2 * ?",
        "TH": "T",
        "W": "w#",
        "Y": "j",
    },
    "ZH": "Z",
}
SOUNDS = {name: phones for phones, names in NAMES.items() for name in names.split()}
SOUNDS |= {name: name.upper() for name in SAME.split()}
MARKS = "',%=|;:\"!"
VOWELS = "AA|AE|AH|AO|AW|AY|EH|ER|EY|IH|IY|OW|OY|UH|UW"
# CMUdict has one R where espeak-ng has the vowel's and another, and no IH before a vowel.
HABITS = ((r"\b(ER|R) R\b", r"\1"), (r"\bIY AH R\b", "IH R"), (rf"\bIH (?=(?:{VOWELS})\b)", "IY "))


def say_words(words: Iterable[str], *, on_word: Callable[[], object] = bool) -> Iterator[tuple[str, str]]:
    """Have espeak-ng say words as an American would.

    Args:
        words: In lower case; those of other characters than English letters and apostrophes are passed over, and
            those that it says in sounds that English lacks.
        on_word: Called for each word, for a progress bar.

    Yields:
        Word, and its phones with spaces between.

    Raises:
        SynthesisError: If espeak-ng is not installed, or fails.

    Example:
        >>> dict(say_words(["quillan", "42"]))  # doctest: +SKIP
        {'quillan': 'K W IH L AH N'}
    """
    program = shutil.which("espeak-ng")
    if program is None:
        raise SynthesisError(f"espeak-ng is not installed; {INSTALL}")
    batches = list(batched(words))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = pool.map(run_espeak, itertools.repeat(program), map(only_sayable, batches))
        try:
            for batch, answer in zip(batches, answers, strict=True):
                for _ in batch:
                    on_word()
                yield from ((word, phones) for word, phones in answer if phones)
        finally:
            pool.shutdown(cancel_futures=True)


def batched(words: Iterable[str]) -> Iterator[list[str]]:
    """Part words into what one call says."""
    remaining = iter(words)
    while batch := list(itertools.islice(remaining, WORDS_PER_CALL)):
        yield batch


def only_sayable(words: Iterable[str]) -> list[str]:
    """Pass over what espeak-ng would spell, or say in more than one clause."""
    return [word for word in words if WORD.fullmatch(word)]


def run_espeak(program: str, words: list[str]) -> list[tuple[str, str]]:
    """Have words said, each in a clause, which espeak-ng puts on a line of its own; errors as ``say_words``."""
    if not words:
        return []
    command = [program, "-q", "-v", VOICE, "-x", "--sep=_"]
    text = "".join(f"{word} .\n\n" for word in words)
    try:
        done = subprocess.run(
            command, input=text, text=True, capture_output=True, check=True, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        raise SynthesisError(f"espeak-ng cannot say {words[0]!r} and what follows: {said}") from error
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if len(lines) != len(words):
        raise SynthesisError(
            f"espeak-ng says {len(words)} words from {words[0]!r} on in {len(lines)} clauses"
        )
    return list(zip(words, map(to_cmudict, lines), strict=True))


def to_cmudict(sounds: str) -> str:
    """Translate what espeak-ng writes, such as ``m_'aa_n_t_E_l_I_S``, to phones; nothing if a sound is not English."""
    names = [name for part in re.split(r"[_ ]+", sounds) if (name := part.strip(MARKS))]
    if not all(name in SOUNDS for name in names):
        return ""
    phones = " ".join(SOUNDS[name] for name in names)
    for pattern, replacement in HABITS:
        phones = re.sub(pattern, replacement, phones)
    return phones
