from django.db import migrations, models


def name_who_sent_it(apps, schema_editor):
    """Who confirmed was not kept: mostly whoever sent it."""
    uploads = apps.get_model('patients', 'Upload').objects.filter(confirmed=True).select_related('user')
    for upload in uploads.iterator():
        upload.confirmed_by = upload.user.username if upload.user else '?'
        upload.save(update_fields=['confirmed_by'])


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0007_upload_pieces'),
    ]

    operations = [
        migrations.AddField(
            model_name='upload',
            name='confirmed_by',
            field=models.CharField(blank=True, default='', help_text='Which user confirmed that the scan is of this patient', max_length=150),
            preserve_default=False,
        ),
        migrations.RunPython(name_who_sent_it, migrations.RunPython.noop),
        migrations.RemoveField(
            model_name='upload',
            name='confirmed',
        ),
    ]
