"""Options that several commands share."""

import argparse


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options `--address` and `--storage`."""
    parser.add_argument(
        "--address", metavar="ADDR", help="of the Ray cluster (default: RAY_ADDRESS, else this machine)"
    )
    parser.add_argument(
        "--storage",
        metavar="DIR",
        default="runs",
        help="local folder or URI for everything that is kept (default: runs)",
    )
