"""Compiled loops of `cbir.similarity.forest`: importing this module imports the compiler (numba)."""

# mypy: allow-untyped-defs
import contextlib
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache

LEAST, MOST = np.int32(-2139095040), np.int32(2139095039)  # of finite numbers, `ordered`
SIGN = np.int32(0x7FFFFFFF)


class _Kept(FunctionCache):
    """Compiled code on disk, which numba looks for beside this file, else at home.

    What is damaged there, or cannot be read or written, is compiled again: nothing fails for it.
    """

    def load_overload(self, *args: Any) -> Any:  # noqa: ANN401
        try:
            return super().load_overload(*args)
        except Exception:  # pickle raises whatever the bytes make of it
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, *args: Any) -> None:  # noqa: ANN401
        with contextlib.suppress(Exception):
            super().save_overload(*args)


def compiled(function: Callable) -> Callable:
    """The function, compiled when it is first called, and kept for later processes where there is a place for it."""
    dispatcher: Any = numba.njit(nogil=True)(function)
    with contextlib.suppress(RuntimeError):  # there is no place
        dispatcher._cache = _Kept(function)  # as numba's own `enable_caching`
    return dispatcher


@compiled
def _goes_left(key, a, threshold, is_product, bits):  # noqa: ANN001, ANN202
    """Answers a question in single precision, as if the features of the pair had been written down."""
    bits[0] = key if key >= 0 else key ^ SIGN
    b = bits.view(np.float32)[0]
    if is_product:
        return np.float32(a * b) <= threshold
    difference = np.float32(a - b)
    return np.float32(difference * difference) <= threshold


@compiled
def _last(yes, far, guess, a, threshold, is_product, bits):  # noqa: ANN001, ANN202
    """The last number, from one that goes left to the far end, that goes left as well.

    Looked for from a guess, in steps that double, then by halves: a good guess takes two or three answers.
    """
    start, way = np.int64(yes), np.int64(1 if far > yes else -1)
    low, high = np.int64(0), (far - start) * way + 1  # places from the start: the first goes left, the other not
    at, step = min(max((guess - start) * way, 1), high - 1), 1
    while high - low > 1:
        if _goes_left(np.int32(start + way * at), a, threshold, is_product, bits):
            low, at = at, at + step
        else:
            high, at = at, at - step
        step *= 2
        if not low < at < high:
            at = (low + high) // 2
    return np.int32(start + way * low)


@compiled
def _key(number, bits):  # noqa: ANN001, ANN202
    """A number as `forest.ordered` has it; the largest finite one at most."""
    bits.view(np.float32)[0] = number
    key = bits[0] if bits[0] >= 0 else bits[0] ^ SIGN
    return min(max(key, LEAST), MOST)


@compiled
def intervals(query, feature, threshold, left):  # noqa: ANN001, ANN201
    """The items' numbers, ordered, with which a pair goes to the left: first and last, (n,) int32; first > last: none.

    What is asked about is monotone on both sides of a number that goes left if any does: a itself, or an end.
    """
    d, n = len(query), len(feature)
    bits = np.zeros(1, np.int32)
    first, last = np.full(n, LEAST, np.int32), np.full(n, MOST, np.int32)
    for node in range(n):
        if left[node] < 0:
            continue
        a, t, is_product = query[feature[node] % d], threshold[node], feature[node] >= d
        if is_product:
            sure = LEAST if a >= 0 else MOST
            low = high = np.float32(t / a) if a != 0 else np.float32(0)
        else:
            sure = _key(a, bits)
            reach = np.float32(np.sqrt(max(t, np.float32(0))))
            low, high = np.float32(a - reach), np.float32(a + reach)
        if not _goes_left(sure, a, t, is_product, bits):
            first[node], last[node] = MOST, LEAST
            continue
        first[node] = _last(sure, LEAST, _key(low, bits), a, t, is_product, bits)
        last[node] = _last(sure, MOST, _key(high, bits), a, t, is_product, bits)
    return first, last


@compiled
def walk(table, roots, column, first, last, left, right, value, scores):  # noqa: ANN001, ANN201
    """Walks all trees. Items that reach a node lie side by side, and are parted in place.

    Args:
        table: (c, g) int32, g at most 65,536.
        roots: (t,) int32.
        column: (n,) int32, row of the table that a node asks about.
        first: (n,) int32.
        last: (n,) int32.
        left: (n,) int32.
        right: (n,) int32.
        value: (n,) float64.
        scores: (g,) float32, to be filled.
    """
    g = table.shape[1]
    items, others = np.empty(g, np.uint16), np.empty(g, np.uint16)
    sums = np.zeros(g, np.float64)
    waiting = np.empty((len(left) + 1, 3), np.int32)
    for root in roots:
        for i in range(g):
            items[i] = i
        waiting[0, 0], waiting[0, 1], waiting[0, 2] = root, 0, g
        n_waiting = 1
        while n_waiting > 0:
            n_waiting -= 1
            node, start, stop = waiting[n_waiting, 0], waiting[n_waiting, 1], waiting[n_waiting, 2]
            if left[node] < 0:
                for k in range(start, stop):
                    sums[items[k]] += value[node]
                continue
            # Indices without a sign: the compiler then leaves out what negative ones would need.
            middle = np.uint64(start)
            if first[node] <= last[node]:
                # One comparison: below the first, the difference wraps around to a large number.
                least = np.uint32(first[node])
                width = np.uint32(np.uint32(last[node]) - least)
                numbers = table[column[node]]
                for k in range(np.uint64(start), np.uint64(stop)):
                    item = items[k]
                    items[middle] = item
                    others[np.uint64(k) - middle] = item
                    middle += np.uint64(np.uint32(np.uint32(numbers[item]) - least) <= width)
                for k in range(np.uint64(stop) - middle):
                    items[middle + np.uint64(k)] = others[k]
            if middle > start:
                waiting[n_waiting, 0], waiting[n_waiting, 1], waiting[n_waiting, 2] = left[node], start, middle
                n_waiting += 1
            if stop > middle:
                waiting[n_waiting, 0], waiting[n_waiting, 1], waiting[n_waiting, 2] = right[node], middle, stop
                n_waiting += 1
    for i in range(g):
        scores[i] = sums[i]


@compiled
def follow(query, items, roots, feature, threshold, left, right, value, scores):  # noqa: ANN001, ANN201
    """Follows each item through each tree: items (g, d) float32, scores (g,) float32 to be filled."""
    d = len(query)
    for i in range(len(items)):
        total = 0.0
        for root in roots:
            node = root
            while left[node] >= 0:
                place = feature[node] % d
                a, b = query[place], items[i, place]
                if feature[node] >= d:
                    number = np.float32(a * b)
                else:
                    difference = np.float32(a - b)
                    number = np.float32(difference * difference)
                node = left[node] if number <= threshold[node] else right[node]
            total += value[node]
        scores[i] = total
