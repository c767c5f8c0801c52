"""What a call, a client and the whole service may take: every limit of the app, in one place.

What a photo may take is in `cbir.images`, what fetching one may take in `cbir.ui.fetch`. `SECURITY.md` lists them.
"""

import os

# One call.
MAX_PHOTOS = 64  # photos of one call; they are read one after another
MAX_IDS = 64  # items of the gallery to search with at once
MAX_K = 1000  # results
MAX_BROWSED = 480  # pictures of the catalogue on the page
MAX_NAMES = 100  # names in any other list
MAX_TEXT = 2000  # characters of any text; addresses are the longest
MAX_ADDRESS = 20_000  # characters of what the page restores: an address, and the names of `MAX_PHOTOS` uploads
MAX_ID = 100  # characters of the name of a session
MAX_SEED = 2**53 - 1  # what JavaScript holds exactly

# All calls together.
THREADS = max(1, (os.cpu_count() or 2) // 2)  # that compute at the same time, beside the network and requests
BATCH = 8  # photos that go through the network together, and that are decoded and wait for it
PHOTOS_KEPT = 512  # whose features are kept: up to 20 kB each
RESULTS_KEPT, MAX_K_KEPT = 500, 60  # searches by id whose results are kept, and results of each: up to 1 kB each
CALLS = 256  # begun and not yet answered, or answered and not yet fetched
CALLS_HOLD = 128 * 2**20  # bytes that were sent with calls that are not answered
ADDRESSES_AT_ONCE, ADDRESSES_PER_CLIENT = 32, 2  # of photos that are being fetched

# Seconds that an answer is kept for a client that has not asked for it yet, or that has gone.
UNASKED_KEPT, LEFT_KEPT = 30.0, 10.0
PAGE_LINGERS = 30.0  # seconds that the stream of a page stays open after its last answer

# Requests.
MAX_BODY = 256 * 2**10  # bytes of JSON
MAX_UPLOAD = 25 * 2**20  # bytes of one file
MAX_UPLOADS = 100 * 2**20  # bytes of one request with files
MAX_BODY_WITH_PHOTO = 12 * 2**20  # bytes of JSON that may hold a photo as text: of 8 MB; while it is read, all wait
MAX_DEPTH, MAX_BRACKETS = 100, 10_000  # levels, and lists and objects, of the JSON of agents
LARGE_BODIES_AT_ONCE = 4  # that are arriving, one of each client
MAX_URL = 8 * 2**10  # characters
BODY_SECONDS = 60.0  # until all of a request has arrived
REQUESTS_AT_ONCE = 32  # that are being answered, streams not counted
WAITING_PER_CLIENT = 256  # requests that wait for that
UPLOADS_AT_ONCE, UPLOADS_PER_CLIENT = 32, 4  # that are arriving
STREAMS, STREAMS_PER_CLIENT = 2000, 256  # that are open
FILES = 8192  # and connections that the process may have open, where the system lets it
REFUSED_AFTER = 0.5  # seconds, so that whoever asks again and again asks less often

# Files of uploads.
UPLOADS_TOTAL = 2 * 2**30  # bytes
UPLOADS_NUMBER = 20_000
NAMES_PER_UPLOAD = 16  # under which the same content lies
UPLOADS_TRACKED = 1000  # of which the page may ask how far they are
UPLOADS_KEPT = 3 * 3600.0  # seconds
UPLOADS_LOOKED_AT = 60.0  # seconds between two looks
