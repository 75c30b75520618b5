"""Geometry of the overlap-tile strategy (Ronneberger et al. 2015, figure 2): the input that a tile of output needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

# Pixels around its place that a pixel of a magnified image is interpolated from.
REACH_OF_MAGNIFYING = 2


@dataclass(frozen=True)
class Geometry:
    """Input sizes that a network takes, and the context that its output depends on; one number per spatial axis.

    Parameters
    ----------
    halo : tuple of int
        Pixels of context that a tile of output needs on each side.
    multiple : tuple of int
        The network is shift-equivariant only modulo this: the product of its strides (2**depth in a U-Net).
    remainder : tuple of int
        Valid inputs n have ``n % multiple == remainder``.
    smallest : tuple of int
        Sides of the smallest image that leaves a pixel at the deepest level.
    padded : bool
        Whether the output is as large as the input (of which the outermost `halo` pixels saw padding), or
        ``2 * halo`` smaller.
    tile_exact : bool
        Whether outputs depend on nothing but their halo, so that tiles equal one pass over the whole.
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
        """The geometry in training: a padded network sees no more than the patch."""
        return replace(self, halo=(0,) * self.dims) if self.padded else self

    @property
    def reach(self) -> tuple[int, ...]:
        """A halo that also holds the pixels by which a valid input exceeds the tile and its halo."""
        sizes = zip(self.input_size(self.multiple), self.multiple, self.halo, strict=True)
        return tuple(size - step - halo for size, step, halo in sizes)

    def output_size(self, size: int | Sequence[int]) -> tuple[int, ...]:
        """The smallest valid output of at least `size` pixels; a single number stands for all axes."""
        wanted = (size,) * self.dims if isinstance(size, int) else size
        axes = zip(wanted, self.halo, self.multiple, self.remainder, strict=True)
        return tuple(n + (remainder - 2 * halo - n) % multiple for n, halo, multiple, remainder in axes)

    def input_size(self, size: int | Sequence[int]) -> tuple[int, ...]:
        """The input that gives the smallest valid output of at least `size` pixels."""
        return tuple(n + 2 * halo for n, halo in zip(self.output_size(size), self.halo, strict=True))

    def exchangeable(self, first: int, second: int) -> bool:
        """Whether the network takes images of which these two axes are exchanged."""
        numbers = (self.halo, self.multiple, self.remainder)
        return all(of_axis[first] == of_axis[second] for of_axis in numbers)


def uniform(dims: int, halo: int, multiple: int, remainder: int = 0, smallest: int = 1, **properties: bool) -> Geometry:
    """The geometry of a network that treats its `dims` axes alike; `properties` are `padded` and `tile_exact`."""
    return Geometry(*((number,) * dims for number in (halo, multiple, remainder, smallest)), **properties)


def combine(geometries: Sequence[Geometry]) -> Geometry:
    """The geometry of tiles that several networks share: theirs if all are equal, else one whose halo holds all."""
    first = geometries[0]
    if all(geometry == first for geometry in geometries):
        return first
    halo = _largest(geometry.reach for geometry in geometries)
    multiple = tuple(math.lcm(*steps) for steps in zip(*(g.multiple for g in geometries), strict=True))
    smallest = _largest(geometry.smallest for geometry in geometries)
    exact = all(geometry.tile_exact for geometry in geometries)
    return Geometry(halo, multiple, _for_tiles(halo, multiple), smallest, tile_exact=exact)


def magnified(geometry: Geometry, scale: float) -> Geometry:
    """The geometry of tiles, in their own pixels, whose magnified image a network takes.

    Halos and strides are whole pixels before and after, so that every tile is magnified on the same grid.

    Parameters
    ----------
    geometry : Geometry
        Of the network.
    scale : float
        1 or more, a ratio of small whole numbers.
    """
    if scale == 1:
        return geometry
    whole = Fraction(scale).denominator
    halo = tuple(-(-math.ceil(reach / scale + REACH_OF_MAGNIFYING) // whole) * whole for reach in geometry.reach)
    multiple = tuple(step * whole for step in geometry.multiple)
    return replace(geometry, halo=halo, multiple=multiple, remainder=_for_tiles(halo, multiple), padded=False)


def along_axes(numbers: Sequence[int]) -> str:
    """The number that all axes have in common, or one number per axis, as text."""
    return " x ".join(map(str, numbers if len(set(numbers)) > 1 else numbers[:1]))


def _for_tiles(halo: Sequence[int], multiple: Sequence[int]) -> tuple[int, ...]:
    """The remainder of inputs whose outputs are whole multiples."""
    return tuple(2 * h % step for h, step in zip(halo, multiple, strict=True))


def _largest(tuples) -> tuple[int, ...]:
    """The largest number along each axis."""
    return tuple(map(max, zip(*tuples, strict=True)))
