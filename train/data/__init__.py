"""Photos and labels in: reading, embedding, near duplicates, splits and pairs."""
