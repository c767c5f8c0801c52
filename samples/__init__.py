"""The embedded default: its bundle, and the code that draws its pictures and builds it."""

from pathlib import Path

CATALOGUE = Path(__file__).parent / "catalogue"  # where the drawings are written by default; not in git
