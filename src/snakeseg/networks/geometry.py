"""Overlap-tile strategy (Ronneberger et al. 2015, figure 2): where tiles lie, and what each must see."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction


@dataclass(frozen=True)
class Geometry:
    """What a network asks of its input, the same along every axis.

    Parameters
    ----------
    halo : int
        Pixels of context that an output pixel's tile needs on each side.
    multiple : int
        The network is shift-equivariant only modulo this (2**depth).
    remainder : int
        Valid inputs n have ``n % multiple == remainder``.
    padded : bool
        Whether its output is as large as its input (of which the outermost `halo` pixels saw padding), or
        ``2 * halo`` smaller.
    tile_exact : bool
        Whether outputs depend on nothing but their halo, so that tiles equal one pass over the whole.
    smallest : int
        Smallest side of an image that leaves a pixel at the deepest level.
    """

    halo: int
    multiple: int
    remainder: int = 0
    padded: bool = False
    tile_exact: bool = True
    smallest: int = 1

    @property
    def training(self) -> "Geometry":
        """The same for training: a padded network sees no more than the patch."""
        return replace(self, halo=0) if self.padded else self

    @property
    def reach(self) -> int:
        """A halo that also holds what a valid input has to spare beyond the tile."""
        return self.input_size(self.multiple) - self.multiple - self.halo

    def output_size(self, size: int) -> int:
        """The smallest valid output that holds `size` pixels."""
        return size + (self.remainder - 2 * self.halo - size) % self.multiple

    def input_size(self, size: int) -> int:
        """The input that gives the smallest valid output holding `size` pixels."""
        return self.output_size(size) + 2 * self.halo


def combine(geometries: Sequence[Geometry]) -> Geometry:
    """What tiles that several networks share must see: their own where all are alike, else a halo that holds all."""
    first = geometries[0]
    if all(geometry == first for geometry in geometries):
        return first
    step, halo = max(g.multiple for g in geometries), max(g.reach for g in geometries)
    return Geometry(halo, step, 2 * halo % step, tile_exact=all(g.tile_exact for g in geometries))


def magnified(geometry: Geometry, scale: float) -> Geometry:
    """What tiles must see, in their own pixels, for a network that looks at them magnified.

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
    halo = -(-math.ceil(geometry.reach / scale + REACH_OF_MAGNIFYING) // whole) * whole
    step = geometry.multiple * whole
    return Geometry(halo, step, 2 * halo % step, tile_exact=geometry.tile_exact)


# Pixels beyond its place that a magnified one is interpolated from.
REACH_OF_MAGNIFYING = 2
