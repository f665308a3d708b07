"""Local files that are never seen half-written."""

import uuid
from pathlib import Path

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage


class WholeFileStorage(FileSystemStorage):
    """Writes beside the place and moves the file there in one step.

    A reader sees the old file or the new one, and a full disk or a killed process leaves what was there untouched:
    stored DICOM files are named by their content, so the same scan sent twice is written over itself.
    """

    def _save(self, name: str, content: File) -> str:
        part = f"{name}.{uuid.uuid4().hex}.part"
        try:
            super()._save(part, content)
            Path(self.path(part)).replace(self.path(name))
        finally:
            self.delete(part)
        return name
