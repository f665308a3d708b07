"""Finding patients by what a user types."""

from django.db.models import Q, QuerySet

from .models import Patient


def matching(patients: QuerySet[Patient], text: str) -> QuerySet[Patient]:
    """Those whose name or ID holds each word of ``text``, in any order; all for an empty text."""
    for word in text.replace("\0", " ").split():  # no text in PostgreSQL holds NUL, and asking for it is an error
        patients = patients.filter(Q(patient_name__icontains=word) | Q(patient_id__icontains=word))
    return patients
