"""The embedded default: a drawn catalogue and the script that draws it."""
