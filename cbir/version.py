"""The versions of the software and of its endpoints. `CITATION.cff` and `CHANGELOG.md` name the first one as well."""

__version__ = "1.0.0"

# Of the endpoints: the first number changes when one goes, or what it takes or gives means something else; the second
# when there is more of either.
API_VERSION = "1.0"
