"""Entry of the Space and of `python app.py`: load one bundle, build the page, serve it.

    python app.py                      the embedded default, or what CBIR_BUNDLE names
    python app.py --bundle DIR         a bundle on this machine; also USER/REPO or USER/REPO@REVISION on the Hub
    python app.py --photos DIR         your own photos, indexed once, with the bundle's models; new and changed ones
                                       are read at each start, with --rescan also by a button and by /rescan

    python app.py --index milvus:URI   a collection in Milvus, by the bundle's models: see docs/scale.md

--weights FILE gives the backbone's weights where the bundle was trained with a local file.

Host and port come from --host and --port, else from GRADIO_SERVER_NAME and GRADIO_SERVER_PORT; the level of the log
comes from CBIR_LOG_LEVEL.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends what is still being imported

from cbir import starting
from cbir.errors import CbirError
from cbir.temporary import end, temporary_folder

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # no look-ups at outside hosts


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", metavar="DIR_OR_REPO", default=os.environ.get("CBIR_BUNDLE") or None)
    parser.add_argument("--photos", metavar="DIR", type=Path, help="search these photos instead: a folder or a zip")
    parser.add_argument("--index", metavar="milvus:URI", help="search this collection in Milvus instead")
    parser.add_argument("--rescan", action="store_true", help="let everyone who opens the page have DIR read again")
    parser.add_argument("--weights", metavar="FILE", type=Path, help="safetensors file of the bundle's backbone")
    parser.add_argument("--host", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, help="port to listen on (default: the first free one from 7860)")
    args = parser.parse_args(argv)
    if args.rescan and not args.photos:
        parser.error("--rescan needs --photos")
    if args.index and args.photos:
        parser.error("give --index or --photos: put the photos into the index by 'python -m cbir add'")
    return args


def import_all() -> None:
    """Imports what takes seconds to import, in the order that ZeroGPU needs."""
    from cbir.features.weights import import_timm
    from cbir.ui import zero_gpu

    zero_gpu.set_up()
    import_timm()


def main(argv: list[str] | None = None) -> int:
    """Serves until stopped; returns 2 when the user has to mend something first."""
    args = parse_args(argv)
    try:
        host, port = starting.address(args.host, args.port)
        starting.clean_environment()
        for note in starting.drop_settings_of_gradio():
            print(note, file=sys.stderr)
        starting.pass_proxies_by(host)
        starting.set_up_log()
        temporary_folder()
        with starting.leaving_on_interrupt(end):
            from cbir.bundle import load_bundle_backbone, open_bundle

            bundle = open_bundle(args.bundle, meanwhile=import_all)
            from cbir.editing import only_with
            from cbir.milvus import MilvusIndex
            from cbir.own_photos import OwnPhotos
            from cbir.search import Retriever
            from cbir.ui import build_demo, launch, log, zero_gpu

            backbone = load_bundle_backbone(bundle, args.weights)
            photos = OwnPhotos(args.photos, bundle, backbone) if args.photos else None
            if photos is not None:
                bundle = photos.bundle
            index = MilvusIndex(args.index, bundle) if args.index else None
            if index is not None:
                bundle = only_with(index, bundle)
            retriever = Retriever(bundle, zero_gpu.with_lent_gpu(backbone), index=index)
            retriever.warm_up()
            log.started(retriever, backbone)
            demo = build_demo(retriever, photos if args.rescan else None)
            launch(demo, server_name=host, server_port=port, prevent_thread_lock=True)
    except CbirError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    starting.heed_interrupts()
    demo.block_thread()
    return 0


if __name__ == "__main__":
    starting.run_main(main, leave=end)
