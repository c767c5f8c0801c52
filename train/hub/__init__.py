"""To the Hub: uploads, data sets and cards."""
