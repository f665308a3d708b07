from typing import Any

from django.db import migrations, models

import patients.models
from patients.search import searchable


def fill(apps: Any, schema_editor: Any) -> None:
    patients = apps.get_model("patients", "Patient").objects.using(schema_editor.connection.alias)
    for patient in patients.only("patient_name", "patient_id").iterator():
        patient.search_text = searchable(patient.patient_name, patient.patient_id)
        patient.save(update_fields=["search_text"])


class Migration(migrations.Migration):
    dependencies = [("patients", "0002_study_dated_by_hand")]

    operations = [
        migrations.AddField(
            model_name="patient",
            name="search_text",
            field=models.TextField(
                default="", editable=False, help_text="Name and ID as they are searched (search.py)"
            ),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name="site",
            name="time_zone",
            field=models.CharField(default="UTC", max_length=64, validators=[patients.models.check_time_zone]),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
