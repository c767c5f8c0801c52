"""What a call, a client and the whole service may take: every limit of the app, in one place.

What a photo may take is in `cbir.images`, what fetching one may take in `cbir.ui.fetch`. `SECURITY.md` lists them.
"""

# One call.
MAX_PHOTOS = 64  # photos of one call; they are read one after another
MAX_IDS = 64  # items of the gallery to search with at once
MAX_K = 1000  # results
MAX_NAMES = 100  # names in any other list
MAX_TEXT = 2000  # characters of any text; addresses are the longest
MAX_SEED = 2**53 - 1  # what JavaScript holds exactly
