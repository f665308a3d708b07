"""A stored slice as a picture: what the viewer shows first."""

import io

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.urls import reverse
from PIL import Image
from pydicom.uid import RLELossless

from analysis import slice_images
from patients.models import Instance
from tests.dicom_series import chest_hu, make_series


@pytest.fixture
def stored(tmp_path, settings):
    """Stores the fourth slice of a series as ``make_series`` writes it."""
    settings.MEDIA_ROOT = tmp_path / "files"

    def store(**series) -> Instance:
        instance = Instance(file=None)
        instance.file.save("slice.dcm", ContentFile(make_series(tmp_path / "ct", **series)[3].read_bytes()), save=False)
        return instance

    return store


def opened(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg))


def test_a_slice_is_drawn_whole_in_the_lung_window(stored):
    image = np.asarray(opened(slice_images.whole_slice(stored())), dtype=float)
    assert image.shape == (96, 96)
    assert image[:4, :4].mean() == pytest.approx((-1000 + 1350) / 1500 * 255, abs=3)
    assert image[46:50, 24:30].mean() == pytest.approx((-850 + 1350) / 1500 * 255, abs=3)
    assert image[46:50, 46:50].mean() == pytest.approx((40 + 1350) / 1500 * 255, abs=3)


def test_pixels_that_are_no_squares_are_drawn_as_the_body_is(stored):
    assert opened(slice_images.whole_slice(stored(spacing_mm=(1.0, 0.7, 1.4)))).size == (96, 48)


def test_slices_are_read_after_the_child_that_decodes_has_died(stored):
    compressed = stored(transfer_syntax_uid=RLELossless)
    header, hu = slice_images.read_slice(compressed)
    assert (header.compressed, hu.shape) == (True, (96, 96))
    child = slice_images._decoder._child
    child.kill()
    child.wait()
    np.testing.assert_array_equal(slice_images.read_slice(compressed)[1], hu)
    np.testing.assert_array_equal(hu, chest_hu()[3].clip(-1024))


def test_an_image_that_cannot_be_drawn_is_not_found(browser, analysis):
    instance = analysis.series.instances.first()
    address = reverse("pages:instance_image", args=[instance.pk])
    answer = browser.get(address)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert answer.headers["Cache-Control"] == "private, max-age=3600"
    whole = instance.file.read()
    for damaged in (whole[: len(whole) // 2], b"no image"):
        instance.file.storage.delete(instance.file.name)
        instance.file.storage.save(instance.file.name, ContentFile(damaged))
        assert browser.get(address).status_code == 404
    instance.file.storage.delete(instance.file.name)
    assert browser.get(address).status_code == 404


def test_heights_of_places_run_along_the_slices_normal(analysis, tmp_path):
    """A series that leans by 9°, as those are taken that lean by up to 10°."""
    place = (20.0, -80.0, -40.0)
    assert slice_images.heights_mm(analysis, [place]) == [pytest.approx(-40.0)]
    sine, cosine = np.sin(np.radians(9)), np.cos(np.radians(9))
    first = Instance.objects.get(sop_instance_uid=analysis.report["slices"][0]["sop_instance_uid"])
    leaning = make_series(tmp_path / "leaning", orientation=(1, 0, 0, 0, cosine, sine))[0]
    first.file.save("leaning.dcm", ContentFile(leaning.read_bytes()))
    assert slice_images.heights_mm(analysis, [place]) == [pytest.approx(-40 * cosine + 80 * sine, abs=1e-4)]
    first.file.storage.delete(first.file.name)
    assert slice_images.heights_mm(analysis, [place]) == [-40.0]
