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


def add_overrides(parser: argparse.ArgumentParser, *, has_grid: bool = True) -> None:
    """Add `--set`, which the parsed options hold as `overrides`.

    Args:
        parser: The parser.
        has_grid: Whether the command's file may have a grid.
    """
    also = " or 'grid.seed=[0,1]'" if has_grid else ""
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help=f"change a setting, such as training.epochs=1{also}; may be given several times; "
        "a value in braces, as in 'model={name: resnet34}', replaces the whole group",
    )
