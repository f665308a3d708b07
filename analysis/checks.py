"""System checks: what is missing is said by ``manage.py check`` with a hint, not at the first scan."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.checks import CheckMessage, Error, Tags, Warning, register

EVALUATION = Path(__file__).parent.parent / "docs" / "evaluation"
EVALUATION_FILES = ("results.json", "released.json", "change.json")
WEIGHTS_DIR = Path(__file__).parent / "weights"
WEIGHTS = (
    "lung_unet.safetensors",
    "slice_classifier.safetensors",
    "opacity_decoder.safetensors",
    "nodules.json",
    "working_point.json",
)


def has_evaluation() -> bool:
    return all((EVALUATION / name).is_file() for name in EVALUATION_FILES)


def missing_weights(folder: Path = WEIGHTS_DIR) -> list[str]:
    return [name for name in WEIGHTS if not (folder / name).is_file()]


@register()
def weights_are_there(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        Error(
            f"The network weights {name} are missing.",
            hint="They belong to the repository, in analysis/weights/; `make train` makes them anew.",
            id="analysis.E001",
        )
        for name in missing_weights()
    ]


@register()
def evaluation_is_there(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if has_evaluation():
        return []
    return [
        Warning(
            "The results of the evaluation are missing, and the page About the AI cannot be shown.",
            hint="They belong to the repository, in docs/evaluation/; `make evaluate` writes them anew.",
            id="analysis.W004",
        )
    ]


@register(Tags.staticfiles)
def front_end_is_built(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A warning: workers and commands do without pages. What was collected may stand without its source."""
    if finders.find("site.js") or (settings.STATIC_ROOT / "site.js").is_file():
        return []
    return [
        Warning(
            "The pages' scripts and styles are not built, and every page would fail.",
            hint="Run `make build`, then `python manage.py collectstatic --noinput`.",
            id="analysis.W003",
        )
    ]


@register(Tags.translation)
def catalogues_are_compiled(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        Warning(
            f"The translations in {source} are not compiled, and pages of this language would be in English.",
            hint="Run `make build`.",
            id="analysis.W005",
        )
        for folder in settings.LOCALE_PATHS
        for source in sorted(Path(folder).rglob("*.po"))
        if not source.with_suffix(".mo").is_file()
    ]


@register()
def codecs_are_there(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        Error(f"The image codec {module} is missing.", hint="pip install -r requirements.txt", id="analysis.E002")
        for module in ("gdcm", "openjpeg")
        if find_spec(module) is None
    ]
