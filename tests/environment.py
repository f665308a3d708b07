"""Loaded before Django's settings (see pyproject.toml): no test touches the data of a demo on this machine."""

import atexit
import os
import shutil
import tempfile

os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="coronatrend-tests-")
atexit.register(shutil.rmtree, os.environ["DATA_DIR"], ignore_errors=True)
for name in ("DATABASE_URL", "CELERY_BROKER_URL", "STORAGE_S3_BUCKET", "MODELS_ROOT", "LANGUAGE_CODE"):
    os.environ.pop(name, None)
