"""One readable script per model, and the evaluation."""

import analysis.pipeline  # noqa: F401 - which says how threads wait, before a script imports torch
