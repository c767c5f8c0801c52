"""The version of the software: what `python -m cbir --version`, the page and bundles show."""

__version__ = "1.0.0"
