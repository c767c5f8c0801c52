"""Galleries: which photos are shown."""


def test_a_sample_is_every_photo_once_with_each_class_among_the_first(toy_bundle):
    gallery = toy_bundle.gallery
    rows = gallery.sample(3)
    assert sorted(rows) == list(range(len(gallery)))
    for n in (9, 18):  # 9 classes
        classes = [tuple(gallery.labels_of(row).values()) for row in rows[n - 9 : n]]
        assert len(set(classes)) == 9
    assert rows.tolist() == gallery.sample(3).tolist() != gallery.sample(4).tolist()
    assert {gallery.labels_of(row)["type"] for row in gallery.sample(0, ["shirt"])} == {"shirt"}
