"""The embedded default: a drawn catalogue, the script that draws it, and the bundle built from it."""
