from pipelines.pose.people import People


def test_an_empty_frame_has_no_people_and_arrays_of_the_right_shape() -> None:
    nobody = People.nobody(17)
    assert len(nobody) == 0
    shapes = (nobody.boxes.shape, nobody.scores.shape, nobody.keypoints.shape, nobody.keypoint_scores.shape)
    assert shapes == ((0, 4), (0,), (0, 17, 2), (0, 17))
