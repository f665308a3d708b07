"""Analyse one DICOM series: python -m analysis.pipeline SERIES_DIR [--out DIR] [--device auto|cpu|cuda] --json"""

import argparse
import json
import sys
import warnings
from pathlib import Path

from analysis.pipeline.nifti import write_nifti
from analysis.pipeline.series import UnusableSeries, check_series, find_series


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m analysis.pipeline", description="Analyse one DICOM series.")
    parser.add_argument("series_dir", type=Path, help="folder with the slices of one chest CT series")
    parser.add_argument(
        "--out", type=Path, help="write lungs, heatmap, opacity and findings (.nii.gz) into this folder"
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--json", action="store_true", help="print the whole report as JSON")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # pydicom's, on odd headers: what matters about them is a reason or a flag
    try:
        geometry = check_series(find_series(arguments.series_dir))
    except UnusableSeries as reason:
        return _refuse(reason)
    from analysis.pipeline.run import analyse  # torch takes seconds to import; a refused series need not wait
    from analysis.pipeline.weights import DeviceMissing, WeightsMissing

    try:
        analysis = analyse(geometry, device=arguments.device)
    except (UnusableSeries, DeviceMissing, WeightsMissing) as reason:
        return _refuse(reason)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name in ("lungs", "heatmap", "opacity", "findings"):
            write_nifti(arguments.out / f"{name}.nii.gz", getattr(analysis, name), analysis.volume.affine_lps)
    report = analysis.report
    if arguments.json:
        print(json.dumps(report.to_json()))
    else:
        decision = "suspected" if report.suspected else "not suspected"
        print(f"{decision}, positive ratio {report.positive_ratio:.2f}, Corona score {report.corona_score_cm3:.1f} cm³")
    return 0


def _refuse(reason: Exception) -> int:
    print(*str(reason).splitlines(), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
