"""What the API shows of each object."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from patients.models import Patient, Series, Study, Upload

from .. import piecewise
from ..models import Analysis, Comparison, Finding, FindingReview, Reading, SliceCorrection


class PatientSerializer(serializers.ModelSerializer):
    site = serializers.SlugRelatedField("code", read_only=True)
    studies = serializers.PrimaryKeyRelatedField(many=True, read_only=True)

    class Meta:
        model = Patient
        fields = (
            "id",
            "site",
            "patient_id",
            "issuer_of_patient_id",
            "patient_name",
            "birth_date",
            "sex",
            "synthetic",
            "studies",
        )


class NewPatientSerializer(serializers.Serializer):
    """A patient made by hand; the site's code where the user has several."""

    patient_id = serializers.CharField(max_length=64)
    patient_name = serializers.CharField(required=False, help_text="Family^Given, or Family, Given")
    birth_date = serializers.DateField(required=False)
    sex = serializers.CharField(required=False, help_text="F, M or O")
    site = serializers.CharField(required=False, help_text="The site's code")


class StudySerializer(serializers.ModelSerializer):
    series = serializers.PrimaryKeyRelatedField(many=True, read_only=True)

    class Meta:
        model = Study
        fields = (
            "id",
            "patient",
            "study_instance_uid",
            "study_date",
            "study_time",
            "dated_by_hand",
            "description",
            "series",
            "chosen_series",
            "chosen_by_hand",
        )


class ReadingSerializer(serializers.ModelSerializer):
    reader = serializers.SlugRelatedField("username", read_only=True, allow_null=True)

    class Meta:
        model = Reading
        fields = (
            "id", "study", "version", "state", "analysis", "reader", "suspected", "reason", "impression",
            "saved_at", "signed_at", "signed_by",
        )  # fmt: skip


class ChosenSeriesSerializer(serializers.Serializer):
    series = serializers.PrimaryKeyRelatedField(queryset=Series.objects.none())


class StudyDateSerializer(serializers.Serializer):
    date = serializers.DateField()


class SeriesSerializer(serializers.ModelSerializer):
    class Meta:
        model = Series
        fields = (
            "id",
            "study",
            "series_instance_uid",
            "series_number",
            "description",
            "convolution_kernel",
            "slice_count",
            "slice_spacing_mm",
            "usable",
            "reason",
        )


class FileOutcomeSerializer(serializers.Serializer):
    name = serializers.CharField()
    outcome = serializers.ChoiceField(choices=["stored", "already_stored", "refused", "collision"])
    reason = serializers.CharField(allow_blank=True)


class SeriesOutcomeSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    series_instance_uid = serializers.CharField()
    used = serializers.BooleanField()
    reason = serializers.CharField(allow_blank=True)


class UploadSerializer(serializers.ModelSerializer):
    files = FileOutcomeSerializer(many=True, read_only=True)
    series = SeriesOutcomeSerializer(many=True, read_only=True)
    studies = serializers.ListField(child=serializers.IntegerField(), read_only=True)
    analyses = serializers.ListField(child=serializers.IntegerField(), read_only=True)

    class Meta:
        model = Upload
        fields = ("id", "state", "reason", "progress", "files", "series", "studies", "analyses", "created_at")
        read_only_fields = fields


class NewUploadSerializer(serializers.Serializer):
    """What is sent: DICOM files or zips; the patient they are meant for; the site where the user has several."""

    files = serializers.ListField(child=serializers.FileField(allow_empty_file=True), allow_empty=False)
    patient = serializers.PrimaryKeyRelatedField(queryset=Patient.objects.none(), required=False, allow_null=True)
    site = serializers.CharField(required=False, help_text="The site's code")


class AnnouncedFileSerializer(serializers.Serializer):
    name = serializers.CharField(help_text="With its folders in what is sent", max_length=4096)
    size = serializers.IntegerField(min_value=0, help_text="Bytes")
    mark = serializers.CharField(
        max_length=64,
        allow_blank=True,
        default="",
        help_text="What tells it from other files of this name and size, such as a checksum",
    )


class AnnouncementSerializer(serializers.Serializer):
    """What will be sent piece by piece; the patient it is meant for; the site where the user has several."""

    files = AnnouncedFileSerializer(many=True, allow_empty=False)
    patient = serializers.PrimaryKeyRelatedField(queryset=Patient.objects.none(), required=False, allow_null=True)
    site = serializers.CharField(required=False, help_text="The site's code")


class OpenUploadSerializer(UploadSerializer):
    """An upload that is sent piece by piece, with what is still to be sent."""

    piece_bytes = serializers.SerializerMethodField(help_text="Size of every piece of a file but its last")
    missing = serializers.SerializerMethodField(help_text="Pieces to send: [number of the file, number of the piece]")

    class Meta(UploadSerializer.Meta):
        fields = (*UploadSerializer.Meta.fields, "piece_bytes", "missing")
        read_only_fields = fields

    def get_piece_bytes(self, upload: Upload) -> int:
        return piecewise.PIECE_BYTES

    def get_missing(self, upload: Upload) -> list[tuple[int, int]]:
        return piecewise.missing(upload)


class PiecesSerializer(serializers.Serializer):
    """Pieces of announced files, in any order; one that was sent before may be sent again."""

    pieces = serializers.ListField(child=serializers.FileField(allow_empty_file=True), allow_empty=False)
    numbers = serializers.ListField(
        child=serializers.RegexField(r"^\d{1,6}\.\d{1,6}$"),
        help_text="Of each piece, in the same order: number of the file, a dot, number of the piece, both from 0",
    )

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if len(fields["numbers"]) != len(fields["pieces"]):
            raise serializers.ValidationError({"numbers": [_("Send one number for each piece, in the same order.")]})
        numbers = [tuple(int(part) for part in number.split(".")) for number in fields["numbers"]]
        return dict(zip(numbers, fields["pieces"], strict=True))


class AnalysisSummarySerializer(serializers.ModelSerializer):
    """An analysis without its report, as lists show it."""

    study = serializers.IntegerField(source="series.study_id", read_only=True)

    class Meta:
        model = Analysis
        fields: tuple[str, ...] = (
            "id",
            "study",
            "series",
            "state",
            "stage",
            "progress",
            "error",
            "superseded",
            "created_at",
            "started_at",
            "finished_at",
            "corona_score_cm3",
            "positive_ratio",
            "suspected",
        )


class AnalysisSerializer(AnalysisSummarySerializer):
    report = serializers.JSONField(read_only=True, allow_null=True, help_text="The pipeline's report; null until done")

    class Meta(AnalysisSummarySerializer.Meta):
        fields = (*AnalysisSummarySerializer.Meta.fields, "report")


class SliceCorrectionSerializer(serializers.ModelSerializer):
    user = serializers.SlugRelatedField("username", read_only=True, allow_null=True)

    class Meta:
        model = SliceCorrection
        fields = ("id", "analysis", "sop_instance_uid", "abnormal", "reason", "user", "created_at")


class NewSliceCorrectionSerializer(serializers.Serializer):
    """What a reader says of a slice of the result."""

    sop_instance_uid = serializers.CharField()
    abnormal = serializers.BooleanField()
    reason = serializers.CharField(required=False, allow_blank=True, max_length=500)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if "abnormal" not in self.initial_data:  # else a form that leaves it out would say "normal"
            raise serializers.ValidationError({"abnormal": [_("Say whether the slice is abnormal: true or false.")]})
        return fields


class FindingReviewSerializer(serializers.ModelSerializer):
    user = serializers.SlugRelatedField("username", read_only=True, allow_null=True)

    class Meta:
        model = FindingReview
        fields = (
            "id", "analysis", "number", "present", "centroid_mm", "long_axis_mm", "reason", "user", "created_at",
        )  # fmt: skip


class NewFindingReviewSerializer(serializers.Serializer):
    """Whether a finding is one (``number`` and ``present``), or one that the networks missed (its place and size)."""

    number = serializers.IntegerField(required=False, min_value=1, help_text="Of the finding in the result")
    present = serializers.BooleanField(required=False)
    centroid_mm = serializers.ListField(
        child=serializers.FloatField(),
        required=False,
        min_length=3,
        max_length=3,
        help_text="[x, y, z] in DICOM patient coordinates",
    )
    long_axis_mm = serializers.FloatField(required=False)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=500)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        given = {name for name in self.initial_data if name != "reason"}
        if given not in ({"number", "present"}, {"centroid_mm", "long_axis_mm"}):
            raise serializers.ValidationError(
                {"number": [_("Send number and present of a finding, or centroid_mm and long_axis_mm of a new one.")]}
            )
        return fields


class FindingSerializer(serializers.ModelSerializer):
    superseded = serializers.BooleanField(
        source="analysis.superseded", read_only=True, help_text="A newer run of the series was queued"
    )
    study = serializers.IntegerField(source="analysis.series.study_id", read_only=True)
    patient = serializers.IntegerField(source="analysis.series.study.patient_id", read_only=True)
    centroid_mm = serializers.ListField(
        child=serializers.FloatField(), read_only=True, help_text="[x, y, z] in DICOM patient coordinates"
    )

    class Meta:
        model = Finding
        fields = (
            "id",
            "patient",
            "study",
            "analysis",
            "superseded",
            "number",
            "kind",
            "texture",
            "lung",
            "zone",
            "centroid_mm",
            "volume_ml",
            "long_axis_mm",
            "short_axis_mm",
            "mean_hu",
            "calcified",
            "confidence",
        )


class ComparisonSerializer(serializers.ModelSerializer):
    patient = serializers.IntegerField(source="analysis.series.study.patient_id", read_only=True)
    change = serializers.JSONField(
        read_only=True,
        allow_null=True,
        help_text="Each lesion with its status and both volumes, and the opacity that came and went; null until done",
    )

    class Meta:
        model = Comparison
        fields = ("id", "patient", "analysis", "prior", "days", "state", "error", "finished_at", "change")


class TrendPointSerializer(serializers.Serializer):
    study = serializers.IntegerField(source="study.pk")
    analysis = serializers.IntegerField(source="analysis.pk", allow_null=True)
    date = serializers.DateField()
    days_since_first = serializers.IntegerField()
    corona_score_cm3 = serializers.FloatField(allow_null=True)
    relative_corona_score = serializers.FloatField(
        allow_null=True, help_text="score ÷ score of the first time point; null where that is 0 or not done yet"
    )


class TrendSerializer(serializers.Serializer):
    points = TrendPointSerializer(many=True)
