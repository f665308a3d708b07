from django.db import migrations, models


def name_signers(apps, schema_editor):
    signed = apps.get_model("analysis", "Reading").objects.filter(state="SIGNED", reader__isnull=False)
    for reading in signed.select_related("reader"):
        reading.signed_by = reading.reader.username
        reading.save(update_fields=["signed_by"])


class Migration(migrations.Migration):

    dependencies = [
        ("analysis", "0010_finding_review"),
    ]

    operations = [
        migrations.AddField(
            model_name="reading",
            name="signed_by",
            field=models.CharField(
                blank=True, help_text="Whose signature it is; stays where the user is renamed or deleted", max_length=150
            ),
        ),
        migrations.RunPython(name_signers, migrations.RunPython.noop),
    ]
