"""People annotated in images and videos: COCO, MPII, and every source of labeled people for detectors."""
