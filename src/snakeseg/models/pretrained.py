"""Read pretrained weights from local files, without executing code, and download published weights."""

import urllib.parse
import urllib.request
import zipfile
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from safetensors.torch import load_file
from torch import nn

from snakeseg.errors import BadInput
from snakeseg.io.files import atomic_file, checksum
from snakeseg.io.input_checks import require_kind
from snakeseg.networks.fcn import convolutionalise


class PublishedWeights(NamedTuple):
    """A published file: its address, its SHA-256 (hexadecimal), and its size in bytes."""

    url: str
    sha256: str
    size: int


PUBLISHED = {
    "vgg16": PublishedWeights(
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        553_433_881,
    )
}
CHUNK_BYTES = 2**20
# Name of the weights of the first convolution of FCN, shape (64, channels, 3, 3) for VGG16.
FIRST_CONVOLUTION = "vgg.blocks.0.conv1_1.weight"
# Mean and standard deviation of the colours that VGG16 was trained with, of images from 0 to 1.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def read_pretrained(path: Path, is_unit_range: bool = False) -> dict[str, torch.Tensor]:
    """Read tensors by name; the weights of a VGG16 classifier (torchvision's names) are convolutionalised.

    Parameters
    ----------
    path : path
        ``.safetensors``, or ``.pth`` / ``.pt`` that holds only a dictionary of tensors.
    is_unit_range : bool
        Whether the network's images range from about 0 to 1. A VGG16 classifier expects the colours of ImageNet with
        mean 0 and standard deviation 1, so its first convolution is then changed to normalise them.

    Returns
    -------
    dict of Tensor

    Raises
    ------
    BadInput
        If the file is missing, truncated, of another kind, or would execute code on loading.
    """
    expected = "weights as .safetensors, or .pth with only tensors by name"
    remedy = "save only the tensors: torch.save(model.state_dict(), FILE)"
    require_kind(path, False, expected, "correct the path, or get the file: snakeseg fetch-weights")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            _require_uncompressed(path)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile pickle may raise any exception, even with the few names it may use
        cause = " ".join(str(error).split()).split(" (1)")[0][:200]
        raise BadInput(path, f"{type(error).__name__}: {cause}", expected, remedy) from error
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise BadInput(path, f"a {type(state).__name__} with other objects than tensors", expected, remedy)
    if not any(str(name).startswith("features.") for name in state):
        return state
    try:
        converted = convolutionalise(state)
        return normalise_first_convolution(converted) if is_unit_range else converted
    except (KeyError, RuntimeError) as error:
        found = f"names of VGG16's tensors, but {error}"
        raise BadInput(path, found, "all tensors of VGG16", "get the file: snakeseg fetch-weights") from error


def normalise_first_convolution(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return VGG16's tensors with a first convolution that also subtracts ImageNet's mean and divides by its deviation.

    Parameters
    ----------
    state : dict of Tensor
        From `convolutionalise`: weights of the first convolution of shape (64, 3, 3, 3).
    """
    weight, bias = state[FIRST_CONVOLUTION], FIRST_CONVOLUTION.replace("weight", "bias")
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    scaled = weight / std
    return {**state, FIRST_CONVOLUTION: scaled, bias: state[bias] - (scaled * mean).sum(dim=(1, 2, 3))}


def _require_uncompressed(path: Path) -> None:
    """Raise ValueError if an archive is compressed: PyTorch's never are, and the uncompressed size is unknown."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            compressed = [entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
        if compressed:
            raise ValueError(f"compressed entries ({compressed[0]})")


def select_matching(own: dict[str, torch.Tensor], weights: dict[str, torch.Tensor], where: str | Path) -> dict:
    """Select the pretrained tensors that have the name of a tensor of the network.

    For a network of single-channel images, the weights of FCN's first convolution are summed over the three colour
    channels: the result is the same as for the image repeated in all three.

    Parameters
    ----------
    own : dict of Tensor
        Tensors of the network, by name.
    weights : dict of Tensor
        Pretrained tensors, by name.
    where : str or path
        Origin of the weights, for error messages.

    Returns
    -------
    dict of Tensor

    Raises
    ------
    BadInput
        If no name matches, or a tensor has another shape.
    """
    shared = {name: tensor for name, tensor in weights.items() if name in own}
    if FIRST_CONVOLUTION in shared and own[FIRST_CONVOLUTION].shape[1] == 1:
        shared[FIRST_CONVOLUTION] = shared[FIRST_CONVOLUTION].sum(dim=1, keepdim=True)
    if not shared:
        found = f"tensors {', '.join(list(weights)[:3])}, ..."
        expected = f"any of the tensors {', '.join(list(own)[:3])}, ..."
        raise BadInput(where, found, expected, "use weights of a network with the same network.name")
    different = [name for name, tensor in shared.items() if tensor.shape != own[name].shape]
    if different:
        name = different[0]
        raise BadInput(
            where, f"{name} of shape {tuple(shared[name].shape)} ({len(different)} tensors differ)",
            f"{tuple(own[name].shape)}", "use weights of a network with the same settings in network",
        )  # fmt: skip
    return shared


def start_from(network: nn.Module, state: dict[str, torch.Tensor], where: str | Path) -> int:
    """Copy pretrained tensors into a network by name, and return the number of copied tensors.

    Parameters
    ----------
    network : Module
        Changed in place; tensors without a pretrained one keep their values.
    state : dict of Tensor
        Pretrained tensors, by name.
    where : str or path
        Origin of the weights, for error messages.

    Raises
    ------
    BadInput
        If no name matches, or a tensor has another shape.
    """
    shared = select_matching(network.state_dict(), state, where)
    network.load_state_dict(shared, strict=False)
    return len(shared)


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to https:// addresses only."""

    def redirect_request(self, request, file, code, message, headers, newurl):
        _require_https(newurl)
        return super().redirect_request(request, file, code, message, headers, newurl)


def _require_https(url: str) -> None:
    if urllib.parse.urlsplit(url).scheme != "https":
        raise BadInput(url, "another kind of address", "an address that begins with https://", "correct --url")


def fetch(name: str, output: Path, url: str | None = None) -> None:
    """Download published weights, and keep them only if size and SHA-256 are those of the published file.

    Parameters
    ----------
    name : str
        A key of `PUBLISHED`.
    output : path
        File to write.
    url : str, optional
        Address of a copy of the published file.

    Raises
    ------
    BadInput
        If the address or a redirect is not https://, the server cannot be reached, or the file is a different one.
    """
    published = PUBLISHED[name]
    address = url or published.url
    _require_https(address)
    with atomic_file(output) as partial:
        try:
            opener = urllib.request.build_opener(_SecureRedirects)
            with opener.open(address, timeout=60) as source, open(partial, "wb") as file:
                size = _copy(source, file, published.size)
        except BadInput:
            raise
        except (HTTPException, OSError, ValueError) as error:
            remedy = "run the command on a machine with a network connection, or give another address: --url"
            raise BadInput(address, str(error), "the file of published weights", remedy) from error
        remedy = "run the command again, or give another address: --url"
        if size != published.size:
            found = f"{size} bytes" if size < published.size else f"more than {published.size} bytes"
            raise BadInput(address, found, f"{published.size} bytes", remedy)
        if (digest := checksum(partial)) != published.sha256:
            raise BadInput(address, f"SHA-256 {digest}", published.sha256, remedy)


def _copy(source: HTTPResponse, file: BinaryIO, limit: int) -> int:
    """Copy at most `limit` bytes, and return their number, or a number above `limit` if the source is longer."""
    if (source.length or 0) > limit:
        return source.length
    received = 0
    while received <= limit and (chunk := source.read(min(CHUNK_BYTES, limit + 1 - received))):
        file.write(chunk[: limit - received])
        received += len(chunk)
    return received
