"""Compares the paper's claims with the runs: the measured value, and a verdict from its interval over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from raycal.report.paper.claim_checks import Check, NotTestableError, claim_checks
from raycal.report.paper.claims import CLAIMS, Claim, Measure
from raycal.report.stats.comparison import Comparison, ConditionGroup
from raycal.report.stats.estimate import Estimate, estimate
from raycal.report.stats.rounding import exact

ELSEWHERE = "about "  # The reason begins with these words if a claim is about another dataset.
# `undecided`: the claim was tested, and the interval is compatible with both the claim and its contrary.
Verdict = Literal["holds", "does not hold", "undecided", "not tested"]

# The smallest and the largest value that a measure can have; counts are unbounded.
_RANGES: dict[Measure, tuple[float, float]] = {
    "full supervision": (0.0, 1.0),
    "similar accuracy": (-1.0, 1.0),
    "best area": (-1.0, 1.0),
    "lowest label error": (-1.0, 1.0),
    "label error falls": (-1.0, 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One claim in one setting of one dataset.

    Attributes:
        setting: The label of the setting; empty if the dataset has only one.
        reason: The reason for the verdict, in words.
        what: The comparison that decides the verdict, which is the least favorable one; empty if there is no
            comparison.
        measured: The result of this comparison, in the unit of the claim's `compared`. None if there is no comparison.
    """

    claim: Claim
    dataset: str
    setting: str
    verdict: Verdict
    reason: str
    what: str
    measured: Estimate | None


def parity(comparison: Comparison) -> list[Finding]:
    """Test every claim in every setting of a dataset.

    A claim about another dataset gets one finding with the verdict `not tested`.
    """
    name = comparison.groups[0].trials[0].config.dataset.name
    findings = []
    for claim in CLAIMS:
        if claim.dataset in (None, name):
            findings += [_finding(claim, comparison.dataset, setting) for setting in comparison.condition_groups]
        else:
            reason = f"{ELSEWHERE}{claim.dataset}, not {name}"
            findings.append(_not_tested(claim, comparison.dataset, "", reason))
    return findings


def is_about_another_dataset(reason: str) -> bool:
    """Whether the reason says that the claim is about another dataset than the runs."""
    return reason.startswith(ELSEWHERE)


def _finding(claim: Claim, dataset: str, setting: ConditionGroup) -> Finding:
    try:
        checks = claim_checks(claim, setting)
    except NotTestableError as why:
        return _not_tested(claim, dataset, setting.label, str(why))
    results = [_Result(check, estimated) for check in checks.checks if (estimated := estimate(check.values))]
    verdict, reason = _judge(results, checks.missing)
    decisive = min(results, key=lambda result: result.margin)
    return Finding(
        claim=claim,
        dataset=dataset,
        setting=setting.label,
        verdict=verdict,
        reason=reason,
        what=decisive.check.what,
        measured=decisive.estimated.within(*_RANGES.get(claim.measure, (-inf, inf))),
    )


def _not_tested(claim: Claim, dataset: str, setting: str, reason: str) -> Finding:
    return Finding(
        claim=claim, dataset=dataset, setting=setting, verdict="not tested", reason=reason, what="", measured=None
    )


@dataclass(frozen=True, slots=True)
class _Result:
    """A comparison and its result."""

    check: Check
    estimated: Estimate

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the interval; if there is only one seed, both ends are its value."""
        mean, low, high = self.estimated.mean, self.estimated.low, self.estimated.high
        return mean if low is None else low, mean if high is None else high

    @property
    def margin(self) -> float:
        """The distance of the interval from the nearer end of the claimed range; negative if the interval crosses that
        end."""
        return min(exact(self.ends[0] - self.check.low), exact(self.check.high - self.ends[1]))

    @property
    def is_contrary(self) -> bool:
        """Whether the interval lies entirely outside the claimed range."""
        return exact(self.ends[1] - self.check.low) < 0 or exact(self.ends[0] - self.check.high) > 0


def _judge(results: Sequence[_Result], missing: Sequence[str]) -> tuple[Verdict, str]:
    """The verdict on a claim that holds if all of its comparisons hold (an intersection-union test)."""
    tested = [result for result in results if result.estimated.n > 1]
    contrary = [result for result in tested if result.is_contrary]
    if contrary:
        return "does not hold", f"the interval shows the contrary: {_names(contrary)}"
    if len(tested) < len(results):
        same = all(result.margin > 0 for result in results if result.estimated.n == 1)
        return "not tested", f"points {'the same' if same else 'the other'} way, with one seed"
    undecided = [result for result in results if result.margin <= 0]
    if undecided:
        return "undecided", f"the interval allows both: {_names(undecided)}"
    if missing:
        return "not tested", f"holds for the finished scenarios, but no trial finished of {', '.join(missing)}"
    return "holds", "every interval excludes the contrary"


def _names(results: Sequence[_Result]) -> str:
    names = [result.check.what for result in results]
    return "; ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
