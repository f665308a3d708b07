"""What is made of the lung U-Net's logits, and the mask's way between grids; test_run tests the network itself."""

import numpy as np
import pytest
import torch

from analysis.pipeline.grid import GRID, around_lungs, cell_area_mm2, from_grid, part_of_grid, to_grid
from analysis.pipeline.lungs import clean, lung_logits, lung_mask
from analysis.pipeline.networks import LUNG_INPUT


def two_lungs() -> np.ndarray:
    logits = np.full((12, 64, 64), -4, np.float32)
    logits[2:10, 20:50, 8:28] = 4
    logits[2:10, 20:50, 36:56] = 4
    return logits


def in_body(logits: np.ndarray, last_row: int = 58) -> torch.Tensor:
    """HU of the same slices: a body down to ``last_row``, with aerated lung where the logits say so."""
    hu = np.full_like(logits, -1000)
    hu[:, 2:last_row, 2:-2] = 40
    return torch.from_numpy(np.where(logits > 0, np.float32(-850), hu))[:, None]


class Leaning:
    """Says the images' brightness, and 1 more in the left half: an error that the mirror image makes on the right."""

    batch = 4

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        assert len(images) <= self.batch
        said = images.clone()
        said[..., : LUNG_INPUT // 2] += 1
        return (said,)


def test_a_slice_and_its_mirror_image_have_the_same_say() -> None:
    hu = torch.full((5, 1, GRID, GRID), -1000.0)  # three batches
    hu[3, :, :, : GRID // 2] = 200.0
    done: list[float] = []
    logits = lung_logits(hu, Leaning(), done.append)
    assert logits.shape == (5, LUNG_INPUT, LUNG_INPUT)
    np.testing.assert_allclose(logits[[0, 1, 2, 4]], 0.5)
    np.testing.assert_allclose(logits[3, :, : LUNG_INPUT // 2 - 1], 1.5)
    np.testing.assert_allclose(logits[3, :, LUNG_INPUT // 2 + 1 :], 0.5)
    assert done == [0.4, 0.8, 1.0]


def test_a_network_that_fails_is_not_taken_for_one_that_finds_no_lung() -> None:
    class Failing(Leaning):
        def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return (torch.full_like(images, torch.nan),)

    with pytest.raises(ArithmeticError, match="lung U-Net"):
        lung_logits(torch.zeros(5, 1, GRID, GRID), Failing())


def test_keeps_both_lungs_and_drops_small_pieces() -> None:
    logits = two_lungs()
    logits[10:12, 0:6, 0:6] = 4  # bowel gas, connected to nothing
    cleaned = clean(logits, in_body(logits)) > 0
    np.testing.assert_array_equal(cleaned, two_lungs() > 0)


def test_foam_under_the_back_is_no_lung() -> None:
    logits = two_lungs()
    hu = in_body(logits, last_row=52)
    logits[0:5, 54:58, 10:50] = 4  # 12 % of one lung; between back and table
    hu[:, :, 54:58] = -900
    hu[:, :, 60:62] = 100
    np.testing.assert_array_equal(clean(logits, hu) > 0, two_lungs() > 0)


def test_a_collapsed_lung_stays() -> None:
    logits = two_lungs()
    logits[2:10, 20:40, 36:56] = -4  # a third of it is left
    np.testing.assert_array_equal(clean(logits, in_body(logits)) > 0, logits > 0)


def test_a_lung_that_the_field_of_view_cuts_open_stays() -> None:
    logits = two_lungs()
    hu = in_body(logits)
    logits[2:10, 20:50, 56:] = 4
    hu[:, :, :, 56:] = -850
    np.testing.assert_array_equal(clean(logits, hu) > 0, logits > 0)


@pytest.mark.parametrize("side", [np.s_[..., :5], np.s_[..., -5:]])
def test_a_strip_of_a_lung_that_the_field_of_view_cuts_stays(side) -> None:
    """A fifth of the other lung, with chest wall in front and behind but none at its side."""
    logits = np.full((12, 64, 64), -4, np.float32)
    logits[2:10, 20:50, 18:46] = 4
    hu = in_body(logits)
    hu[:, :, 2:58][side] = 40
    logits[2:10, 20:50][side], hu[2:10, :, 20:50][side] = 4, -850
    np.testing.assert_array_equal(clean(logits, hu) > 0, logits > 0)


def test_fills_vessels_and_consolidation_within_a_slice() -> None:
    logits = two_lungs()
    logits[5, 30:36, 14:20] = -4
    cleaned = clean(logits, in_body(logits)) > 0
    np.testing.assert_array_equal(cleaned, two_lungs() > 0)


def test_dome_of_the_diaphragm_stays_outside() -> None:
    logits = np.full((12, 64, 64), -4, np.float32)
    logits[2:10, 10:50, 5:45] = 4
    logits[8, 20:40, 15:35] = -4  # seen in one slice it is a hole, of 400 pixels
    np.testing.assert_array_equal(clean(logits, in_body(logits)) > 0, logits > 0)


def test_nothing_found_stays_nothing() -> None:
    nothing = np.full((3, 8, 8), -1, np.float32)
    assert not (clean(nothing, in_body(nothing)) > 0).any()


def test_mask_keeps_its_place_and_area_at_full_resolution() -> None:
    mask = lung_mask(two_lungs(), 512, 512)
    assert mask.shape == (12, 512, 512)
    assert abs(mask[5].mean() - (two_lungs()[5] > 0).mean()) < 0.005
    rows = np.flatnonzero(mask[5].any(1))
    assert abs(rows[0] - 160) <= 4
    assert abs(rows[-1] - 399) <= 4


def test_grid_averages_and_comes_back() -> None:
    hu = np.random.default_rng(0).integers(-1000, 200, (2, 512, 512)).astype(np.int16)
    cells = to_grid(hu)
    assert cells.shape == (2, 1, GRID, GRID)
    expected = hu.reshape(2, 256, 2, 256, 2).mean((2, 4))
    np.testing.assert_allclose(cells[:, 0].numpy(), expected, atol=1e-2)
    assert from_grid(cells, 512, 512).shape == (2, 1, 512, 512)


def test_a_pixel_that_two_cells_share_counts_in_each_by_its_part() -> None:
    hu = np.random.default_rng(0).integers(-1000, 200, (1, 464, 464)).astype(np.int16)
    sixteenths = hu[0].repeat(16, 0).repeat(16, 1)  # of pixels: 29 to a cell
    expected = sixteenths.reshape(256, 29, 256, 29).mean((1, 3))
    np.testing.assert_allclose(to_grid(hu)[0, 0].numpy(), expected, atol=1e-2)


def test_a_part_of_the_grid_is_what_lies_there() -> None:
    logits = torch.full((1, 1, GRID, GRID), -1.0)
    logits[..., 64:192, 96:160] = 1.0  # of slices of 512 × 512: rows 128 to 384, columns 192 to 320
    part = part_of_grid(logits, (slice(100, 420), slice(160, 480)), 512, 512, (0.7, 0.7))[0, 0] > 0
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    cell = 320 / GRID  # pixels
    assert np.abs(np.array([rows[0], rows[-1] + 1]) * cell + 100 - (128, 384)).max() <= 1.5
    assert np.abs(np.array([columns[0], columns[-1] + 1]) * cell + 160 - (192, 320)).max() <= 1.5
    whole = part_of_grid(logits, (slice(0, 512), slice(0, 512)), 512, 512, (0.7, 0.7))
    assert torch.equal(whole > 0, logits > 0)


def test_the_view_around_the_lungs_is_the_same_whatever_lies_around_it() -> None:
    lungs = np.zeros((3, 512, 512), bool)
    lungs[0, 150:350, 60:250] = lungs[1, 140:340, 260:460] = True  # 400 columns wide
    rows, columns = around_lungs(lungs, (0.8, 0.8))
    assert (columns.start, columns.stop) == (260 - 230, 260 + 230)
    assert (rows.start, rows.stop) == (245 - 230, 245 + 230)
    wider = np.pad(lungs, ((0, 0), (100, 100), (100, 100)))
    assert around_lungs(wider, (0.8, 0.8)) == (slice(115, 575), slice(130, 590))


def test_the_view_ends_with_the_slice_and_is_not_less_than_the_grid() -> None:
    lungs = np.zeros((1, 300, 300), bool)
    lungs[0, 100:150, 120:180] = True
    assert around_lungs(lungs, (1.0, 1.0)) == (slice(0, 256), slice(22, 278))
    assert around_lungs(lungs[:, :200, :200], (1.0, 1.0)) == (slice(0, 200), slice(0, 200))
    assert around_lungs(lungs[:, 20:276, 20:276], (1.0, 1.0)) == (slice(0, 256), slice(0, 256))


def test_the_view_is_square_in_millimetres() -> None:
    lungs = np.zeros((1, 800, 400), bool)
    lungs[0, 200:600, 150:250] = True  # 400 mm high, 200 mm wide
    rows, columns = around_lungs(lungs, (1.0, 2.0))
    assert (rows.stop - rows.start) * 1.0 == pytest.approx((columns.stop - columns.start) * 2.0, abs=4)


def test_slices_that_are_not_square_keep_their_shape() -> None:
    hu = np.full((1, 300, 400), -1000, np.int16)
    hu[:, 100:200, 150:250] = 0
    dense = from_grid(to_grid(hu), 300, 400)[0, 0] > -500
    rows, columns = torch.nonzero(dense).amin(0), torch.nonzero(dense).amax(0)
    assert np.abs(np.array([*rows, *columns]) - np.array([100, 150, 199, 249])).max() <= 2


def test_the_grid_is_square_in_millimetres_whatever_the_pixels() -> None:
    hu = np.full((1, 600, 200), -1000, np.int16)  # pixels of 0.5 × 2 mm: 300 × 400 mm
    hu[:, 200:400, 75:125] = 0  # 100 × 100 mm
    cells = to_grid(hu, (0.5, 2.0))
    dense = cells[0, 0] > -500
    assert abs(int(dense.any(0).sum()) - 64) <= 1  # of cells of 400 / 256 mm
    assert abs(int(dense.any(1).sum()) - 64) <= 1
    back = from_grid(cells, 600, 200, (0.5, 2.0))[0, 0] > -500
    assert back.shape == (600, 200)
    assert (back.numpy() != (hu[0] > -500)).mean() < 0.01
    assert abs(cell_area_mm2(600, 200, (0.5, 2.0)) - (400 / 256) ** 2) < 1e-9


def test_area_of_a_cell_follows_from_the_pixel_spacing() -> None:
    assert abs(cell_area_mm2(512, 512, (0.7, 0.7)) - 1.4**2) < 1e-9
