"""Training: `python -m train.<step>`; each step's docstring is the command to type."""

import cbir  # noqa: F401 - first: Ctrl-C ends what is still being imported
