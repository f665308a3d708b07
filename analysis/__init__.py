"""What a scan shows: the pipeline, its runs, results, charts and exports."""
