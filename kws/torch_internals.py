"""The private names of torch in use, each for a reason, with a test: releases may rename them."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode as TorchDispatchMode  # sees operators
from torch.utils._pytree import tree_leaves as tree_leaves  # of what an operator returned

# x @ weight.T + bias by oneDNN; torch's own linear layer goes to MKL. None where torch lacks oneDNN
onednn_linear = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
# whether a function transform of torch.func is at work, which excludes an autograd.Function
are_transforms_active = torch._C._are_functorch_transforms_active
# functions of torch as they are, whatever a subclass of Tensor makes of them
WithoutSubclasses = torch._C.DisableTorchFunctionSubclass
# draws of a Gamma distribution by a given generator; torch.distributions takes none
standard_gamma = torch._standard_gamma
# all tensors of a list in one call
lerp_each, copy_each = torch._foreach_lerp_, torch._foreach_copy_
# which operators there are, which have a kernel for a key, and another kernel in its place
operator_names = torch._C._dispatch_get_all_op_names
has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
open_library = torch._C._dispatch_library
