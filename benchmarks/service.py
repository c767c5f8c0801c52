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
        start, before = time.perf_counter() - begun, app.memory()
        table = speed(app, argparse.Namespace(bundle=bundle, seconds=seconds))
        after = app.memory()
    of = bundle or "the embedded default"
    rows = [
        ["until it answers, seconds", f"{start:.1f}"],
        ["memory after the start, MB", f"{before:,.0f}"],
        ["memory after the searches below, MB", f"{after:,.0f}"],
    ]
    figures: dict[str, object] = {"start": start, "MB": before, "MB after searches": after}
    return [
        Table(f"Start and memory of the app, {of}", ["what", "how much"], rows, figures),
        Table(f"Searches over HTTP, {of}", text=table),
    ]
