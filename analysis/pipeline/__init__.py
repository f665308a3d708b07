"""A DICOM chest CT series in, a frozen :class:`~analysis.pipeline.report.Report` out.

Plain Python, NumPy and torch: knows no Django, no Celery and no settings.
"""
