"""People in space from several synchronised, calibrated views of one scene; needs neither Ray nor MLflow."""
