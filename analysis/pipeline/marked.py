"""Marks the sentences that people read: stored in English, translated where they are shown (``stored_text.py``)."""


def gettext_noop(sentence: str) -> str:
    """The sentence as it is, for the catalogue to find; it may have holes for ``str.format``."""
    return sentence
