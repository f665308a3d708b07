"""The REST API under ``/api/v1/``: the same objects and actions as the pages."""
