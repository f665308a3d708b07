"""The worklist: which studies it shows, in which order, and what is done with many at a time."""

import csv
import datetime
import io

import pytest
from django.urls import reverse

from analysis.models import Analysis, Comparison, Finding, Reading, SavedFilter
from analysis.worklist import Filter
from patients.models import Instance, Membership, Patient, Series, Site, Study, Upload
from tests.analysis.finished import FINDINGS, signed_reading
from tests.analysis.pages import DAY, HTMX

HOME = reverse("pages:home")


def a_study(site, number, *, score=None, suspected=None, state="DONE", day=DAY, patient=None, **fields):
    """One study with one run; ``state`` None: none was made."""
    patient = patient or Patient.objects.create(site=site, patient_id=f"P{number}", patient_name=f"Doe^Number {number}")
    study = Study.objects.create(patient=patient, study_instance_uid=f"1.{number}", study_date=day)
    study.chosen_series = Series.objects.create(study=study, series_instance_uid=f"1.{number}.1", usable=True)
    study.save()
    if state:
        report = {} if state == "DONE" else None
        numbers = {"corona_score_cm3": score, "suspected": suspected, "positive_ratio": 0.5, "threshold": 0.1}
        fields |= numbers if state == "DONE" else {}
        Analysis.objects.create(series=study.chosen_series, state=state, report=report, **fields)
    return study


@pytest.fixture
def five(site):
    """Not suspected, suspected with a low and a high score, failed, running."""
    return [
        a_study(site, 1, score=2.0, suspected=False),
        a_study(site, 2, score=30.0, suspected=True, needs_check=True),
        a_study(site, 3, score=300.0, suspected=True),
        a_study(site, 4, state="FAILED", error="Slices are missing.", day=DAY - datetime.timedelta(days=30)),
        a_study(site, 5, state="RUNNING"),
    ]


def shown(browser, **query):
    return [row.study.pk for row in browser.get(HOME, query).context["rows"]]


def test_suspected_studies_come_first_then_those_without_a_result(browser, five):
    normal, low, high, failed, running = (study.pk for study in five)
    assert shown(browser) == [high, low, running, failed, normal]


def test_what_is_to_be_checked_comes_before_healthy_cts_with_higher_scores(browser, site):
    healthy = a_study(site, 1, score=5.0, suspected=False)
    doubtful = a_study(site, 2, score=0.0, suspected=False, needs_check=True)
    suspected = a_study(site, 3, score=30.0, suspected=True)
    assert shown(browser) == [suspected.pk, doubtful.pk, healthy.pk]


def test_the_next_ct_to_report_follows_the_worklist_and_leaves_out_what_others_read(browser, user, stranger, five):
    normal, low, high, _, _ = five

    def after(study):
        return browser.get(reverse("pages:next_study"), {"after": study.pk}).url

    at = {study.pk: reverse("pages:study", args=[study.pk]) for study in five}
    assert [after(each) for each in (high, low, normal)] == [at[low.pk], at[normal.pk], at[high.pk]]
    Study.objects.filter(pk=low.pk).update(reader=stranger)
    assert after(high) == at[normal.pk]
    Study.objects.filter(pk=low.pk).update(reader=user)
    assert after(high) == at[low.pk]
    signed_reading(low.chosen_series.analyses.get(), user, suspected=True)
    assert after(low) == at[normal.pk]  # not the top, which was passed over
    begun = Reading.objects.create(
        study=normal, analysis=normal.chosen_series.analyses.get(), version=1, reader=stranger, suspected=False
    )
    assert after(low) == at[high.pk]
    Reading.objects.filter(pk=begun.pk).update(reader=user)
    assert after(low) == at[normal.pk]


def test_the_next_ct_may_be_one_of_a_reader_who_left(browser, user, stranger, five):
    normal, low, high, *_ = five
    Study.objects.filter(pk=low.pk).update(reader=stranger)
    draft = {"analysis": normal.chosen_series.analyses.get(), "version": 1, "suspected": False}
    Reading.objects.create(study=normal, reader=None, **draft)  # of a user who was deleted
    signed_reading(high.chosen_series.analyses.get(), user, suspected=True)

    def following() -> str:
        return browser.get(reverse("pages:next_study"), {"after": high.pk}).url

    assert following() == reverse("pages:study", args=[normal.pk])
    type(stranger).objects.filter(pk=stranger.pk).update(is_active=False)
    assert following() == reverse("pages:study", args=[low.pk])


def test_the_next_ct_is_none_of_another_site(browser, five):
    elsewhere = Site.objects.create(code="south", name="South hospital")
    a_study(elsewhere, 9, score=900.0, suspected=True)
    assert browser.get(reverse("pages:next_study")).url == reverse("pages:study", args=[five[2].pk])


def test_a_filter_that_begins_after_its_end_says_so(browser, five):
    page = browser.get(HOME, {"since": "2020-03-09", "until": "2020-03-01"})
    assert "The first day asked for lies after the last one." in page.text


def test_where_no_other_ct_waits_the_worklist_says_so(browser, site):
    only = a_study(site, 1, score=2.0, suspected=False)
    page = browser.get(reverse("pages:next_study"), {"after": only.pk}, follow=True)
    assert page.redirect_chain == [(HOME, 302)]
    assert "No other CT waits for your report." in page.text


def test_what_waits_for_other_readers_is_said_where_nothing_waits_for_the_user(browser, site, stranger):
    only, others = (a_study(site, number, score=2.0, suspected=False) for number in (1, 2))
    Study.objects.filter(pk=others.pk).update(reader=stranger)
    page = browser.get(reverse("pages:next_study"), {"after": only.pk}, follow=True)
    assert "No other CT waits for your report; 1 waits for other readers." in page.text


def test_a_draft_names_its_reader(browser, stranger, five):
    Reading.objects.create(
        study=five[0], analysis=five[0].chosen_series.analyses.get(), reader=stranger, version=1, suspected=False
    )
    cells = [each.partition("</td>")[0] for each in browser.get(HOME).text.split('<td class="report"')[1:]]
    assert [stranger.get_username() in each for each in cells] == [False, False, False, False, True]


@pytest.mark.parametrize(
    "query", [{"since": "2026-02-30"}, {"until": "soon"}, {"show": "nonsense"}, {"site": "no\0where"}]
)
def test_what_the_address_asks_in_vain_is_said(browser, five, query):
    page = browser.get(HOME, query)
    assert [row.study.pk for row in page.context["rows"]] == shown(browser)
    assert "is left out" in page.text
    assert "is left out" not in browser.get(HOME, {"since": "2020-03-01", "show": "check"}).text


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"show": "suspected"}, [3, 2]),
        ({"show": "running"}, [5]),
        ({"show": "check"}, [2]),
        ({"show": "problem"}, [4]),
        ({"show": "mine"}, []),
        ({"show": "unassigned", "q": "doe 3"}, [3]),
        ({"q": "p4"}, [4]),
        ({"since": "2020-03-01"}, [3, 2, 5, 1]),
        ({"until": "2020-03-04"}, [4]),
        ({"site": "nowhere"}, []),
        ({"site": "no\0where", "q": "doe " + "1" * 5000}, []),
        ({"show": "nonsense", "since": "2020-02-31", "page": "x"}, [3, 2, 5, 4, 1]),
    ],
)
def test_the_address_says_what_is_shown(browser, five, query, numbers):
    assert shown(browser, **query) == [five[number - 1].pk for number in numbers]


def test_the_tabs_count_what_they_would_show_of_the_filter(browser, five):
    counted = {show: count for show, _, count, _ in browser.get(HOME, {"q": "doe"}).context["tabs"]}
    states = {"suspected": 2, "running": 1, "check": 1, "problem": 1, "mine": 0, "unassigned": 5, "unreported": 3}
    assert counted == {"": 5} | states
    assert browser.get(HOME, {"q": "p3", "show": "check"}).context["tabs"][0][2] == 1


def test_a_newer_run_does_not_hide_the_result_until_it_is_done(browser, five):
    """It shows under both: suspected, and running."""
    Analysis.objects.create(series=five[2].chosen_series, state="RUNNING", progress=0.4)
    assert shown(browser, show="suspected") == [five[2].pk, five[1].pk]
    assert five[2].pk in shown(browser, show="running")


def test_an_open_list_is_told_of_a_new_study_and_of_nothing_else(browser, site, five):
    seen = browser.get(HOME).context["seen"]
    assert browser.get(HOME, {"seen": seen}, headers=HTMX).status_code == 204
    new = a_study(site, 6, state="QUEUED")
    news = browser.get(HOME, {"seen": seen}, headers=HTMX)
    assert f'data-study="{new.pk}"' in news.content.decode()
    assert "<html" not in news.content.decode()


def test_a_study_whose_files_are_still_read_is_on_its_way_and_no_problem(browser, site):
    study = a_study(site, 7, state=None)
    upload = Upload.objects.create(site=site, state=Upload.State.WORKING)
    Instance.objects.create(
        series=study.chosen_series, site=site, sop_instance_uid="1.7.1.1", sha256="0" * 64, upload=upload
    )
    assert (shown(browser, show="running"), shown(browser, show="problem")) == ([study.pk], [])
    assert "Reading the files" in browser.get(HOME).content.decode()
    upload.state = Upload.State.DONE
    upload.save()
    assert (shown(browser, show="running"), shown(browser, show="problem")) == ([], [study.pk])


def test_the_gravest_flag_leads_and_a_reader_by_ear_hears_all(browser, site):
    flags = [
        {"code": "thick_slices", "severe": False, "message": "The slices are thick."},
        {"code": "lungs_cut_off", "severe": True, "message": "The lungs are cut off."},
    ]
    a_study(site, 8, score=3.0, suspected=False, quality=flags)
    line = " ".join(browser.get(HOME).content.decode().split())
    assert '<span aria-hidden="true">lungs cut off +1</span>' in line
    assert '<span class="visually-hidden">check: lungs cut off; note: thick slices</span>' in line


def test_the_change_since_the_last_scan_stands_in_the_line(browser, site):
    patient = Patient.objects.create(site=site, patient_id="1")
    days = {0: 100.0, 9: 400.0, 20: 100.0}
    for day, score in days.items():
        a_study(site, day, score=score, suspected=True, patient=patient, day=DAY + datetime.timedelta(days=day))
    rows = browser.get(HOME).context["rows"]
    assert {row.point.days_since_first: row.change and row.change.factor for row in rows} == {0: None, 9: 4.0, 20: 0.25}
    assert '75 %<span class="change-way"> lower</span>' in browser.get(HOME).text


def test_ticked_studies_are_given_to_a_reader_of_the_site(browser, user, site, five, django_user_model):
    other_site = Site.objects.create(code="south", name="South")
    colleague, stranger = (django_user_model.objects.create_user(name) for name in ("colleague", "outsider"))
    Membership.objects.create(site=site, user=colleague)
    Membership.objects.create(site=other_site, user=stranger)
    ticked = {"action": "assign", "study": [five[0].pk, five[1].pk], "filter": "show=unassigned"}
    answer = browser.post(reverse("pages:worklist_act"), ticked | {"reader": user.username})
    assert answer.headers["Location"] == f"{HOME}?show=unassigned"
    assert shown(browser, show="mine") == [five[1].pk, five[0].pk]
    page = browser.post(reverse("pages:worklist_act"), ticked | {"reader": "outsider"}, follow=True)
    assert "no such reader" in page.content.decode()
    browser.post(reverse("pages:worklist_act"), ticked | {"reader": "colleague"})
    assert set(Study.objects.filter(reader=colleague)) == {five[0], five[1]}
    south = a_study(other_site, 9, score=1.0, suspected=True)
    Membership.objects.create(site=other_site, user=user)
    both = ticked | {"reader": "colleague", "study": [five[2].pk, south.pk]}
    page = browser.post(reverse("pages:worklist_act"), both, follow=True).content.decode()
    assert "1 study assigned to colleague" in page
    assert "1 study of a site whose CTs colleague may not see: not assigned" in page
    south.delete()
    browser.post(reverse("pages:worklist_act"), ticked | {"reader": "", "study": [each.pk for each in five]})
    assert len(shown(browser, show="unassigned")) == 5


def test_ticked_studies_are_analysed_again_and_refusals_are_said_once(browser, five):
    ticked = {"action": "reanalyse", "study": [each.pk for each in five]}
    page = browser.post(reverse("pages:worklist_act"), ticked, follow=True).content.decode()
    assert "4 studies will be analysed again" in page
    assert "1 study not queued" in page
    assert Analysis.objects.filter(state="QUEUED").count() == 4


def test_studies_of_other_sites_are_neither_shown_nor_touched(client, stranger, five, django_user_model):
    client.force_login(stranger)
    assert shown(client) == []
    for action in ("assign", "reanalyse"):
        fields = {"action": action, "study": [five[0].pk], "reader": stranger.username}
        client.post(reverse("pages:worklist_act"), fields)
    assert not Study.objects.exclude(reader=None).exists()
    assert not Analysis.objects.filter(state="QUEUED").exists()
    fields = {"action": "export", "study": [five[0].pk]}
    table = client.post(reverse("pages:worklist_act"), fields).content.decode()
    assert len(table.splitlines()) == 1  # the header


def test_the_list_is_a_table_of_all_pages_without_names(browser, site, five):
    high = five[2].chosen_series.analyses.get()
    for number, long_axis_mm in ((1, 9.5), (2, 14.24)):
        Finding.objects.create(analysis=high, number=number, **(FINDINGS[0] | {"long_axis_mm": long_axis_mm}))
    text = browser.get(reverse("pages:worklist_csv"), {"show": "suspected"}).content.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["findings"], row["largest_finding_mm"]) for row in rows] == [("2", "14.24"), ("", "")]
    assert [(row["patient_id"], row["corona_score_cm3"], row["suspected"]) for row in rows] == [
        ("P3", "300.0", "true"),
        ("P2", "30.0", "true"),
    ]
    assert "Doe" not in text
    ticked = {"action": "export", "study": [five[0].pk]}
    only = browser.post(reverse("pages:worklist_act"), ticked).content.decode()
    assert [row["patient_id"] for row in csv.DictReader(io.StringIO(only))] == ["P1"]


def test_a_filter_is_saved_under_a_name_and_forgotten(browser, user, five):
    save = {"name": "Mine to check", "filter": "show=check&since=2020-03-01&evil=1"}
    answer = browser.post(reverse("pages:save_filter"), save)
    assert answer.headers["Location"] == f"{HOME}?show=check&since=2020-03-01"
    (saved,) = SavedFilter.objects.filter(user=user)
    assert saved.address == "show=check&since=2020-03-01"
    assert "Mine to check" in browser.get(HOME).content.decode()
    browser.post(reverse("pages:save_filter"), save | {"filter": "show=problem"})
    assert SavedFilter.objects.get().address == "show=problem"
    browser.post(reverse("pages:forget_filter", args=[saved.pk]))
    assert not SavedFilter.objects.exists()


def test_the_filter_comes_back_from_its_own_address():
    from django.http import QueryDict

    one = Filter(q="doe 1", show="mine", site="north", since=datetime.date(2020, 1, 2))
    assert Filter.of(QueryDict(one.address)) == one
    assert Filter().address == ""


def test_a_line_says_what_is_new_or_grown_also_where_the_score_is_0(browser, site):
    first = a_study(site, 1, score=0.0, suspected=False)
    day = DAY + datetime.timedelta(days=30)
    second = a_study(site, 2, score=0.0, suspected=False, patient=first.patient, day=day)
    prior, now = (each.chosen_series.analyses.get() for each in (first, second))
    Finding.objects.create(analysis=now, number=1, **FINDINGS[0])
    lesions = [
        {"status": status, "number": number, "prior_number": None}
        for status, number in (("new", 1), ("new", 2), ("grown", 3), ("stable", 4))
    ]
    Comparison.objects.create(analysis=now, prior=prior, days=30, state="DONE", change={"lesions": lesions})
    page = browser.get(HOME)
    assert [row.news for row in page.context["rows"]] == [{"new": 2, "grown": 1}, None]
    assert page.content.decode().count("2 new, 1 grown") == 1
    table = csv.DictReader(io.StringIO(browser.get(reverse("pages:worklist_csv")).content.decode()))
    assert [(row["new_lesions"], row["grown_lesions"]) for row in table] == [("2", "1"), ("", "")]


def test_a_comparison_with_news_changes_the_list_on_screen(browser, site):
    first = a_study(site, 1, score=0.0, suspected=False)
    second = a_study(site, 2, score=0.0, suspected=False, patient=first.patient, day=DAY + datetime.timedelta(days=30))
    prior, now = (each.chosen_series.analyses.get() for each in (first, second))
    comparison = Comparison.objects.create(analysis=now, prior=prior, days=30, state="RUNNING")
    seen = browser.get(HOME).context["seen"]
    assert browser.get(HOME, {"seen": seen}, headers=HTMX).status_code == 204
    Comparison.objects.filter(pk=comparison.pk).update(state="DONE", change={"lesions": []})
    assert browser.get(HOME, {"seen": seen}, headers=HTMX).status_code == 204  # the list says the same
    grown = {"status": "grown", "number": 1, "prior_number": 1}
    Comparison.objects.filter(pk=comparison.pk).update(change={"lesions": [grown]})
    assert browser.get(HOME, {"seen": seen}, headers=HTMX).status_code == 200


def test_pages_of_50_take_as_many_queries_as_one_line(browser, site, django_assert_max_num_queries):
    def queries():
        with django_assert_max_num_queries(40) as taken:
            assert browser.get(HOME).status_code == 200
        return len(taken)

    a_study(site, 1, score=5.0, suspected=True)
    browser.get(HOME)
    few = queries()
    for number in range(2, 62):
        a_study(site, number, score=float(number), suspected=True)
    assert queries() == few
    assert len(shown(browser)) == 50
    assert len(shown(browser, page=2)) == 11


def test_a_table_without_rows_has_the_header_of_one_with_rows(browser, five):
    full, empty = (
        browser.get(reverse("pages:worklist_csv"), {"q": words}).content.decode() for words in ("", "nobody")
    )
    assert empty == full.splitlines(keepends=True)[0]


def test_progress_moves_in_its_cell_and_the_list_stays(browser, site, five):
    a_study(site, 6, state="QUEUED")
    page = browser.get(HOME)
    cell = reverse("pages:analysis_progress", args=[Analysis.objects.get(state="RUNNING").pk])
    assert page.content.decode().count(f'hx-get="{cell}"') == page.content.decode().count("/progress/") == 1
    Analysis.objects.filter(state="RUNNING").update(stage="slices", progress=0.5)
    assert browser.get(HOME, {"seen": page.context["seen"]}, headers=HTMX).status_code == 204
    assert "50 %" in browser.get(cell, headers=HTMX).content.decode()
    Analysis.objects.filter(state="QUEUED").update(state="RUNNING")
    assert browser.get(HOME, {"seen": page.context["seen"]}, headers=HTMX).status_code == 200


def test_a_ct_stored_against_its_headers_is_marked(browser, five):
    assert "files name another patient" not in browser.get(HOME).text
    Study.objects.filter(pk=five[0].pk).update(accepted_mismatch="On 5 Mar 2020, ward stored it here although …")
    lines = browser.get(HOME).text.split("<tr data-study=")[1:]
    assert [five[0].pk == int(line.split('"')[1]) for line in lines] == ["files name another" in line for line in lines]
