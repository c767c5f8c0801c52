"""What every training script's `if __name__ == "__main__"` does."""

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from cbir.errors import CbirError


def run_main(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> NoReturn:
    """Run `main` and exit with what it returns; with 2 and one line on stderr where the user can mend it.

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
