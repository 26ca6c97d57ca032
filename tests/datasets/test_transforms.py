"""From stored slice to input: z-score, joint geometry, and intensity changes of the image alone."""

from dataclasses import fields

import pytest
import torch
from torch import Tensor

from datasets.transforms import Augmentation, SliceTransform, z_score
from tests.datasets.drawn_slices import STRONGEST


def make_square(height: int = 64, width: int = 64) -> tuple[Tensor, Tensor]:
    """A bright square off the centre on black, 24 px wide, and its mask."""
    mask = torch.zeros(1, height, width, dtype=torch.uint8)
    mask[:, 8:32, 14:38] = 1
    return 200.0 * mask.float(), mask


def make_noise(height: int = 64, width: int = 64) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randint(0, 256, (1, height, width), generator=generator).float()


def bright(image: Tensor) -> Tensor:
    """Where the image is nearer to its brightest than to its darkest level."""
    return image > (image.max() + image.min()) / 2


def overlap(image: Tensor, mask: Tensor) -> float:
    """Intersection over union of the bright part of an image with a mask."""
    found, target = bright(image), mask.bool()
    return ((found & target).sum() / (found | target).sum()).item()


def test_z_score_of_four_hand_worked_pixels() -> None:
    # mean (1 + 3 + 5 + 7) / 4 = 4, variance (9 + 1 + 1 + 9) / 4 = 5
    image = z_score(torch.tensor([[[1.0, 3.0], [5.0, 7.0]]]))
    expected = torch.tensor([[[-3.0, -1.0], [1.0, 3.0]]]) / 5**0.5
    torch.testing.assert_close(image, expected)


@pytest.mark.parametrize("scale", [1e-3, 1, 257])
def test_an_image_gets_zero_mean_and_unit_deviation(scale: float) -> None:
    image, _ = SliceTransform((48, 32))(make_noise() * scale, make_square()[1])
    assert image.mean().item() == pytest.approx(0, abs=1e-5)
    assert image.std(correction=0).item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("level", [0, 77, 255, 60001])
@pytest.mark.parametrize("image_size", [(64, 64), (50, 70), (32, 48), (100, 90)])
def test_a_constant_slice_becomes_0_at_any_size(level: int, image_size: tuple[int, int]) -> None:
    # Resized, 77 comes out as 76.99999 here and 77.00001 there, which no z-score may blow up.
    image, _ = SliceTransform(image_size)(torch.full((1, 50, 70), float(level)), make_mask())
    assert image.shape == (1, *image_size)
    assert not image.any()


def make_mask() -> Tensor:
    return torch.zeros(1, 50, 70, dtype=torch.uint8)


def test_one_pixel_that_differs_by_one_level_is_not_constant() -> None:
    image = torch.full((1, 256, 256), 254.0)
    image[0, 3, 5] = 255
    # deviation sqrt(p (1 - p)) with p = 1 / 65536, about 1 / 256; the pixel stands 256 above
    assert z_score(image)[0, 3, 5].item() == pytest.approx(256, rel=1e-2)


@pytest.mark.parametrize("image_size", [(32, 48), (96, 64), (64, 64)])
def test_image_and_masks_get_the_size_asked_for(image_size: tuple[int, int]) -> None:
    masks = torch.cat([make_square()[1], 1 - make_square()[1]])
    image, masks = SliceTransform(image_size)(make_noise(), masks)
    assert (image.shape, image.dtype) == ((1, *image_size), torch.float32)
    assert (masks.shape, masks.dtype) == ((2, *image_size), torch.uint8)
    assert type(image) is Tensor
    assert type(masks) is Tensor
    assert (masks.sum(0) == 1).all()  # a mask and its complement stay so


def test_halving_the_size_keeps_a_square_where_it_is() -> None:
    image, mask = SliceTransform((32, 32))(*make_square())
    expected = torch.zeros(1, 32, 32, dtype=torch.uint8)
    expected[:, 4:16, 7:19] = 1  # rows 8..31 and columns 14..37, halved
    torch.testing.assert_close(mask, expected)
    torch.testing.assert_close(bright(image), expected.bool())


def test_without_augmentation_nothing_is_random() -> None:
    state = torch.get_rng_state()
    first = SliceTransform((48, 40))(make_noise(), make_square()[1])
    second = SliceTransform((48, 40), Augmentation())(make_noise(), make_square()[1])
    assert torch.equal(state, torch.get_rng_state())
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


def test_augmentations_are_off_unless_named() -> None:
    assert all(getattr(Augmentation(), field.name) == 0 for field in fields(Augmentation))


def test_a_certain_flip_mirrors_image_and_mask() -> None:
    image, masks = make_noise(), make_square()[1]
    plain, _ = SliceTransform((64, 64))(image, masks)
    flipped, flipped_masks = SliceTransform((64, 64), Augmentation(horizontal_flip=1))(image, masks)
    torch.testing.assert_close(flipped, plain.flip(-1))
    torch.testing.assert_close(flipped_masks, masks.flip(-1))


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(horizontal_flip=1),
        Augmentation(rotation=45),
        Augmentation(translation=0.2),
        Augmentation(scale=0.3),
        Augmentation(horizontal_flip=0.5, rotation=20, translation=0.1, scale=0.2),
    ],
    ids=["flip", "rotation", "translation", "scale", "all"],
)
def test_image_and_mask_move_together(augmentation: Augmentation) -> None:
    num_moved = 0
    for seed in range(12):
        torch.manual_seed(seed)
        image, mask = SliceTransform((64, 64), augmentation)(*make_square())
        assert overlap(image, mask) > 0.9, seed
        num_moved += not torch.equal(mask, make_square()[1])
    assert num_moved >= 9  # a small draw may round to no move


def test_translation_shifts_by_up_to_its_fraction_of_the_side() -> None:
    rows, columns = [], []
    for seed in range(40):
        torch.manual_seed(seed)
        transform = SliceTransform((64, 64), Augmentation(translation=0.1))
        _, mask = transform(*make_square())
        rows.append(int(mask[0].any(1).nonzero()[0]) - 8)
        columns.append(int(mask[0].any(0).nonzero()[0]) - 14)
    for shifts in (rows, columns):  # 0.1 of 64 px is 6.4 px
        assert -6 <= min(shifts) <= -4
        assert 4 <= max(shifts) <= 6


def test_scale_changes_the_side_by_up_to_its_fraction() -> None:
    sides = []
    for seed in range(40):
        torch.manual_seed(seed)
        _, mask = SliceTransform((64, 64), Augmentation(scale=0.25))(*make_square())
        sides.append(mask.sum().item() ** 0.5)
    assert 18 - 0.5 <= min(sides) <= 20  # 24 px * 0.75 = 18 px
    assert 28 <= max(sides) <= 30 + 0.5  # 24 px * 1.25 = 30 px


@pytest.mark.parametrize("image_size", [(64, 64), (40, 72)])
def test_masks_stay_binary_under_every_augmentation(image_size: tuple[int, int]) -> None:
    for seed in range(12):
        torch.manual_seed(seed)
        _, masks = SliceTransform(image_size, STRONGEST)(*make_square())
        assert masks.dtype == torch.uint8
        assert masks.unique().tolist() == [0, 1]


def test_brightness_adds_one_offset_within_its_range() -> None:
    plain, mask = SliceTransform((64, 64))(make_noise(), make_square()[1])
    offsets = []
    for seed in range(40):
        torch.manual_seed(seed)
        transform = SliceTransform((64, 64), Augmentation(brightness=0.5))
        image, changed_mask = transform(make_noise(), make_square()[1])
        assert torch.equal(changed_mask, mask)
        assert (image - plain).std().item() < 1e-6
        offsets.append((image - plain).mean().item())
    assert -0.5 <= min(offsets) < -0.3
    assert 0.3 < max(offsets) <= 0.5


def test_contrast_multiplies_by_one_factor_within_its_range() -> None:
    plain, mask = SliceTransform((64, 64))(make_noise(), make_square()[1])
    factors = []
    for seed in range(40):
        torch.manual_seed(seed)
        transform = SliceTransform((64, 64), Augmentation(contrast=0.4))
        image, changed_mask = transform(make_noise(), make_square()[1])
        assert torch.equal(changed_mask, mask)
        factors.append(image.std(correction=0).item())
        torch.testing.assert_close(image, plain * factors[-1])
    assert 0.6 - 1e-5 <= min(factors) < 0.75
    assert 1.25 < max(factors) <= 1.4 + 1e-5


def test_noise_has_its_deviation_and_leaves_the_mask() -> None:
    torch.manual_seed(0)
    plain, mask = SliceTransform((64, 64))(make_noise(), make_square()[1])
    transform = SliceTransform((64, 64), Augmentation(noise=0.2))
    image, changed_mask = transform(make_noise(), make_square()[1])
    assert torch.equal(changed_mask, mask)
    # 4096 draws: the deviation is known to 0.2 / sqrt(2 * 4096) = 0.002, the mean to 0.003
    assert (image - plain).std().item() == pytest.approx(0.2, abs=0.01)
    assert (image - plain).mean().item() == pytest.approx(0, abs=0.015)


def test_one_seed_gives_one_augmentation_and_another_seed_another() -> None:
    def augmented(seed: int) -> tuple[Tensor, Tensor]:
        torch.manual_seed(seed)
        return SliceTransform((64, 64), STRONGEST)(*make_square())

    for first, again, other in zip(augmented(1), augmented(1), augmented(2), strict=True):
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_the_input_is_left_as_it_is() -> None:
    image, mask = make_square()
    torch.manual_seed(0)
    SliceTransform((64, 64), STRONGEST)(image, mask)
    assert torch.equal(image, make_square()[0])
    assert torch.equal(mask, make_square()[1])


def test_an_affine_change_fills_with_the_darkest_level() -> None:
    image = torch.full((1, 32, 32), 100.0)
    image[:, 8:24, 8:24] = 180.0
    transform = SliceTransform((32, 32), Augmentation(translation=0.5))
    torch.manual_seed(0)
    for _ in range(5):
        moved, _ = transform(image, torch.zeros(1, 32, 32, dtype=torch.uint8))
        # Two levels at most: the darkest and the square's; a fill of 0 would be a third below.
        assert len(moved.mul(1000).round().unique()) <= 2
