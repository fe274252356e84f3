"""The loss of a batch that several processes share: its gradient is that of one process with the joint batch."""

import torch
import torch.distributed
from torch import Tensor

from speechrnn.nn.masking import is_distributed


def joint_mean(total: Tensor, count: Tensor) -> Tensor:
    """Divide a sum over this process's share by the mean count of all processes.

    DistributedDataParallel averages gradients, and an average of the processes' own means would weigh a token
    of a small share more than one of a large share. With W processes that hold sums S_r over n_r tokens,
    mean_r(S_r / (sum_r n_r / W)) = sum_r S_r / sum_r n_r, the mean over the joint batch.

    Args:
        total: Scalar, with gradient.
        count: Scalar, what ``total`` was summed over; may be 0 here, and then on all processes.
    """
    if not is_distributed():
        return total / count.clamp(min=1)
    joint_count = count.detach().to(torch.float32)  # a copy, which all_reduce changes
    torch.distributed.all_reduce(joint_count)
    return total / (joint_count.clamp(min=1) / torch.distributed.get_world_size())
