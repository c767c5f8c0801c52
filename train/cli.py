"""What every training script's `if __name__ == "__main__"` does."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from cbir.errors import CbirError
from cbir.files import replacing


def run_main(main: Callable[[list[str] | None], int], argv: list[str] | None = None) -> NoReturn:
    """Runs `main` and exits with what it returns; with 2 and one line on stderr where the user can mend it.

    Args:
        main: takes the arguments (None: those of the process), returns an exit status.
        argv: passed to `main`.
    """
    try:
        sys.exit(main(argv))
    except CbirError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)  # as argparse does
    except KeyboardInterrupt:
        sys.exit(130)  # as shells do


def write_section(path: Path, name: str, text: str) -> None:
    """Replaces what stands between `<!-- name -->` and `<!-- /name -->` in a file.

    Raises:
        CbirError: the file has no such section.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    content = path.read_text(encoding="utf-8")
    before, opened, rest = content.partition(start)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise CbirError(
            f"expected {start} and {end} in {path}, got at most one of them: add them where the text should go"
        )
    with replacing(path) as new:
        new.write_text(f"{before}{start}\n{text.strip()}\n{end}{after}", encoding="utf-8")
