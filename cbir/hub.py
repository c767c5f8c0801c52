"""The Hugging Face Hub: repository names, what its cache holds, and downloads that fail quickly and clearly.

The Hub's client retries a dead connection for 20 seconds and more, so one short question goes first. A revision that is
a full commit hash cannot change: what the cache holds of it is never asked about again.
"""

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from cbir.errors import HubError, HubUnreachableError
from cbir.files import reason

TIMEOUT = 5.0  # seconds to wait for the Hub's first answer
T = TypeVar("T")


def parse_repo(source: str) -> tuple[str, str | None] | None:
    """Splits `user/repo[@revision]` into repository and revision; None where the text is no such name."""
    match = re.fullmatch(r"([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?", source)
    return (match[1], match[2]) if match else None


def is_commit(revision: str | None) -> bool:
    """Whether a revision is a full commit hash."""
    return revision is not None and re.fullmatch(r"[0-9a-f]{40}", revision) is not None


def endpoint() -> str:
    """Address of the Hub, as `HF_ENDPOINT` sets it."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def saved_token() -> str | None:
    """The token that the Hub is asked with; None where nobody logged in.

    Raises:
        HubError: it is kept in a file that cannot be read, or is none.
    """
    from huggingface_hub import constants, get_token

    try:
        token = get_token()
    except OSError as error:
        raise HubError(
            f"cannot read the token in {constants.HF_TOKEN_PATH} ({reason(error)}): set HF_HOME to a folder of yours, "
            "or HF_TOKEN_PATH to a file"
        ) from None
    if token and not re.fullmatch(r"[!-~]+", token):
        raise HubError("expected a token of letters, digits and _ (HF_TOKEN, or `hf auth login`): copy it again")
    return token


def check_reachable() -> None:
    """Asks the Hub one short question.

    Raises:
        HubUnreachableError: it did not answer within `TIMEOUT` seconds.
        HubError: the token cannot be read.
    """
    from huggingface_hub.utils import get_session

    saved_token()
    try:
        get_session().head(endpoint(), timeout=TIMEOUT)
    except Exception as error:  # whatever HTTP library the client happens to use
        raise HubUnreachableError(
            "the Hub ({address}) cannot be reached ({reason})", address=endpoint(), reason=type(error).__name__
        ) from None


def cached_file(repo: str, name: str, revision: str | None = None) -> Path | None:
    """A file of a model repository in the Hub's cache, or None."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, name, revision=revision)
    return Path(found) if isinstance(found, str) else None


def download(repo: str, names: Sequence[str], revision: str | None = None, kind: str = "model") -> list[Path]:
    """Downloads files of a repository into the Hub's cache, with progress bars; cached ones are not repeated.

    Args:
        repo: `user/repo`.
        names: of the files.
        revision: branch, tag or commit; None for the newest.
        kind: "model", "dataset" or "space".

    Raises:
        HubUnreachableError: no answer, or the connection was lost.
        HubError: the Hub refused.
    """
    from huggingface_hub import hf_hub_download

    check_reachable()
    shown = f"{repo}@{revision}" if revision else repo

    def one(name: str) -> Path:
        return Path(hf_hub_download(repo, name, revision=revision, repo_type=kind))

    return [translate_errors(functools.partial(one, name), shown) for name in names]


def repo_info(repo: str, revision: str | None = None, kind: str = "model") -> Any:  # noqa: ANN401 - one class a kind
    """What the Hub tells about a repository: its commit `sha`, whether it is `private`, its `card_data`.

    Raises:
        HubUnreachableError: no answer.
        HubError: the Hub refuses.
    """
    from huggingface_hub import HfApi

    check_reachable()
    shown = f"{repo}@{revision}" if revision else repo
    api = HfApi(endpoint=endpoint())
    return translate_errors(lambda: api.repo_info(repo, revision=revision, repo_type=kind), shown)


def translate_errors(call: Callable[[], T], repo: str) -> T:
    """Runs a call of the Hub's client, turning its many errors into ours.

    Raises:
        HubUnreachableError: no answer, or the connection was lost.
        HubError: the Hub refused; the message says why and what to do.
    """
    import httpx2
    from huggingface_hub import errors

    try:
        return call()
    except errors.GatedRepoError:
        raise HubError(f"{repo} is gated: ask for access on its page, then log in with `hf auth login`") from None
    except errors.RepositoryNotFoundError:
        raise HubError(
            f"{repo} not found on the Hub, or private: check the name, or log in with `hf auth login` or HF_TOKEN"
        ) from None
    except errors.RevisionNotFoundError:
        raise HubError(f"{repo}: no such revision on the Hub: give a branch, tag or commit of the repository") from None
    except errors.RemoteEntryNotFoundError as error:
        raise HubError(f"{repo} lacks a file that was asked for: {_first_line(error)}") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        hint = {
            401: "log in with `hf auth login` or HF_TOKEN",
            402: "it needs a paid plan or prepaid credits; a free account may have two Gradio Spaces on ZeroGPU "
            "(train.space --hardware zero-gpu)",
            403: "the token or the account lacks the right: take a token with write access; a free account may have "
            "two Gradio Spaces, on ZeroGPU",
            409: "somebody else changed the repository meanwhile: try again",
            412: "somebody else changed the repository meanwhile: try again",
            429: "too many requests: wait some minutes",
        }.get(status, "try again later")
        raise HubError(f"the Hub answered {status} for {repo}: {hint}") from None
    except RuntimeError as error:  # around whatever went wrong with a large file
        if error.__cause__ is None:
            raise
        return translate_errors(functools.partial(_raise, error.__cause__), repo)
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, httpx2.HTTPError, OSError) as error:
        raise HubUnreachableError(
            "the connection to the Hub was lost at {repo} ({reason})", repo=repo, reason=type(error).__name__
        ) from None


def _raise(error: BaseException) -> NoReturn:
    raise error


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
