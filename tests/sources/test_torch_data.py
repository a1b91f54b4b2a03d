import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, SubsetRandomSampler, TensorDataset

import held
import vision
from oddlens.errors import SourceError, UnreadableImage
from oddlens.pixels import PixelFormat, read_pixels
from oddlens.sources import FileSource, open_source
from oddlens.testing import check_source


class Pictures(Dataset):
    """A map-style data set as people write them, without ``__iter__``."""

    def __init__(self, broken=()):
        self.pictures, self.broken, self.asked = held.pictures(), broken, []

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, number):
        self.asked.append(number)
        if number in self.broken:
            raise OSError("the disk is gone")
        return torch.tensor(np.asarray(self.pictures[number])).permute(2, 0, 1).float() / 255, 0


@pytest.mark.parametrize("wrapped", [
    lambda data: data, lambda data: DataLoader(data, batch_size=5, shuffle=True), lambda data: Subset(data, range(24)),
    lambda data: DataLoader(held.pictures()),
    lambda data: TensorDataset(torch.stack([data[number][0] for number in range(24)]), torch.zeros(24)),
])
def test_a_data_set_scores_as_the_folder_of_its_images(in_folder, wrapped):
    assert np.allclose(held.scores(wrapped(Pictures())), in_folder[1], rtol=0, atol=1e-6)


def test_it_is_understood_before_it_is_walked():
    data = Pictures()
    open_source(data)
    assert len(set(data.asked)) <= 17, "the first item, and some that say which number means white"


def test_a_subset_keeps_the_names_of_the_whole():
    source = open_source(Subset(Subset(Pictures(), [3, 5, 7, 9]), [2, 0]))
    assert held.names(source) == ["07", "03"]
    assert np.array_equal(source.read(1), np.asarray(held.pictures()[3]))
    check_source(source)
    sampled = open_source(DataLoader(Pictures(), sampler=SubsetRandomSampler([9, 2, 4])))
    assert held.names(sampled) == ["02", "04", "09"]


def test_a_broken_item_is_listed():
    source = open_source(DataLoader(Pictures(broken=(4,))))
    assert read_pixels(source, PixelFormat(20, 28, 3)).unreadable == (("04", "OSError: the disk is gone"),)
    with pytest.raises(UnreadableImage):
        source.read(4)


def test_what_only_streams_says_so():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(Pictures().pictures)

    for stream in (Stream(), DataLoader(Stream())):
        with pytest.raises(SourceError, match=r"A Stream gives its images once.*Give list\(data_set\)"):
            open_source(stream)
    assert len(open_source(list(Stream()))) == 24


def test_normalised_tensors_are_asked_for_as_they_were():
    with pytest.raises(SourceError, match="before they are normalised"):
        open_source(TensorDataset(torch.randn(12, 3, 20, 20)))


def test_torchvisions_folder_is_its_files(in_folder):
    library = vision.torchvision()
    folder, expected = in_folder
    transforms = library.transforms.Compose([library.transforms.RandomCrop(8), library.transforms.ToTensor()])
    data = library.datasets.ImageFolder(str(folder), transform=transforms)
    source = open_source(data)
    assert isinstance(source, FileSource)
    assert held.names(source) == held.names(open_source(folder))
    assert source.root == folder
    assert np.allclose(held.scores(data), expected, rtol=0, atol=1e-6)
    assert np.allclose(held.scores(DataLoader(data)), expected, rtol=0, atol=1e-6)
    assert held.names(open_source(Subset(data, [11, 2]))) == ["b/11.png", "a/02.png"]


def test_torchvisions_other_data_sets_are_read_item_by_item():
    library = vision.torchvision()
    data = library.datasets.FakeData(size=12, image_size=(3, 9, 11), transform=library.transforms.ToTensor())
    source = open_source(data)
    assert held.names(source)[:2] == ["00", "01"]
    assert source.read(1).shape == (9, 11, 3)
    expected = np.asarray(library.datasets.FakeData(size=12, image_size=(3, 9, 11))[1][0])
    assert np.array_equal(source.read(1), expected)
