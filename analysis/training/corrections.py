"""What readers said of slices, as `manage.py export_corrections` writes it, as training slices.

A folder with corrections.csv (patient, series_instance_uid, sop_instance_uid, abnormal) and the DICOM files of each
series in a folder named by its Series Instance UID. ``opacity.nii.gz`` beside them, which a reader made of the exported
``opacity_found.nii.gz``, outlines the opacity of its abnormal slices.
"""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt

from analysis.pipeline.grid import GRID, to_grid
from analysis.pipeline.inference import Network
from analysis.pipeline.lungs import clean, lung_logits, lung_mask
from analysis.pipeline.nifti import LPS_TO_RAS
from analysis.pipeline.pixels import read_volume
from analysis.pipeline.run import MIN_LUNG_AREA_CM2
from analysis.pipeline.series import UnusableSeries, check_series, find_series
from analysis.pipeline.slices import lung_box, seen, slab_size
from analysis.pipeline.upright import Turn
from analysis.pipeline.volume import Volume
from analysis.training import data
from analysis.training.slice_classifier import NOT_OUTLINED, Part

COLUMNS = {"patient", "series_instance_uid", "sop_instance_uid", "abnormal"}
OPACITY = "opacity.nii.gz"
SAME_PLACE_MM = 0.1
HELD_OUT_ONE_IN = 4  # patients, by their code: who is held out stays so when more corrections come


class UnusableCorrections(Exception):
    """The folder cannot be used; the message says why in one sentence."""


@dataclass(frozen=True, eq=False)
class CorrectedSeries:
    """``abnormal``: what the reader says, by SOP Instance UID."""

    patient: str
    folder: Path
    abnormal: dict[str, bool]

    @property
    def held_out(self) -> bool:
        """Whether it serves to compare networks, and not to train them."""
        return int(hashlib.sha256(self.patient.encode()).hexdigest(), 16) % HELD_OUT_ONE_IN == 0

    def volume(self) -> Volume:
        """Raises UnusableSeries."""
        return read_volume(check_series(find_series(self.folder)))


def read(folder: Path) -> list[CorrectedSeries]:
    """Raises UnusableCorrections where the table is missing or not one of ours, or no series of it is there."""
    table = folder / "corrections.csv"
    if not table.is_file():
        raise UnusableCorrections(f"{table} is missing: export corrections with manage.py export_corrections.")
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows or COLUMNS - set(rows[0]) or any(row["abnormal"] not in ("0", "1") for row in rows):
        raise UnusableCorrections(f"{table} has no rows, or not the columns {', '.join(sorted(COLUMNS))} with 0 and 1.")
    said: dict[tuple[str, str], dict[str, bool]] = defaultdict(dict)
    for row in rows:
        said[row["patient"], row["series_instance_uid"]][row["sop_instance_uid"]] = row["abnormal"] == "1"
    series = [CorrectedSeries(patient, folder / uid, slices) for (patient, uid), slices in said.items()]
    if missing := [one.folder.name for one in series if not one.folder.is_dir()]:
        raise UnusableCorrections(f"{len(missing)} series of {table} are not beside it, the first {missing[0]}.")
    return series


def part_of(series: Sequence[CorrectedSeries], lung_unet: Network, weight: float) -> Part:
    """The corrected slices as one source of a training, at so much weight in a batch, each kind as much as the others.

    Raises UnusableCorrections where none can be used.
    """
    slices, boxes, labels = [], [], []
    for one in series:
        try:
            found = _slices_of(one, lung_unet)
        except UnusableSeries as reason:
            print(f"left out {one.folder.name}: {reason.message}", flush=True)
            continue
        for values, own in zip((slices, boxes, labels), found, strict=True):
            values.append(own)
    if not slices or not len(label := np.concatenate(labels)):
        raise UnusableCorrections("No corrected slice outside the quarter of patients held out shows lungs.")
    kinds = np.unique(label)
    return Part(
        data.join(slices), np.concatenate(boxes), label, tuple((int(k), False, weight / len(kinds)) for k in kinds)
    )


def _slices_of(one: CorrectedSeries, lung_unet: Network) -> tuple[data.Slices, np.ndarray, np.ndarray]:
    """Its corrected slices, each averaged with its neighbours to the thickness that the pipeline works on, their boxes
    and labels."""
    volume = one.volume()
    turn = Turn.of(volume.affine_lps)
    hu, pixel_mm = turn.upright(volume.hu), turn.upright_pixel_mm(*volume.spacing_mm[1:])
    _, rows, columns = hu.shape
    grid_hu = to_grid(hu, pixel_mm)
    logits = clean(lung_logits(grid_hu, lung_unet), grid_hu)
    lungs = lung_mask(logits, rows, columns, pixel_mm)
    enough = lungs.sum((1, 2)) * volume.pixel_area_mm2 / 100 >= MIN_LUNG_AREA_CM2
    if not enough.any():
        raise UnusableSeries("no_lungs", "no lungs were found.")
    view, grid_hu, lung = seen(hu, lungs, logits, pixel_mm)  # as the analysis shows them to the networks
    mask = turn.upright(_opacity(one.folder / OPACITY, volume)).astype(np.int16)
    opacity = (to_grid(mask[:, *view], pixel_mm)[:, 0].numpy() > 0.5) & lung
    chosen = [index for index, uid in enumerate(volume.sop_instance_uids) if uid in one.abnormal and enough[index]]
    slab = slab_size(volume.spacing_mm[0])
    slabs = [slice(max(0, index - (slab - 1) // 2), index + slab // 2 + 1) for index in chosen]
    hu = np.array([grid_hu[members, 0].numpy().mean(0) for members in slabs], np.int16).reshape(-1, GRID, GRID)
    abnormal = np.array([one.abnormal[volume.sop_instance_uids[index]] for index in chosen], bool)
    outlined = opacity[chosen] & abnormal[:, None, None]
    slices = data.Slices(hu, lung[chosen], outlined, np.full(len(chosen), one.patient), np.array(chosen, np.int64))
    boxes = np.tile(np.array(lung_box(lung), np.float32), (len(chosen), 1))
    return slices, boxes, np.where(abnormal, np.where(slices.label == 1, 1, NOT_OUTLINED), 0)


def _opacity(path: Path, volume: Volume) -> npt.NDArray[np.bool_]:
    """The outlined opacity on the pixels of the volume; nothing without a file. Raises UnusableCorrections."""
    if not path.is_file():
        return np.zeros(volume.hu.shape, bool)
    image = nibabel.load(path)
    same_place = np.allclose(image.affine, LPS_TO_RAS @ volume.affine_lps, atol=SAME_PLACE_MM)
    if image.shape != volume.hu.shape[::-1] or not same_place:
        raise UnusableCorrections(f"{path} has other voxels than its series: mend the file without turning it.")
    return np.asarray(image.dataobj).transpose(2, 1, 0) > 0
