"""The API of uploads: all in one request, or announced and sent piece by piece."""

from functools import partial
from typing import Any

from django.conf import settings
from django.core.exceptions import TooManyFieldsSent, TooManyFilesSent
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from patients.access import visible
from patients.models import Patient, Site, Upload

from .. import piecewise, services
from .serializers import (
    AnnouncementSerializer,
    NewUploadSerializer,
    OpenUploadSerializer,
    PiecesSerializer,
    UploadSerializer,
)
from .views import Conflict, VisibleRows

TOO_MANY_FILES = _("These are more than {count} files: nothing was stored. Send one exam at a time.")


class UploadViewSet(VisibleRows, mixins.RetrieveModelMixin, mixins.ListModelMixin, viewsets.GenericViewSet):
    queryset = Upload.objects.all()
    serializer_class = UploadSerializer
    parser_classes = (MultiPartParser,)

    def get_queryset(self) -> Any:
        rows = super().get_queryset()
        return rows.exclude(piecewise.of_others(self.request.user)) if self.action in ("pieces", "discard") else rows

    @extend_schema(request={"multipart/form-data": NewUploadSerializer}, responses={202: UploadSerializer})
    def create(self, request: Request) -> Response:
        """Send DICOM files or zips; they are worked off in the background."""
        sent, whose = self._checked(NewUploadSerializer)
        upload = services.receive(sent["files"], **whose)
        return Response(UploadSerializer(upload).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=AnnouncementSerializer, responses={201: OpenUploadSerializer})
    @action(detail=False, methods=["post"], parser_classes=(JSONParser,))
    def announce(self, request: Request) -> Response:
        """Say which files will be sent piece by piece; said again after a break, the answer names what is missing."""
        sent, whose = self._checked(AnnouncementSerializer)
        try:
            upload = piecewise.announce(sent["files"], **whose)
        except services.Refusal as refusal:
            raise ValidationError({"files": [str(refusal)]}) from refusal
        return Response(OpenUploadSerializer(upload).data, status=status.HTTP_201_CREATED)

    @extend_schema(request={"multipart/form-data": PiecesSerializer}, responses=UploadSerializer)
    @action(detail=True, methods=["post"])
    def pieces(self, request: Request, pk: str) -> Response:
        """Send pieces of the announced files, in any order; with the last one they are worked off."""
        upload = self.get_object()
        form = PiecesSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            piecewise.add(upload, form.validated_data)
        except services.Refusal as refusal:
            raise Conflict(str(refusal)) from refusal
        upload.refresh_from_db()
        return Response(UploadSerializer(upload).data)

    def _checked(self, serializer: type[serializers.Serializer]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The request's fields, and whose upload it is: site, user and patient."""
        form = serializer(data=self.request.data)
        form.fields["patient"].queryset = visible(Patient, self.request.user)
        form.is_valid(raise_exception=True)
        patient = form.validated_data.get("patient")
        site = patient.site if patient else self._site(form.validated_data.get("site"))
        return form.validated_data, {"site": site, "user": self.request.user, "patient": patient}

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, (TooManyFilesSent, TooManyFieldsSent)):
            count = number_format(settings.DATA_UPLOAD_MAX_NUMBER_FILES, force_grouping=True)
            exc = ValidationError({"files": [TOO_MANY_FILES.format(count=count)]})
        return super().handle_exception(exc)

    def _site(self, code: str | None) -> Site:
        sites = list(visible(Site, self.request.user))
        named = [site for site in sites if code in (None, site.code)]
        if len(named) == 1:
            return named[0]
        if not sites:
            raise ValidationError({"site": [_("You belong to no site yet: ask your administrator.")]})
        codes = ", ".join(site.code for site in sites)
        raise ValidationError({"site": [_("Name one of your sites: {codes}.").format(codes=codes)]})

    @extend_schema(request=None, responses=UploadSerializer)
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, pk: str) -> Response:
        """The scan is of the named patient all the same: store it."""
        return self._decide(partial(services.confirm, user=request.user))

    @extend_schema(request=None, responses=UploadSerializer)
    @action(detail=True, methods=["post"])
    def discard(self, request: Request, pk: str) -> Response:
        """The held files were sent to the wrong patient, or what is announced will not be sent: forget them."""
        return self._decide(services.discard)

    def _decide(self, decide: Any) -> Response:
        upload = self.get_object()
        try:
            decide(upload)
        except services.Refusal as refusal:
            raise Conflict(str(refusal)) from refusal
        upload.refresh_from_db()
        return Response(UploadSerializer(upload).data)
