"""A patient's time points in order, with the Relative Corona score.

Relative Corona score = score ÷ score of the first time point (Gozes et al. 2020). The first time
point is the earliest dated study whose analysis is done or still to come; while that one is not
done, and where its score is 0, no relative score is defined.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from patients.models import Patient, Study

from .models import Analysis, Comparison, Reading

NORMAL_95 = 1.96  # standard deviations either side of the mean that hold 95 % of a normal distribution
HEALTHY_SCORE_CM3 = 10.0
"""``normal_001`` and synthetic patients without disease score up to 3 cm³ in docs/evaluation; a few times that is
still no sign of disease, and a quotient of two such scores says nothing. Dense lungs may score more (volume 6)."""


@dataclass(frozen=True)
class ScoreChange:
    """From the Corona score of one result to that of a later one, or of the same."""

    before: Analysis
    now: Analysis

    @property
    def factor(self) -> float | None:
        """None where a score is not known, or the one before is 0."""
        before, now = self.before.corona_score_cm3, self.now.corona_score_cm3
        return now / before if before and now is not None else None

    @property
    def counts(self) -> bool:
        """Whether either score is higher than those of healthy lungs."""
        return max(self.before.corona_score_cm3 or 0, self.now.corona_score_cm3 or 0) >= HEALTHY_SCORE_CM3

    @property
    def is_known(self) -> bool:
        """Whether there are two scores to compare."""
        known = None not in (self.before.corona_score_cm3, self.now.corona_score_cm3)
        return known and self.before != self.now

    @property
    def starts_low(self) -> bool:
        """Whether the score rose from where those of healthy lungs are, and by more than the noise where that is known:
        no factor says how much."""
        healthy_before = (self.before.corona_score_cm3 or 0) < HEALTHY_SCORE_CM3
        return self.is_known and self.counts and healthy_before and not self._is_within_noise

    @property
    def ends_low(self) -> bool:
        """Whether the later score fell to where those of healthy lungs are: how much is left it cannot say."""
        return self.counts and self.before != self.now and (self.now.corona_score_cm3 or 0) < HEALTHY_SCORE_CM3

    @property
    def noise(self) -> float | None:
        """Half of the 95 % interval that the factor's logarithm would have between variants of one scan."""
        if self.before == self.now:
            return 0.0
        both = self.before.score_variation, self.now.score_variation
        return None if None in both else NORMAL_95 * math.hypot(*both)

    @property
    def is_doubtful(self) -> bool:
        """Whether either result is to be checked: the scan may explain a change, or hide one."""
        return self.before != self.now and (self.before.needs_check or self.now.needs_check)

    @property
    def is_noise(self) -> bool:
        """Whether variants of one scan would differ as much; False where that is not known, or doubtful."""
        return not self.is_doubtful and self._is_within_noise

    @property
    def _is_within_noise(self) -> bool:
        return bool(self.factor and self.noise and abs(math.log(self.factor)) <= self.noise)


def noise_band(value: float, noise: float) -> tuple[float, float]:
    """The ends of the 95 % interval around a score or a quotient of scores.

    ``noise``: half of the interval of its logarithm.
    """
    return value * math.exp(-noise), value * math.exp(noise)


@dataclass(frozen=True)
class TimePoint:
    """One study. ``analysis``: the newest done run of its chosen series, else the newest not cancelled.

    ``pending``: a run that waits or works, which may be newer than ``analysis``.
    ``failed``: the newest run where it failed although an older one, ``analysis``, is done.
    ``days_since_first`` is None where the study is no point of the trend; else ``first`` is the analysis of the first
    time point, itself at that point, and ``prior`` the result before this one.
    ``signed``: the newest signed report of the study.
    """

    study: Study
    analysis: Analysis | None
    pending: Analysis | None
    failed: Analysis | None
    days_since_first: int | None
    first: Analysis | None = None
    prior: Analysis | None = None
    signed: Reading | None = None

    @property
    def overruled(self) -> bool | None:
        """What the signed report decides, suspected or not, where the result says otherwise; else None."""
        result = self.analysis if self.analysis and self.analysis.state == Analysis.State.DONE else None
        return self.signed.overruling(result) if self.signed and result else None

    @property
    def superseded(self) -> bool:
        """Whether the result says what nobody has seen who signed a report."""
        result = self.analysis if self.analysis and self.analysis.state == Analysis.State.DONE else None
        return bool(self.signed and result and self.signed.is_superseded_by(result))

    @property
    def suspected(self) -> bool | None:
        """The decision that counts: a reader's, where one is signed, before that of the networks."""
        return self.analysis.suspected if self.overruled is None and self.analysis else self.overruled

    @property
    def corona_score_cm3(self) -> float | None:
        return self.analysis.corona_score_cm3 if self.analysis else None

    @property
    def since_first(self) -> ScoreChange | None:
        return ScoreChange(self.first, self.analysis) if self.first and self.analysis else None

    @property
    def since_prior(self) -> ScoreChange | None:
        return ScoreChange(self.prior, self.analysis) if self.prior and self.analysis else None

    @property
    def is_first(self) -> bool:
        """Whether it is the first time point of the trend; another of the same day is not."""
        return self.in_trend and self.first == self.analysis

    @property
    def relative_corona_score(self) -> float | None:
        """None where it is not defined (yet)."""
        return self.since_first.factor if self.since_first else None

    @property
    def score_noise(self) -> float | None:
        """Half of the 95 % interval that the score's logarithm would have between variants of this scan."""
        variation = self.analysis.score_variation if self.analysis else None
        return None if variation is None else NORMAL_95 * variation

    @property
    def date(self) -> date | None:
        return self.study.study_date

    @property
    def in_trend(self) -> bool:
        """A point of the chart: dated, and analysed or about to be."""
        return self.days_since_first is not None


def trend(patient: Patient) -> list[TimePoint]:
    """The patient's studies by date and time, undated ones at the end."""
    return trends([patient])[patient.pk]


def trends(patients: Iterable[Patient]) -> dict[int, list[TimePoint]]:
    """The same for many patients with three queries."""
    by_pk = {patient.pk: patient for patient in patients}
    studies: dict[int, list[Study]] = {pk: [] for pk in by_pk}
    rows = Study.objects.filter(patient__in=list(studies)).select_related("chosen_series")
    for study in rows:
        study.patient = by_pk[study.patient_id]
        studies[study.patient_id].append(study)
    runs: dict[int, list[Analysis]] = defaultdict(list)
    chosen = [study.chosen_series_id for study in rows if study.chosen_series_id]
    carried_out = Analysis.objects.filter(series__in=chosen).exclude(state=Analysis.State.CANCELLED)
    for run in carried_out.defer("report"):  # newest first
        runs[run.series_id].append(run)
    signed = Reading.objects.filter(study__in=rows, state=Reading.State.SIGNED).order_by("version")
    signed = signed.select_related("analysis").defer("impression", "reason", "analysis__report")
    newest_signed = {reading.study_id: reading for reading in signed}
    return {pk: _time_points(own, runs, newest_signed) for pk, own in studies.items()}


def current(runs: list[Analysis]) -> Analysis | None:
    """The run that speaks for a series: the newest done one, else the newest; ``runs`` newest first."""
    return next((run for run in runs if run.state == Analysis.State.DONE), runs[0] if runs else None)


def compared(points: Iterable[TimePoint]) -> Iterator[tuple[TimePoint, TimePoint]]:
    """Results that follow each other in time, of the points of ``trend``."""
    return pairwise(point for point in points if point.in_trend and point.corona_score_cm3 is not None)


def point_of(points: Iterable[TimePoint], analysis: Analysis | None) -> TimePoint | None:
    """The time point for which an analysis speaks; None where another does."""
    return next((point for point in points if point.analysis and point.analysis == analysis), None)


def since_last(points: Iterable[TimePoint], analysis: Analysis | None) -> Comparison | None:
    """The comparison of a result with the one before it; None where it is the first or another speaks for its study."""
    point = point_of(points, analysis)
    prior = point.prior if point else None
    rows = Comparison.objects.select_related("prior__series__study").defer("prior__report")
    return rows.filter(analysis=analysis, prior=prior).first() if prior else None


def _time_points(studies: list[Study], runs: dict[int, list[Analysis]], signed: dict[int, Reading]) -> list[TimePoint]:
    first_date: date | None = None
    first: Analysis | None = None
    prior: Analysis | None = None
    points = []
    for study in studies:
        own = runs.get(study.chosen_series_id or 0, [])
        analysis = current(own)
        has_score = analysis is not None and analysis.corona_score_cm3 is not None
        counts = study.study_date is not None and analysis is not None and (has_score or analysis.is_active)
        if counts and first_date is None:
            first_date, first = study.study_date, analysis
        points.append(
            TimePoint(
                study=study,
                analysis=analysis,
                pending=next((run for run in own if run.is_active), None),
                failed=own[0] if own and own[0] != analysis and own[0].state == Analysis.State.FAILED else None,
                days_since_first=(study.study_date - first_date).days if counts and first_date else None,
                first=first if counts else None,
                prior=prior if counts else None,
                signed=signed.get(study.pk),
            )
        )
        if counts and has_score:
            prior = analysis
    return points
