"""The worklist: every study of the user's sites, whom to look at first on top."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils.dateparse import parse_date
from django.utils.translation import pgettext_lazy

from patients.access import visible
from patients.models import Instance, Patient, Study, Upload
from patients.search import searchable

from . import finding_reviews, lesions
from .finding_reviews import FindingsInShort
from .models import ACTIVE, Analysis, Reading
from .trend import ScoreChange, TimePoint, trends

SHOWN = {
    "": pgettext_lazy("studies", "All"),
    "suspected": pgettext_lazy("studies", "Suspected"),
    "running": pgettext_lazy("studies", "Running"),
    "check": pgettext_lazy("studies", "Check"),
    "problem": pgettext_lazy("studies", "Problems"),
    "mine": pgettext_lazy("studies", "Mine"),
    "unassigned": pgettext_lazy("studies", "Unassigned"),
    "unreported": pgettext_lazy("studies", "To report"),
}
"""What ``show`` may say, and the words for it."""
CODE = re.compile(r"[-a-zA-Z0-9_]*")  # of a site
MAX_LETTERS = 100  # of a search: names and IDs have fewer


@dataclass(frozen=True)
class Filter:
    """What of the worklist is shown, as its address says. ``until`` includes its day."""

    q: str = ""
    show: str = ""
    site: str = ""
    since: date | None = None
    until: date | None = None

    @classmethod
    def of(cls, query: Any) -> "Filter":
        """From a query string's parameters; what makes no sense is left out (see ``leaves_out``)."""

        def day(name: str) -> date | None:
            try:
                return parse_date(query.get(name, ""))
            except ValueError:  # 31 February
                return None

        show, site = query.get("show", ""), query.get("site", "")
        return cls(
            q=query.get("q", "").strip()[:MAX_LETTERS],
            show=show if show in SHOWN else "",
            site=site if CODE.fullmatch(site) else "",
            since=day("since"),
            until=day("until"),
        )

    @property
    def address(self) -> str:
        """The query string that says it, "" where all is shown."""
        return urlencode({each.name: value for each in fields(self) if (value := getattr(self, each.name))})

    @property
    def is_narrow(self) -> bool:
        """Whether it hides anything for other reasons than the state."""
        return bool(replace(self, show="").address)

    @property
    def is_backwards(self) -> bool:
        """Whether it begins after it ends, so that no day is in it."""
        return self.since is not None and self.until is not None and self.since > self.until

    def leaves_out(self, query: Any) -> bool:
        """Whether the query string asks for more than this filter understood: 30 February, a state that is none."""
        return any(query.get(each.name, "").strip() and not getattr(self, each.name) for each in fields(self))

    def showing(self, show: str) -> "Filter":
        return replace(self, show=show)


@dataclass(frozen=True)
class Row:
    """One study, with its place in the patient's course. ``findings_in_short``: of each analysis that has some,
    after what readers say; ``lesion_news``: of each analysis, ``lesions.news``; ``readings``: of the
    study, the newest first."""

    study: Study
    point: TimePoint
    findings_in_short: Mapping[int, FindingsInShort]
    lesion_news: Mapping[int, Counter[str]]
    readings: Sequence[Reading]

    @property
    def patient(self) -> Patient:
        return self.study.patient

    @property
    def done(self) -> Analysis | None:
        """The result whose numbers the line shows."""
        analysis = self.point.analysis
        return analysis if analysis and analysis.state == Analysis.State.DONE else None

    @property
    def findings(self) -> FindingsInShort | None:
        """None where neither the networks looked for any nor a reader marked one."""
        if self.done is None:
            return None
        return self.findings_in_short.get(self.done.pk, FindingsInShort() if self.done.findings_map else None)

    @property
    def news(self) -> Counter[str] | None:
        """How many lesions are new and how many have grown since the scan before this one; None where that is not
        known."""
        return self.lesion_news.get(self.done.pk) if self.done else None

    @property
    def report(self) -> str:
        """How far the reader's report is: "", "draft", "signed", "superseded" (signed, but of an earlier result that
        said otherwise) or "addendum begun"."""
        states = [each.state for each in self.readings]
        if Reading.State.DRAFT in states:
            return "addendum begun" if Reading.State.SIGNED in states else "draft"
        if self.point.superseded:
            return "superseded"
        return "signed" if states else ""

    @property
    def drafted_by(self) -> Any:
        """Whose draft it is; None where there is no draft."""
        return next((each.reader for each in self.readings if each.state == Reading.State.DRAFT), None)

    @property
    def change(self) -> ScoreChange | None:
        """Since the scan before this one."""
        return self.point.since_prior


def studies(user: Any, filter: Filter) -> QuerySet[Study]:
    """What the user may see of it, suspected first, then what has no result yet, then what is to be checked; by score,
    then the newest."""
    rows = _in(_of(user), filter).filter(_condition(filter.show, user))
    urgency = (
        When(suspected=True, then=Value(0)),
        When(suspected=None, then=Value(1)),
        When(check=True, then=Value(2)),
    )
    first = Case(*urgency, default=Value(3))
    newest = F("study_date").desc(nulls_last=True)
    return rows.order_by(first, F("score").desc(nulls_last=True), newest, "-pk").select_related(
        "patient__site", "reader"
    )


def counts(user: Any, filter: Filter) -> dict[str, int]:
    """How many studies each state would show."""
    wanted = {f"of_{show}": Count("pk", filter=_condition(show, user)) for show in SHOWN}
    counted = _in(_of(user), filter).order_by().aggregate(**wanted)
    return {show: counted[f"of_{show}"] for show in SHOWN}


def next_to_report(user: Any, after: int) -> int | None:
    """The study that waits for the user's report after this one, in the worklist's order and from its top again at the
    end; None where no other does. What another reader was asked to read, or has begun, is not offered while that one
    may log in."""
    drafts = Reading.objects.filter(state=Reading.State.DRAFT, reader__is_active=True)
    begun = drafts.exclude(reader=user).values("study")
    open_to_user = Q(reader=user) | Q(reader=None) | Q(reader__is_active=False)
    waiting = studies(user, Filter(show="unreported")).filter(open_to_user).exclude(pk__in=begun)
    wanted = set(waiting.values_list("pk", flat=True)) - {after}
    pks = list(studies(user, Filter()).values_list("pk", flat=True))
    place = pks.index(after) if after in pks else 0
    return next((pk for pk in pks[place:] + pks[:place] if pk in wanted), None)


def rows_of(found: Iterable[Study]) -> list[Row]:
    """The lines of studies, with a few queries for all of them."""
    found = list(found)
    patients = {study.patient_id: study.patient for study in found}
    points = {point.study.pk: point for own in trends(patients.values()).values() for point in own}
    runs = [point.analysis.pk for point in points.values() if point.analysis]
    findings_in_short = finding_reviews.in_short(runs)
    lesion_news = lesions.news(points[study.pk] for study in found)
    readings: dict[int, list[Reading]] = defaultdict(list)
    for reading in Reading.objects.filter(study__in=found).select_related("reader"):
        readings[reading.study_id].append(reading)
    return [Row(study, points[study.pk], findings_in_short, lesion_news, readings[study.pk]) for study in found]


def _of(user: Any) -> QuerySet[Study]:
    """Studies with what the order and the states go by: the current run's numbers (``trend.current``), and what a
    reader signed before what the networks say.

    ``superseded``: as ``Reading.is_superseded_by`` of the newest signed report and the current result. ``arriving``: an
    upload that brings images of it is still being read; a run is made at its end.
    """
    runs = Analysis.objects.filter(series=OuterRef("chosen_series")).exclude(state=Analysis.State.CANCELLED)
    done = runs.filter(state=Analysis.State.DONE)
    signed = Reading.objects.filter(study=OuterRef("pk"), state=Reading.State.SIGNED).order_by("-version")
    uploads = Upload.objects.filter(state__in=(Upload.State.RECEIVED, Upload.State.WORKING))
    arriving = Instance.objects.filter(upload__in=uploads)  # joined, SQLite would go through all images there are
    rows = visible(Study, user).annotate(
        found_as=Subquery(done.values("suspected")[:1]), slice_count=Subquery(done.values("slice_count")[:1])
    )
    of_this = Q(analysis__series=OuterRef("chosen_series"), analysis__slice_count=OuterRef("slice_count"))
    as_seen = of_this & Q(analysis__suspected=OuterRef("found_as"))
    unseen = When(Q(suspected=False) & ~as_seen, then=OuterRef("found_as"))  # as ``Reading.overruling``
    superseded = signed.annotate(superseded=~as_seen).values("superseded")[:1]
    signed_as = signed.annotate(signed_as=Case(unseen, default="suspected")).values("signed_as")[:1]
    return rows.annotate(
        newest_state=Subquery(runs.values("state")[:1]),
        superseded=Subquery(superseded),
        suspected=Coalesce(Subquery(signed_as), "found_as"),
        score=Subquery(done.values("corona_score_cm3")[:1]),
        check=Coalesce(Subquery(done.values("needs_check")[:1]), Value(False)),
        running=Exists(runs.filter(state__in=ACTIVE)),
        arriving=Q(pk__in=arriving.values("series__study")),
        reading=Subquery(Reading.objects.filter(study=OuterRef("pk")).order_by("-version").values("state")[:1]),
    )


def _in(rows: QuerySet[Study], filter: Filter) -> QuerySet[Study]:
    for word in searchable(filter.q).split():
        rows = rows.filter(patient__search_text__contains=word)
    narrowed = {
        "patient__site__code": filter.site,
        "study_date__gte": filter.since,
        "study_date__lte": filter.until,
    }
    return rows.filter(**{name: value for name, value in narrowed.items() if value})


def _condition(show: str, user: Any) -> Q:
    not_analysed = Q(newest_state=None, arriving=False) | Q(newest_state=Analysis.State.FAILED)
    conditions = {
        "suspected": Q(suspected=True),
        "running": Q(running=True) | Q(arriving=True),
        "check": Q(check=True),
        "problem": not_analysed,
        "mine": Q(reader=user.pk),
        "unassigned": Q(reader=None),
        "unreported": Q(suspected__isnull=False)
        & (Q(reading=None) | Q(reading=Reading.State.DRAFT) | Q(superseded=True)),
    }
    return conditions.get(show, Q(pk__isnull=False))


def in_parts(found: QuerySet[Study], size: int = 500) -> Iterator[Row]:
    """The lines of many studies, some hundred at a time."""
    pks = list(found.values_list("pk", flat=True))
    for start in range(0, len(pks), size):
        part = pks[start : start + size]
        by_pk = found.order_by().in_bulk(part)  # in its order the database would walk all studies for each part
        yield from rows_of(by_pk[pk] for pk in part if pk in by_pk)
