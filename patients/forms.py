"""What users type about patients, checked the same way for page and API."""

from datetime import date
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from .access import visible
from .dicom import EARLIEST_BIRTH
from .models import Patient, PatientEvent, Site

SEXES = [("", _("Not given")), ("F", _("Female")), ("M", _("Male")), ("O", _("Other"))]


class NewPatientForm(forms.ModelForm):
    """A patient whose scans do not say whose they are. ``user``: it is made at one of their sites."""

    site = forms.ModelChoiceField(
        Site.objects.none(),
        to_field_name="code",
        required=False,
        label=_("Site"),
        empty_label=_("Choose the site of the patient"),
    )
    sex = forms.ChoiceField(choices=SEXES, required=False, label=_("Sex"))

    class Meta:
        model = Patient
        fields = ("site", "patient_id", "patient_name", "birth_date", "sex")
        labels = {"patient_id": _("Patient ID"), "patient_name": _("Name"), "birth_date": _("Birth date")}
        help_texts = {"patient_name": _("Family name, given names: Doe, Jane")}
        widgets = {"birth_date": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")}

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["site"].queryset = visible(Site, user)

    def clean_site(self) -> Site:
        sites = list(self.fields["site"].queryset)
        named = self.cleaned_data["site"] or (sites[0] if len(sites) == 1 else None)
        if named is None:
            raise forms.ValidationError(_("Name one of your sites."))
        return named

    def clean_patient_id(self) -> str:
        return _one_line(self.cleaned_data["patient_id"])

    def clean_patient_name(self) -> str:
        """As files carry it: Family^Given."""
        name = _one_line(self.cleaned_data["patient_name"])
        if "^" in name:
            return name
        family, _, given = name.partition(",")
        return f"{family.strip()}^{given.strip()}".rstrip("^")

    def clean_birth_date(self) -> date | None:
        born, site = self.cleaned_data["birth_date"], self.cleaned_data.get("site")
        if born and site and not EARLIEST_BIRTH <= born <= site.today:
            raise forms.ValidationError(_("This is no birth date of a patient: enter year, month and day."))
        return born

    def clean(self) -> dict[str, Any]:
        site, patient_id = self.cleaned_data.get("site"), self.cleaned_data.get("patient_id")
        if site and patient_id and Patient.objects.filter(site=site, patient_id=patient_id).exists():
            known = _("A patient with this ID is known at {site} already: upload the CT there.")
            self.add_error("patient_id", known.format(site=site))
        return self.cleaned_data


class SymptomOnsetForm(forms.ModelForm):
    """The first day of symptoms; empty to forget it."""

    class Meta:
        model = Patient
        fields = ("symptom_onset",)

    def clean_symptom_onset(self) -> date | None:
        return _past(self.cleaned_data["symptom_onset"], self.instance)


class PatientEventForm(forms.ModelForm):
    """What happened on a day."""

    class Meta:
        model = PatientEvent
        fields = ("date", "text")
        error_messages = {"date": {"required": _("Say on which day.")}, "text": {"required": _("Say what happened.")}}

    def clean_date(self) -> date | None:
        return _past(self.cleaned_data["date"], self.instance.patient)

    def clean_text(self) -> str:
        return _one_line(self.cleaned_data["text"])


def _past(day: date | None, patient: Patient) -> date | None:
    """A day of the patient's life so far."""
    if day and day > patient.site.today:
        raise forms.ValidationError(_("This day is yet to come."))
    if day and day < (patient.birth_date or EARLIEST_BIRTH):
        raise forms.ValidationError(_("This day is before the patient's birth."))
    return day


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
