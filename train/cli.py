"""How commands write into a file of somebody else."""

from pathlib import Path

from cbir.errors import CbirError
from cbir.files import replacing


def write_section(path: Path, name: str, text: str) -> None:
    """Replaces what stands between `<!-- name -->` and `<!-- /name -->` in a file.

    Raises:
        CbirError: the file has no such section.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    content = path.read_text(encoding="utf-8")
    before, opened, rest = content.partition(start)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise CbirError(
            f"expected {start} and {end} in {path}, got at most one of them: add them where the text should go"
        )
    with replacing(path) as new:
        new.write_text(f"{before}{start}\n{text.strip()}\n{end}{after}", encoding="utf-8")
