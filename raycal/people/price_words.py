"""The prices of a team in words, and as YAML for a sweep file."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from raycal.algorithm.expert.oracle import SECONDS_PER_IMAGE
from raycal.people.prices import FEWEST, Price, Prices, oracle_options, rounded
from raycal.people.shown import FEW

WIDTH = 100


def price_lines(prices: Prices, noun: str = "image") -> list[str]:
    """One line for each price, or for the reason why it is not known.

    Args:
        noun: The word for one sample.
    """
    return [f"{name}: {words}" for name, words in _named_prices(prices, noun)]


def expert_settings(prices: Prices) -> dict[str, Any] | None:
    """The simulated expert with these prices, as settings of a sweep file. None if no price is known.

    If the page showed only some images of large clusters, the simulated expert sees and pays for as many, too.
    """
    oracle = {"name": "oracle", **oracle_options(prices)}
    if len(oracle) == 1:
        return None
    if prices.per_image is None or prices.most_shown < FEW:
        return oracle
    return {"name": "few_images", "images_shown": FEW, "show": "random", "of": oracle}


def expert_yaml(prices: Prices) -> str | None:
    """The simulated expert with these prices, as a line of YAML below the key `experiment` of a sweep file. None if no
    price is known.
    """
    settings = expert_settings(prices)
    return None if settings is None else f"expert: {_flow(settings)}"


def prices_yaml(prices: Prices, noun: str = "image") -> str:
    """The prices as YAML for the key `experiment` of a sweep file, with a comment on each line. With these prices, a
    simulation takes the time of this team.

    Args:
        noun: The word for one sample.
    """
    settings = expert_settings(prices)
    if settings is None:
        lines = [f"# {line}" for line in price_lines(prices, noun)]
        return "\n".join([*lines, "# No price is known yet, so there is nothing to simulate with."])
    lines = [
        *_comment(
            "What an answer of this team takes, in seconds. In a sweep file with a dataset whose labels are known, "
            "these lines let a simulation take the time of this team."
        ),
        "experiment:",
        "  expert:",
    ]
    indent = 4 * " "
    if "of" in settings:
        lines += [
            *_comment(
                f"The simulated person sees at most {FEW} {noun}s of a cluster, as many as the page shows at once "
                "unless looks are sequential. They are drawn at random, like most of those on the page.",
                indent,
            ),
            *(f"{indent}{name}: {value}" for name, value in settings.items() if name != "of"),
            f"{indent}of:",
        ]
        settings, indent = settings["of"], 6 * " "
    lines += [
        *_comment(f"A person who knows the class of every {noun}; only the times are those of the team.", indent),
        f"{indent}name: {settings['name']}",
    ]
    for name, words in _explained(prices, noun):
        if name in settings:
            lines += [*_comment(f"{words}.", indent), f"{indent}{name}: {rounded(settings[name])}"]
        else:
            lines += _comment(f"{name} is left out. {words}.", indent)
    return "\n".join(lines)


def _comment(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", break_long_words=False
    )


def _flow(settings: Mapping[str, Any]) -> str:
    """The settings as YAML in one line."""
    parts = []
    for name, value in settings.items():
        is_price = isinstance(value, float)
        parts.append(f"{name}: {_flow(value) if isinstance(value, Mapping) else rounded(value) if is_price else value}")
    return "{" + ", ".join(parts) + "}"


def _explained(prices: Prices, noun: str) -> Iterator[tuple[str, str]]:
    """What each price option of the expert `oracle` means, or why it is left out."""
    sample = f"A single {noun}: {_words(prices.sample, prices.num_samples, 'answer')}"
    usual = f"; {rounded(SECONDS_PER_IMAGE)} s are taken instead"
    yield "seconds_per_sample", sample + ("" if prices.sample else usual)
    yield "seconds_per_cluster", _cluster(prices, noun) + ("" if prices.cluster else usual)
    if prices.cluster is not None:
        shown = f"Each {noun} of a cluster that is shown, in addition: "
        same = f"not known, because nearly all clusters showed as many {noun}s; it is part of seconds_per_cluster"
        yield "seconds_per_image_shown", shown + (same if prices.per_image is None else _words(prices.per_image))
    without = "" if prices.per_image is None else f", without the {noun}s shown"
    refused = (
        f"A cluster that is refused as mixed or split{without}: "
        f"{_words(prices.refused, prices.num_refused, 'refused cluster')}"
    )
    yield "seconds_per_refused_cluster", refused + ("" if prices.refused else "; it takes as long as a labeled one")


def _cluster(prices: Prices, noun: str) -> str:
    """What the price of a labeled cluster consists of."""
    without = "" if prices.per_image is None else f", without the {noun}s shown"
    words = f"A cluster that gets a label{without}: {_words(prices.cluster, prices.num_labeled, 'labeled cluster')}"
    if prices.cluster is None or prices.per_mark is None:
        return words
    mean = rounded(prices.mean_marked)
    return (
        f"{words}. To this, {rounded(prices.per_mark.seconds * prices.mean_marked)} s are added for the {mean} {noun}s "
        "that were marked as odd in an average cluster, because a simulated person marks none; a mark takes "
        f"{_words(prices.per_mark)}"
    )


def _named_prices(prices: Prices, noun: str) -> Iterator[tuple[str, str]]:
    yield f"single {noun}", _words(prices.sample, prices.num_samples, "answer")
    yield "labeled cluster", _words(prices.cluster, prices.num_labeled, "labeled cluster")
    if prices.cluster is not None:
        same = f"not known, because nearly all clusters showed as many {noun}s; it is part of the price above"
        few = "not known, because too few clusters had marks; it is part of the price above"
        yield f"  and for each {noun} shown", same if prices.per_image is None else _words(prices.per_image)
        yield f"  and for each {noun} marked as odd", few if prices.per_mark is None else _words(prices.per_mark)
    refused = _words(prices.refused, prices.num_refused, "refused cluster")
    yield "refused or split cluster", refused
    if prices.refused is not None and prices.per_image is not None:
        yield f"  and for each {noun} shown", "as much as in a labeled cluster"


def _words(price: Price | None, number: int = 0, noun: str = "") -> str:
    if price is None:
        counted = f"{number} {noun}{'' if number == 1 else 's'}"
        return f"not known from {counted}; at least {FEWEST} are needed"
    source = f", from {price.number:,} {noun}s" if noun else ""
    return f"{rounded(price.seconds)} s (95 % interval {rounded(price.low)} to {rounded(price.high)} s{source})"
