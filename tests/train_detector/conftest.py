import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Nets of two channels are slower with several, by far where other programs run too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
