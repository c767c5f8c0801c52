"""To the Hub: uploads, datasets and cards."""
