"""The page of the evaluation and the model cards."""

from analysis.training.evaluation_page import texts


def test_page_and_cards_are_what_the_measured_figures_make_of_them() -> None:
    written = texts()
    assert {path.name for path in written} == {
        "README.md",
        "lung_unet.md",
        "slice_classifier.md",
        "opacity_decoder.md",
        "nodules.md",
    }
    for path, text in written.items():
        assert path.read_text() == text, f"{path} is not as python -m analysis.training.evaluation_page writes it"
