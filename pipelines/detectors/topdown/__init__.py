"""Top-down keypoints, shared by all nets: crops of people, heatmap decoding, flips and training targets.

Coordinates here count pixel centres as whole numbers, as OpenCV, COCO's annotations and the published weights do;
those of `People` are half a pixel more, since (0, 0) is a corner there.
"""
