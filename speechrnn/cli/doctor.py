"""``speechrnn doctor``: is everything there, does it work, and if not, how to mend it."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict

from speechrnn.cli.console import put, say
from speechrnn.diagnosis import Finding, Status, diagnose

MARKS: dict[Status, str] = {"ok": "ok", "absent": "--", "wrong": "!!"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the format."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Print every finding as it is found, with its cure below; 1 if anything is wrong."""
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
