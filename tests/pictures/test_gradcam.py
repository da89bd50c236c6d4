import pytest
import torch
from tiny_network import PREPROCESSING, TinyNetwork

from vision2.pictures.gradcam import cam_overlays, grad_cam, last_spatial_layer


@pytest.fixture
def network():
    """A network whose channel 0 detects red, as evidence for class 0, and channel 1 detects blue, for class 1."""
    network = TinyNetwork(channels=2, classes=2).eval()
    with torch.no_grad():
        network.convolution.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]).view(2, 3, 1, 1))
        network.head.weight.copy_(torch.eye(2))
    return network


@pytest.fixture
def image():
    """An image that is red on the left and blue on the right."""
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, :, 0] = 1.0
    image[0, 0, :, 1] = 0.5
    image[0, 2, :, 3] = 1.0
    return image


def test_the_map_of_a_class_is_high_where_its_evidence_is(network, image):
    maps = grad_cam(network, network.convolution, image.repeat(2, 1, 1, 1), [0, 1])
    assert maps.shape == (2, 4, 4)
    assert maps[0, 0].tolist() == pytest.approx([1.0, 0.5, 0.0, 0.0])  # the red channel alone, divided by its maximum
    assert maps[1, 0].tolist() == pytest.approx([0.0, 0.0, 0.0, 1.0])


def test_maps_of_several_classes_of_an_image_equal_the_maps_computed_one_by_one(network, image):
    together = grad_cam(network, network.convolution, image, torch.tensor([[0, 1]]))
    assert together.shape == (1, 2, 4, 4)
    for of in (0, 1):
        assert torch.equal(together[:, of], grad_cam(network, network.convolution, image, of))
    assert cam_overlays(network, image, [[0, 1]], PREPROCESSING).shape == (1, 2, 4, 4, 3)


def test_evidence_against_a_class_gives_an_empty_map(network, image):
    with torch.no_grad():
        network.head.weight.neg_()
    assert grad_cam(network, network.convolution, image, 0).abs().sum() == 0


def test_a_frozen_network_has_maps_and_no_gradients_are_left_behind(network, image):
    network.requires_grad_(False)
    with torch.no_grad():
        assert grad_cam(network, network.relu, image, 0).max() == pytest.approx(1.0)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.convolution._forward_hooks


def test_the_last_spatial_layer_is_found(network, image):
    assert last_spatial_layer(network, image) is network.relu
    assert not network.relu._forward_hooks


def test_overlays_are_uint8_pictures(network, image):
    pictures = cam_overlays(network, image, [0], PREPROCESSING)
    assert pictures.shape == (1, 4, 4, 3) and pictures.dtype.name == "uint8"
    assert cam_overlays(torch.nn.Identity(), image[:0], [], PREPROCESSING) is None
