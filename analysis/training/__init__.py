"""One readable script per model, and the evaluation."""
