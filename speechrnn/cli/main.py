"""The command ``speechrnn``: find the subcommand, import it alone, and say what goes wrong."""

import argparse
import codecs
import contextlib
import difflib
import importlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from speechrnn import __version__
from speechrnn.base_install import find_broken
from speechrnn.cli.console import Terminated, UsageError, messages_on_stderr, say
from speechrnn.errors import SpeechRNNError

OK, FAILED, USAGE = 0, 1, 2
INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143  # as shells count them

SERVE_PACKAGES = ("anyio", "python_multipart", "starlette", "uvicorn", "websockets")
TRAIN_PACKAGES = (
    "jsonargparse",
    "lhotse",
    "librosa",
    "onnx",
    "pytorch_lightning",
    "tensorboard",
    "torch",
    "torchaudio",
    "torchmetrics",
)
REPORT_PACKAGES = ("jinja2", "matplotlib")
EXTRAS = (
    dict.fromkeys(SERVE_PACKAGES, "serve")
    | dict.fromkeys(TRAIN_PACKAGES, "train")
    | dict.fromkeys(REPORT_PACKAGES, "report")
)


GROUP = ""


class Command(NamedTuple):
    """Where a command lives, and what it does in a line; a group of commands lives nowhere."""

    module: str
    summary: str


USE: dict[str, Command] = {
    "transcribe": Command("transcribe", "turn audio files into text"),
    "evaluate": Command("evaluate", "measure a model on recordings whose text is known"),
    "inspect": Command("inspect", "look at a recording and at what a model hears in it"),
    "compare": Command("compare", "tell whether two evaluations differ by more than chance"),
    "calibrate": Command("calibrate", "make a model's confidences mean what they say"),
    "spot": Command("spot", "find keywords in recordings, a microphone or a stream"),
    "enroll": Command("enroll", "make a keyword of a few recordings of it"),
    "serve": Command("serve", "transcribe for other programs, over HTTP"),
    "demo": Command("demo", "open a page that listens, in the browser"),
    "lm": Command(GROUP, "build, measure and use language models of text"),
    "info": Command("info", "show what is in a model file or a checkpoint"),
    "models": Command("models", "list the models that ship with speechrnn"),
    "doctor": Command("doctor", "find out what is missing or wrong, and how to mend it"),
}
TRAIN: dict[str, Command] = {
    "prepare": Command("prepare", "make manifests from a folder, a table or a corpus"),
    "prepare shards": Command("prepare_shards", "pack utterances into few files, for very large corpora"),
    "prepare segments": Command("prepare_segments", "cut long utterances at their pauses"),
    "prepare words": Command("prepare_words", "cut words out of transcribed speech, to train keywords on"),
    "prepare synthetic": Command("prepare_synthetic", "have texts said by speech synthesisers, to train on"),
    "prepare pronunciations": Command("prepare_pronunciations", "have words said that no dictionary has"),
    "prepare phones": Command("prepare_phones", "turn transcripts into phones, for a model of phones"),
    "check": Command("check", "report what is in a manifest, and what cannot be trained on"),
    "fit": Command("train", "train a model"),
    "validate": Command("train", "measure a checkpoint on the development set"),
    "test": Command("train", "measure a checkpoint on the test set"),
    "predict": Command("train", "write a checkpoint's answers"),
    "export": Command("export", "turn a checkpoint into a model file"),
}
COMMANDS = USE | TRAIN
LM: dict[str, Command] = {
    "build": Command("lm_build", "estimate an n-gram model from text"),
    "tune": Command("lm_tune", "find the weights with which a model helps recognition"),
    "perplexity": Command("lm_perplexity", "measure how well a model foresees a text"),
    "convert": Command("lm_convert", "turn an ARPA file into a binary, or back"),
    "info": Command("lm_info", "show what is in a model"),
    "sample": Command("lm_sample", "let a recurrent model make up sentences"),
}
GROUPS: dict[str, dict[str, Command]] = {"lm": LM}
EVALUATE: dict[str, Command] = {
    "kws": Command("evaluate_kws", "measure a keyword detector on a stream: misses at false alarms an hour")
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: all good; 1: something failed, named on stderr; 2: usage; 130: interrupted; 141: stdout was closed;
    143: terminated.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    replace_closed_streams()
    accept_any_text()
    with messages_on_stderr():
        try:
            status = dispatch(arguments)
            if sys.stdout is not None:
                sys.stdout.flush()
            return status
        except UsageError as error:
            fail(str(error))
            return USAGE
        except SpeechRNNError as error:
            return fail(str(error))
        except ModuleNotFoundError as error:
            return fail(f"`speechrnn {arguments[0]}` needs {what_to_install(error)}")
        except KeyboardInterrupt:
            say("speechrnn: interrupted")
            return INTERRUPTED
        except Terminated:
            say("speechrnn: terminated")
            return TERMINATED
        except BrokenPipeError:
            discard_stdout()
            return BROKEN_PIPE
        except OSError as error:
            if error.strerror is None:
                raise
            return fail(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)


def what_to_install(error: ModuleNotFoundError) -> str:
    """Name a missing package and the extra that brings it; raises the error again if none does."""
    extra = EXTRAS.get((error.name or "").partition(".")[0])
    if extra is None:
        raise error
    return f'{error.name}; install it with: pip install "speechrnn[{extra}]"'


def fail(message: str) -> int:
    """Say an error."""
    say(f"speechrnn: error: {message}")
    return FAILED


def discard_stdout() -> None:
    """Send what is still unwritten nowhere, so that the interpreter does not complain at its end."""
    with contextlib.suppress(OSError, ValueError):  # stdout may be no real file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def replace_closed_streams() -> None:
    """Let no file that is opened later take the number of a standard stream that the caller has closed.

    What a library says on stderr would be written into it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def accept_any_text() -> None:
    """Let stdout write what it cannot encode: file names come out as they went in, the rest escaped."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        is_utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
        sys.stdout.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")


def dispatch(arguments: list[str]) -> int:
    """Run the command that the first argument names."""
    first = arguments[0] if arguments else ""
    if " ".join(arguments[:2]) in TRAIN:  # whoever has a folder called shards or segments says ./shards
        arguments = [" ".join(arguments[:2]), *arguments[2:]]
    if first in ("-V", "--version"):
        print(f"speechrnn {__version__}")
        return OK
    if first == "evaluate" and arguments[1:2] == ["kws"]:
        return choose(EVALUATE, arguments[1:], "speechrnn evaluate", {})
    if first in GROUPS:
        return choose(
            GROUPS[first], arguments[1:], f"speechrnn {first}", {COMMANDS[first].summary: GROUPS[first]}
        )
    return choose(COMMANDS, arguments, "speechrnn", {"use a model": USE, "make a model": TRAIN})


def choose(
    commands: Mapping[str, Command],
    arguments: list[str],
    program: str,
    titles: Mapping[str, Mapping[str, Command]],
) -> int:
    """Run the one of ``commands`` that the first argument names; ``titles`` are for the help."""
    first = arguments[0] if arguments else ""
    if first in ("-h", "--help"):
        print(overview(program, titles))
        return OK
    if first not in commands:
        say(complaint(first, commands, program) if first else overview(program, titles))
        return USAGE
    try:
        module = importlib.import_module(f"speechrnn.cli.{commands[first].module}")
    except Exception:
        broken = find_broken()
        if not broken:
            raise
        for package, reason in broken.items():
            fail(f"{package} {reason}")
        return FAILED
    try:
        if commands[first].module == "train":  # LightningCLI has a parser of its own
            status: int = module.run(arguments)
        else:
            summary = commands[first].summary
            status = module.run(parse(module, f"{program} {first}", summary, arguments[1:]))
    except SystemExit as stop:  # argparse, after help or a usage error
        if not isinstance(stop.code, int | None):
            raise
        return stop.code or OK
    return status


def overview(program: str, titles: Mapping[str, Mapping[str, Command]]) -> str:
    """Write the help, without importing any command."""
    lines = [f"usage: {program} COMMAND ...", f"       {program} COMMAND --help"]
    if program == "speechrnn":
        lines += ["", "Speech recognition with recurrent networks."]
    for title, commands in titles.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name:<14} {command.summary}" for name, command in commands.items()]
    lines += ["", "options:", "  -h, --help       show this help"]
    if program == "speechrnn":
        lines += ["  -V, --version    show the version"]
    return "\n".join(lines)


def complaint(word: str, commands: Mapping[str, Command], program: str) -> str:
    """Explain that ``word`` is no command, naming what may have been meant."""
    nearest = difflib.get_close_matches(word, commands, n=1)
    if nearest:
        hint = f"did you mean `{program} {nearest[0]}`?"
    elif Path(word).exists() and "transcribe" in commands:
        hint = f"did you mean `speechrnn transcribe {word}`?"
    else:
        hint = f"commands are {', '.join(commands)}"
    kind = "option" if word.startswith("-") else "command"
    return f"{program}: error: no {kind} {word!r}; {hint}"


def parse(module: ModuleType, program: str, summary: str, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command's arguments; ``--some_option`` is understood as ``--some-option``."""
    parser = argparse.ArgumentParser(prog=program, description=sentence(summary), allow_abbrev=False)
    module.add_arguments(parser)
    args, unknown = parser.parse_known_args(with_dashes(arguments))
    if unknown:
        known = [option for option in parser._option_string_actions if option.startswith("--")]
        given = unknown[0].partition("=")[0]
        nearest = [option for option in known if option.startswith(given) and len(given) > len("--")]
        nearest += difflib.get_close_matches(given, known, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        parser.error(f"unknown argument {unknown[0]!r}{hint}")
    return args


def sentence(summary: str) -> str:
    """Make a sentence of a summary."""
    return f"{summary[0].upper()}{summary[1:]}."


def with_dashes(arguments: Sequence[str]) -> list[str]:
    """Spell the names of long options with dashes, up to a lone ``--``; values stay as they are."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    spelled = []
    for argument in arguments[:end]:
        name, equals, value = argument.partition("=")
        is_option = name.startswith("--")
        spelled.append(f"{name.replace('_', '-')}{equals}{value}" if is_option else argument)
    return [*spelled, *arguments[end:]]
