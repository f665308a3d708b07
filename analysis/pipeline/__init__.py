"""A DICOM chest CT series in, a frozen :class:`~analysis.pipeline.report.Report` out.

Plain Python, NumPy and torch: knows no Django, no Celery and no settings.
"""

import os

# Before torch is imported: waiting threads sleep instead of spinning, else two analyses on one machine take the
# processor from each other and both run several times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
