"""The command line of the library.

    python -m cbir doctor [--bundle DIR_OR_REPO] [--weights FILE]

checks whether everything that the app needs works here; the exit status is 0 where it can start, else 1.
"""

import argparse
import os
import sys
from pathlib import Path

from cbir.doctor import PROBLEM, examine, report
from cbir.errors import CbirError


def main(argv: list[str] | None = None) -> int:
    """Runs a command: 0 when it went well, 1 when the doctor found problems, 2 when the user has to mend something."""
    parser = argparse.ArgumentParser(prog="python -m cbir", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser("doctor", help="check whether everything that the app needs works here")
    for command in (doctor,):
        command.add_argument("--bundle", metavar="DIR_OR_REPO", default=os.environ.get("CBIR_BUNDLE") or None)
        command.add_argument("--weights", metavar="FILE", type=Path, help="safetensors file of the bundle's backbone")
    args = parser.parse_args(argv)
    try:
        findings = examine(args.bundle, args.weights)
        print(report(findings))
        return int(any(finding.state == PROBLEM for finding in findings))
    except CbirError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
