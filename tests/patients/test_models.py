"""What the rows say of themselves."""

from datetime import date

import pytest
from django.core.exceptions import ValidationError

from patients.models import Patient, Site, Study, name_text


@pytest.mark.parametrize(
    ("day", "age"), [(date(2020, 3, 4), 59), (date(2020, 3, 5), 60), (date(2021, 1, 1), 60), (None, None)]
)
def test_the_age_counts_whole_years(day, age):
    assert Patient(birth_date=date(1960, 3, 5)).age_on(day) == age


def test_the_age_is_unknown_without_a_birth_date():
    assert Patient().age_on(date(2020, 3, 5)) is None


def test_without_a_birth_date_the_age_is_what_the_files_say():
    born, nobody = Patient(birth_date=date(1960, 3, 5)), Patient()
    assert Study(patient=born, study_date=date(2020, 3, 5), age_years=39).age == 60
    assert Study(patient=nobody, study_date=date(2020, 3, 5), age_years=39).age == 39
    assert Study(patient=nobody).age is None


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("Doe^Jane", "Jane Doe"),
        ("Müller^Jürgen^Karl^Dr.^MBA", "Dr. Jürgen Karl Müller MBA"),
        ("Müller^^^Dr.", "Dr. Müller"),
        ("Doe", "Doe"),
        ("Yamada^Tarou=山田^太郎", "Tarou Yamada"),
        ("^", "No name given"),
    ],
)
def test_a_name_is_said_as_people_write_it(stored, said):
    assert name_text(stored) == said


@pytest.mark.parametrize("name", ["Berlin", "Europe/Berln", "", "../UTC"])
def test_an_unknown_time_zone_is_refused(name):
    with pytest.raises(ValidationError) as refused:
        Site(code="north", name="North", time_zone=name).clean_fields()
    assert list(refused.value.message_dict) == ["time_zone"]


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin"])
def test_a_known_time_zone_is_taken(name):
    Site(code="north", name="North", time_zone=name).clean_fields()
