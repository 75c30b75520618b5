"""Loss functions against their formulas."""

import pytest
import torch
from torch.nn import functional

from snakeseg.settings import Loss
from snakeseg.training.losses import LOSSES, make_loss, weighted_cross_entropy


def draw(classes=3, shape=(6, 5), seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, *shape, generator=generator)
    target = torch.randint(classes, (2, *shape), generator=generator)
    return logits, target, torch.rand(2, *shape, generator=generator) * 5


@pytest.mark.parametrize("shape", [(7,), (6, 5), (3, 4, 5)])
def test_weighted_cross_entropy_equals_its_formula(shape):
    """The loss is the mean over pixels of - w log(softmax of the true class)."""
    logits, target, weight = draw(shape=shape)
    probability = (logits.exp() / logits.exp().sum(dim=1, keepdim=True)).gather(1, target[:, None])[:, 0]
    expected = -(weight * probability.log()).sum() / target.numel()
    assert weighted_cross_entropy(logits, target, weight).item() == pytest.approx(expected.item(), rel=1e-5)


def test_equal_logits_of_two_classes_have_a_loss_of_log_2():
    """The loss per pixel is the same for any target."""
    logits, target = torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)
    assert weighted_cross_entropy(logits, target, torch.ones(1, 4, 4)).item() == pytest.approx(0.6931472)
    assert weighted_cross_entropy(logits, target, torch.full((1, 4, 4), 3.0)).item() == pytest.approx(3 * 0.6931472)


def test_the_mean_is_over_pixels_not_weights():
    logits, target, weight = draw()
    loss = weighted_cross_entropy(logits, target, weight)
    assert weighted_cross_entropy(logits, target, 2 * weight).item() == pytest.approx(2 * loss.item(), rel=1e-6)


def test_ignored_pixels_have_no_gradient_and_no_effect():
    """A pixel of weight 0 has no gradient and does not change the loss; every other pixel has a gradient."""
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


def test_losses_equal_their_formulas():
    logits, target, weight = draw()
    weight[:, 0] = 0
    counted = (weight > 0).float()
    entropy = functional.cross_entropy(logits, target, reduction="none")
    balance = torch.tensor([0.5, 1.0, 2.0])
    expected = {
        "border": (weight * entropy).mean(),
        "plain": (counted * entropy).mean(),
        "balanced": (counted * balance[target] * entropy).mean(),
        "sum": (counted * entropy).sum() / len(logits),
    }
    for name, value in expected.items():
        loss = make_loss(Loss(name), balance.tolist())(logits, target, weight)
        torch.testing.assert_close(loss, value, rtol=1e-5, atol=1e-6)


def test_dice_adds_the_overlap_of_pixels_with_a_weight():
    """It is weighted cross entropy plus 1 - mean over classes of 2 |A B| / (|A| + |B|), without ignored pixels."""
    logits, target, weight = draw()
    weight[:, 0] = 0
    counted = (weight > 0).float()[:, None]
    p = logits.softmax(dim=1) * counted
    t = functional.one_hot(target, 3).movedim(-1, 1) * counted
    axes = (0, 2, 3)
    dice = 2 * (p * t).sum(axes) / (p.sum(axes) + t.sum(axes))
    loss = make_loss(Loss("dice"), [1.0] * 3)(logits, target, weight)
    expected = weighted_cross_entropy(logits, target, weight) + 1 - dice.mean()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_falls_along_its_gradient(name):
    logits, target, weight = draw()
    logits.requires_grad_()
    loss = make_loss(Loss(name), [1.0, 2.0, 0.5])
    before = loss(logits, target, weight)
    before.backward()
    with torch.no_grad():
        assert loss(logits - 1e-2 * logits.grad / logits.grad.norm(), target, weight) < before


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_have_no_effect_on_any_loss(name):
    logits, target, weight = draw()
    weight[:, 0] = 0
    other = logits.clone()
    other[:, :, 0] += torch.randn_like(other[:, :, 0])
    loss = make_loss(Loss(name), [1.0, 2.0, 0.5])
    torch.testing.assert_close(loss(other, target, weight), loss(logits, target, weight))


def test_an_unknown_loss_is_an_error():
    with pytest.raises(ValueError, match=r"loss.name: found 'dise'; expected one of .*; did you mean 'dice'"):
        make_loss(Loss("dise"), [1.0, 1.0])
