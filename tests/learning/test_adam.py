import subprocess
import sys

import pytest
import torch

from oddlens.learning.adam import Adam


def trained(make, forget, steps=60):
    """A small network's weights after some steps, at a learning rate that falls."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    inputs, targets = torch.randn(40, 7), torch.randint(3, (40,))
    optimizer = make(list(network.parameters()))
    for step in range(steps):
        loss = torch.nn.functional.cross_entropy(network(inputs), targets)
        forget(optimizer)
        loss.backward()
        rate = 0.01 * (1 - step / steps)
        if isinstance(optimizer, Adam):
            optimizer.learning_rate = rate
        else:
            optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    return torch.cat([weight.detach().ravel() for weight in network.parameters()])


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_it_is_torchs_to_the_last_digit(decay):
    ours = trained(lambda weights: Adam(weights, 0.01, decay), Adam.forget)
    theirs = trained(lambda weights: torch.optim.AdamW(weights, lr=0.01, weight_decay=decay, foreach=False),
                     lambda optimizer: optimizer.zero_grad())
    assert torch.equal(ours, theirs)


def test_a_weight_without_a_gradient_stays():
    used, unused = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    optimizer = Adam([used, unused], 0.1, 0.5)
    used.sum().backward()
    optimizer.step()
    assert (unused == 1).all()
    assert (used < 1).all()
    optimizer.forget()
    assert used.grad is None


def test_torchs_compiler_is_not_imported():
    code = ("import sys, torch; from oddlens.learning.adam import Adam; w = torch.ones(1, requires_grad=True)\n"
            "w.sum().backward(); Adam([w], 0.1).step(); print('torch._dynamo' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
