"""Training: `python -m train.<step>`; each step's docstring is the command to type."""
