"""Publishes a bundle on the Hub, with a model card, in one commit.

    python -m train.publish --bundle BUNDLE --to user/repo [--license LICENSE] [--public] [--dry-run]

prints `user/repo@commit`, which is what the app takes as CBIR_BUNDLE. A new repository is private unless --public is
given; a public one shows small pictures of the photos, so their licence has to be stated. --dry-run lists what would
go, with bytes, and sends nothing.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from cbir.bundle import FORMAT, MANIFEST, bundle_files, load_bundle, manifest_with_licence
from cbir.starting import run_main
from train.hub.model_card import model_card
from train.hub.upload import CARD, Content, Upload, check_licence, owned_by_manifest, upload


def publish(
    folder: Path, repo: str, public: bool = False, dry_run: bool = False, licence: str | None = None
) -> str | None:
    """Publishes a bundle.

    Args:
        folder: of the bundle; it is loaded and checked first.
        repo: model repository, `user/repo`.
        public: whether a new repository is public.
        dry_run: print what would go, send nothing.
        licence: of the photos, as the Hub names it; None for what the bundle states.

    Returns:
        `user/repo@commit`; None after a dry run.

    Raises:
        BundleError: it is missing or damaged.
        HubError: nobody stated a licence for a public repository, it holds something else, or the Hub refuses.
        HubUnreachableError: it does not answer.
    """
    bundle = load_bundle(folder)
    files: dict[str, Content] = dict(bundle_files(folder))
    stated = bundle.manifest.dataset.licence
    if licence and licence != stated:
        dataset = replace(bundle.manifest.dataset, licence=licence)
        bundle = replace(bundle, manifest=replace(bundle.manifest, dataset=dataset))
        files[MANIFEST] = manifest_with_licence(folder, licence)
    check_licence(licence or stated, public)
    files[CARD] = model_card(bundle, repo).encode()
    what = Upload(repo, "model", files, owned_by_manifest(FORMAT), f"Bundle {bundle.manifest.title}", public)
    commit = upload(what, dry_run)
    return f"{repo}@{commit}" if commit else None


def print_published(published: str | None) -> None:
    """Prints where the bundle is and how to serve it."""
    if published:
        print(f"published {published}\nserve it with: CBIR_BUNDLE={published} python app.py")


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", required=True, type=Path, help="folder of the bundle")
    parser.add_argument("--to", required=True, metavar="user/repo", help="model repository on the Hub")
    parser.add_argument("--license", dest="licence", help="of the photos, as the Hub names it, e.g. cc-by-4.0")
    parser.add_argument("--public", action="store_true", help="make a new repository public")
    parser.add_argument("--dry-run", action="store_true", help="list what would go, send nothing")
    args = parser.parse_args(argv)
    print_published(publish(args.bundle, args.to, args.public, args.dry_run, args.licence))
    return 0


if __name__ == "__main__":
    run_main(main)
