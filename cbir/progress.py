"""Work on many rows, part by part, with a progress bar where it takes longer than people like to wait."""

from collections.abc import Iterator

from tqdm import tqdm

SHOWN_AFTER = 2.0  # seconds: shorter work shows no bar


def in_parts(n: int, step: int, what: str) -> Iterator[slice]:
    """Slices of at most `step` rows that cover n, at least one; `what` is done with them, as the bar says."""
    starts = range(0, max(n, 1), step)
    if len(starts) == 1:
        yield slice(0, step)
        return
    for start in tqdm(starts, desc=what, unit="part", delay=SHOWN_AFTER):
        yield slice(start, start + step)
