"""Each lesion followed from scan to scan, by the comparisons of results that follow each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .models import Comparison, Finding
from .trend import TimePoint, compared

SIGNIFICANT = 1.25  # factor of the volume from which on a lesion has grown, as in pipeline/change.py


@dataclass(frozen=True)
class Sighting:
    """A lesion at one time point. ``status``: of ``pipeline/change.py``, "" where there is nothing to compare with;
    ``finding``: None where the scan has no such finding (resolved, unclear)."""

    point: TimePoint
    status: str
    finding: Finding | None


@dataclass
class Lesion:
    """``sightings``: by study; ``doubling_time_days``: of its last comparison, None where it says nothing."""

    sightings: dict[int, Sighting] = field(default_factory=dict)
    doubling_time_days: float | None = None

    def see(self, sighting: Sighting) -> None:
        self.sightings[sighting.point.study.pk] = sighting

    @property
    def is_known(self) -> bool:
        """Whether it is a finding of any scan."""
        return any(one.finding for one in self.sightings.values())

    @property
    def newest(self) -> Finding:
        """What was last seen of it."""
        return [one.finding for one in self.sightings.values() if one.finding][-1]

    @property
    def status(self) -> str:
        return list(self.sightings.values())[-1].status

    @property
    def largest_ml(self) -> float:
        return max(one.finding.volume_ml for one in self.sightings.values() if one.finding)

    def between(self, then: TimePoint, now: TimePoint) -> str | None:
        """What became of it from one time point to a later one, whatever scans lie between; None where it is a finding
        of neither."""
        before, after = (self.sightings.get(point.study.pk) for point in (then, now))
        if before and before.finding and after and after.finding:
            factor = after.finding.volume_ml / before.finding.volume_ml
            return "grown" if factor >= SIGNIFICANT else "shrunk" if factor <= 1 / SIGNIFICANT else "stable"
        if before and before.finding:
            after_then = list(self.sightings.values())[list(self.sightings).index(then.study.pk) + 1 :]
            until_now = [one.status for one in after_then if one.point.date <= now.date]
            return until_now[-1] if until_now else "not compared"
        if after and after.finding:
            return next(iter(self.sightings.values())).status or "not compared"
        return None

    def along(self, points: Iterable[TimePoint]) -> list[tuple[TimePoint, Sighting | None, float]]:
        """Each time point with what was seen there, None where the lesion was not looked for, and the volume ÷ the
        largest one."""
        return [
            (point, one, one.finding.volume_ml / self.largest_ml if one and one.finding else 0.0)
            for point, one in ((point, self.sightings.get(point.study.pk)) for point in points)
        ]


def comparisons(points: Iterable[TimePoint], *, with_change: bool = False) -> dict[tuple[int, int], Comparison]:
    """Those of the results on show, by (prior, analysis). What changed is large, and pages that only ask for news do
    without."""
    runs = [point.analysis.pk for point in points if point.analysis]
    rows = Comparison.objects.filter(analysis__in=runs, prior__in=runs)
    return {(row.prior_id, row.analysis_id): row for row in (rows if with_change else rows.defer("change"))}


def followed(points: Sequence[TimePoint], found: dict[tuple[int, int], Comparison]) -> list[Lesion]:
    """The lesions of a course, the largest first. Where two results are not compared (yet), lesions begin anew.

    ``found``: the course's comparisons with what changed.
    """
    runs = [point.analysis.pk for point in points if point.analysis]
    findings = {(one.analysis_id, one.number): one for one in Finding.objects.filter(analysis__in=runs)}
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
                if prior := findings.get((before.analysis.pk, each["prior_number"])):
                    lesion.see(Sighting(before, "", prior))
            finding = findings.get((now.analysis.pk, each["number"]))
            lesion.see(Sighting(now, each["status"], finding))
            lesion.doubling_time_days = each["doubling_time_days"]
            if finding:
                here[each["number"]] = lesion
        by_number = here
    return sorted((one for one in lesions if one.is_known), key=lambda lesion: -lesion.largest_ml)
