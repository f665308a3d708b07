"""A signed report whose CT has a newer result, which its reader has not seen."""

import pytest
from django.urls import reverse
from django.utils import timezone

from analysis.models import Analysis
from tests.analysis.finished import signed_reading


@pytest.fixture
def study(analysis):
    return analysis.series.study


def test_a_report_on_fewer_slices_hides_no_result_that_nobody_has_seen(browser, study, analysis, user):
    """As where a part of a CT comes later: its reader agreed that the part shows nothing."""
    home = reverse("pages:home")

    def said(show=""):
        rows = browser.get(home, {"show": show}).context["rows"]
        return [(row.report, row.point.overruled, row.point.suspected) for row in rows]

    Analysis.objects.filter(pk=analysis.pk).update(suspected=False, slice_count=10)
    signed_reading(analysis, user, suspected=False)
    assert said() == [("signed", None, False)]
    assert said("unreported") == said("suspected") == []
    later = again(analysis, suspected=True, slice_count=20)
    assert said() == said("unreported") == said("suspected") == [("superseded", None, True)]
    assert [row.study for row in browser.get(home).context["rows"]] == [study]
    page = browser.get(reverse("pages:study", args=[study.pk])).text
    assert "Signed before this result" in page
    assert "look again, and write an addendum" in page
    assert "The reader decides: not suspected." in page  # and not: otherwise than the networks
    assert 'value="yes" checked' in page  # what the networks say now, and the text that is proposed of it
    assert (
        "Opacities as in COVID-19 on 2 of 18 lung slices" in page[page.index("<textarea") : page.index("</textarea>")]
    )
    assert "before this result" in browser.get(reverse("pages:patient", args=[study.patient_id])).text
    signed_reading(later, user, version=2, suspected=False, reason="A vessel.")
    assert said() == [("signed", False, False)]


def test_a_report_stays_where_a_newer_result_says_the_same(browser, study, analysis, user):
    signed_reading(analysis, user, suspected=not analysis.suspected)
    again(analysis)
    (row,) = browser.get(reverse("pages:home")).context["rows"]
    assert (row.report, row.point.overruled) == ("signed", not analysis.suspected)


def test_what_a_reader_signed_as_suspected_stays_so_when_the_networks_say_otherwise_later(
    browser, study, analysis, user
):
    signed_reading(analysis, user, suspected=True)
    again(analysis, suspected=False)
    (row,) = browser.get(reverse("pages:home"), {"show": "suspected"}).context["rows"]
    assert (row.report, row.point.suspected) == ("superseded", True)


def again(analysis, **otherwise):
    """A newer result of the same series."""
    analysis.pk, analysis._state.adding = None, True
    analysis.created_at = timezone.now()
    for name, value in otherwise.items():
        setattr(analysis, name, value)
    analysis.save()
    return analysis
