from django.db import migrations, models


def fill_from_reports(apps, schema_editor):
    analyses = apps.get_model("analysis", "Analysis").objects
    for analysis in analyses.filter(report__isnull=False).only("pk", "report").iterator(chunk_size=50):
        analysis.quality = analysis.report.get("quality", [])
        analysis.model_versions = analysis.report.get("models", [])
        analysis.save(update_fields=["quality", "model_versions"])


class Migration(migrations.Migration):
    dependencies = [("analysis", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="analysis",
            name="model_versions",
            field=models.JSONField(blank=True, default=list, help_text="[{name, version, sha256}], as in the report"),
        ),
        migrations.AddField(
            model_name="analysis",
            name="quality",
            field=models.JSONField(blank=True, default=list, help_text="[{code, message}], as in the report"),
        ),
        migrations.AlterField(
            model_name="analysis",
            name="superseded",
            field=models.BooleanField(default=False, help_text="A newer run of the series was queued"),
        ),
        migrations.RunPython(fill_from_reports, migrations.RunPython.noop),
    ]
