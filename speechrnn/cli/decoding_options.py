"""The options of every command that turns log probabilities into text."""

import argparse
from pathlib import Path

from speechrnn.cli.console import Progress, UsageError
from speechrnn.cli.lm_sample import open_language_model
from speechrnn.cli.model_options import number, positive_count
from speechrnn.decoding import DecodingOptions
from speechrnn.lm import NgramModel, read_lm
from speechrnn.runtime.model_registry import find_lm

DEFAULT_BOOST = 5.0  # nats
NO_LM = "none"


def add_decoding_options(parser: argparse.ArgumentParser) -> None:
    """Add what asks for a beam search; without any of it, decoding is greedy."""
    group = parser.add_argument_group("decoding", "greedy, unless one of these asks for a beam search")
    group.add_argument(
        "--beam-size",
        type=positive_count,
        metavar="N",
        help="prefixes kept in each frame; default: 50, or 500 where phones are read as words",
    )
    group.add_argument(
        "--lm",
        metavar="FILE",
        help="n-gram language model (.arpa, .arpa.gz, .srlm, .lm.bin), or the name of a shipped one; default: the one "
        "that the model names, if any; none for none",
    )
    group.add_argument(
        "--lm-alpha",
        type=number(least=0),
        metavar="W",
        help="weight of the language model; default: as tuned, or else 0.5",
    )
    group.add_argument(
        "--lm-beta", type=number(), metavar="B", help="added for each word; default: as tuned, or else 0"
    )
    group.add_argument(
        "--lexicon",
        type=Path,
        metavar="FILE",
        help="the only words that may occur, one a line; for a model of phones, how it is said may stand behind a tab",
    )
    group.add_argument(
        "--phrases",
        type=Path,
        metavar="FILE",
        help="the only answers that may be given, one a line: phrases, or grammars such as `call <digit>{3,8}`",
    )
    group.add_argument(
        "--hotwords",
        type=hot_words,
        metavar="WORDS",
        help=f'words or phrases that score more, in nats: "mycroft:6,view glass"; default: {DEFAULT_BOOST:g}',
    )
    group.add_argument(
        "--rescore-lm",
        type=Path,
        metavar="FILE",
        help="recurrent language model (.onnx, .ckpt) that ranks the best texts again",
    )
    group.add_argument(
        "--rescore-weight",
        type=number(least=0),
        metavar="W",
        help=f"how much it counts; default: {DecodingOptions.rescore_weight:g}",
    )
    group.add_argument(
        "--min-confidence",
        type=number(least=0, most=1),
        default=0.0,
        metavar="P",
        help="answer nothing where the model is less sure than this; default: 0",
    )


def read_decoding_options(args: argparse.Namespace, *, n_best: int = 1) -> DecodingOptions:
    """Collect the options, reading the language model that they name.

    Raises:
        UsageError: If options exclude each other, or weigh what is not given.
        ModelFileError: If the language model cannot be read.
    """
    without_lm = args.lm == NO_LM
    if without_lm and args.lm_alpha is not None:
        raise UsageError("--lm-alpha weighs a language model: it does not go with --lm none")
    if args.rescore_lm is None and args.rescore_weight is not None:
        raise UsageError("--rescore-weight weighs a language model: give one with --rescore-lm")
    if args.lexicon is not None and args.phrases is not None:
        raise UsageError("--phrases lists all that may be said: it does not go with --lexicon")
    return DecodingOptions(
        beam_size=args.beam_size,
        lm=None if args.lm is None or without_lm else open_lm(args.lm),
        alpha=0.0 if without_lm else args.lm_alpha,
        beta=args.lm_beta,
        lexicon=args.lexicon,
        phrases=args.phrases,
        hot_words=args.hotwords,
        rescorer=None if args.rescore_lm is None else open_language_model(args.rescore_lm),
        rescore_weight=DecodingOptions.rescore_weight if args.rescore_weight is None else args.rescore_weight,
        n_best=n_best,
        min_confidence=args.min_confidence,
    )


def open_lm(name: str) -> NgramModel:
    """Read a language model, by its name or path; a large ARPA file takes a while."""
    with Progress("reading the language model", total=1):
        return read_lm(find_lm(name), verify=True)  # damaged arrays would crash compiled code


def hot_words(text: str) -> dict[str, float]:
    """Parse ``word:boost, phrase, …``."""
    words: dict[str, float] = {}
    for item in text.split(","):
        word, colon, boost = item.rpartition(":")
        if not colon:
            word, boost = item, str(DEFAULT_BOOST)
        if not word.strip():
            raise argparse.ArgumentTypeError(f"a hot word is missing in {text!r}")
        words[word.strip()] = number()(boost)
    return words
