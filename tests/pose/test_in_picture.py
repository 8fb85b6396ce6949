import numpy as np

from pipelines.pose.in_picture import are_shares, near_picture, why_not_pixels


def test_joints_may_lie_a_quarter_of_the_picture_outside():
    points = np.array([[0.0, 0], [-50, 50], [-51, 50], [250, 125], [250, 126]])
    assert near_picture(points, np.array([[200.0, 100]])).tolist() == [True, True, False, True, False]


def test_of_an_unknown_size_every_point_is_near():
    assert near_picture(np.array([[-9e5, 9e5]]), np.array([[np.inf, np.inf]])).all()


def test_small_coordinates_are_shares():
    assert are_shares(np.array([[0.1, 1.2], [0.5, 0.5]]))
    assert not are_shares(np.array([[0.1, 1.2], [300, 0.5]]))


def test_keypoints_of_other_pictures_are_named_with_what_they_span():
    points = np.random.default_rng(0).uniform(0, 3840, (100, 2))
    assert why_not_pixels(points / 4, 960, 960) is None
    reason = why_not_pixels(points, 960, 960)
    assert reason is not None
    assert reason.startswith("lie outside pictures of 960 × 960 px: 9")
    assert reason.endswith("give the size of the pictures that they were found in")


def test_joints_that_are_all_on_one_point_are_no_person():
    reason = why_not_pixels(np.full((17, 2), 400.0), 960, 960)
    assert reason == "all lie on one point, where no person is; give the keypoints of each joint"
    assert why_not_pixels(np.full((1, 2), 400.0), 960, 960) is None
