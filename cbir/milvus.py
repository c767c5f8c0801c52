"""A collection in Milvus, searched by the models of a bundle: `--index milvus:URI`.

URI is the address of a server or cluster, or the path of a file, which milvus-lite searches in this process. Milvus
filters, and finds candidates by inner products and distances (index FLAT, so exactly); their scores are then worked out
here, from their features, by the same code as those of a gallery in memory. Of each photo Milvus holds three vectors:

    embedding   as it is, for Euclidean distance
    pair        unit embedding, and what the photo adds by itself to a logit of Logistic Regression on pairs, by task
    codes       what agreement and likeness are inner products of, and the shares of colors

The score of some methods is one inner product: what they find is then exact. Others get a shortlist: candidates by
several inner products that come near to the score, and the result says so (`SearchResult.is_shortlist`).

Legend: n photos, q photos of a query, d numbers in an embedding, l likewise of all features, k numbers in the code of a
likeness, p types and r colors of a bundle, b bins of a color descriptor.
"""

import base64
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import expit

from cbir.bundle import Bundle
from cbir.errors import CbirError, UnknownNameError
from cbir.features import Features, unit
from cbir.features.color_descriptor import BINS, bin_shares
from cbir.features.color_share import REGION, color_weights
from cbir.gallery import Gallery, check_filters
from cbir.guesses import UNSURE, Guesses
from cbir.index import Index, Plan, Query, Shortlist, with_guesses
from cbir.labels import LABELS, Task
from cbir.progress import in_parts
from cbir.similarity import EVEN_WEIGHT, SIMILARITIES
from cbir.similarity.likeness import LIKENESS_WEIGHT
from cbir.similarity.pairs import PairRegression, encode_logistic_regression
from cbir.storage import flatten

PREFIX = "milvus:"  # of what --index takes
COLLECTION = "apparel_cbir"
SHORTLIST = 256  # candidates by each way of a method that is no inner product, and twice as many as are asked for
MOST = 16_384  # rows that Milvus gives at once
FETCHED = 512  # rows with their features at once: a few MB
WRITTEN = 256  # photos at once
KEPT_SECONDS = 5  # for which a number of photos counts as known
NEAR = 1e-5  # scores that differ by less may be told apart by rounding
TEXT = 60_000  # characters of a text that Milvus holds: longer ones are cut into pieces
ABOUT = "about"  # the split of rows that are no photos, but say what is there
DRAWN = 2**32  # a photo's place among all of them is a number below that, by the hash of its id

log = logging.getLogger(__name__)

_WITHOUT_PICTURE = ["id", "split", "features", "guesses", *LABELS]


@dataclass(frozen=True)
class Way:
    """A way to candidates.

    Attributes:
        field: of the vectors that are compared.
        vector: that they are compared with.
        score: brings what Milvus gives to the method's score, where both rank alike; None where they do not.
    """

    field: str
    vector: np.ndarray
    score: Callable[[np.ndarray], np.ndarray] | None = None


class MilvusIndex(Index):
    """A collection in Milvus."""

    def __init__(self, address: str, bundle: Bundle, *, create: bool = False) -> None:
        """Connects.

        Args:
            address: `milvus:URI`; the environment variable MILVUS_TOKEN is what a server wants to know.
            bundle: whose models the photos are searched by.
            create: whether to begin a collection where there is none.

        Raises:
            CbirError: the address is none, pymilvus is not installed, Milvus cannot be reached, there is no collection,
                or it was made for other models.
        """
        if not address.startswith(PREFIX) or address == PREFIX:
            raise CbirError("expected an index as milvus:URI, e.g. milvus:photos.db, got {address!r}", address=address)
        self.address, self._bundle = address, bundle
        self._client = _connect(address.removeprefix(PREFIX))
        self._counted: dict[str, tuple[float, int]] = {}
        with _errors(address):
            if not self._client.has_collection(COLLECTION):
                if not create:
                    raise CbirError(
                        "there are no photos in {address}: put some there by 'python -m cbir add BUNDLE --index "
                        "{address}'",
                        address=address,
                    )
                self._create()
            self._client.load_collection(COLLECTION)
        self._check_made_for()

    def close(self) -> None:
        """Lets go of the connection, and of the file of milvus-lite."""
        self._client.close()

    # --- what is there ---

    @property
    def gallery(self) -> None:
        """It is not in this process."""

    @property
    def has_guesses(self) -> bool:
        """As `Index.has_guesses`."""
        return self._bundle.attributes is not None and self._count('type == "" or color == ""') > 0

    def __len__(self) -> int:
        return self._count("")

    def classes(self, label: str) -> list[str]:
        """As `Gallery.classes`."""
        values = [value for value in self._values[label] if self._count(_is(f"shown_{label}", value))]
        return sorted(sorted(values), key=lambda value: value == UNSURE)

    def counts(
        self, types: Sequence[str] = (), colors: Sequence[str] = (), *, guessed: bool = False
    ) -> dict[str, dict[str, int]]:
        """As `Gallery.counts`."""
        self.check(types, colors)
        among = {"type": _one_of("shown_color", colors), "color": _one_of("shown_type", types)}
        if guessed and not self.has_guesses:
            return {label: dict.fromkeys(self.classes(label), 0) for label in LABELS}
        return {
            label: {
                value: self._count(
                    _all_of(_is(f"shown_{label}", value), among[label], _is(label, "") if guessed else "")
                )
                for value in self.classes(label)
            }
            for label in LABELS
        }

    def count(self, types: Sequence[str], colors: Sequence[str]) -> int:
        """As `Index.count`."""
        self.check(types, colors)
        return self._count(_shown_as(types, colors))

    def check(self, types: Sequence[str], colors: Sequence[str]) -> None:
        """As `Index.check`."""
        if types or colors:
            check_filters(self.classes, types, colors)

    def items(self, ids: Sequence[str]) -> Gallery:
        """As `Index.items`."""
        found = {row["id"]: row for row in self._rows(ids, with_picture=True)}
        for id in ids:
            if id not in found:
                raise self._unknown(id)
        return self._gallery([found[id] for id in ids])

    def found(self, ids: Sequence[str]) -> Gallery:
        """As `Index.found`."""
        return self._gallery(self._rows(list(dict.fromkeys(ids)), with_picture=True))

    def sample(self, seed: int, n: int, types: Sequence[str] = (), colors: Sequence[str] = ()) -> Gallery:
        """In the order of the hashes of their ids, from a place on that the seed draws."""
        self.check(types, colors)
        shown, n_left = _shown_as(types, colors), self.count(types, colors)
        start, width = int(np.random.default_rng(seed).integers(DRAWN)), DRAWN
        if n_left > n:
            width = min(DRAWN, DRAWN * 2 * (n + 8) // n_left)
        while True:
            end = start + width
            place = f"draw >= {start} and draw < {end}"
            if end > DRAWN:
                place = f"(draw >= {start} or draw < {end - DRAWN})"
            rows = self._query(_all_of(shown, place if width < DRAWN else ""), ["id", "draw"], MOST)
            if len(rows) >= min(n, n_left) or width == DRAWN:
                break
            width = min(DRAWN, 4 * width)
        rows.sort(key=lambda row: ((row["draw"] - start) % DRAWN, row["id"]))
        return self.items([row["id"] for row in rows[:n]])

    # --- searching ---

    def shortlist(self, query: Query, plan: Plan) -> Shortlist:
        """Candidates by each of the ways of a search, see `ways`."""
        options = plan.options
        own = [id for id in query.ids if id is not None]
        kinds = f"({_one_of('type', plan.wanted.types)} or {_is('type', '')})" if plan.wanted.types else ""
        colors = f"not ({_one_of('likely_color', plan.without_colors)})" if plan.without_colors else ""
        taking_part = _all_of(
            _shown_as(options.types, options.colors), kinds, colors, f"not ({_one_of('id', own)})" if own else ""
        )
        ids: dict[str, None] = {}
        known: dict[str, Mapping[str, Any]] = {}
        is_whole = False
        found_by = ways(self._bundle, query, plan)
        for way in found_by:
            if way.score is not None and len(found_by) == 1 and not options.hide_near_duplicates:
                part, is_exact = self._exactly(way, taking_part, options.k, known)
            else:
                n = min(MOST, SHORTLIST + 2 * options.k)
                part = [hit["id"] for hit in self._hits(way, taking_part, n, known)]
                is_exact = len(part) < n  # there are no others
            ids |= dict.fromkeys(part)
            is_whole |= is_exact
        others = [id for id in (*own, *ids) if id not in known]
        known |= {row["id"]: row for row in self._rows(others, with_picture=False)}
        return Shortlist(self._gallery([known[id] for id in (*own, *ids) if id in known]), is_whole)

    def _exactly(
        self, way: Way, taking_part: str, k: int, known: dict[str, Mapping[str, Any]]
    ) -> tuple[list[str], bool]:
        """The ids of the k best and of all that are as good, by a way that ranks as the method does; whether that is
        certain.
        """
        assert way.score is not None
        n = min(MOST, k + SHORTLIST)
        while True:
            hits = self._hits(way, taking_part, n, known)
            scores = way.score(np.array([hit["distance"] for hit in hits], np.float64))
            if len(hits) < n:
                return (self._best(hits, scores, k) if k < len(hits) else [hit["id"] for hit in hits]), True
            if k < n and scores[k - 1] - scores[-1] > NEAR:
                return self._best(hits, scores, k), True
            if n == MOST:
                return [hit["id"] for hit in hits[: k + SHORTLIST]], False
            n = min(MOST, 4 * n)

    @staticmethod
    def _best(hits: Sequence[Mapping[str, Any]], scores: np.ndarray, k: int) -> list[str]:
        """Ids of what may be among the first k."""
        return [hit["id"] for hit, score in zip(hits, scores, strict=True) if score >= scores[k - 1] - NEAR]

    def _hits(self, way: Way, taking_part: str, n: int, known: dict[str, Mapping[str, Any]]) -> list[Any]:
        """The n best, best first; of few, their rows go to those that are known."""
        columns = _WITHOUT_PICTURE if n <= 2 * FETCHED else ["id"]
        with _errors(self.address):
            (found,) = self._client.search(
                COLLECTION,
                data=[way.vector.astype(np.float32).tolist()],
                anns_field=way.field,
                limit=n,
                filter=_all_of(_PHOTOS, taking_part),
                output_fields=columns,
            )
        hits = list(found)
        if len(columns) > 1:
            known |= {hit["id"]: {**hit["entity"], "id": hit["id"]} for hit in hits}
        return hits

    # --- adding and removing ---

    def add(self, gallery: Gallery) -> None:
        """Writes photos; those that have the ids of others take their places.

        Raises:
            CbirError: an id or a label is too long, or as in `MilvusIndex`.
        """
        for name, values in (("id", gallery.ids), *((label, gallery.labels[label]) for label in LABELS)):
            for value in set(values.tolist()):
                if len(value.encode()) > TEXT:
                    raise CbirError("expected a shorter {name} than {value!r}", name=name, value=value)
        for rows in in_parts(len(gallery), WRITTEN, "writing to Milvus"):
            part = gallery.take(np.arange(len(gallery))[rows])
            self._write_values(part)
            self._upsert(self._rows_of(part))
        self._flush()

    def remove(self, ids: Sequence[str]) -> None:
        """Removes photos.

        Raises:
            UnknownNameError: there is no such photo; then nothing was removed.
        """
        there = {row["id"] for row in self._rows(ids, with_picture=False, columns=["id"])}
        for id in ids:
            if id not in there:
                raise self._unknown(id)
        with _errors(self.address):
            for start in range(0, len(ids), FETCHED):
                self._client.delete(COLLECTION, filter=_one_of("id", ids[start : start + FETCHED]))
        self._flush()

    def _flush(self) -> None:
        self._counted.clear()
        with _errors(self.address):
            self._client.flush(COLLECTION)

    def _write_values(self, gallery: Gallery) -> None:
        """Says what labels are shown as, in rows of their own."""
        shown = with_guesses(self._bundle, gallery)
        missing = [
            (label, value) for label in LABELS for value in shown.classes(label) if value not in self._values[label]
        ]
        if missing:
            self._upsert([self._about(f"{label}:{value}", value) for label, value in missing])
            del self._values

    def _rows_of(self, gallery: Gallery) -> list[dict[str, Any]]:
        shown = with_guesses(self._bundle, gallery)
        colors, vectors = shown.probable("color"), vectors_of(self._bundle, gallery.features)
        rows = []
        for row, id in enumerate(gallery.ids.tolist()):
            labels, guesses = gallery.labels_of(row), shown.guesses_of(row)
            rows.append(
                {
                    **{name: part[row].tolist() for name, part in vectors.items()},
                    "id": id,
                    "split": str(gallery.splits[row]),
                    "draw": _draw(id),
                    "features": base64.b64encode(_packed(gallery.features, row)).decode(),
                    "thumbnail": _pieces(base64.b64encode(gallery.thumbnails[row]).decode()),
                    "guesses": json.dumps({n: [g.value, g.probability, g.is_sure] for n, g in guesses.items()}),
                    "likely_color": str(colors[row]),
                    **labels,
                    **{f"shown_{name}": str(column[row]) for name, column in shown.shown.items()},
                }
            )
        return rows

    # --- rows ---

    def _gallery(self, rows: Sequence[Mapping[str, Any]]) -> Gallery:
        labels = {name: np.array([row[name] for row in rows], dtype=str) for name in LABELS}
        guesses = None
        if self._bundle.attributes is not None and any((column == "").any() for column in labels.values()):
            told = [json.loads(row["guesses"]) for row in rows]
            columns = {name: [one.get(name, ["", 0.0, False]) for one in told] for name in LABELS}
            guesses = Guesses(
                {name: np.array([one[0] for one in column], dtype=str) for name, column in columns.items()},
                {name: np.array([one[1] for one in column], np.float32) for name, column in columns.items()},
                {name: np.array([one[2] for one in column], bool) for name, column in columns.items()},
            )
        return Gallery(
            np.array([row["id"] for row in rows], dtype=str),
            labels,
            self._unpacked([row["features"] for row in rows]),
            [base64.b64decode("".join(row.get("thumbnail", ()))) for row in rows],
            np.array([row["split"] for row in rows], dtype="<U5"),
            guesses,
        )

    def _unpacked(self, texts: Sequence[str]) -> Features:
        sizes = [getattr(self._bundle.gallery.features, part.name).shape[1] for part in fields(Features)]
        numbers = np.frombuffer(b"".join(map(base64.b64decode, texts)), np.float16).reshape(len(texts), sum(sizes))
        return Features(*np.split(numbers, np.cumsum(sizes)[:-1], axis=1))

    def _rows(
        self, ids: Sequence[str], *, with_picture: bool, columns: Sequence[str] = tuple(_WITHOUT_PICTURE)
    ) -> list[dict[str, Any]]:
        """The rows of those ids that are there, in the order of the ids."""
        columns = [*columns, "thumbnail"] if with_picture else list(columns)
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), FETCHED):
            part = ids[start : start + FETCHED]
            found |= {row["id"]: row for row in self._query(_one_of("id", part), columns, len(part))}
        return [found[id] for id in ids if id in found]

    def _query(self, expression: str, columns: Sequence[str], n: int) -> list[dict[str, Any]]:
        with _errors(self.address):
            rows = self._client.query(
                COLLECTION, filter=_all_of(_PHOTOS, expression), output_fields=list(columns), limit=n
            )
        return [dict(row) for row in rows]

    def _count(self, expression: str) -> int:
        """How many photos there are; kept for some seconds, since a page asks for the same numbers again and again."""
        now = time.monotonic()
        known = self._counted.get(expression)
        if known is not None and now - known[0] < KEPT_SECONDS:
            return known[1]
        with _errors(self.address):
            (row,) = self._client.query(COLLECTION, filter=_all_of(_PHOTOS, expression), output_fields=["count(*)"])
        n = int(row["count(*)"])
        recent = {asked: known for asked, known in list(self._counted.items()) if now - known[0] < KEPT_SECONDS}
        self._counted = {**recent, expression: (now, n)}
        return n

    def _upsert(self, rows: list[dict[str, Any]]) -> None:
        with _errors(self.address):
            self._client.upsert(COLLECTION, rows)

    def _unknown(self, id: str) -> UnknownNameError:
        few = [row["id"] for row in self._query("", ["id"], 20)]
        return UnknownNameError("id", id, few, n=len(self))

    # --- the collection ---

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return {name: part.shape[1] for name, part in vectors_of(self._bundle, self._example).items()}

    @property
    def _example(self) -> Features:
        return self._bundle.gallery.features.take([0])

    @cached_property
    def _values(self) -> dict[str, list[str]]:
        """What each label was ever shown as."""
        with _errors(self.address):
            rows = self._client.query(
                COLLECTION, filter=_is("split", ABOUT), output_fields=["id", "guesses"], limit=MOST
            )
        return {
            label: sorted(row["guesses"] for row in rows if row["id"].startswith(f"\1{label}:")) for label in LABELS
        }

    def _about(self, name: str, text: str) -> dict[str, Any]:
        """A row that is no photo."""
        texts = dict.fromkeys(["features", *LABELS, *(f"shown_{label}" for label in LABELS), "likely_color"], "")
        vectors = {field: [0.0] * size for field, size in self._sizes.items()}
        return {"id": f"\1{name}", "split": ABOUT, "draw": 0, "thumbnail": [], "guesses": text, **texts, **vectors}

    def _create(self) -> None:
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=65_535)
        texts = ["split", "features", "guesses", *LABELS, *(f"shown_{label}" for label in LABELS), "likely_color"]
        for name in texts:
            schema.add_field(name, DataType.VARCHAR, max_length=65_535)
        schema.add_field("draw", DataType.INT64)
        schema.add_field("thumbnail", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=16, max_length=65_535)
        indices = MilvusClient.prepare_index_params()
        for name, size in self._sizes.items():
            schema.add_field(name, DataType.FLOAT_VECTOR, dim=size)
            indices.add_index(name, index_type="FLAT", metric_type="L2" if name == "embedding" else "IP")
        self._client.create_collection(COLLECTION, schema=schema, index_params=indices, consistency_level="Session")
        self._upsert([self._about("made for", _made_for(self._bundle))])

    def _check_made_for(self) -> None:
        with _errors(self.address):
            rows = self._client.query(COLLECTION, filter=_is("id", "\1made for"), output_fields=["guesses"])
        if not rows or rows[0]["guesses"] != _made_for(self._bundle):
            raise CbirError(
                "the photos in {address} were put there with other models: give the bundle whose they are, or begin "
                "another collection",
                address=self.address,
            )


def vectors_of(bundle: Bundle, features: Features) -> dict[str, np.ndarray]:
    """What Milvus compares of n photos, by field: (n, x) float32 each."""
    parts = [unit(features.embedding)]
    if (regression := _regression(bundle)) is not None:
        parts.append(encode_logistic_regression(features, regression)[2])
    codes = []
    if bundle.attributes is not None:
        codes.append(_agreement_codes(bundle, features))
    if bundle.models.likeness is not None:
        codes.append(bundle.models.likeness.codes(features))
    codes.append(bin_shares(features.color, REGION))
    fields_ = {"embedding": features.embedding, "pair": np.hstack(parts), "codes": np.hstack(codes)}
    return {name: part.astype(np.float32) for name, part in fields_.items()}


def ways(bundle: Bundle, query: Query, plan: Plan) -> list[Way]:
    """How to find candidates for a search: one way that ranks as the method does, or several that come near to it."""
    photos, wanted, least = query.features, plan.wanted, plan.options.least_similar
    found = []
    if query.ids:
        found = _METHODS.get(plan.options.method, _other_ways)(bundle, photos, plan)
    if wanted:
        found = [Way(way.field, way.vector) for way in found]  # a score is then a product with what is wanted
        shares = [_of_codes(bundle, shares=color_weights(color.shades)) for color in wanted.colors]
        found += [Way("codes", share) for share in (shares if len(shares) < 2 else [*shares, np.sum(shares, axis=0)])]
        if wanted.types and bundle.attributes is not None:
            is_wanted = np.isin(bundle.attributes.classes("type"), wanted.types)
            found.append(Way("codes", _of_codes(bundle, type=is_wanted)))
    if least:
        found = [_reversed(way) for way in found]
    if not found:
        raise CbirError("expected at least one photo or id to search with, got none")
    return found


def _cosine_ways(bundle: Bundle, photos: Features, plan: Plan) -> list[Way]:
    """The mean of cosines is an inner product with the mean."""
    return [Way("pair", _of_pair(bundle, unit(photos.embedding).mean(axis=0)), _as_it_is)]


def _euclidean_ways(bundle: Bundle, photos: Features, plan: Plan) -> list[Way]:
    exact = _inverse_distance if len(photos) == 1 and not plan.options.least_similar else None
    if plan.options.least_similar:  # Milvus gives the nearest only
        return [Way("pair", _of_pair(bundle, one)) for one in unit(photos.embedding)]
    return [Way("embedding", one.astype(np.float32), exact) for one in photos.embedding]


def _regression_ways(bundle: Bundle, photos: Features, plan: Plan) -> list[Way]:
    """A logit is f(q) + g(x) + an inner product of both, g(x) standing beside the embedding."""
    model = _regression(bundle)
    assert model is not None
    names = _names(plan.task)
    own = encode_logistic_regression(photos, model)[2]
    vectors, offsets = [], []
    for number, photo in enumerate(unit(photos.embedding)):
        for name in names:
            place = list(model.by_task).index(name)
            vectors.append(_of_pair(bundle, photo * model.by_task[name].product, place))
            offsets.append(float(own[number, place] + model.by_task[name].offset[0]))
    if len(vectors) == 1:
        return [Way("pair", vectors[0], lambda found: expit(found + offsets[0]))]
    return [Way("pair", vector) for vector in [*vectors, np.sum(vectors, axis=0)]]


def _agreement_ways(bundle: Bundle, photos: Features, plan: Plan) -> list[Way]:
    """The probability that labels agree is an inner product, unless type and color have different weights."""
    return [
        Way("codes", vector, _as_it_is if is_exact else None) for vector, is_exact in _agreement(bundle, photos, plan)
    ]


def _default_ways(bundle: Bundle, photos: Features, plan: Plan) -> list[Way]:
    """By agreement and, among equals, likeness; and by likeness alone, for the very garment."""
    assert bundle.models.likeness is not None
    likeness = bundle.models.likeness.codes(photos)
    mean = _of_codes(bundle, likeness=likeness.mean(axis=0))
    weight = LIKENESS_WEIGHT * (1 if len(_names(plan.task)) == 1 else 2)
    by_labels = [Way("codes", vector + weight * mean) for vector, _ in _agreement(bundle, photos, plan)]
    return [*by_labels, *(Way("codes", _of_codes(bundle, likeness=one)) for one in likeness)]


def _other_ways(bundle: Bundle, photos: Features, plan: Plan) -> list[Way]:
    """For methods that no inner product comes near to, as the forest: by what the others find."""
    found = _cosine_ways(bundle, photos, plan)
    if _regression(bundle) is not None:
        found += _regression_ways(bundle, photos, plan)
    if bundle.attributes is not None:
        found += _agreement_ways(bundle, photos, plan)
    return [Way(way.field, way.vector) for way in found]


_METHODS: dict[str, Callable[[Bundle, Features, Plan], list[Way]]] = {
    "agreement_and_likeness": _default_ways,
    "attribute_agreement": _agreement_ways,
    "cosine": _cosine_ways,
    "inverse_euclidean": _euclidean_ways,
    "logistic_regression": _regression_ways,
}


def _as_it_is(found: np.ndarray) -> np.ndarray:
    return found


def _inverse_distance(found: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.sqrt(np.maximum(found, 0)))


def _reversed(way: Way) -> Way:
    """Finds the least similar: the scores that it gives are those of what was found, negated."""
    score = way.score
    return Way(way.field, -way.vector, None if score is None else lambda found: -score(-found))


def _agreement(bundle: Bundle, photos: Features, plan: Plan) -> list[tuple[np.ndarray, bool]]:
    """Vectors whose inner products with codes are, or come near to, the probability that labels agree."""
    attributes, task, weight = bundle.attributes, plan.task, plan.weight
    assert attributes is not None
    posteriors = attributes.posteriors(photos)
    parts = {label: posteriors[label].mean(axis=0) for label in LABELS}
    both = np.einsum("qp,qr->pr", posteriors["type"], posteriors["color"]).ravel() / len(photos)
    if task.is_blind:
        return [(_of_codes(bundle, type=parts["type"] / 2, color=parts["color"] / 2), True)]
    if len(task.labels) == 1:
        (label,) = task.labels
        return [(_of_codes(bundle, **{label: parts[label]}), True)]
    if weight == EVEN_WEIGHT:
        return [(_of_codes(bundle, both=both), True)]
    # Near to the product, by the first terms of its logarithm.
    mixed = _of_codes(bundle, type=(1 - weight) * parts["type"], color=weight * parts["color"])
    return [(_of_codes(bundle, both=both), False), (mixed, False)]


def _agreement_codes(bundle: Bundle, features: Features) -> np.ndarray:
    """(n, p + r + p r): probabilities of types, of colors, and their products."""
    assert bundle.attributes is not None
    types, colors = (bundle.attributes.posteriors(features)[label] for label in LABELS)
    both = (types[:, :, None] * colors[:, None]).reshape(len(types), -1)
    return np.hstack([types, colors, both])


def _of_codes(bundle: Bundle, **parts: np.ndarray) -> np.ndarray:
    """A vector for the field `codes`: parts named type, color, both, likeness and shares, 0 elsewhere."""
    sizes: dict[str, int] = {}
    if bundle.attributes is not None:
        p, r = (len(bundle.attributes.classes(label)) for label in LABELS)
        sizes |= {"type": p, "color": r, "both": p * r}
    if bundle.models.likeness is not None:
        sizes["likeness"] = bundle.models.likeness.projection.shape[1]
    sizes["shares"] = BINS
    return np.concatenate([np.asarray(parts.get(name, np.zeros(size)), np.float32) for name, size in sizes.items()])


def _of_pair(bundle: Bundle, direction: np.ndarray, task: int | None = None) -> np.ndarray:
    """A vector for the field `pair`, which counts what photos add for the task of this number."""
    regression = _regression(bundle)
    alone = np.zeros(0 if regression is None else len(regression.by_task), np.float32)
    if task is not None:
        alone[task] = 1
    return np.concatenate([direction.astype(np.float32), alone])


def _regression(bundle: Bundle) -> PairRegression | None:
    model = bundle.models.of(SIMILARITIES["logistic_regression"])
    return model if isinstance(model, PairRegression) else None


def _names(task: Task) -> list[str]:
    """The models on pairs that a task takes."""
    return [task.name] if task.is_blind else list(task.labels)


def _made_for(bundle: Bundle) -> str:
    """What tells the models of a bundle from others."""
    digest = hashlib.sha256(f"1 {bundle.manifest.backbone.fingerprint}".encode())
    models = bundle.models
    for part in (models.attributes, models.likeness, _regression(bundle), bundle.familiarity):
        if part is not None:
            flat = flatten(part)
            digest.update(json.dumps(flat.json, sort_keys=True, default=str).encode())
            for place, array in sorted(flat.arrays.items()):
                digest.update(place.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _packed(features: Features, row: int) -> bytes:
    return b"".join(getattr(features, part.name)[row].astype(np.float16).tobytes() for part in fields(Features))


def _pieces(text: str) -> list[str]:
    return [text[start : start + TEXT] for start in range(0, len(text), TEXT)]


def _draw(id: str) -> int:
    return int.from_bytes(hashlib.sha256(id.encode(errors="surrogatepass")).digest()[:4], "big")


# --- expressions of Milvus ---


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _is(column: str, value: str) -> str:
    return f"{column} == {_quoted(value)}"


def _one_of(column: str, values: Sequence[str]) -> str:
    return f"{column} in [{', '.join(map(_quoted, values))}]" if values else ""


def _shown_as(types: Sequence[str], colors: Sequence[str]) -> str:
    return _all_of(_one_of("shown_type", types), _one_of("shown_color", colors))


def _all_of(*expressions: str) -> str:
    given = [expression for expression in expressions if expression]
    return given[0] if len(given) == 1 else " and ".join(f"({expression})" for expression in given)


_PHOTOS = f"split != {_quoted(ABOUT)}"

# --- Milvus ---


def _connect(uri: str) -> Any:  # noqa: ANN401 - of a package that may be missing
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise CbirError(
            "an index in Milvus needs more packages: run 'pip install -r requirements-scale.txt'"
        ) from error
    for name in ("pymilvus", "grpc._server"):  # what goes wrong is told once, and milvus-lite lacks a call or two
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _errors(PREFIX + uri):
        return MilvusClient(uri=uri, token=os.environ.get("MILVUS_TOKEN", ""))


@contextmanager
def _errors(address: str) -> Iterator[None]:
    """Tells in one line what Milvus cannot do."""
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        log.error("%s: %s", address, " ".join(str(error.message).split()))  # visitors need not know where it is
        raise CbirError("Milvus does not answer as expected: the log says why; start it, or try again") from error
