from django.apps import AppConfig


class AnalysisConfig(AppConfig):
    name = "analysis"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, comparisons  # noqa: F401  (register the system checks, and what follows a deletion)
