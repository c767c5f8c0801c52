import numpy as np
import pytest

from cbir.files import cache_root
from cbir.similarity.codes import kept

EMBEDDING = np.ones((5, 3), np.float16)


def made(calls):
    def make():
        calls.append(1)
        return EMBEDDING, np.arange(5, dtype=np.float32)

    return make


def test_codes_are_worked_out_once_and_read_from_then_on():
    calls = []
    for _ in range(2):
        embedding, numbers = kept("a bundle and a method", EMBEDDING, made(calls))
        assert embedding is EMBEDDING
        np.testing.assert_array_equal(numbers, np.arange(5))
    assert len(calls) == 1
    assert sorted(path.suffix for path in cache_root().rglob("*.*")) == [".json", ".npy"]  # embeddings are not copied
    kept("another bundle", EMBEDDING, made(calls))
    assert len(calls) == 2


@pytest.mark.parametrize("suffix", [".json", ".npy"])
def test_codes_that_are_damaged_are_worked_out_again(suffix):
    calls = []
    kept("one", EMBEDDING, made(calls))
    (path,) = cache_root().rglob(f"*{suffix}")
    path.write_bytes(path.read_bytes()[:-2] + b"xx")
    np.testing.assert_array_equal(kept("one", EMBEDDING, made(calls))[1], np.arange(5))
    assert len(calls) == 2


@pytest.mark.parametrize("text", ["[]", "{}", "5", "null", "[5, 5]", '["", ""]', "[[]]"])
def test_a_list_of_codes_that_is_none_is_made_again(text):
    kept("one", EMBEDDING, made([]))
    (path,) = cache_root().rglob("*.json")
    before = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(kept("one", EMBEDDING, made([]))[1], np.arange(5))
    assert path.read_text(encoding="utf-8") == before
