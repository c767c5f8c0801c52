"""Codes: what methods compare, worked out once per photo; and how the scores of labels become that of a task.

Legend: n photos, d numbers in an embedding, q queries, g gallery items.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from cbir.files import CacheFolder
from cbir.progress import in_parts

# Arrays of n rows each. Embeddings stand in them as they are stored, not as copies, so that those of a gallery are in
# memory once, whatever the number of methods.
Codes: TypeAlias = tuple[np.ndarray, ...]
ROWS = 4096  # at a time: bounds memory


def take(codes: Codes, rows: np.ndarray | slice) -> Codes:
    """The codes of some photos."""
    return tuple(part[rows] for part in codes)


def single(vectors: np.ndarray) -> np.ndarray:
    """As float32: products of half precision would overflow."""
    return vectors.astype(np.float32, copy=False)


def by_row(function: Callable[[np.ndarray], np.ndarray], vectors: np.ndarray) -> np.ndarray:
    """A function of the rows of (n, d), as float32, some at a time."""
    return np.concatenate(
        [function(single(vectors[rows])) for rows in in_parts(len(vectors), ROWS, "reading embeddings")]
    )


def kept(made_by: str, embedding: np.ndarray, make: Callable[[], Codes]) -> Codes:
    """Codes that were worked out before, from the cache, or else from now on in it.

    Args:
        made_by: what they depend on, besides the embeddings: two that are made otherwise have another text.
        embedding: stands in the codes as it is, and is not stored again.
        make: works them out.

    Returns:
        The codes; what comes from the cache stays in its files.
    """
    folder, name = CacheFolder("codes"), hashlib.sha256(made_by.encode()).hexdigest()[:32]
    found: list[np.ndarray] = []
    if (about := folder.find(f"{name}.json")) is not None:
        with contextlib.suppress(OSError, ValueError):  # damaged: made again
            listed = json.loads(about.read_text(encoding="utf-8"))
            if not isinstance(listed, list) or not listed:
                raise ValueError(f"{about} is damaged")
            for number, digest in enumerate(listed):
                if digest is None:
                    found.append(embedding)
                    continue
                path = about.with_name(f"{name}.{number}.npy")
                with path.open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                        raise ValueError(f"{path} is damaged")
                found.append(np.load(path, mmap_mode="r"))
            return tuple(map(np.asarray, found))
    codes = make()
    digests: list[str | None] = []
    for number, part in enumerate(codes):
        if part is embedding:
            digests.append(None)
            continue
        written = folder.write(f"{name}.{number}.npy", partial(_save, part))
        if written is None:  # nowhere to keep them
            return codes
        with written.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    folder.write(f"{name}.json", lambda path: path.write_text(json.dumps(digests), encoding="utf-8"))
    return codes


def _save(part: np.ndarray, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, part)


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Lengths of the rows of (n, d), never 0: (n,) float32."""
    return by_row(lambda rows: np.maximum(np.linalg.norm(rows, axis=1), 1e-12), vectors)


def weighed(by_label: Mapping[str, np.ndarray], color_weight: float) -> np.ndarray:
    """The score of a task from those of its labels, each (q, g).

    Of type and color it is type^(2 (1 - w)) * color^(2 w), w being the weight of the color, 0 to 1: a half gives the
    product of both, 0 ranks by the type alone, 1 by the color alone.
    """
    if len(by_label) == 1:
        (score,) = by_label.values()
        return score
    return by_label["type"] ** (2 - 2 * color_weight) * by_label["color"] ** (2 * color_weight)
