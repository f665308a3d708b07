"""What each number means and how sure it is: for the page "Help" and the full report.

Figures written in these sentences are constants of the pipeline, most of whose modules the web process may not import;
a test holds them equal.
"""

from django.utils.translation import gettext

from . import formats
from .pipeline.score import GATE_HU
from .trend import HEALTHY_SCORE_CM3


def meanings() -> list[tuple[str, str]]:
    """Names of numbers and sentences on them, in the active language."""
    return [*_of_scores(), *_of_outlines()]


def _of_scores() -> list[tuple[str, str]]:
    limits = {"gate": formats.hu_text(GATE_HU), "healthy": f"{HEALTHY_SCORE_CM3:.0f} cm³"}
    return [
        (
            gettext("Positive ratio"),
            gettext(
                "Slices that the networks call abnormal ÷ slices with lung. Slices thinner than 4 mm are averaged in "
                "groups of about 4 mm, which share one probability, and slices within about 10 mm have a say in it. "
                "The case is suspected above the threshold (Gozes et al. 2020, section 2). Not specific to COVID-19."
            ),
        ),
        (
            gettext("Corona score"),
            gettext(
                "The heat map summed over the positive slices × the volume of a voxel, in cm³, where the tissue, "
                "averaged to about 8 mm, is denser than %(gate)s, since healthy lung lies below. The score as in the "
                "paper has no such limit. It measures how much is ill, not how severe it is."
            )
            % limits,
        ),
        (
            gettext("Relative Corona score"),
            gettext(
                "Score ÷ score of the first time point: 0.50 is half as much. Where both are as low as those of "
                "healthy lungs (below %(healthy)s) it says nothing, and a change inside the band of measurement noise "
                "is no change. How deep the patient breathed, how they lay, the kernel and the dose are not in the "
                "band."
            )
            % limits,
        ),
        (
            gettext("Measurement noise"),
            gettext(
                "The band around a chart's line: where 95 per cent of the scores would lie had the same scan been "
                "stored with other slices, pixels or fields of view, as measured on one scan. A change that is not "
                "larger than it is called within noise; one just beyond it is no proof."
            ),
        ),
    ]


def _of_outlines() -> list[tuple[str, str]]:
    return [
        (
            gettext("Opacity, severity"),
            gettext(
                "The share of the lungs that a third network outlines as ground-glass or consolidation on all lung "
                "slices. Severity adds 0 to 4 points for each third of each lung (from 5, 25, 50 and 75 per cent on), "
                "24 at most: six zones and their grades as in the serial radiographic score for SARS (PMC7120874; "
                "Ooi et al. 2004), parted at thirds of height, and not validated."
            ),
        ),
        (
            gettext("Findings"),
            gettext(
                "Nodules, masses and focal opacities of 4 mm or more. Axes are measured on axial slices, density is "
                "the mean of the outline; confidence of 0 to 1 says how sure a statistical model is that it is one "
                "at all."
            ),
        ),
        (
            gettext("Since the last CT"),
            gettext(
                "A lesion has grown from 1.25 times its volume on and shrunk below the inverse of that. Opacity counts "
                "as new or cleared beyond 3 mm, as the registration of the lungs is not better than that; from slice "
                "to slice, beyond the distance of the thicker ones."
            ),
        ),
        (
            gettext("Known false marks"),
            gettext(
                "The dome of the diaphragm, the apices of the lungs, fat beside the heart, and stomach or bowel right "
                "under the left diaphragm. "
                "What is marked there on positive slices counts in the score."
            ),
        ),
    ]
