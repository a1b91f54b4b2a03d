import numpy as np

from oddlens.learning.edges import gradients, histograms, of_length_1


def test_the_channel_with_the_strongest_gradient_counts():
    pixels = np.zeros((1, 5, 5, 3), np.uint8)
    pixels[0, :, 3:, 0], pixels[0, 3:, :, 2] = 10, 200  # red rises a little to the right, blue much downwards
    down, across = gradients(pixels)
    assert down[0, 2, 2] == 200
    assert across[0, 2, 2] == 0
    assert across[0, 1, 2] == 10  # where blue is flat, red is the strongest
    assert not down[0, [0, -1]].any()  # no differences at the rim
    assert not across[0, :, [0, -1]].any()


def test_an_edge_falls_into_the_bin_of_its_direction():
    ramp = np.broadcast_to(np.arange(8, dtype=np.uint8) * 20, (1, 8, 8))[..., None]
    across = histograms(ramp, 2, 4).reshape(4, 2)  # directions 0 to 90 and 90 to 180 degrees
    down = histograms(ramp.transpose(0, 2, 1, 3), 2, 4).reshape(4, 2)
    assert (across[:, 0] > 0.4).all()
    assert not across[:, 1].any()
    assert (down[:, 1] > 0.4).all()  # exactly 90 degrees begins the second bin
    assert not down[:, 0].any()


def test_a_block_of_nothing_stays_nothing():
    rows = of_length_1(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert np.allclose(rows, [[0.6, 0.8], [0, 0]])
