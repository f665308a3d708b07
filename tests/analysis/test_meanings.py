"""What each number means: the figures in the sentences are those that the pipeline works with."""

import pytest
from django.utils import translation

from analysis.meanings import meanings
from analysis.pipeline import change, findings, lesion_change, opacity, regions, score, slices
from analysis.trend import HEALTHY_SCORE_CM3

POSITIVE_RATIO, CORONA_SCORE, RELATIVE, _NOISE, OPACITY, FINDINGS, SINCE_LAST, _FALSE_MARKS = range(8)


def number(figure: float, language: str) -> str:
    text = f"{figure:g}"
    return text.replace(".", ",") if language == "de" else text


@pytest.mark.parametrize("language", ["en-gb", "de"])
def test_figures_are_the_constants_of_the_pipeline(language):
    with translation.override(language):
        words = [sentence for _, sentence in meanings()]
    says = {
        POSITIVE_RATIO: (f"{number(slices.SLAB_MM, language)} mm", f"{number(2 * slices.NEIGHBOUR_MM, language)} mm"),
        CORONA_SCORE: (f"−{-score.GATE_HU:.0f} HU", f"{number(score.GATE_MM, language)} mm"),
        RELATIVE: (f"{HEALTHY_SCORE_CM3:.0f} cm³",),
        OPACITY: (
            "{:.0f}, {:.0f}, {:.0f} {and} {:.0f}".format(
                *opacity.GRADES_PERCENT, **{"and": "und" if language == "de" else "and"}
            ),
            str(len(opacity.GRADES_PERCENT) * len(regions.ZONES)),
        ),
        FINDINGS: (f"{number(findings.MIN_DIAMETER_MM, language)} mm",),
        SINCE_LAST: (number(lesion_change.SIGNIFICANT, language), f"{number(change.TOLERANCE_MM, language)} mm"),
    }
    for which, figures in says.items():
        for figure in figures:
            assert figure in words[which]
