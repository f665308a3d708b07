from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("patients", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="study",
            name="dated_by_hand",
            field=models.BooleanField(default=False, help_text="A user said the date, as the files carry none"),
        ),
    ]
