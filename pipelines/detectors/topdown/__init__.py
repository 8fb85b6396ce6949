"""What all top-down detectors share: crops of people, heatmap decoding, the flip test and training targets.

In this folder, pixel centres have whole-numbered coordinates, as in OpenCV, COCO's annotations and the published
weights. Coordinates in `People` are half a pixel larger, because there (0, 0) is the corner of the first pixel.
"""
