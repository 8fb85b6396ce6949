"""Kubernetes: jobs as KubeRay's RayJobs, composed here, and kubectl, which applies them."""
