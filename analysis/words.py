"""The fixed words of results and reports in the reader's language.

Whole phrases where other languages join the words in other ways. CSV, API and database keep the English ones, which are
the keys here.
"""

from django.utils.translation import gettext_lazy, pgettext_lazy

FINDINGS = {  # by texture and kind, as in pipeline/findings.py
    ("solid", "nodule"): gettext_lazy("Solid nodule"),
    ("part-solid", "nodule"): gettext_lazy("Part-solid nodule"),
    ("ground-glass", "nodule"): gettext_lazy("Ground-glass nodule"),
    ("solid", "mass"): gettext_lazy("Solid mass"),
    ("part-solid", "mass"): gettext_lazy("Part-solid mass"),
    ("ground-glass", "mass"): gettext_lazy("Ground-glass mass"),
    ("solid", "focal opacity"): gettext_lazy("Solid focal opacity"),
    ("part-solid", "focal opacity"): gettext_lazy("Part-solid focal opacity"),
    ("ground-glass", "focal opacity"): gettext_lazy("Ground-glass focal opacity"),
}
KINDS = {
    "nodule": pgettext_lazy("finding", "nodule"),
    "mass": pgettext_lazy("finding", "mass"),
    "focal opacity": pgettext_lazy("finding", "focal opacity"),
}
PLACES = {  # by lung and zone
    ("right", "upper"): gettext_lazy("right lung, upper third"),
    ("right", "middle"): gettext_lazy("right lung, middle third"),
    ("right", "lower"): gettext_lazy("right lung, lower third"),
    ("left", "upper"): gettext_lazy("left lung, upper third"),
    ("left", "middle"): gettext_lazy("left lung, middle third"),
    ("left", "lower"): gettext_lazy("left lung, lower third"),
}
MOST_IN = {  # by region of the opacity
    "right upper": gettext_lazy("most in the right upper third"),
    "right middle": gettext_lazy("most in the right middle third"),
    "right lower": gettext_lazy("most in the right lower third"),
    "left upper": gettext_lazy("most in the left upper third"),
    "left middle": gettext_lazy("most in the left middle third"),
    "left lower": gettext_lazy("most in the left lower third"),
}
THIRDS = {
    "upper": pgettext_lazy("third of the lungs", "Upper"),
    "middle": pgettext_lazy("third of the lungs", "Middle"),
    "lower": pgettext_lazy("third of the lungs", "Lower"),
}

LESION_STATUS = {  # as in pipeline/lesion_change.py, what matters most first
    "new": pgettext_lazy("lesion", "new"),
    "grown": pgettext_lazy("lesion", "grown"),
    "shrunk": pgettext_lazy("lesion", "shrunk"),
    "resolved": pgettext_lazy("lesion", "resolved"),
    "stable": pgettext_lazy("lesion", "stable"),
    "part of another": pgettext_lazy("lesion", "part of another"),
    "unclear": pgettext_lazy("lesion", "unclear"),
    "not in the other scan": pgettext_lazy("lesion", "not in the other scan"),
    "cut off": pgettext_lazy("lesion", "cut off by the end of a CT"),
}
NOT_COMPARED = pgettext_lazy("lesion", "not compared")
INSTEAD = LESION_STATUS | {  # what a CT shows at the place of a lesion that is no finding there
    "unclear": pgettext_lazy("place of a lesion", "unclear, not outlined"),
    "not in the other scan": pgettext_lazy("place of a lesion", "not scanned, or not lung"),
}
SEEN_NOW = {  # what the status of a finding of the later scan says of the earlier one, where it says more
    "part of another": pgettext_lazy("lesion", "part of another one then"),
    "unclear": pgettext_lazy("lesion", "not outlined then, unclear whether it was there"),
    "not in the other scan": pgettext_lazy("lesion", "its place was not scanned then, or not in the lungs"),
}
GONE = {  # of a lesion that is no finding of the later scan
    "resolved": gettext_lazy("Resolved: %(lesion)s"),
    "part of another": gettext_lazy("Merged or fell apart, see finding %(part_of)s: %(lesion)s"),
    "unclear": gettext_lazy("No longer outlined, unclear whether it is there: %(lesion)s"),
    "not in the other scan": gettext_lazy("Its place is not scanned now, or not in the lungs: %(lesion)s"),
}

QUALITY = {  # by the code of a flag
    "air_space": pgettext_lazy("quality", "large air space"),
    "ball_unmarked": pgettext_lazy("quality", "round dense tissue not marked"),
    "breath_differs": pgettext_lazy("quality", "breath differs"),
    "breathing": pgettext_lazy("quality", "breathing"),
    "coarse_pixels": pgettext_lazy("quality", "coarse pixels"),
    "contrast": pgettext_lazy("quality", "contrast"),
    "dense_lungs": pgettext_lazy("quality", "dense lungs"),
    "dense_unmarked": pgettext_lazy("quality", "dense tissue not marked"),
    "localisers_left_out": pgettext_lazy("quality", "localisers left out"),
    "lossy_compression": pgettext_lazy("quality", "lossy compression"),
    "lung_density_unusual": pgettext_lazy("quality", "lung density unusual"),
    "lung_ends_differ": pgettext_lazy("quality", "lungs end apart"),
    "lung_volume_unusual": pgettext_lazy("quality", "lung volume unusual"),
    "lungs_cut_off": pgettext_lazy("quality", "lungs cut off"),
    "lungs_unequal": pgettext_lazy("quality", "lungs unequal"),
    "noise": pgettext_lazy("quality", "noise"),
    "not_supine": pgettext_lazy("quality", "not lying on the back"),
    "outside_training_range": pgettext_lazy("quality", "outside training range"),
    "registration_poor": pgettext_lazy("quality", "registration poor"),
    "shared_sop_instance_uid": pgettext_lazy("quality", "shared sop instance uid"),
    "sharp_kernel": pgettext_lazy("quality", "sharp kernel"),
    "thick_slices": pgettext_lazy("quality", "thick slices"),
    "tissue_at_wall": pgettext_lazy("quality", "tissue at the chest wall"),
    "uneven_spacing": pgettext_lazy("quality", "uneven spacing"),
}

STAGES = {  # of an analysis, as pipeline/run.py measures them
    "reading": pgettext_lazy("stage", "reading"),
    "lungs": pgettext_lazy("stage", "lungs"),
    "slices": pgettext_lazy("stage", "slices"),
    "score": pgettext_lazy("stage", "score"),
    "findings": pgettext_lazy("stage", "findings"),
}

REPORT_STATES = {  # of worklist.Row.report
    "draft": pgettext_lazy("report", "draft"),
    "signed": pgettext_lazy("report", "signed"),
    "superseded": pgettext_lazy("report", "signed before this result"),
    "addendum begun": pgettext_lazy("report", "addendum begun"),
}

SEXES = {"F": gettext_lazy("female"), "M": gettext_lazy("male"), "O": pgettext_lazy("sex", "other")}
SEX_LETTERS = {"F": pgettext_lazy("sex", "F"), "M": pgettext_lazy("sex", "M"), "O": pgettext_lazy("sex", "O")}
NO_SEX = gettext_lazy("sex not given")
