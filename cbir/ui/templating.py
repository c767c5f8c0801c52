"""HTML from the files in `templates/`: whatever is filled in is escaped, whatever is missing is an error."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(name: str, **values: object) -> str:
    """Fills the template of that file name in `templates/`."""
    return _ENVIRONMENT.get_template(name).render(**values)
