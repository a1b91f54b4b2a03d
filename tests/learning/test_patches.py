import numpy as np
import pytest
import torch

from oddlens.learning import patches
from oddlens.learning.patches import answers, grounds, pooled, some_patches, spherical_means, tents


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(patches, "MOST_PATCHES", 100)


def of_length_1(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


class TestSomePatches:
    def test_are_windows_less_their_mean_and_of_length_1(self, few):
        maps = np.random.default_rng(0).normal(size=(3, 2, 5, 6)).astype(np.float32)
        found = some_patches(torch.from_numpy(maps), 3, 10, 0.0, np.random.default_rng(1)).numpy()
        windows = [maps[i, :, y : y + 3, x : x + 3].ravel() for i in range(3) for y in range(3) for x in range(4)]
        windows = of_length_1(np.array([window - window.mean() for window in windows]))
        assert found.shape == (100, 18)
        cosines = found @ windows.T
        assert cosines.max(1) == pytest.approx(np.ones(100), abs=1e-5)
        assert len(set(cosines.argmax(1))) > 30, "from nearly all of the 36 places"

    def test_flat_ones_are_left_out(self, few):
        maps = np.zeros((1, 1, 2, 40), np.float32)
        maps[..., :20] = np.tile([[0.1, -0.1]], (2, 10))  # a standard deviation of .1, on the left
        maps[..., 20:] = np.tile([[1, -1], [-1, 1]], 10)
        found = some_patches(torch.from_numpy(maps), 2, 10, 0.11, np.random.default_rng(0)).numpy()
        # columns that alternate are no part of what is left but for the place where the two meet
        assert (np.abs(found @ np.array([1, -1, 1, -1]) / 2) < 0.99).all()
        assert len(found) == 100
        every = some_patches(torch.from_numpy(maps), 2, 10, 0.09, np.random.default_rng(0)).numpy()
        assert (np.abs(every @ np.array([1, -1, 1, -1]) / 2) > 0.99).mean() > 0.3

    def test_of_nothing_but_flat_ones_there_is_noise(self, few):
        found = some_patches(torch.full((2, 3, 6, 6), 0.7), 2, 40, 0.01, np.random.default_rng(0)).numpy()
        assert found.shape == (40, 12)
        assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(40), abs=1e-6)
        assert np.linalg.matrix_rank(found) == 12

    def test_it_goes_on_looking_where_nearly_all_are_flat(self, few):
        maps = np.zeros((1, 1, 60, 60), np.float32)
        maps[0, 0, 30, 30] = 1  # 4 of 3,481 places
        found = some_patches(torch.from_numpy(maps), 2, 1, 0.01, np.random.default_rng(0)).numpy()
        assert 1 <= len(found) < 20
        corners = of_length_1(np.eye(4) - 0.25)
        assert (found @ corners.T).max(1) == pytest.approx(np.ones(len(found)), abs=1e-5)


class TestSphericalMeans:
    def test_of_two_bundles_each_has_its_mean(self):
        rng = np.random.default_rng(0)
        rows = of_length_1(np.repeat(np.eye(3)[:2], 50, 0) + 0.1 * rng.normal(size=(100, 3))).astype(np.float32)
        expected = of_length_1(np.stack([rows[:50].sum(0), rows[50:].sum(0)]))
        for seed in range(5):
            found = spherical_means(torch.from_numpy(rows), 2, np.random.default_rng(seed)).numpy()
            assert found[found[:, 0].argsort()[::-1]] == pytest.approx(expected, abs=1e-5)

    def test_an_empty_cluster_begins_again_at_a_patch(self):
        rows = torch.from_numpy(np.repeat(np.eye(4, dtype=np.float32)[:2], 10, 0))
        found = spherical_means(rows, 5, np.random.default_rng(0)).numpy()
        assert {tuple(row) for row in found.tolist()} == {(1, 0, 0, 0), (0, 1, 0, 0)}


class TestAnswers:
    def slowly(self, maps, atoms, side):
        n, channels, height, width = maps.shape
        padded = np.pad(maps, ((0, 0), (0, 0), (side // 2,) * 2, (side // 2,) * 2))
        found = np.empty((n, len(atoms), height, width))
        for i, y, x in np.ndindex(n, height, width):
            window = padded[i, :, y : y + side, x : x + side].ravel().astype(np.float64)
            contrast = window.std()
            cosines = atoms @ window / (contrast * np.sqrt(channels * side**2) + 1e-4)
            weights = np.exp(15 * cosines)
            found[i, :, y, x] = weights / weights.sum() * contrast**0.5
        return found

    @pytest.mark.parametrize(("channels", "side"), [(1, 3), (3, 3), (2, 5)])
    def test_are_softmaxes_of_cosines_weighed_by_the_root_of_the_contrast(self, channels, side):
        rng = np.random.default_rng(0)
        maps = rng.normal(size=(2, channels, 6, 7)).astype(np.float32)
        maps[1] *= 0.01
        atoms = rng.normal(size=(4, channels * side**2))
        atoms = of_length_1(atoms - atoms.mean(1, keepdims=True)).astype(np.float32)
        found = answers(torch.from_numpy(maps), torch.from_numpy(atoms), side).numpy()
        assert found == pytest.approx(self.slowly(maps, atoms, side), rel=2e-3, abs=1e-5)

    def test_four_times_the_contrast_counts_twice_and_a_flat_place_nothing(self):
        maps = torch.zeros(1, 1, 9, 9)
        maps[..., 4, 4] = 1
        atoms = torch.from_numpy(of_length_1(np.eye(9)[:3] - 1 / 9).astype(np.float32))
        one, four = answers(maps, atoms, 3), answers(4 * maps, atoms, 3)
        assert (one[..., 3:6, 3:6] > 0).all()
        assert four[..., 3:6, 3:6].numpy() == pytest.approx(2 * one[..., 3:6, 3:6].numpy(), rel=1e-2)
        assert (one[..., :3, :] == 0).all()


class TestGrounds:
    def faint(self):
        """A bright picture of one level but for a few pixels, and atoms that sum to 0 but for rounding."""
        rng = np.random.default_rng(0)
        picture = np.full((2, 3, 30, 30), 0.8, np.float32)
        picture[0] -= (rng.random((1, 30, 30)) < 0.05) * np.float32(1 / 255)
        picture[1] -= np.float32(0.3)
        atoms = rng.normal(size=(8, 75))
        atoms = of_length_1(atoms - atoms.mean(1, keepdims=True)).astype(np.float32)
        return torch.from_numpy(picture), torch.from_numpy(atoms)

    def test_is_the_level_that_most_of_a_picture_has(self):
        picture, _ = self.faint()
        assert grounds(picture).flatten().numpy() == pytest.approx([0.8, 0.5])
        assert grounds(picture).shape == (2, 1, 1, 1)

    def test_seen_from_it_a_faint_picture_has_the_answers_of_double_precision(self):
        picture, atoms = self.faint()
        exact = answers(picture.double(), atoms.double(), 5)
        seen, unseen = ((answers(picture, atoms, 5, ground=ground) - exact).abs().max()
                        for ground in (grounds(picture), None))
        assert seen < 4e-7
        assert unseen > 2 * seen

    def test_it_changes_nothing_but_rounding(self):
        picture = torch.rand(3, 3, 20, 20, generator=torch.Generator().manual_seed(0))
        _, atoms = self.faint()
        assert torch.allclose(answers(picture, atoms, 5, 2, grounds(picture)), answers(picture, atoms, 5, 2), atol=1e-6)


class TestPooled:
    def test_tents(self):
        # the middles are 1 and 3 of 4, the pixels at .5, 1.5, 2.5 and 3.5, and the reach is 2
        assert tents(4, 2).tolist() == [[0.375, 0.375, 0.125, 0], [0, 0.125, 0.375, 0.375]]
        assert tents(3, 3).tolist() == np.eye(3).tolist()
        # for the middle pixel of 3, the only one at its middle, the whole; for the others two thirds
        assert tents(3, 1).numpy() == pytest.approx(np.array([[2, 3, 2]]) / 9)

    @pytest.mark.parametrize(("channels", "grid"), [(3, 2), (8, 2), (2, 4), (33, 1)])
    def test_are_evened_averages_of_length_1(self, channels, grid):
        maps = np.random.default_rng(0).uniform(0, 1, (2, channels, 6, 8)).astype(np.float32)
        found = pooled(torch.from_numpy(maps), grid).numpy()
        rows, columns = tents(6, grid).numpy(), tents(8, grid).numpy()
        averages = np.einsum("gh,nchw,kw->ncgk", rows, maps, columns).reshape(2, -1) ** 0.3
        assert found == pytest.approx(of_length_1(averages), rel=1e-5)

    def test_nothing_stays_nothing(self):
        assert not pooled(torch.zeros(2, 3, 6, 6), 2).any()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [5, 7])
def test_where_a_picture_is_flat_nothing_answers_though_its_light_is_no_round_number(channels, side):
    atoms = torch.randn(8, channels * side**2, generator=torch.Generator().manual_seed(0))
    maps = torch.full((1, channels, 20, 20), 0.7)
    maps[0, :, :, 14:] += 1e-6 * torch.randn(channels, 20, 6, generator=torch.Generator().manual_seed(1))  # rounding
    found = answers(maps, atoms, side)
    rim = side // 2
    assert not found[..., rim:-rim, rim:-rim].any()
    assert found[..., 0, :].any(), "what lies beyond the rim is black"
    maps[0, 0, 10, 10] += 1 / 255
    assert answers(maps, atoms, side)[0, :, 10, 10].sum() > 0.01, "the least that a picture can hold is seen"
