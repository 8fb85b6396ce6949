"""The GPUs of this machine."""


def gpu_names() -> list[str]:
    """Names of the GPUs that PyTorch can use."""
    import torch  # here: it takes seconds of CPU to import

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [torch.cuda.get_device_name(index) for index in range(count)]
