"""What a network loses on its way into a file and back."""

from pathlib import Path

import torch

from analysis.pipeline.networks import SliceClassifier
from analysis.pipeline.weights import load_weights
from analysis.training.release import write_weights
from analysis.training.slice_classifier import from_imagenet


def test_a_classifier_says_the_same_once_it_was_written(tmp_path: Path, shared_data: Path) -> None:
    """With ImageNet's statistics, of which one is more than half precision holds."""
    trained = from_imagenet().eval()
    assert trained.bn1.running_var.max() > torch.finfo(torch.half).max
    torch.manual_seed(0)
    for head in (trained.head2, trained.head3):
        torch.nn.init.normal_(head.weight, std=0.02)
    write_weights(tmp_path, "slice_classifier", trained.state_dict(), {"version": "0", "trained_on": "", "commit": ""})
    written = SliceClassifier()
    load_weights(written, tmp_path / "slice_classifier.safetensors")
    image, lung = torch.rand(4, 1, 224, 224), torch.ones(4, 1, 28, 28)
    with torch.inference_mode():
        (before, map_before), (after, map_after) = trained(image, lung), written.eval()(image, lung)
    torch.testing.assert_close(after, before, atol=0.05, rtol=0.01)
    assert (map_after - map_before).abs().mean() < 0.02 * map_before.std()
