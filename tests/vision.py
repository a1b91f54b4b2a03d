"""torchvision beside a torch for CPUs, in tests: its package index has one build, which is for CUDA.

Its compiled operators cannot be loaded then, and importing it fails where it describes these. They are declared here,
without a body, so that its data sets and transforms, which are Python, can be imported and tried.
"""

import importlib
import warnings

import pytest
import torch

BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def torchvision():
    """The real library; the test is skipped where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that its readers of image files cannot be loaded either
        try:
            return importlib.import_module("torchvision")
        except ModuleNotFoundError:
            pytest.skip("torchvision is not installed")
        except RuntimeError:
            for name in ("nms", "qnms"):
                torch.library.define(f"torchvision::{name}", BOXES)
            return importlib.import_module("torchvision")
