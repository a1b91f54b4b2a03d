import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from oddlens.errors import OptionError
from oddlens.learning.training import (
    Halves,
    as_batch,
    filled,
    in_batches,
    learned,
    one_thread,
    seeded,
    train,
)
from oddlens.progress import listening

CPU = torch.device("cpu")


class Mean(nn.Module):
    """Learns the mean pixel."""

    def __init__(self, loss_scale=1.0):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(()))
        self.seen = []
        self.loss_scale = loss_scale

    def forward(self, batch):
        self.seen.append(batch)
        return self.loss_scale * (batch - self.mean).square().mean()


def settings(**changes):
    return {"steps": 400, "batch_size": 16, "learning_rate": 0.05, "random_state": 0, "device": CPU, **changes}


def test_the_loss_falls_to_its_least(dots):
    network = Mean()
    history = train(network, dots, **settings())
    pixels = dots / 255
    assert abs(network.mean.item() - pixels.mean()) < 0.01
    assert history[-1] < history[0]
    assert abs(history[-1] - pixels.var()) < 0.01


def test_training_stops_on_a_plateau_of_the_training_loss(dots):
    network = Mean()
    train(network, dots, **settings(steps=100_000, window=20))
    assert len(network.seen) < 5_000


def test_every_image_is_seen_once_an_epoch():
    images = np.arange(64, dtype=np.uint8).reshape(64, 1, 1, 1)
    network = Mean()
    train(network, images, **settings(steps=4))
    seen = torch.cat(network.seen).flatten().mul(255).round().int().tolist()
    assert sorted(seen) == list(range(64))


def test_streamed_and_resident_images_train_the_same(dots, monkeypatch):
    networks = Mean(), Mean()
    train(networks[0], dots, **settings(steps=50))
    monkeypatch.setattr("oddlens.learning.training.RESIDENT_BYTES", 0)
    train(networks[1], dots, **settings(steps=50))
    assert torch.equal(networks[0].mean, networks[1].mean)


def test_a_loss_that_is_no_number_is_an_error_with_a_way_out(dots):
    with pytest.raises(OptionError, match="lower learning_rate"):
        train(Mean(loss_scale=float("nan")), dots, **settings())


@pytest.mark.parametrize("bad", [{"steps": 0}, {"batch_size": -1}, {"learning_rate": 0}, {"steps": 1.5}])
def test_bad_options_are_named(dots, bad):
    with pytest.raises(OptionError, match=next(iter(bad))):
        train(Mean(), dots, **settings(**bad))


def test_progress_ends_at_the_total(dots):
    reports = []
    with listening(lambda *report: reports.append(report)):
        train(Mean(), dots, **settings(steps=150))
    assert reports[-1] == ("learning", 150, 150)


def test_seeded_leaves_the_callers_randomness_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = seeded(lambda: nn.Linear(3, 3), 1), seeded(lambda: nn.Linear(3, 3), 1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.weight, second.weight)


def test_the_second_half_computes_on_one_thread_whatever_another_sets_meanwhile():
    class Counts(Mean):
        """Tells on how many threads it computes."""

        def forward(self, batch):
            self.threads = torch.get_num_threads()
            return super().forward(batch)

    first, second = Counts(), Counts()
    with one_thread(), Halves(first, second) as halves:
        halves._other.submit(int).result()  # the thread is there
        torch.set_num_threads(3)
        halves.learn(torch.zeros(4, 1, 2, 2))
    assert (first.threads, second.threads) == (3, 1)


def test_networks_made_on_two_threads_at_once_are_the_same_as_one_after_another():
    def build():
        first = nn.Linear(3, 3)
        time.sleep(0.01)  # the other would draw meanwhile
        return nn.Sequential(first, nn.Linear(3, 3))

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda seed: seeded(build, seed), [1, 2] * 4))
    for network, seed in zip(made, [1, 2] * 4, strict=True):
        alone = seeded(build, seed)
        assert all(torch.equal(one, same) for one, same in zip(network.parameters(), alone.parameters(), strict=True))


def test_batches_cover_all_rows_in_order(dots):
    rows, batches = zip(*in_batches(dots, 50, CPU), strict=True)
    assert [row.stop - row.start for row in rows] == [50, 50, 20]
    assert torch.equal(torch.cat(batches), as_batch(torch.from_numpy(dots.copy())))
    assert batches[0].shape == (50, 1, 8, 8)


def test_a_batch_is_filled_up_with_blank_images(dots):
    batch = filled(dots[:5], 8)
    assert torch.equal(batch[:5], as_batch(torch.from_numpy(dots[:5].copy())))
    assert batch.shape == (8, 1, 8, 8)
    assert not batch[5:].any()


def test_one_thread_is_undone_even_after_an_error():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    with contextlib.suppress(RuntimeError), one_thread():
        raise RuntimeError
    assert torch.get_num_threads() == before


class Watched(Mean):
    """The same, and which threads asked it."""

    def __init__(self):
        super().__init__()
        self.threads = set()
        self.fails = False

    def forward(self, batch):
        self.threads.add(threading.get_ident())
        if self.fails:
            raise ValueError("broken")
        return super().forward(batch)


@pytest.mark.parametrize("size", [1, 2, 7, 16])
def test_the_gradients_are_those_of_the_whole(size):
    batch = torch.from_numpy(np.random.default_rng(size).random((size, 1, 4, 4)).astype(np.float32))
    whole, halved = Watched(), Watched()
    loss = learned(whole, batch)
    with Halves(halved, Watched()) as halves:
        again = halves.learn(batch)
        assert torch.isclose(halved.mean.grad, whole.mean.grad, rtol=1e-6)
        assert torch.isclose(again, loss, rtol=1e-6)
        halved.mean.grad = None
        halves.learn(batch)  # nothing is left of the last one
    assert torch.isclose(halved.mean.grad, whole.mean.grad, rtol=1e-6)


def test_both_learn_each_on_a_thread_of_its_own(dots):
    network, second = Watched(), Watched()
    with Halves(network, second) as halves:
        train(network, dots, steps=50, batch_size=8, learning_rate=0.05, random_state=0, device=CPU, learn=halves.learn)
    assert network.mean.item() == second.mean.item() != 0
    assert len(network.threads) == len(second.threads) == 1
    assert network.threads != second.threads


@pytest.mark.parametrize("which", [0, 1])
def test_an_error_in_either_half_reaches_the_caller(which):
    networks = Watched(), Watched()
    networks[which].fails = True
    with pytest.raises(ValueError, match="broken"), Halves(*networks) as halves:
        halves.learn(torch.zeros(4, 1, 2, 2))
