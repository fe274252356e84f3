"""``speechrnn doctor``: is everything there, does it work, and if not, how to mend it."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from speechrnn.cli.console import put, say, stages
from speechrnn.diagnosis import Finding, Status, diagnose

MARKS: dict[Status, str] = {"ok": "ok", "absent": "--", "wrong": "!!"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the format, and what to learn by heart."""
    parser.add_argument(
        "--overfit",
        nargs=2,
        type=Path,
        metavar=("CONFIG", "MANIFEST"),
        help="instead, train a recipe's network on ten utterances until it makes no error: a network that "
        "cannot do that will not learn more of them",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Print every finding as it is found, with its cure below; 1 if anything is wrong."""
    if args.overfit is not None:
        return learn_by_heart(*args.overfit, as_json=args.json)
    findings = []
    for finding in diagnose():
        findings.append(finding)
        if not args.json:
            for line in render(finding):
                put(line)
    if args.json:
        put(json.dumps([asdict(finding) for finding in findings], indent=2))
    say(sum_up(findings))
    return 1 if any(finding.status == "wrong" for finding in findings) else 0


def render(finding: Finding) -> Iterable[str]:
    """Write a finding in a line, or two."""
    yield f"{MARKS[finding.status]}  {finding.name:<12}  {finding.value}"
    if finding.cure:
        yield f"    {'':<12}  {finding.cure}"


def sum_up(findings: Iterable[Finding]) -> str:
    """Say in a sentence how it is."""
    wrong = [finding.name for finding in findings if finding.status == "wrong"]
    return f"to be mended: {', '.join(wrong)}" if wrong else "all is well"


def learn_by_heart(recipe: Path, manifest: Path, *, as_json: bool) -> int:
    """Train on ten utterances and print how it went; 1 if errors are left."""
    from speechrnn.training.overfit import overfit
    from speechrnn.training.recipe import config_from_recipe

    config = config_from_recipe(recipe)
    with stages() as begin:
        outcome = overfit(config, manifest, on_step=begin("learning by heart"))
    if as_json:
        put(json.dumps(asdict(outcome), indent=2, ensure_ascii=False))
    else:
        put(
            f"{outcome.num_utterances} utterances, {outcome.num_steps} steps: loss {outcome.loss:.3g}, "
            f"{outcome.errors} of {outcome.total} wrong"
        )
        for name, reference, answer in outcome.wrong:
            put(f"    {name}: {reference!r} heard as {answer!r}")
    if not outcome.errors:
        say("all is well")
        return 0
    say(
        "the network cannot learn ten utterances by heart: listen to those above (do texts belong to their "
        "audio?), lower features.hop_length or encoder.subsampling, raise encoder.hidden_size"
    )
    return 1
