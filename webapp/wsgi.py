"""WSGI entry point: ``gunicorn webapp.wsgi``."""

import os
import resource

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

# Django keeps every file of a request open until it is answered, and an exam has thousands: many systems start a
# process with 1,024 file descriptors and allow far more.
_WANTED = 2**16
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_most = _WANTED if _hard == resource.RLIM_INFINITY else min(_WANTED, _hard)
if _soft != resource.RLIM_INFINITY and _soft < _most:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_most, _hard))

application = get_wsgi_application()
