"""Weighted cross entropy against its formula."""

import pytest
import torch

from snakeseg.losses import weighted_cross_entropy


def draw(classes=3, shape=(6, 5), seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, *shape, generator=generator)
    target = torch.randint(classes, (2, *shape), generator=generator)
    return logits, target, torch.rand(2, *shape, generator=generator) * 5


@pytest.mark.parametrize("shape", [(7,), (6, 5), (3, 4, 5)])
def test_equals_the_formula(shape):
    """Mean over pixels of - w log(softmax of the true class)."""
    logits, target, weight = draw(shape=shape)
    probability = (logits.exp() / logits.exp().sum(dim=1, keepdim=True)).gather(1, target[:, None])[:, 0]
    expected = -(weight * probability.log()).sum() / target.numel()
    assert weighted_cross_entropy(logits, target, weight).item() == pytest.approx(expected.item(), rel=1e-5)


def test_known_answer():
    """Even logits of two classes cost log 2 a pixel, whatever the target."""
    logits, target = torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)
    assert weighted_cross_entropy(logits, target, torch.ones(1, 4, 4)).item() == pytest.approx(0.6931472)
    assert weighted_cross_entropy(logits, target, torch.full((1, 4, 4), 3.0)).item() == pytest.approx(3 * 0.6931472)


def test_mean_is_over_pixels_not_weights():
    logits, target, weight = draw()
    loss = weighted_cross_entropy(logits, target, weight)
    assert weighted_cross_entropy(logits, target, 2 * weight).item() == pytest.approx(2 * loss.item(), rel=1e-6)


def test_ignored_pixels_have_no_gradient_and_no_say():
    """With weight 0 neither the gradient at a pixel nor the loss depends on it; elsewhere there is a gradient."""
    logits, target, weight = draw()
    ignored = torch.zeros_like(target, dtype=torch.bool)
    ignored[:, 2:4, 1:] = True
    weight[ignored] = 0
    logits.requires_grad_()
    loss = weighted_cross_entropy(logits, target, weight)
    loss.backward()
    gradient = logits.grad.abs().sum(dim=1)
    assert not gradient[ignored].any()
    assert (gradient[~ignored] > 0).all()
    changed = torch.where(ignored, (target + 1) % 3, target)
    assert torch.equal(weighted_cross_entropy(logits, changed, weight), loss)


def test_half_precision_logits_are_summed_in_float32():
    logits, target, weight = draw(shape=(40, 40))
    low = weighted_cross_entropy(logits.bfloat16(), target, weight)
    assert low.dtype == torch.float32
    assert torch.equal(low, weighted_cross_entropy(logits.bfloat16().float(), target, weight))


def test_huge_logits_stay_finite():
    logits = torch.tensor([[[1e4], [-1e4]]])
    assert weighted_cross_entropy(logits, torch.tensor([[1]]), torch.ones(1, 1)).item() == pytest.approx(2e4)
