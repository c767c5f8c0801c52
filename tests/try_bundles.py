"""Changes bundles at random and loads what comes of them, in processes that may end: the bundle may be a stranger's.

    python -m tests.try_bundles --n 5000 [--seed 1] [--bundle DIR] [--write]

Every mutant is refused by one line of a `BundleError`, or else works: each method ranks, and the page, its report and
the files that it saves can be made. Hashes in the manifest are put right after a change, except where flips are tried.
--write puts the table into docs/reliability.md.
"""

import argparse
import contextlib
import copy
import faulthandler
import functools
import json
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

MAX_SECONDS = 20.0  # for one mutant, on a machine that does other things too
GRACE_MB = 2000  # on top of what the process has
ROOT = Path(__file__).resolve().parent.parent
REPORT_SECTION = "bundles"

Files = dict[str, bytes]
Change = Callable[[Files, np.random.Generator], None]

# What values of JSON are replaced by.
STRANGE: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.5, 1e308, 1e-308, 10**12, 2**63, -(10**30)),
    *(
        float("nan"),
        float("inf"),
        "",
        "x",
        "../../x",
        "/etc/passwd",
        "a\0b",
        "\ud800",
        "<script>",
        "{0}",
        "%s",
        "x" * 20_000,
    ),
    *([], {}, [[]], [None], [1, "x"], {"x": {}}, [0] * 3, {"": 0}, "nan", "1"),
]


# --- JSON ---


def places(value: Any, above: tuple = ()) -> list[tuple]:
    """Every place in a value of JSON, as the keys that lead there."""
    if isinstance(value, dict):
        below = value.items()
    elif isinstance(value, list):
        below = enumerate(value)
    else:
        return [above]
    return [above, *(place for key, one in below for place in places(one, (*above, key)))]


def edit_json(value: Any, rng: np.random.Generator) -> Any:
    """The value with one change somewhere; places near the top are as likely as those deep inside."""
    value = copy.deepcopy(value)
    every = [place for place in places(value) if place]
    depth = rng.choice(sorted({len(place) for place in every}))
    chosen = [place for place in every if len(place) == depth]
    *above, last = chosen[rng.integers(len(chosen))]
    parent = value
    for key in above:
        parent = parent[key]
    match rng.integers(8):
        case 0:
            del parent[last]
        case 1 if isinstance(parent, dict):
            parent[str(STRANGE[rng.integers(len(STRANGE))])] = parent.pop(last)
        case 2 if isinstance(parent, dict):
            parent["more"] = parent[last]
        case 1 | 2:
            parent.append(parent[last])
        case 3:
            other = chosen[rng.integers(len(chosen))]
            there = value
            for key in other:
                there = there[key]
            parent[last] = copy.deepcopy(there)
        case 4:
            deep: Any = {}
            for _ in range(int(rng.choice([5, 600, 100_000]))):
                deep = [deep]
            parent[last] = deep
        case _:
            parent[last] = STRANGE[rng.integers(len(STRANGE))]
    return value


def dumped(value: Any) -> bytes:
    """JSON of what may be too deep for the library."""
    text, deep = [], 0
    while isinstance(value, list) and len(value) == 1:
        value, deep = value[0], deep + 1
    text = json.dumps(value)
    return ("[" * deep + text + "]" * deep).encode("utf-8", "surrogatepass")


def json_bytes(value: Any) -> bytes:
    """The same, wherever the deep part stands."""
    try:
        return json.dumps(value).encode()
    except RecursionError:
        marked: list[bytes] = []

        def without(part: Any) -> Any:
            depth, inner = 0, part
            while isinstance(inner, list) and len(inner) == 1:
                inner, depth = inner[0], depth + 1
            if depth > 300:
                marked.append(dumped(part))
                return f"deep-{len(marked) - 1}"
            if isinstance(part, dict):
                return {key: without(one) for key, one in part.items()}
            return [without(one) for one in part] if isinstance(part, list) else part

        text = json.dumps(without(value)).encode()
        for number, deep in enumerate(marked):
            text = text.replace(b'"deep-%d"' % number, deep)
        return text


def edit_manifest(files: Files, rng: np.random.Generator) -> None:
    files["manifest.json"] = json_bytes(edit_json(json.loads(files["manifest.json"]), rng))


def edit_report(files: Files, rng: np.random.Generator) -> None:
    files["report.json"] = json_bytes(edit_json(json.loads(files["report.json"]), rng))


def break_text(files: Files, rng: np.random.Generator) -> None:
    """Text that is no JSON, or not in UTF-8."""
    name = str(rng.choice(["manifest.json", "report.json"]))
    data = files[name]
    at = int(rng.integers(len(data)))
    files[name] = [
        data[:at],
        data[:at] + b"\xff" + data[at:],
        b"\xef\xbb\xbf" + data,
        data.decode().encode("utf-16"),
        b"[" * 200_000,
        b"",
        b"null",
        data + data,
        data.replace(b"0.", b"1e999", 1),
        data.replace(b": 0", b": NaN", 1).replace(b":0", b":Infinity", 1),
    ][rng.integers(10)]


# --- arrays ---


def edit_arrays(files: Files, rng: np.random.Generator) -> None:
    from safetensors.numpy import load, save

    name = str(rng.choice(["models.safetensors", "models.safetensors", "features.safetensors"]))
    if rng.integers(8) == 0:
        return edit_header(files, name, rng)
    arrays = load(files[name])
    key = list(arrays)[rng.integers(len(arrays))]
    array = arrays[key]
    at = tuple(int(rng.integers(side)) for side in array.shape) if array.size else ()
    match rng.integers(16):
        case 0:
            del arrays[key]
        case 1:
            arrays[f"{key}/more"] = array
        case 2:
            arrays[str(rng.choice(["x", "../x", "", "attributes", "é"]))] = arrays.pop(key)
        case 3:
            kind = rng.choice(["int8", "int64", "bool", "float64", "float16", "float32", "uint16", "complex64"])
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                arrays[key] = array.astype(str(kind))
        case 4:
            arrays[key] = array.reshape(-1)
        case 5:
            arrays[key] = np.ascontiguousarray(array.T)
        case 6:
            arrays[key] = array[None]
        case 7:
            arrays[key] = array[:-1]
        case 8:
            arrays[key] = np.concatenate([array, array])
        case 9:
            arrays[key] = array[..., :-1].copy() if array.ndim else array
        case 10:
            arrays[key] = np.zeros([(0,), (0, 0), (1,), (1, 1), (2, 0, 3)][rng.integers(5)], array.dtype)
        case 11:
            other = arrays[list(arrays)[rng.integers(len(arrays))]]
            arrays[key] = other.copy()
        case 12:
            arrays[key] = array * 0
        case 13:
            changed = array.copy()
            changed[at] = [np.nan, np.inf, -np.inf][rng.integers(3)]
            arrays[key] = changed
        case 14:
            changed = array.copy()
            changed[...] = np.finfo(array.dtype).max * [1, -1][rng.integers(2)]
            arrays[key] = changed
        case 15:
            changed = array.copy()
            changed[at] = [0, -1, 1e-30, 6e4][rng.integers(4)]
            arrays[key] = changed
    files[name] = save(arrays)


def edit_header(files: Files, name: str, rng: np.random.Generator) -> None:
    """A change of what safetensors says of its arrays."""
    (length,) = struct.unpack("<Q", files[name][:8])
    header = json.loads(files[name][8 : 8 + length])
    for one in header.values():
        if rng.integers(4) == 0 and "dtype" in one:
            one["dtype"] = str(rng.choice(["F64", "BF16", "I8", "F8_E4M3", "BOOL", "C64", "X"]))
    text = json.dumps(edit_json(header, rng)).encode() if rng.integers(2) else json.dumps(header).encode()
    length = [len(text), 2**63, 0, len(text) + 1][rng.integers(4)]
    files[name] = struct.pack("<Q", length) + text + files[name][8 + struct.unpack("<Q", files[name][:8])[0] :]


# --- gallery ---


def edit_gallery(files: Files, rng: np.random.Generator) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(files["gallery.parquet"]))
    n, name = len(table), table.column_names[rng.integers(table.num_columns)]
    at = table.column_names.index(name)
    values, options = table[name].to_pylist(), {}
    row = int(rng.integers(n))

    def with_column(column: list, kind: Any = None) -> Any:
        return table.set_column(at, name, pa.array(column, kind or table.schema.field(name).type))

    match rng.integers(18):
        case 0:
            table = table.drop_columns([name])
        case 1:
            table = table.rename_columns([f"{one}s" if one == name else one for one in table.column_names])
        case 2:
            table = table.append_column("more", table[name])
        case 3:
            table = with_column([*values[:row], None, *values[row + 1 :]])
        case 4:
            table = with_column(list(range(n)), [pa.int64(), pa.float64()][rng.integers(2)])
        case 5:
            table = with_column([[value] for value in values], pa.list_(table.schema.field(name).type))
        case 6:
            table = table.slice(0, n - 1)
        case 7:
            table = pa.concat_tables([table, table])
        case 8:
            table = table.slice(0, 0)
        case 9:
            strange = ["", "x", "\0", "<script>", "a\nb", "x" * 100_000, "é" * 300, "../x", "test "][rng.integers(9)]
            value = strange.encode() if name == "thumbnail" else strange
            table = with_column([*values[:row], value, *values[row + 1 :]])
        case 10:
            table = with_column([values[0]] * n)
        case 11:
            name, at = "thumbnail", table.num_columns - 1
            jpeg = [b"", b"GIF89a", b"\xff\xd8\xff" + bytes(2**22), b"\xff\xd8\xff", b"<svg onload='x'>"]
            table = with_column([jpeg[rng.integers(5)]] * n)
        case 12:
            options = {"compression": str(rng.choice(["gzip", "zstd", "brotli", "lz4", "none"]))}
        case 13:
            options = {"row_group_size": 7}
        case 14:
            options = {"use_dictionary": False}
        case 15:
            table = table.set_column(at, name, table[name].dictionary_encode())
        case 16:
            table = table.cast(pa.schema([pa.field(f.name, pa.large_binary()) for f in table.schema]))
        case 17:
            table = table.take(rng.permutation(n))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    files["gallery.parquet"] = sink.getvalue().to_pybytes()


# --- graphs ---


def edit_graph(files: Files, rng: np.random.Generator) -> None:
    names = [name for name in files if name.endswith(".onnx")]
    name = names[rng.integers(len(names))]
    other = names[rng.integers(len(names))]
    match rng.integers(6):
        case 0:
            files[name] = files[other]
        case 1:
            files[name] = [loop(10**12), b"", files["report.json"], files["models.safetensors"]][rng.integers(4)]
        case 2:
            files[name] = flipped(files[name], rng)
        case _:
            files[name] = edit_onnx(files[name], rng)


def edit_onnx(data: bytes, rng: np.random.Generator) -> bytes:
    """A change of what a graph says."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(data)
    graph = model.graph
    node = graph.node[rng.integers(len(graph.node))]
    attribute = node.attribute[rng.integers(len(node.attribute))] if node.attribute else None
    big = [0, 1, -1, 2, 7, 1000, 10**6, 2**31, 2**40, -(2**62)]
    match rng.integers(16):
        case 0:
            operators = [
                "Loop",
                "If",
                "Scan",
                "Expand",
                "Tile",
                "Resize",
                "ConstantOfShape",
                "Range",
                "Relu",
                "Identity",
            ]
            node.op_type = str(rng.choice(operators))
        case 1:
            node.domain = str(rng.choice(["com.microsoft", "ai.onnx", "x", "ai.onnx.ml"]))
        case 2 if attribute is not None:
            del node.attribute[list(node.attribute).index(attribute)]
        case 3:
            node.attribute.append(helper.make_attribute("more", 1))
        case 4:
            node.attribute.append(helper.make_attribute("body", graph))
        case 5 | 6 | 7 | 8 if attribute is not None:
            value = big[rng.integers(len(big))]
            if attribute.ints:
                for _ in range(rng.integers(1, 4)):
                    attribute.ints[rng.integers(len(attribute.ints))] = value
            elif attribute.floats:
                attribute.floats[rng.integers(len(attribute.floats))] = [np.nan, np.inf, 1e38, -1.0][rng.integers(4)]
            elif attribute.strings:
                attribute.strings[rng.integers(len(attribute.strings))] = [b"LEAF", b"BRANCH_LEQ", b"x"][
                    rng.integers(3)
                ]
            else:
                attribute.i = value
        case 9 if attribute is not None and attribute.ints:
            del attribute.ints[-1]
        case 10:
            side = [graph.input, graph.output][rng.integers(2)]
            dims = side[rng.integers(len(side))].type.tensor_type.shape.dim
            if dims:
                dims[rng.integers(len(dims))].dim_value = max(big[rng.integers(len(big))], 0)
        case 11:
            value = [graph.input, graph.output][rng.integers(2)]
            value[rng.integers(len(value))].name = str(rng.choice(["X", "x", "", "probabilities", "features"]))
        case 12 if graph.initializer:
            tensor = graph.initializer[rng.integers(len(graph.initializer))]
            array = numpy_helper.to_array(tensor).copy()
            if rng.integers(2) and array.size:
                array.reshape(-1)[rng.integers(array.size)] = (
                    [np.nan, 0, -1, 1e30][rng.integers(4)] if array.dtype.kind == "f" else [0, 1, 127][rng.integers(3)]
                )
            else:
                array = array.reshape(-1)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        case 13:
            tensor = TensorProto(name="outside", data_type=1, dims=[2**20], data_location=TensorProto.EXTERNAL)
            tensor.external_data.add(key="location", value="/etc/passwd")
            graph.initializer.append(tensor)
        case 14:
            graph.node.append(node)
        case _:
            which = [node.input, node.output][rng.integers(2)]
            if which:
                which[rng.integers(len(which))] = str(rng.choice(["", "x", *list(node.output), *list(node.input)]))
    return model.SerializeToString()


@functools.cache
def loop(times: int) -> bytes:
    """A graph that goes round and round."""
    from onnx import TensorProto, helper

    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Identity", ["kept"], ["keep"]),
        ],
        "body",
        [helper.make_tensor_value_info(name, kind, []) for name, kind in (("i", 7), ("go", 9), ("kept", 1))],
        [helper.make_tensor_value_info(name, kind, []) for name, kind in (("go_on", 9), ("keep", 1))],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Loop", ["times", "", "zero"], ["end"], body=body),
            helper.make_node("Identity", ["X"], ["probabilities"]),
        ],
        "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n", 24])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 24])],
        [helper.make_tensor("times", 7, [], [times]), helper.make_tensor("zero", 1, [], [0.0])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


# --- bytes ---


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def edit_bytes(files: Files, rng: np.random.Generator) -> None:
    """A change of any file that keeps its hash."""
    name = list(files)[rng.integers(len(files))]
    data = files[name]
    at, length = int(rng.integers(len(data))), int(2 ** (rng.random() * 12))
    files[name] = [
        flipped(data, rng),
        data[:at],
        data[:at] + data[at + length :],
        data[:at] + bytes(rng.bytes(length)) + data[at:],
        data[:at] + data[:length] + data[at + length :],
    ][rng.integers(5)]


def sealed(files: Files, changed: Files) -> Files:
    """The files with what the manifest says of them put right, as far as it still says so."""
    import hashlib

    with contextlib.suppress(ValueError, RecursionError, TypeError, AttributeError, KeyError):
        manifest = json.loads(changed["manifest.json"])
        for name, data in changed.items():
            if data is not files.get(name) and name in manifest["files"]:
                manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        if any(data is not files.get(name) for name, data in changed.items() if name != "manifest.json"):
            return {**changed, "manifest.json": json.dumps(manifest).encode()}
    return changed


CHANGES: dict[str, Change] = {
    "values of the manifest": edit_manifest,
    "values of the report": edit_report,
    "text of manifest and report": break_text,
    "arrays": edit_arrays,
    "gallery": edit_gallery,
    "graphs": edit_graph,
    "bytes of any file": edit_bytes,
    "flipped bits, hashes left": lambda files, rng: None,
}


def mutant(files: Files, seed: int, number: int) -> tuple[str, Files]:
    """What kind of change it is, and the files of the changed bundle."""
    rng = np.random.default_rng([seed, number])
    kind = list(CHANGES)[number % len(CHANGES)]
    changed = dict(files)
    if kind == "flipped bits, hashes left":
        name = [name for name in files if name != "manifest.json"][rng.integers(len(files) - 1)]
        return kind, {**changed, name: flipped(files[name], rng)}
    CHANGES[kind](changed, rng)
    return kind, sealed(files, changed)


# --- trying ---


def outcome(folder: Path) -> str:
    """ "refused" by one line, or "works".

    Raises:
        AssertionError, or whatever else goes wrong: it does neither.
    """
    from cbir.bundle import load_bundle
    from cbir.errors import BundleError

    try:
        use(load_bundle(folder))
    except BundleError as error:
        if "\n" in str(error) or len(str(error)) > 2000:
            raise AssertionError(str(error)) from error
        return "refused"
    return "works"


def use(bundle: Any) -> None:
    """Everything that the app does with a bundle and its own photos."""
    from cbir.compare import compare
    from cbir.export import to_csv, to_json
    from cbir.search import Retriever, SearchOptions
    from cbir.ui import report, views
    from cbir.ui.texts import Words

    retriever = Retriever(bundle)
    gallery = bundle.gallery
    id = str(gallery.ids[0])
    thumbnails = SimpleNamespace(url=lambda id: f"pictures/{gallery.row(id)}", fetch=lambda ids: None)
    for method in retriever.methods:
        result = retriever.search_by_id(id, SearchOptions(method=method.name, k=5))
        assert len(result.matches) == min(5, len(gallery) - 1), method.name
        json.loads(to_json(result, bundle, id), parse_constant=lambda name: 1 / 0)
        to_csv(result, bundle, id)
    retriever.facets()
    query = retriever.query([], ids=[id])
    compare(retriever, query, SearchOptions(k=3))
    for words in (Words("en"), Words("pt")):
        html = (
            report.page(bundle, thumbnails, words)
            + views.foot(bundle, retriever.index, words)
            + views.notices(bundle, words)
        )
        html += views.captions(result, words)[0]
        html.encode()
    if bundle.map is not None:
        places_ = bundle.map.positions(gallery.features, bundle.attributes)
        views.collection_map(gallery, len(gallery), places_, None, [0], thumbnails, Words("en")).encode()


def child(folder: Path, n: int, seed: int, first: int) -> None:
    """Loads mutants one after the other; the number of each is printed before."""
    warnings.simplefilter("ignore")
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    outcome(folder)  # imports everything
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit, most = used + GRACE_MB * 2**20, resource.getrlimit(resource.RLIMIT_AS)[1]
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        for number in range(first, first + n):
            print(number, flush=True)
            kind, changed = mutant(files, seed, number)
            target = Path(place) / "bundle"
            target.mkdir(exist_ok=True)
            for name, data in changed.items():
                (target / name).write_bytes(data)
            faulthandler.dump_traceback_later(4 * MAX_SECONDS, exit=True)
            start = time.perf_counter()
            resource.setrlimit(resource.RLIMIT_AS, (limit, most))
            answer = outcome(target)
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            faulthandler.cancel_dump_traceback_later()
            assert time.perf_counter() - start < MAX_SECONDS, f"{kind}: took {time.perf_counter() - start:.1f} s"
            assert answer == "refused" or kind != "flipped bits, hashes left", "a flipped bit was not found"
            counts[f"{kind}|{answer}"] += 1
            shutil.rmtree(target)
    print(json.dumps(counts))


def try_bundles(folder: Path, n: int, seed: int = 0, first: int = 0) -> Counter[str]:
    """Loads n mutants in processes of their own -> how many of each kind were refused, work, or failed.

    A mutant that ends its process, or does neither, is printed and counted as failed.
    """
    counts: Counter[str] = Counter()
    end = first + n
    while first < end:
        options = {"folder": folder, "n": end - first, "seed": seed, "first": first}
        command = [sys.executable, "-m", "tests.try_bundles", "--child", *(f"--{k}={v}" for k, v in options.items())]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        *_, last = done.stdout.splitlines() or [""]
        if done.returncode == 0:
            counts.update(json.loads(last))
            break
        assert last.isdigit(), done.stderr[-3000:]
        failed = int(last)
        print(f"seed {seed}, mutant {failed} ended with {done.returncode}: {done.stderr[-1500:]}", flush=True)
        counts[f"{list(CHANGES)[failed % len(CHANGES)]}|failed"] += 1
        if failed > first:
            counts.update(try_bundles(folder, failed - first, seed, first))
        first = failed + 1
    return counts


def table(counts: Counter[str], source: str) -> str:
    """The counts in Markdown."""
    lines = [f"| {source} | tried | refused in one line | work | failed |", "|---|--:|--:|--:|--:|"]
    for kind in CHANGES:
        row = [counts[f"{kind}|{answer}"] for answer in ("refused", "works", "failed")]
        lines.append(f"| {kind} | {sum(row):,} | {' | '.join(f'{n:,}' for n in row)} |")
    return "\n".join(lines)


def main() -> None:
    """Tries bundles from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", "--folder", dest="folder", type=Path, default=ROOT / "samples" / "bundle")
    parser.add_argument("--n", type=int, default=4_000, help="mutants to load (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args.folder, args.n, args.seed, args.first)
    text = table(try_bundles(args.folder, args.n, args.seed, args.first), "changes of a bundle")
    print(text)
    if args.write:
        from train.cli import write_section

        write_section(ROOT / "docs" / "reliability.md", REPORT_SECTION, text)


if __name__ == "__main__":
    main()
