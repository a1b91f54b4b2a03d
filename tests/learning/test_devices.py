import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from oddlens import registry
from oddlens.errors import OptionError
from oddlens.learning import devices
from oddlens.learning.devices import at_once, choose_device, computing_on, encoding_device

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_a_device_that_is_not_there_is_named():
    assert choose_device("cpu") == CPU
    with pytest.raises(OptionError, match="try 'auto'"):
        choose_device("cuda:99")
    for nonsense in ("quantum", "", "meta", None):
        with pytest.raises(OptionError, match="'auto', 'cpu', 'cuda', 'mps'"):
            choose_device(nonsense)


@pytest.mark.parametrize(("found", "encodes"), [("cpu", "cpu"), ("cuda", "cuda"), ("cuda:1", "cuda:1"), ("mps", "cpu")])
def test_what_is_no_network_is_encoded_on_a_gpu_that_has_all_the_steps(monkeypatch, found, encodes):
    monkeypatch.setattr(devices, "choose_device", lambda device: torch.device(found))
    assert encoding_device("auto") == torch.device(encodes)


def test_a_model_that_was_made_with_a_gpu_is_used_without_it():
    assert encoding_device("cuda:99") == CPU
    with pytest.raises(OptionError, match="quantum"):
        encoding_device("quantum")


def test_a_gpu_is_one_threads_at_a_time():
    inside = []

    def compute(number):
        with computing_on(GPU):
            inside.append(number)
            time.sleep(0.05)
            inside.append(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(compute, range(4)))
    assert inside[::2] == inside[1::2]


def test_a_gpu_takes_more_images_at_a_time():
    assert at_once(CPU, 8) == 8
    assert at_once(GPU, 8) > 8


@pytest.fixture(params=[True, False])
def ten_bits(request):
    """Whether a GPU may multiply in ten bits."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = request.param
    yield request.param
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def test_a_gpu_multiplies_in_single_precision_within_and_as_it_did_after(ten_bits):
    with computing_on(CPU):
        assert torch.backends.cudnn.allow_tf32 == ten_bits
    with computing_on(GPU), computing_on(GPU):
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
        with torch.backends.cudnn.flags():  # as others' code may say; it raises where the parts of cuDNN differ
            pass
    assert torch.backends.cudnn.allow_tf32 == torch.backends.cuda.matmul.allow_tf32 == ten_bits


def test_so_it_does_where_somebody_speaks_in_the_newer_words(monkeypatch):
    class Part:
        fp32_precision = "tf32"

    class Cudnn:
        conv, rnn = Part(), Part()

        @property
        def allow_tf32(self):
            raise RuntimeError("This combination indicates that you have used a mix of the legacy and new APIs")

    class Backends:
        cudnn, cuda = Cudnn(), type("Cuda", (), {"matmul": Part()})

    parts = Backends.cudnn.conv, Backends.cudnn.rnn, Backends.cuda.matmul
    monkeypatch.setattr(torch, "backends", Backends)
    with computing_on(GPU):
        assert {part.fp32_precision for part in parts} == {"ieee"}
    assert {part.fp32_precision for part in parts} == {"tf32"}


@pytest.mark.parametrize(("name", "gives"), [("dictionary", "embedding"), ("patch_maps", "maps"),
                                             ("alterations", "maps")])
def test_in_the_batches_of_a_gpu_an_image_has_the_same_features(monkeypatch, name, gives):
    images = np.random.default_rng(0).integers(0, 256, (70, 16, 16, 1), dtype=np.uint8)
    encoder = registry.create("encoder", name, device="cpu", **({"steps": 2} if name == "alterations" else {}))
    found = getattr(encoder.fit(images).encode(images, frozenset({gives})), gives)
    monkeypatch.setattr(f"oddlens.encoders.{name}.at_once", lambda device, processor: 64)
    again = getattr(encoder.encode(images, frozenset({gives})), gives)
    scale = np.abs(found.astype(float)).max()
    np.testing.assert_allclose(again.astype(float) / scale, found.astype(float) / scale, atol=1e-3 if gives == "maps"
                               else 1e-5)
