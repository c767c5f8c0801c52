"""Speed, measured by hand."""
