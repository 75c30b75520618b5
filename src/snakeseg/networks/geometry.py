"""Geometry of the overlap-tile strategy (Ronneberger et al. 2015, figure 2): the input that a tile of output needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

# Distance, in pixels, of the farthest pixel that the interpolation of a magnified image uses.
INTERPOLATION_REACH_PIXELS = 2


@dataclass(frozen=True)
class Geometry:
    """Valid input sizes of a network and the context that its output depends on; one number per spatial axis.

    Parameters
    ----------
    halo : tuple of int
        Pixels of context that a tile of output needs on each side.
    multiple : tuple of int
        Period of the network in pixels: it is shift-equivariant modulo the product of its strides (2**depth in a
        U-Net).
    remainder : tuple of int
        Valid input sizes n have ``n % multiple == remainder``.
    smallest : tuple of int
        Side lengths, in pixels, of the smallest image that leaves a pixel at the deepest level.
    padded : bool
        Whether the output is as large as the input. If so, padding affects its outermost `halo` pixels; if not, the
        output is ``2 * halo`` pixels shorter along each axis.
    tile_exact : bool
        Whether an output pixel depends on its halo only, so that tiles equal one pass over the whole image.
    """

    halo: tuple[int, ...]
    multiple: tuple[int, ...]
    remainder: tuple[int, ...]
    smallest: tuple[int, ...]
    padded: bool = False
    tile_exact: bool = True

    @property
    def dims(self) -> int:
        """Number of spatial axes."""
        return len(self.halo)

    @property
    def training(self) -> "Geometry":
        """Geometry in training, where the input of a padded network is the patch alone."""
        return replace(self, halo=(0,) * self.dims) if self.padded else self

    @property
    def reach(self) -> tuple[int, ...]:
        """Halo enlarged by the pixels that a valid input of one period has beyond the period and its halo."""
        sizes = zip(self.input_size(self.multiple), self.multiple, self.halo, strict=True)
        return tuple(size - step - halo for size, step, halo in sizes)

    def output_size(self, size: int | Sequence[int]) -> tuple[int, ...]:
        """Return the smallest valid output size of at least `size` pixels.

        Parameters
        ----------
        size : int or sequence of int
            One number for all axes, or one per axis.
        """
        requested = (size,) * self.dims if isinstance(size, int) else size
        axes = zip(requested, self.halo, self.multiple, self.remainder, strict=True)
        return tuple(n + (remainder - 2 * halo - n) % multiple for n, halo, multiple, remainder in axes)

    def input_size(self, size: int | Sequence[int]) -> tuple[int, ...]:
        """Return the input size for the smallest valid output of at least `size` pixels.

        Parameters
        ----------
        size : int or sequence of int
            One number for all axes, or one per axis.
        """
        return tuple(n + 2 * halo for n, halo in zip(self.output_size(size), self.halo, strict=True))

    def exchangeable(self, first: int, second: int) -> bool:
        """Return True if the network takes images with these two spatial axes exchanged."""
        numbers = (self.halo, self.multiple, self.remainder)
        return all(per_axis[first] == per_axis[second] for per_axis in numbers)


def uniform(dims: int, halo: int, multiple: int, remainder: int = 0, smallest: int = 1, **properties: bool) -> Geometry:
    """Return the geometry of a network that treats all axes alike.

    Parameters
    ----------
    dims : int
        Number of spatial axes.
    halo, multiple, remainder, smallest : int
        Numbers of `Geometry`, in pixels, the same for every axis.
    **properties : bool
        `padded` and `tile_exact` of `Geometry`.
    """
    return Geometry(*((number,) * dims for number in (halo, multiple, remainder, smallest)), **properties)


def combine(geometries: Sequence[Geometry]) -> Geometry:
    """Return the geometry of tiles that several networks share.

    Equal geometries are returned unchanged. Otherwise the halo is large enough for every network, and the stride is a
    common multiple of their periods.
    """
    first = geometries[0]
    if all(geometry == first for geometry in geometries):
        return first
    halo = _maximum_per_axis(geometry.reach for geometry in geometries)
    multiple = tuple(math.lcm(*steps) for steps in zip(*(g.multiple for g in geometries), strict=True))
    smallest = _maximum_per_axis(geometry.smallest for geometry in geometries)
    exact = all(geometry.tile_exact for geometry in geometries)
    return Geometry(halo, multiple, _remainder_of_tiles(halo, multiple), smallest, tile_exact=exact)


def magnified(geometry: Geometry, scale: float) -> Geometry:
    """Return the geometry, in pixels before magnification, of tiles that are magnified for a network.

    Halos and strides are whole numbers of pixels before and after magnification, so that every tile is interpolated on
    the same grid.

    Parameters
    ----------
    geometry : Geometry
        Geometry of the network.
    scale : float
        Magnification, at least 1, a ratio of small whole numbers.
    """
    if scale == 1:
        return geometry
    whole = Fraction(scale).denominator
    halo = tuple(-(-math.ceil(reach / scale + INTERPOLATION_REACH_PIXELS) // whole) * whole for reach in geometry.reach)
    multiple = tuple(step * whole for step in geometry.multiple)
    return replace(geometry, halo=halo, multiple=multiple, remainder=_remainder_of_tiles(halo, multiple), padded=False)


def along_axes(numbers: Sequence[int]) -> str:
    """Format one number per axis as text: "16 x 32 x 32", or "16" if all are equal."""
    return " x ".join(map(str, numbers if len(set(numbers)) > 1 else numbers[:1]))


def _remainder_of_tiles(halo: Sequence[int], multiple: Sequence[int]) -> tuple[int, ...]:
    """Return the remainder of input sizes whose outputs are whole multiples."""
    return tuple(2 * h % step for h, step in zip(halo, multiple, strict=True))


def _maximum_per_axis(tuples) -> tuple[int, ...]:
    """Return the largest number along each axis."""
    return tuple(map(max, zip(*tuples, strict=True)))
