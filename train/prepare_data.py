"""Photos of clothes, wherever they are, as one `datasets` Dataset: the first step of training.

    python -m train.prepare_data --data apparel-images-dataset.zip --out data/apparel

writes `data/apparel` in the layout of `Dataset.save_to_disk` and prints how many photos each class has; with
`--push user/name` it goes to the Hugging Face Hub, private unless `--public` is given. The data may be

- a folder with the photos in folders named `<color>_<type>` (the Kaggle Apparel Images Dataset), `<type>` or `<color>`,
  also inside of each other; photos beside these folders have no labels;
- a folder with photos and a table, e.g. `metadata.csv`: file_name and, as far as known, color and type;
- a folder with photos only: no labels;
- a zip of any of these; one more folder around everything does no harm;
- a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote;
- the id of a dataset on the Hugging Face Hub.

Every photo becomes a row: `id` (unique; the path within the data), `image` (undecoded), `color` and `type`
("" = unknown). Rows are sorted by id.
"""

import argparse
from pathlib import Path

from cbir.starting import run_main
from train.data.dataset import check_is_new, class_table, counts, read, save
from train.hub.dataset import DatasetRepo, push_dataset
from train.hub.upload import check_access, check_licence


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m train.prepare_data", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="folder, zip or Hub dataset id (user/name)")
    parser.add_argument("--revision", help="branch, tag or commit of a Hub dataset")
    parser.add_argument("--out", type=Path, help="folder to create")
    parser.add_argument("--push", metavar="user/name", help="dataset repository on the Hub")
    parser.add_argument("--public", action="store_true", help="make a new repository public")
    parser.add_argument("--dry-run", action="store_true", help="list what --push would send, send nothing")
    parser.add_argument("--license", dest="licence", help="of the photos, as the Hub names it, e.g. cc-by-4.0")
    parser.add_argument("--test-share", type=float, default=0.2, help="of the pushed split (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the pushed split (default: %(default)s)")
    args = parser.parse_args(argv)
    if not args.out and not args.push:
        parser.error("give --out FOLDER, --push user/name, or both")
    if not 0 < args.test_share < 1:
        parser.error(f"expected a test share between 0 and 1, got {args.test_share}")
    # Before a long read, too.
    if args.out:
        check_is_new(args.out)
    if args.push and not args.dry_run:
        check_access(args.push)
    reading = read(args.data, args.revision)
    licence = args.licence or reading.licence
    if args.push:
        check_licence(licence, args.public)
    print(class_table(reading.dataset).to_string())
    n_unlabelled = counts(reading.dataset).get("", {}).get("", 0)
    n_left_out = sum(remark.count for remark in reading.left_out.values())
    print(f"photos: {len(reading.dataset)}; without label: {n_unlabelled}; left out: {n_left_out}")
    if args.out:
        save(reading.dataset, args.out)
        print(f"wrote {args.out}")
    if args.push:
        to = DatasetRepo(args.push, Path(args.data).stem, licence, args.test_share, args.seed, args.public)
        published = push_dataset(reading.dataset, to, args.dry_run)
        if published:
            print(f"published {published}")
    return 0


if __name__ == "__main__":
    run_main(main)
