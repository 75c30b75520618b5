"""Weights to start from: a local file's, by layer name; nothing is downloaded, nothing is executed."""

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
from snakeseg.io.files import atomic_file, checksum, require_kind
from snakeseg.networks.fcn import convolutionalise


class Published(NamedTuple):
    """Where a file is published, and what it is: its SHA-256, and its size in bytes."""

    url: str
    sha256: str
    size: int


PUBLISHED = {
    "vgg16": Published(
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        553_433_881,
    )
}
CHUNK_BYTES = 2**20
FIRST = "vgg.blocks.0.conv1_1.weight"


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Tensors by name; those of a VGG16 classifier (torchvision's names) are convolutionalised.

    Parameters
    ----------
    path : path
        ``.safetensors``, or ``.pth`` / ``.pt`` holding nothing but a dictionary of tensors.

    Raises
    ------
    BadInput
        If the file is missing, truncated, of another kind, or would run code on loading.
    """
    expected = "weights as .safetensors, or .pth with nothing but tensors by name"
    require_kind(path, False, expected, "correct the path, or get the file: snakeseg fetch-weights")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            _require_unpacked(path)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a pickle leads to that does what it likes with the few names it may use
        cause = " ".join(str(error).split()).split(" (1)")[0][:200]
        raise BadInput(path, f"{type(error).__name__}: {cause}", expected, "save the tensors alone") from error
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise BadInput(path, f"a {type(state).__name__} of other things", expected, "save the tensors alone")
    if not any(str(name).startswith("features.") for name in state):
        return state
    try:
        return convolutionalise(state)
    except (KeyError, RuntimeError) as error:
        raise BadInput(path, f"names like VGG16's, but {error}", "all of VGG16's", "take VGG16's weights") from error


def _require_unpacked(path: Path) -> None:
    """Raise an error if an archive is compressed, which PyTorch's never are: nobody knows how much comes out."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            packed = [entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise ValueError(f"packed entries ({packed[0]})")


def matching(own: dict[str, torch.Tensor], given: dict[str, torch.Tensor], where: str | Path) -> dict:
    """The given tensors that have one of the network's own names.

    The first convolution of a grey image's network takes the sum over the three colours: the same answer as for the
    grey image in all three.

    Raises
    ------
    BadInput
        If none has, or one has another shape.
    """
    shared = {name: tensor for name, tensor in given.items() if name in own}
    if FIRST in shared and own[FIRST].shape[1] == 1:
        shared[FIRST] = shared[FIRST].sum(dim=1, keepdim=True)
    if not shared:
        names = f"tensors {', '.join(list(given)[:3])}, ..."
        raise BadInput(where, names, f"some of {', '.join(list(own)[:3])}, ...", "take weights of this network")
    other = [name for name, tensor in shared.items() if tensor.shape != own[name].shape]
    if other:
        name = other[0]
        raise BadInput(
            where, f"{name} of shape {tuple(shared[name].shape)} ({len(other)} tensors differ)",
            f"{tuple(own[name].shape)}", "take weights of a network of these settings",
        )  # fmt: skip
    return shared


def start_from(network: nn.Module, state: dict[str, torch.Tensor], where: str | Path) -> int:
    """Copy the tensors that the network has by name, leave the others as they are; returns how many were copied."""
    shared = matching(network.state_dict(), state, where)
    network.load_state_dict(shared, strict=False)
    return len(shared)


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to https:// alone."""

    def redirect_request(self, request, file, code, message, headers, newurl):
        _require_https(newurl)
        return super().redirect_request(request, file, code, message, headers, newurl)


def _require_https(url: str) -> None:
    if urllib.parse.urlsplit(url).scheme != "https":
        raise BadInput(url, "another kind of address", "one that begins with https://", "correct --url")


def fetch(name: str, output: Path, url: str | None = None) -> None:
    """Download published weights and keep them only if size and SHA-256 are those of the published file.

    Raises
    ------
    BadInput
        If the address does not begin with https:// or leads elsewhere, cannot be reached, or has another file.
    """
    published = PUBLISHED[name]
    address = url or published.url
    _require_https(address)
    with atomic_file(output) as beside:
        try:
            opener = urllib.request.build_opener(_SecureRedirects)
            with opener.open(address, timeout=60) as source, open(beside, "wb") as file:
                size = _copy(source, file, published.size)
        except BadInput:
            raise
        except (HTTPException, OSError, ValueError) as error:
            raise BadInput(address, str(error), "a file", "try from a machine with a network, or give --url") from error
        if size != published.size:
            found = f"{size} bytes" if size < published.size else f"more than {published.size} bytes"
            raise BadInput(address, found, f"{published.size} bytes", "download it again, or elsewhere")
        if (digest := checksum(beside)) != published.sha256:
            raise BadInput(address, f"SHA-256 {digest}", published.sha256, "download it again, or elsewhere")


def _copy(source: HTTPResponse, file: BinaryIO, limit: int) -> int:
    """Copy at most `limit` bytes; returns the number of bytes, or a larger one than `limit` if there are more."""
    if (source.length or 0) > limit:
        return source.length
    received = 0
    while received <= limit and (chunk := source.read(min(CHUNK_BYTES, limit + 1 - received))):
        file.write(chunk[: limit - received])
        received += len(chunk)
    return received
