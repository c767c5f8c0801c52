import numpy as np

from cbir.labels import LABELS, TASKS
from cbir.similarity import SIMILARITIES


def test_attribute_agreement_is_the_probability_of_equal_labels(toy_bundle):
    photos, attributes, method = toy_bundle.gallery.features, toy_bundle.attributes, SIMILARITIES["attribute_agreement"]
    posteriors = attributes.posteriors(photos)
    for label in LABELS:
        np.testing.assert_allclose(posteriors[label].sum(axis=1), 1, atol=1e-5)
        assert posteriors[label].shape == (len(photos), len(attributes.classes(label)))
    by_label = {name: posteriors[name] @ posteriors[name].T for name in LABELS}
    np.testing.assert_allclose(method.score(photos, photos, attributes, TASKS["color"]), by_label["color"], atol=1e-5)
    both = by_label["type"] * by_label["color"]
    np.testing.assert_allclose(method.score(photos, photos, attributes, TASKS["both"]), both, atol=1e-5)
