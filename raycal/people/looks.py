"""How many samples of a large cluster a page shows, and what it needs to say whether they decide about the cluster.

A page that looks sequentially shows few random samples at first, and a few more with each look. The page itself says
what they show, because the marks are not sent before the answer; see `static/sequential.js` in `raycal.annotate`.
"""

from dataclasses import dataclass
from typing import Any

from raycal.people.probe_results import ProbeResults

# With fewer probes, the miss rate of a person is not used.
FEWEST_PROBES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """See `raycal.config.looks.LooksConfig`.

    Attributes:
        sequential: Whether the page shows few random samples at first.
        purity: The share of samples that belong together from which on a cluster is pure.
    """

    sequential: bool = False
    purity: float = 0.8

    @property
    def first(self) -> int:
        """The number of random samples of the first look, besides those that may be probes."""
        return 8 if self.sequential else 24

    @property
    def more(self) -> int:
        """The number of random samples of each further look."""
        return 8 if self.sequential else 24

    def for_page(self, results: ProbeResults, who: str) -> dict[str, Any] | None:
        """What the page of a person needs to decide about a cluster. None if it does not look sequentially."""
        if not self.sequential:
            return None
        return {"purity": self.purity, "more": self.more, "miss_rate": miss_rate(results, who)}


def miss_rate(results: ProbeResults, who: str) -> float:
    """The share of odd samples that a person overlooks: the person's own share, that of all people if the person has
    seen too few probes, and 0 if all have."""
    for rate in (results.rate_of(who), results.of_all):
        if rate.shown >= FEWEST_PROBES and rate.share is not None:
            return rate.share
    return 0.0
