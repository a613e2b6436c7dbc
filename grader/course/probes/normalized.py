"""Is there a normalization between pooling and logits? Scale the features, and see.

Somewhere after the time axis is gone, or at the last place that has it, multiplying every feature
by the same factor has to leave the logits as they are. That is how layer and batch normalization
behave, whether they are modules or written into `forward`; a module that is declared and not
called, or called elsewhere, does not.
"""

import torch
from torch import Tensor

from grader.grading.feedback import Failure, expect_tensor
from grader.sandbox import RemoteModule, RemoteStudent

FACTORS = (64.0, 256.0)  # that features are scaled by: what differs little stays above epsilon
CHANGED = 0.01  # of the logits' spread: more than this is a change


def _scaled_logits(names, module, inputs, factors):
    """Logits with one place of the network scaled: [path, side, logits for each factor]."""
    for layer in module.modules():
        layer.train("Dropout" not in type(layer).__name__)
    ended = []

    def first(value):
        return value[0] if isinstance(value, (list, tuple)) else value

    def watch(path):
        def hook(layer, args, output):
            pair = [first(args), first(output)]
            ended.append((path, *(x.dim() if torch.is_tensor(x) else 0 for x in pair)))

        return hook

    below = [(path, layer) for path, layer in module.named_modules() if path]
    hooks = [layer.register_forward_hook(watch(path)) for path, layer in below]

    def run():
        torch.manual_seed(0)
        return first(module(*inputs)).detach()

    run()
    for hook in hooks:
        hook.remove()
    places = [(path, "out") for path, _, after in ended if after > 2][-1:]
    for path, before, after in ended:
        places += [(path, "in")] * (before == 2) + [(path, "out")] * (after == 2)
    found = []
    for path, side in dict.fromkeys(places):
        layer, logits = module.get_submodule(path), []
        for factor in factors:

            def grow(value, factor=factor):
                if isinstance(value, (list, tuple)):
                    return type(value)([grow(value[0]), *value[1:]])
                plain = not torch.is_tensor(value) or not value.is_floating_point()
                return value if plain else value * factor

            if side == "in":
                hook = layer.register_forward_pre_hook(lambda m, args: grow(tuple(args)))
            else:
                hook = layer.register_forward_hook(lambda m, args, output: grow(output))
            logits.append(run())
            hook.remove()
        found.append([path, side, *logits])
    return found


def expect_normalized(
    what: str, student: RemoteStudent, module: RemoteModule, *inputs: Tensor
) -> tuple[str, str]:
    """Where features are normalized before the classifier: a module's path, and "in" or "out".

    Fails unless there is such a place. B must be 2 or more, for statistics of the batch are used.
    """
    places = student.define(_scaled_logits, module, list(inputs), list(FACTORS))
    if not isinstance(places, list):  # a student's code may answer anything
        places = []
    for place in places:
        path, side, small, large = place
        small, large = expect_tensor(what, small), expect_tensor(what, large)
        spread = float(small.double().std())
        if small.shape == large.shape and spread > 1e-6:
            change = float((small.double() - large.double()).abs().max()) / spread
            if change < CHANGED:
                return str(path), str(side)
    norms = [node.path for node in module.tree() if "norm" in node.kind.lower()]
    hint = "where is a normalization between the pooling and the last linear layer?"
    if norms:
        hint = f"{norms[-1]} is there: is it called after the pooling, and before the classifier?"
    factor = FACTORS[1] / FACTORS[0]
    raise Failure(f"{what}: features {factor:g} times as large give other logits", hint)
