"""Prices of machines with GPUs: a table that was written from memory. Each row says whether and when its prices were
verified."""

import csv
import math
from dataclasses import dataclass
from importlib.resources import files

from raycal.errors import InputError

CLOUDS = "clouds"  # This value of `--price` asks for the table.


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One row of `prices.csv`: a machine type that a file of `cluster_configs/` starts.

    Attributes:
        gpus: The number of GPUs in the machine.
        on_demand: The on-demand price of the machine in USD per hour.
        spot: A typical spot price of the machine in USD per hour; it varies by the hour and by region.
        checked: `verified on DATE`, or `not verified on DATE`.
        source: Where the price can be looked up.
    """

    cloud: str
    machine: str
    gpu: str
    gpus: int
    region: str
    on_demand: float
    spot: float
    checked: str
    source: str


def offers() -> list[Offer]:
    """The rows of the price table."""
    lines = files(__package__).joinpath("prices.csv").read_text(encoding="utf-8").splitlines()
    return [_offer(**row) for row in csv.DictReader(lines)]


def _offer(*, gpus: str, on_demand: str, spot: str, **words: str) -> Offer:
    return Offer(gpus=int(gpus), on_demand=float(on_demand), spot=float(spot), **words)


def own_price(text: str) -> float:
    """Parse the value of `--price`, in USD per GPU hour.

    Raises:
        InputError: The value is not a number, or is negative or infinite.
    """
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if not 0 <= price < math.inf:
        raise InputError(f"--price {text}: should be USD per GPU hour, 0 or more, such as 2.5, or {CLOUDS}")
    return price
