import numpy as np
import pytest
from scipy import ndimage
from skimage.feature import structure_tensor_eigenvalues

from napari_unetseg.classical.filter_bank import Bank, eigenvalues, filter_bank, in_blocks
from napari_unetseg.classical.step import View


def noise(shape, seed=0):
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(100, 40, shape), 0.7)


def by_hand(image, sigma, steps):
    """The features of one scale, with SciPy and scikit-image alone, in 64 bits."""
    ndim = image.ndim
    sigmas = [sigma * step for step in steps]
    smooth = ndimage.gaussian_filter(image, sigmas, truncate=3)

    def slope(of, axis):
        return ndimage.correlate1d(of, [-0.5, 0, 0.5], axis) * steps[axis]

    def bend(axis):
        return ndimage.correlate1d(smooth, [1, -2, 1], axis) * steps[axis] ** 2

    gradient = [slope(smooth, axis) for axis in range(ndim)]
    hessian = np.empty((*image.shape, ndim, ndim))
    for a in range(ndim):
        hessian[..., a, a] = bend(a)
        for b in range(a + 1, ndim):
            hessian[..., a, b] = hessian[..., b, a] = slope(gradient[b], a)
    pairs = [(a, b) for a in range(ndim) for b in range(a, ndim)]
    tensor = [
        ndimage.gaussian_filter(gradient[a] * gradient[b], sigmas, truncate=3) for a, b in pairs
    ]
    return [
        smooth,
        np.sqrt(sum(d**2 for d in gradient)),
        sum(bend(axis) for axis in range(ndim)),
        *np.moveaxis(np.linalg.eigvalsh(hessian), -1, 0),
        *structure_tensor_eigenvalues(tensor)[::-1],
    ]


@pytest.mark.parametrize(
    ("shape", "z_px"), [((40, 52), 1.0), ((9, 24, 30), 1.0), ((9, 24, 30), 4.0)]
)
def test_features_are_those_of_scipy_and_scikit_image(shape, z_px):
    image = noise(shape)
    steps = (1 / z_px, 1.0, 1.0)[-image.ndim :]
    steps = steps if image.ndim == 3 else (1.0, 1.0)
    expected = [image]
    for sigma in (1.0, 2.5):
        expected += by_hand(image, sigma, steps)
    found = filter_bank(View(image[np.newaxis], z_px), Bank((1.0, 2.5)))
    assert found.dtype == np.float32
    assert found.shape == (len(expected), *shape)
    for which, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, atol=2e-4 * scale, err_msg=f"feature {which}")


def test_a_step_along_z_is_as_long_as_it_is():
    """A ramp of one grey value per px is as steep along Z as along Y, however coarse Z is."""
    z, y, _ = np.indices((12, 40, 40), float)
    along_z = filter_bank(View((z * 4)[np.newaxis], 4.0), Bank((1.0,)))
    along_y = filter_bank(View(y[np.newaxis], 4.0), Bank((1.0,)))
    assert along_z[2, 6, 20, 20] == pytest.approx(1, rel=1e-4)
    assert along_y[2, 6, 20, 20] == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_channels_and_types_have_the_features_of_their_values(dtype):
    image = np.stack([noise((30, 34), seed) for seed in (0, 1)])
    image = (image - 60 if dtype != "uint8" and dtype != "uint16" else image.clip(0)).astype(dtype)
    before = image.copy()
    both = filter_bank(View(image), Bank((1.0, 2.0)))
    apart = [filter_bank(View(one[np.newaxis].astype(float)), Bank((1.0, 2.0))) for one in image]
    np.testing.assert_allclose(both, np.concatenate(apart), rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("bank", "n"),
    [
        (Bank(), 29),
        (Bank((1.0,), edges=False, lines=False, texture=False), 2),
        (Bank((1.0, 2.0), lines=False, texture=False), 7),
        (Bank((1.0,), edges=False, texture=False), 4),
    ],
)
def test_families_of_filters_can_be_left_out(bank, n):
    view = View(noise((20, 20))[np.newaxis])
    assert len(filter_bank(view, bank)) == bank.n_features(view) == n


@pytest.mark.parametrize(("shape", "z_px"), [((150, 20), 1.0), ((60, 16, 14), 2.0)])
def test_parts_have_the_features_of_the_whole(shape, z_px):
    view = View(noise(shape)[np.newaxis], z_px)
    bank = Bank((1.0, 4.0))
    whole = filter_bank(view, bank)
    parts = list(in_blocks(view, bank, n_px=view.pixels[0, 0].size * 5))
    assert len(parts) > 3
    for part, around, inner in parts:
        np.testing.assert_array_equal(filter_bank(around, bank)[:, inner], whole[:, part])
    covered = np.concatenate([np.arange(shape[0])[part] for part, _, _ in parts])
    np.testing.assert_array_equal(covered, np.arange(shape[0]))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (1, 4, 6), (2, 1, 1)])
@pytest.mark.parametrize("value", [0, 65535])
def test_images_that_are_tiny_or_even_have_no_edges(shape, value):
    found = filter_bank(View(np.full((1, *shape), value, np.uint16)), Bank((1.0, 2.0)))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], value)
    np.testing.assert_allclose(found[1], value, rtol=1e-6)
    np.testing.assert_allclose(found[2:4], 0, atol=0.1)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("n", [2, 3])
def test_eigenvalues_are_those_of_numpy_at_every_scale(n, scale):
    matrices = np.random.default_rng(0).normal(size=(500, n, n))
    matrices[0] = np.eye(n)
    matrices[1] = 0
    matrices = (matrices + matrices.swapaxes(1, 2)) / 2 * scale
    upper = [(a, b) for a in range(n) for b in range(a + 1, n)]
    found = eigenvalues(
        [matrices[:, a, a].astype(np.float32) for a in range(n)],
        [matrices[:, a, b].astype(np.float32) for a, b in upper],
    )
    expected = np.linalg.eigvalsh(matrices)
    np.testing.assert_allclose(np.stack(found, axis=1), expected, atol=2e-5 * scale)
