"""Uploads that come piece by piece: any order, sent twice, broken off, gone on with."""

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from analysis import piecewise, queue, services, tasks
from patients.models import Instance, Patient, Site, Upload, UploadPart
from tests.dicom_series import make_series
from tests.stack import zipped

UPLOADS = "/api/v1/uploads/"


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(piecewise, "PIECE_BYTES", 1000)


@pytest.fixture
def scan(tmp_path):
    """Name and content of each file of a scan, a zip of more slices among them."""
    files = {path.name: path.read_bytes() for path in make_series(tmp_path / "a", slices=3)}
    make_series(tmp_path / "b", slices=2)
    return files | {"more.zip": zipped(tmp_path / "b")}


def announcement(scan):
    return [{"name": name, "size": len(content), "mark": f"{hash(content)}"} for name, content in scan.items()]


def piece(scan, numbers):
    content = list(scan.values())[numbers[0]]
    start = numbers[1] * piecewise.PIECE_BYTES
    return ContentFile(content[start : start + piecewise.PIECE_BYTES])


def add(upload, scan, some):
    upload.refresh_from_db()
    piecewise.add(upload, {numbers: piece(scan, numbers) for numbers in some})


def post(api, path, **fields):
    return api.post(UPLOADS + path, json.dumps(fields), content_type="application/json")


@pytest.fixture
def upload(site, user, scan):
    return piecewise.announce(announcement(scan), site=site, user=user)


def test_pieces_in_any_order_and_twice_make_the_files_that_were_announced(upload, scan):
    order = piecewise.missing(upload)[::-1]
    for some in (order[:7], order[3:12], order[:-1]):
        add(upload, scan, some)
        upload.refresh_from_db()
        assert upload.state == Upload.State.RECEIVING
    assert piecewise.missing(upload) == [(0, 0)]
    assert queue.claim_next() is None
    add(upload, scan, order[-1:])
    tasks.do(queue.claim_next())
    upload.refresh_from_db()
    assert upload.state == Upload.State.DONE
    assert [(file["name"].split("/")[0], file["outcome"]) for file in upload.files] == [
        *((name, "stored") for name in scan if name != "more.zip"),
        *[("more.zip", "stored")] * 2,
    ]
    stored = {instance.file.open().read() for instance in Instance.objects.all()}
    assert set(scan.values()) - stored == {scan["more.zip"]}
    assert not UploadPart.objects.exists()


def test_the_last_piece_sent_again_changes_nothing(upload, scan):
    every = piecewise.missing(upload)
    add(upload, scan, every)
    add(upload, scan, every[-1:])
    upload.refresh_from_db()
    assert (upload.state, upload.announced) == (Upload.State.RECEIVED, [])


def test_the_same_files_announced_again_go_on_and_other_files_do_not(upload, scan, site, user):
    add(upload, scan, piecewise.missing(upload)[:4])
    again = piecewise.announce(announcement(scan), site=site, user=user)
    assert again == upload
    assert piecewise.missing(again)[0] == piecewise.missing(upload)[0] != (0, 0)
    others = announcement(scan)
    others[1]["mark"] = "another scan with files of the same names and sizes"
    patient = Patient.objects.create(site=site, patient_id="1")
    for other in (
        piecewise.announce(others, site=site, user=user),
        piecewise.announce(announcement(scan), site=site, user=user, patient=patient),
    ):
        assert other != upload
        assert (0, 0) in piecewise.missing(other)


@pytest.mark.parametrize("numbers", [(0, 0), (0, 99), (4, 0)])
def test_a_piece_that_does_not_fit_what_was_announced_is_refused(upload, numbers):
    with pytest.raises(services.Refusal, match="does not fit"):
        piecewise.add(upload, {numbers: ContentFile(b"too short")})
    assert not upload.parts.exists()


def test_a_piece_that_comes_after_the_upload_was_cancelled_leaves_no_file(upload, scan):
    seen_open = Upload.objects.get(pk=upload.pk)
    add(upload, scan, [(0, 0)])
    services.discard(upload)
    with pytest.raises(services.Refusal, match="Cancelled"):
        piecewise.add(seen_open, {(0, 1): piece(scan, (0, 1))})
    with pytest.raises(services.Refusal, match="Cancelled"):
        add(upload, scan, [(0, 1)])
    assert not UploadPart.objects.exists()
    assert default_storage.listdir(f"uploads/{upload.pk}") == ([], [])


def test_an_empty_file_is_one_empty_piece(site, user):
    upload = piecewise.announce([{"name": "empty", "size": 0, "mark": ""}], site=site, user=user)
    piecewise.add(upload, {(0, 0): ContentFile(b"")})
    tasks.do(queue.claim_next())
    upload.refresh_from_db()
    assert [file["outcome"] for file in upload.files] == ["refused"]


def test_files_are_told_apart_by_their_folders_which_lead_nowhere_else(site, user):
    names = ["exam/series 1/IM0001", "../../IM0001"]
    upload = piecewise.announce([{"name": name, "size": 1, "mark": ""} for name in names], site=site, user=user)
    piecewise.add(upload, {(0, 0): ContentFile(b"x"), (1, 0): ContentFile(b"y")})
    parts = upload.parts.all()
    assert [(part.name, part.file.read()) for part in parts] == list(zip(names, [b"x", b"y"], strict=True))
    assert all(part.file.name.startswith(f"uploads/{upload.pk}/") for part in parts)


def test_thousands_of_files_with_long_names_can_be_announced(api, site):
    files = [{"name": f"{'a long name of a folder/' * 60}{number}.dcm", "size": 1} for number in range(5000)]
    assert len(post(api, "announce/", files=files).json()["missing"]) == 5000


def heard(hours_ago):
    Upload.objects.update(heard_at=timezone.now() - timedelta(hours=hours_ago))


def test_what_nobody_goes_on_with_is_forgotten_after_a_day(upload, scan, settings):
    add(upload, scan, piecewise.missing(upload)[:2])
    hours = settings.UPLOAD_KEPT_OPEN_HOURS
    heard(hours_ago=hours - 0.1)
    piecewise.forget_broken_off()
    assert upload.parts.count() == 2
    heard(hours_ago=hours + 0.1)
    piecewise.forget_broken_off()
    upload.refresh_from_db()
    assert upload.state == Upload.State.FAILED
    assert f"for {hours} hours" in upload.reason
    assert not UploadPart.objects.exists()


def test_a_piece_or_the_files_announced_again_keep_an_upload_open(upload, scan, settings, site, user):
    for go_on in (
        lambda: add(upload, scan, piecewise.missing(upload)[:1]),
        lambda: piecewise.announce(announcement(scan), site=site, user=user),
    ):
        heard(hours_ago=settings.UPLOAD_KEPT_OPEN_HOURS + 1)
        go_on()
        piecewise.forget_broken_off()
        upload.refresh_from_db()
        assert upload.state == Upload.State.RECEIVING


def test_files_of_requests_that_died_or_came_too_late_do_not_stay(upload, scan):
    first, *others = piecewise.missing(upload)
    default_storage.save(f"uploads/{upload.pk}/00000.00000", ContentFile(b"written, but its row never was"))
    seen_open = Upload.objects.get(pk=upload.pk)
    add(upload, scan, [first, *others])
    tasks.do(queue.claim_next())
    piecewise.add(seen_open, {first: piece(scan, first)})
    assert default_storage.listdir(f"uploads/{upload.pk}") == ([], [])


def test_too_many_or_too_large_files_are_refused_before_they_are_sent(site, user, monkeypatch):
    files = [{"name": f"{number}", "size": 600, "mark": ""} for number in range(3)]
    monkeypatch.setattr(piecewise, "MAX_TOTAL_BYTES", 1000)
    with pytest.raises(services.Refusal, match="GB: send one exam"):
        piecewise.announce(files, site=site, user=user)
    monkeypatch.setattr(piecewise, "MAX_MEMBERS", 2)
    with pytest.raises(services.Refusal, match="hold 2 files"):
        piecewise.announce(files, site=site, user=user)
    assert not Upload.objects.exists()


def test_the_api_names_what_is_missing_and_takes_it(api, scan, site):
    answer = post(api, "announce/", files=announcement(scan))
    assert answer.status_code == 201
    opened = answer.json()
    assert (opened["state"], opened["piece_bytes"]) == ("receiving", 1000)
    assert opened["missing"] == [list(each) for each in piecewise.missing(Upload.objects.get())]
    half = len(opened["missing"]) // 2
    for some, state in ((opened["missing"][:half], "receiving"), (opened["missing"][half:], "received")):
        sent = {
            "pieces": [io.BytesIO(piece(scan, numbers).read()) for numbers in some],
            "numbers": [f"{file}.{number}" for file, number in some],
        }
        answer = api.post(f"{UPLOADS}{opened['id']}/pieces/", sent)
        assert (answer.status_code, answer.json()["state"]) == (200, state)


def test_the_api_refuses_pieces_and_announcements_with_a_sentence(api, site, scan):
    opened = post(api, "announce/", files=announcement(scan)).json()
    address = f"{UPLOADS}{opened['id']}/pieces/"
    unequal = api.post(address, {"pieces": io.BytesIO(b"x"), "numbers": ["0.0", "0.1"]})
    assert "one number for each piece" in unequal.content.decode()
    wrong = api.post(address, {"pieces": io.BytesIO(b"x"), "numbers": "0.0"})
    assert (wrong.status_code, wrong.json()["detail"]) == (409, piecewise.NOT_ANNOUNCED)
    assert post(api, "announce/", files=[]).status_code == 400
    assert post(api, "announce/", files=[{"name": "a", "size": -1}]).status_code == 400
    assert api.post(f"{UPLOADS}{opened['id']}/discard/").json()["state"] == "failed"


def test_what_a_colleague_is_sending_can_be_looked_at_and_no_more(client, site, upload, scan, django_user_model):
    colleague = django_user_model.objects.create_user("colleague")
    site.users.add(colleague)
    client.force_login(colleague)
    address = f"{UPLOADS}{upload.pk}/"
    assert client.get(address).json()["state"] == "receiving"
    sent = {"pieces": io.BytesIO(piece(scan, (0, 0)).read()), "numbers": "0.0"}
    assert client.post(f"{address}pieces/", sent).status_code == 404
    assert client.post(f"{address}discard/").status_code == 404
    assert client.post(f"/uploads/{upload.pk}/discard/").status_code == 404
    assert not upload.parts.exists()


def test_the_pages_say_what_broke_off_and_forget_it_when_asked(browser, upload, scan):
    add(upload, scan, piecewise.missing(upload)[: len(piecewise.missing(upload)) // 2])
    Site.objects.update(time_zone="Asia/Tokyo")
    Upload.objects.update(created_at=datetime(2020, 3, 3, 20, 30, tzinfo=UTC))
    address = f"/uploads/{upload.pk}/"
    assert address in browser.get("/upload/").content.decode()
    text = browser.get(address).content.decode()
    assert "An upload of 4 files" in text
    assert "begun 4 Mar 2020, 05:30 JST" in text
    assert "50 % arrived" in text
    assert "0000.dcm …" in text
    assert "hx-trigger" not in text
    assert "nothing was stored" in browser.post(f"{address}discard/").content.decode()
    assert address not in browser.get("/upload/").content.decode()
