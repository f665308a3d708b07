"""Loaded before Django's settings (see pyproject.toml): no test touches the data of a demo on this machine."""

import os
import tempfile

os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="coronatrend-tests-")
for name in ("DATABASE_URL", "CELERY_BROKER_URL", "STORAGE_S3_BUCKET"):
    os.environ.pop(name, None)
