"""Each lesion followed from scan to scan, by the comparisons of results that follow each other."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q

from .finding_reviews import rejected_among
from .lesion_words import NEWS, SMALL_ML
from .models import Comparison, Finding
from .trend import TimePoint, compared

SIGNIFICANT = 1.25  # factor of the volume from which on a lesion has grown: pipeline/lesion_change.py is for workers
OPEN = 15  # rows of a table that are open at most, the largest first; the others are folded
NOT_COMPARED = "not compared"
UNCLEAR = "unclear"
CUT = "cut off"
SHOWN_INSTEAD = (UNCLEAR, "part of another", "not in the other scan")
"""Statuses of ``pipeline/lesion_change.py`` that say what the scan without the finding shows at its place."""


@dataclass(frozen=True)
class Sighting:
    """A lesion at one time point. ``finding``: None where the scan has no such finding, and then ``instead`` is the
    status that says what it shows there; ``rejected``: a reader says that the finding is none.

    ``status`` and ``cut``: of ``pipeline/lesion_change.py``, against the time point ``since``; "" and False where there
    is nothing to compare with.
    """

    point: TimePoint
    finding: Finding | None
    rejected: bool
    instead: str
    since: TimePoint | None = None
    status: str = ""
    cut: bool = False


@dataclass(frozen=True)
class Became:
    """What became of a lesion from one time point to a later one. ``at``: another time point between them, whose scan
    lost sight of it, so that ``status`` is what is known of that one."""

    status: str
    at: TimePoint | None = None


@dataclass
class Lesion:
    """``sightings``: by study; ``doubling_time_days``: of its last comparison, None where it says nothing."""

    sightings: dict[int, Sighting] = field(default_factory=dict)
    doubling_time_days: float | None = None

    def see(self, sighting: Sighting) -> None:
        self.sightings[sighting.point.study.pk] = sighting

    @property
    def found(self) -> list[Sighting]:
        """Where it is a finding of the scan."""
        return [one for one in self.sightings.values() if one.finding]

    @property
    def status(self) -> str:
        return list(self.sightings.values())[-1].status

    @property
    def largest_ml(self) -> float:
        return max(one.finding.volume_ml for one in self.found if one.finding)

    @property
    def is_speck(self) -> bool:
        """Whether it is small and a finding of one scan alone, while another has dense tissue at its place."""
        unclear = any(UNCLEAR in (one.status, one.instead) for one in self.sightings.values())
        return unclear and len(self.found) == 1 and self.largest_ml < SMALL_ML

    def between(self, then: TimePoint, now: TimePoint) -> Became | None:
        """What became of it from one time point to a later one, whatever scans lie between; None where it is a finding
        of neither."""
        before, after = (self.sightings.get(point.study.pk) for point in (then, now))
        if before and before.finding and after and after.finding:
            steps = self._after(then, now)
            if any(one.cut for one in steps):  # its volumes are of a part
                return Became(after.status if len(steps) == 1 else CUT)
            factor = after.finding.volume_ml / before.finding.volume_ml
            return Became("grown" if factor >= SIGNIFICANT else "shrunk" if factor <= 1 / SIGNIFICANT else "stable")
        if before and before.finding:
            until_now = self._after(then, now)
            gone = until_now[-1] if until_now and not until_now[-1].finding else None
            return _became(gone.status, gone.point, then, now) if gone else Became(NOT_COMPARED)
        if after and after.finding:
            first = self.found[0]
            return _became(first.status, first.since, then, now) if first.since else Became(NOT_COMPARED)
        return None

    def _after(self, then: TimePoint, now: TimePoint) -> list[Sighting]:
        """What was seen of it after one time point, where it was, up to a later one."""
        later = list(self.sightings.values())[list(self.sightings).index(then.study.pk) + 1 :]
        return [one for one in later if one.point.date <= now.date]

    def along(self, points: Iterable[TimePoint]) -> "Lane":
        cells = []
        for point in points:
            one = self.sightings.get(point.study.pk)
            cells.append((point, one, one.finding.volume_ml / self.largest_ml if one and one.finding else 0.0))
        return Lane(self, cells)


@dataclass(frozen=True)
class Lane:
    """A lesion on some time points. ``cells``: what was seen there, None where it was not looked for, and its volume ÷
    the largest one."""

    lesion: Lesion
    cells: list[tuple[TimePoint, Sighting | None, float]]

    @property
    def findings(self) -> list[Finding]:
        """Those that it is here, the earliest first."""
        return [one.finding for _, one, _ in self.cells if one and one.finding]

    @property
    def course(self) -> list[Finding]:
        """Those whose volumes tell its course up to the last time point; there alone where it was rejected or cut off
        elsewhere, none where it does not count or is not whole there."""
        seen = [one for _, one, _ in self.cells if one and one.finding]
        last = self.cells[-1][1] if self.cells else None
        if not last or not last.finding or last.rejected or last.cut:
            return []
        return [last.finding] if any(one.rejected or one.cut for one in seen) else self.findings

    @property
    def is_unclear(self) -> bool:
        """Whether "unclear" stands in its line."""
        return any(one and UNCLEAR in (one.status, one.instead) for _, one, _ in self.cells)


def _became(status: str, looked_at: TimePoint, then: TimePoint, now: TimePoint) -> Became:
    """``looked_at``: whose scan has no such finding."""
    elsewhere = looked_at.study not in (then.study, now.study)
    return Became(status, looked_at if status in SHOWN_INSTEAD and elsewhere else None)


def comparisons(points: Iterable[TimePoint], *, with_change: bool = False) -> dict[tuple[int, int], Comparison]:
    """Those of the results on show, by (prior, analysis). What changed is large, and pages that only ask how far they
    are do without."""
    runs = [point.analysis.pk for point in points if point.analysis]
    rows = Comparison.objects.filter(analysis__in=runs, prior__in=runs)
    return {(row.prior_id, row.analysis_id): row for row in (rows if with_change else rows.defer("change"))}


def of_neighbours(points: Iterable[TimePoint], *, with_change: bool = False) -> dict[tuple[int, int], Comparison]:
    """The same of results that follow each other alone: users have others compared as well."""
    pairs = [Q(prior=before.analysis, analysis=now.analysis) for before, now in compared(points)]
    rows = Comparison.objects.filter(reduce(or_, pairs)) if pairs else Comparison.objects.none()
    return {(row.prior_id, row.analysis_id): row for row in (rows if with_change else rows.defer("change"))}


def news(points: Iterable[TimePoint]) -> dict[int, Counter[str]]:
    """How many lesions are new and how many have grown since the result before, of each analysis that is compared with
    it; without those that readers rejected."""
    pairs = {(point.prior.pk, point.analysis.pk) for point in points if point.prior and point.analysis}
    priors, runs = {prior for prior, _ in pairs}, {run for _, run in pairs}
    rows = Comparison.objects.filter(analysis__in=runs, prior__in=priors, state=Comparison.State.DONE)
    found = {
        run: [each for each in compared_lesions if each["status"] in NEWS]
        for prior, run, compared_lesions in rows.values_list("prior", "analysis", "change__lesions")
        if (prior, run) in pairs
    }
    rejected = rejected_among([run for run, those in found.items() if those])  # without any no query
    return {
        run: Counter(each["status"] for each in those if (run, each["number"]) not in rejected)
        for run, those in found.items()
    }


def followed(points: Sequence[TimePoint], found: dict[tuple[int, int], Comparison]) -> list[Lesion]:
    """The lesions of a course, the largest first and specks last. Where two results are not compared (yet), lesions
    begin anew.

    ``found``: the course's comparisons with what changed.
    """
    runs = [point.analysis.pk for point in points if point.analysis]
    findings = {(one.analysis_id, one.number): one for one in Finding.objects.filter(analysis__in=runs)}
    rejected = rejected_among(runs)

    def seen(point: TimePoint, number: int | None, change: dict[str, Any], since: TimePoint | None = None) -> Sighting:
        key = point.analysis.pk, number
        finding, status = findings.get(key), change["status"]
        instead = "" if finding else status
        if since is None:
            return Sighting(point, finding, key in rejected, instead)
        return Sighting(point, finding, key in rejected, instead, since, status, change.get("cut", False))

    lesions: list[Lesion] = []
    by_number: dict[int, Lesion] = {}  # of the earlier scan of each pair
    for before, now in compared(points):
        comparison = found.get((before.analysis.pk, now.analysis.pk))
        change = comparison.change if comparison else None
        here: dict[int, Lesion] = {}
        for each in change["lesions"] if change else ():
            lesion = by_number.get(each["prior_number"])
            if lesion is None:
                lesion = Lesion()
                lesions.append(lesion)
                prior = seen(before, each["prior_number"], each)
                if prior.finding or prior.instead in SHOWN_INSTEAD:
                    lesion.see(prior)
            one = seen(now, each["number"], each, since=before)
            lesion.see(one)
            lesion.doubling_time_days = each["doubling_time_days"]
            if one.finding:
                here[each["number"]] = lesion
        by_number = here
    return sorted((one for one in lesions if one.found), key=lambda lesion: (lesion.is_speck, -lesion.largest_ml))


def open_rows(followed: Iterable[Lesion]) -> int:
    """How many rows of a table of them are open: specks are folded, but where there is nothing else."""
    return min(sum(not lesion.is_speck for lesion in followed) or OPEN, OPEN)
