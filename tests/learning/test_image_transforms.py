import pytest
import torch

from oddlens.learning.image_transforms import AUGMENTATIONS, PERMUTATIONS, parse, permuted, rotated, scaled, translated

IMAGE = torch.arange(64.0).view(1, 1, 8, 8)


def test_the_eight_turns_are_eight():
    image = torch.arange(9.0).view(1, 1, 3, 3)
    ways = [tuple(rotated(image, way).flatten().tolist()) for way in range(8)]
    assert len(set(ways)) == 8
    assert ways[0] == tuple(range(9))
    assert all(sorted(way) == list(range(9)) for way in ways)


@pytest.mark.parametrize(("down", "right"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_a_shift_moves_by_a_quarter_and_mirrors_the_rim(down, right):
    moved = translated(IMAGE, down, right)
    inner = IMAGE.roll((2 * down, 2 * right), (2, 3))
    keep = (slice(2, 6), slice(2, 6))
    assert torch.equal(moved[0, 0][keep], inner[0, 0][keep])
    assert moved.shape == IMAGE.shape
    if down == 1:
        assert torch.equal(moved[0, 0, :2], IMAGE[0, 0, [2, 1]])


def test_scales_keep_the_middle():
    dot = torch.zeros(1, 1, 24, 24)
    dot[..., 8:16, 8:16] = 1
    larger, smaller = scaled(dot, 1.5), scaled(dot, 1 / 1.5)
    assert larger.sum() > 1.9 * dot.sum() > 1.9 * 1.9 * smaller.sum()
    assert larger.shape == smaller.shape == dot.shape
    assert torch.allclose(larger, larger.flip(2), atol=1e-5)


def test_pieces_are_the_quarters_in_another_order():
    quarters = [IMAGE[..., top : top + 4, left : left + 4] for top in (0, 4) for left in (0, 4)]
    for order in PERMUTATIONS:
        found = permuted(IMAGE, order)
        for place, (top, left) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
            assert torch.equal(found[..., top : top + 4, left : left + 4], quarters[order[place]])


@pytest.mark.parametrize("side", [8, 9, 32])
def test_all_ways_differ_and_keep_the_size(side):
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    shown = [way(images) for way in parse(",".join(AUGMENTATIONS))]
    assert len(shown) == 18
    assert torch.equal(shown[0], images)
    assert all(each.shape == images.shape for each in shown)
    apart = [(one - other).abs().max() for i, one in enumerate(shown) for other in shown[:i]]
    assert min(apart) > 0.05
