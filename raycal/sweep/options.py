"""Options that several commands share."""

import argparse


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options `--address` and `--storage`."""
    parser.add_argument(
        "--address",
        metavar="ADDR",
        help="address of the Ray cluster (default: RAY_ADDRESS or, if not set, this machine)",
    )
    parser.add_argument(
        "--storage",
        metavar="DIR",
        default="runs",
        help="local folder or URI for the results (default: runs)",
    )


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add `--set`, which the parsed options hold as `overrides`."""
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help="change a setting, such as training.epochs=1 or 'grid.seed=[0,1]'; may be given several times; "
        "a value in braces, as in 'model={name: resnet34}', replaces the whole group",
    )
