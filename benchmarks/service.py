"""What the app costs as a whole: when it answers, how much memory it takes, how many searches it does over HTTP."""

import argparse
import time

from benchmarks.app_process import AppProcess
from benchmarks.requests import speed
from benchmarks.timing import Table


def service(bundle: str | None, seconds: float) -> list[Table]:
    """Start and memory of the app; then searches over HTTP, see `benchmarks.requests`."""
    begun = time.perf_counter()
    with AppProcess(*(["--bundle", bundle] if bundle else [])) as app:
        start, before, own_before = time.perf_counter() - begun, app.memory(), app.own_memory()
        table = speed(app, argparse.Namespace(bundle=bundle, seconds=seconds))
        after, own_after = app.memory(), app.own_memory()
    of = bundle or "the embedded default"
    rows = [
        ["until it answers, seconds", f"{start:.1f}"],
        ["memory after the start, MB", f"{own_before:,.0f}"],
        ["... with pages of files that are in memory too, MB", f"{before:,.0f}"],
        ["memory after the searches below, MB", f"{own_after:,.0f}"],
        ["... with pages of files that are in memory too, MB", f"{after:,.0f}"],
    ]
    figures: dict[str, object] = {
        "start": start,
        "MB": own_before,
        "MB with files": before,
        "MB after searches": own_after,
        "MB with files after searches": after,
    }
    return [
        Table(f"Start and memory of the app, {of}", ["what", "how much"], rows, figures),
        Table(f"Searches over HTTP, {of}", text=table),
    ]
