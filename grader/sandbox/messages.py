"""Texts with gaps that Python, torch and numpy raise, and those that a source holds.

A template is the literal parts around its gaps: ("name '", "' is not defined"). `fill` finds what
stands in the gaps, in time that grows with the text alone, whoever wrote template and text.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

Parts = tuple[str, ...]
GAP = re.compile(r"\{[^{}]*\}|%[-+ 0-9.]*[sdrfgeiaxX]")  # of str.format, and of %
MOST_GAPS, MOST_TEMPLATES, LETTERS = 8, 400, 3

KNOWN = """
name '{}' is not defined
name '{}' is used prior to global declaration
cannot access local variable '{}' where it is not associated with a value
local variable '{}' referenced before assignment
free variable '{}' referenced before assignment in enclosing scope
cannot access free variable '{}' where it is not associated with a value in enclosing scope
'{}' object has no attribute '{}'
'{}' object has no attribute '{}'. Did you mean: '{}'?
type object '{}' has no attribute '{}'
module '{}' has no attribute '{}'
'{}' object is not callable
'{}' object is not iterable
'{}' object is not subscriptable
'{}' object does not support item assignment
'{}' object cannot be interpreted as an integer
'{}' object is not a mapping
object of type '{}' has no len()
cannot unpack non-iterable {} object
unsupported operand type(s) for {}: '{}' and '{}'
bad operand type for unary {}: '{}'
'{}' not supported between instances of '{}' and '{}'
can only concatenate {} (not "{}") to {}
can't multiply sequence by non-int of type '{}'
Sample larger than population or is negative
{}() missing {} required positional argument: {}
{}() missing {} required positional arguments: {}
{}() missing {} required keyword-only argument: {}
{}() takes {} positional arguments but {} were given
{}() takes {} positional argument but {} were given
{}() takes {} positional arguments but {} was given
{}() takes no arguments ({} given)
{}() takes no keyword arguments
{}() takes from {} to {} positional arguments but {} were given
{}() takes no arguments
{}() got an unexpected keyword argument '{}'
{}() got an unexpected keyword argument '{}'. Did you mean '{}'?
{}() got multiple values for argument '{}'
{} expected at most {} arguments, got {}
{} expected {} arguments, got {}
not enough values to unpack (expected {}, got {})
too many values to unpack (expected {})
too many values to unpack (expected {}, got {})
{} index out of range
{} indices must be integers or slices, not {}
{} assignment index out of range
division by zero
{} division by zero
float division by zero
integer division or modulo by zero
math domain error
math range error
maximum recursion depth exceeded
maximum recursion depth exceeded {}
No module named '{}'
cannot import name '{}' from '{}' ({})
{} arg is an empty sequence
{}() arg is an empty sequence
{}() iterable argument is empty
invalid literal for int() with base 10: {}
could not convert string to float: {}
int() argument must be a string, a bytes-like object or a real number, not '{}'
float() argument must be a string or a real number, not '{}'
dictionary changed size during iteration
zip() argument {} is longer than argument {}
zip() argument {} is shorter than argument {}
super(): no arguments
[Errno {}] {}: '{}'
[Errno {}] {}
invalid syntax
unterminated string literal {}
expected '{}'
expected an indented block {}
unexpected indent
cannot assign to attribute '{}' before Module.__init__() call
cannot assign module before Module.__init__() call
cannot assign parameters before Module.__init__() call
cannot assign '{}' as parameter '{}' (torch.nn.Parameter or None expected)
cannot assign '{}' as child module '{}' (torch.nn.Module or None expected)
Module [{}] is missing the required "forward" function
The size of tensor a ({}) must match the size of tensor b ({}) at non-singleton dimension {}
mat1 and mat2 shapes cannot be multiplied ({} and {})
mat1 and mat2 must have the same dtype, but got {} and {}
size mismatch, got input ({}), mat ({}), vec ({})
vector and matrix must have compatible sizes {}
{}D tensors expected, but got {}D and {}D tensors
both arguments to matmul need to be at least 1D, but they are {}D and {}D
both arguments to linear need to be at least 1D, but they are {}D and {}D
inconsistent tensor size, expected tensor [{}] and src [{}] to have the same number of {}
Expected size for first two dimensions of batch2 tensor to be: {} but got: {}.
expected m1 and m2 to have the same dtype, but got: {} != {}
batch1 must be a 3D tensor
batch2 must be a 3D tensor
self must be a matrix
mat2 must be a matrix
shape '{}' is invalid for input of size {}
cannot reshape tensor of 0 elements into shape {} because {}
view size is not compatible with input tensor's size and stride {}. Use .reshape(...) instead.
invalid shape dimension {}
unflatten: Provided sizes {} don't multiply up to the size of dim {} ({}) in the input tensor
Dimension out of range (expected to be in range of {}, but got {})
dimension out of range (expected to be in range of {}, but got {})
index {} is out of bounds for dimension {} with size {}
index {} is out of bounds for axis {} with size {}
index out of range in self
too many indices for tensor of dimension {}
The shape of the mask {} at index {} does not match {}
shape mismatch: indexing tensors could not be broadcast together with shapes {}
shape mismatch: value tensor of shape {} cannot be broadcast to indexing result of shape {}
tensors used as indices must be long, int, byte or bool tensors
only one element tensors can be converted to Python scalars
only integer tensors of a single element can be converted to an index
a Tensor with {} elements cannot be converted to Scalar
Boolean value of Tensor with more than one value is ambiguous
Boolean value of Tensor with no values is ambiguous
The expanded size of the tensor ({}) must match the existing size ({}) at {}.  {}
expand({}, size={}): the number of sizes provided ({}) must be greater or equal {}
The number of sizes provided ({}) must be greater or equal to the number of dimensions in the {}
number of dims don't match in permute
permute(sparse_coo): number of dimensions in the tensor input does not match the length of the {}
repeated dim in permute
Sizes of tensors must match except in dimension {}. Expected size {} but got size {} for tensor {}
Tensors must have same number of dimensions: got {} and {}
stack expects each tensor to be equal size, but got {} at entry {} and {} at entry {}
stack expects a non-empty TensorList
torch.cat(): expected a non-empty list of Tensors
expected a non-empty list of Tensors
split_with_sizes expects split_sizes to sum exactly to {} (input tensor's size at dimension {}), {}
expected scalar type {} but found {}
Found dtype {} but expected {}
expected {} to have dtype {}, but got {}
value cannot be converted to type {} without overflow
masked_fill only supports boolean masks, but got mask with dtype {}
masked_fill_ only supports boolean masks, but got mask with dtype {}
where expected condition to be a boolean tensor, but got a tensor with dtype {}
output with shape {} doesn't match the broadcast shape {}
result type {} can't be cast to the desired output type {}
Subtraction, the `-` operator, with {} is not supported. {}
Negation, the `-` operator, on a bool tensor is not supported. {}
"{}" not implemented for '{}'
mean(): could not infer output dtype. {} must be either a floating point or complex dtype. Got: {}
{}(): argument '{}' must be {}, not {}
{}(): argument '{}' (position {}) must be {}, not {}
{}() received an invalid combination of arguments - got {}
{}: Expected {}-dimensional input, but got {}
Given groups={}, weight of size {}, expected input{} to have {} channels, but got {}
Expected {}D (unbatched) or {}D (batched) input to {}, but got input of size: {}
Calculated padded input size per channel: ({}). Kernel size: ({}). Kernel size can't be {}
Expected more than 1 value per channel when training, got input size {}
running_mean should contain {} elements not {}
Given normalized_shape={}, expected input with shape {}, but got input of size{}
weight should have at least {} dimensions
Expected input batch_size ({}) to match target batch_size ({}).
Expected floating point type for target with class probabilities, got {}
Target {} is out of bounds.
expected target size {}, got {}
size mismatch (got input: {}, target: {})
element 0 of tensors does not require grad and does not have a grad_fn
grad can be implicitly created only for scalar outputs
Trying to backward through the graph a second time {}
a leaf Variable that requires grad is being used in an in-place operation.
a view of a leaf Variable that requires grad is being used in an in-place operation.
one of the variables needed for gradient computation has been modified by an inplace operation: {}
Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.
Only Tensors of floating point and complex dtype can require gradients
optimizer got an empty parameter list
einsum(): the number of subscripts in the equation ({}) does not match {}
einsum(): subscript {} has size {} for operand {} which does not broadcast with {}
einsum(): operands do not broadcast with remapped shapes [original->remapped]: {}
einsum(): {}
embed_dim must be divisible by num_heads
tensor dims must be divisible by {}
upper bound and lower bound inconsistent with step sign
Expected a 'cpu' device type for generator but found '{}'
dropout probability has to be between 0 and 1, but got {}
Cannot choose from an empty sequence
empty range for randrange() {}
empty range in randrange({})
{} is not in list
list.index(x): x not in list
list.remove(x): x not in list
tuple.index(x): x not in tuple
substring not found
pop from empty list
pop from an empty deque
unhashable type: '{}'
slice indices must be integers or None or have an __index__ method
range() arg 3 must not be zero
slice step cannot be zero
expected str, bytes or os.PathLike object, not {}
sequence item {}: expected str instance, {} found
can only join an iterable
dictionary update sequence element #{} has length {}; 2 is required
cannot convert float NaN to integer
cannot convert float infinity to integer
must be real number, not {}
argument of type '{}' is not iterable
argument of type '{}' is not a container or iterable
'{}' object does not support the context manager protocol
'{}' object is not an iterator
cannot convert '{}' object to bytes
{} takes exactly one argument ({} given)
{} expected {} argument, got {}
negative shift count
maximum size for tensor at dimension {} is {} but size is {}
step is {} but must be > 0
start ({}) + length ({}) exceeds dimension size ({}).
selected index k out of range
Argument #4: Padding size should be less than the corresponding input dimension, but got: {}
Padding size should be less than the corresponding input dimension, but got: {}
Padding length must be divisible by 2
Padding length should be less than or equal to {}
Input type ({}) and weight type ({}) should be the same
Input type ({}) and bias type ({}) should be the same
linear(): input and weight.T shapes cannot be multiplied ({} and {})
a and b must have same reduction dim, but got [{}] X [{}].
Trying to create tensor with negative dimension {}: {}
random_ expects 'from' to be less than 'to', but got from={} >= to={}
{}(): Expected dtype int64 for index{}
Index tensor must have the same number of dimensions as {} tensor
expected Tensor as element {} in argument {}, but got {}
The tensor has a non-zero number of elements, but its data is not allocated yet.
Inplace update to inference tensor outside InferenceMode is not allowed.{}
Inference tensors cannot be saved for backward. {}
normal expects all elements of std >= 0.0
normal expects std >= 0.0, but found std {}
expected mat1 and mat2 to have the same dtype, but got: {} != {}
expected 1D or 2D tensor but got {}
1D tensors expected, but got {}D and {}D tensors
a Tensor with {} elements cannot be converted to {}
only length-1 arrays can be converted to Python scalars
could not broadcast input array from shape {} into shape {}
negative dimensions are not allowed
all the input array dimensions except for the concatenation axis must match exactly, {}
The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()
Error(s) in loading state_dict for {}:
Missing key(s) in state_dict: {}.
Unexpected key(s) in state_dict: {}.
size mismatch for {}: copying a param with shape {} from {} current model is {}.
operands could not be broadcast together with shapes {}
matmul: Input operand {} has a mismatch in its core dimension {}
setting an array element with a sequence. {}
"""


def fill(parts: Sequence[str], text: str) -> list[str] | None:
    """What stands in the gaps between `parts`, if `text` is made of them.

    >>> fill(("name '", "' is not defined"), "name 'q' is not defined")
    ['q']
    """
    first, *rest = parts
    if not text.startswith(first):
        return None
    if not rest:
        return [] if text == first else None
    gaps, at = [], len(first)
    for part in rest[:-1]:
        found = text.find(part, at)
        if found < 0:
            return None
        gaps.append(text[at:found])
        at = found + len(part)
    end = len(text) - len(rest[-1])
    if end < at or not text.endswith(rest[-1]):
        return None
    return [*gaps, text[at:end]]


@cache
def known() -> tuple[Parts, ...]:
    """The templates of Python, torch and numpy."""
    return tuple(tuple(line.split("{}")) for line in KNOWN.strip().split("\n"))


@cache
def of_the_library(folder: str) -> tuple[Parts, ...]:
    """The texts that our own package raises."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(Path(folder).rglob("*.py"))]
    raised = [
        ast.unparse(node)
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Raise)
    ]
    return tuple(dict.fromkeys(parts for line in raised for parts in templates(line)))


def templates(source: str) -> Iterator[Parts]:
    """The texts, with their gaps, that stand in a piece of Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    inside: set[int] = set()  # parts of an f-string are no texts of their own
    for node in ast.walk(tree):
        if id(node) in inside:
            continue
        if isinstance(node, ast.JoinedStr):
            inside |= {id(value) for value in node.values}
            text = "{}".join(
                "".join(str(value.value) for value in group) for group in _between_gaps(node.values)
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        parts = tuple(GAP.split(text.strip()))
        if len(parts) - 1 <= MOST_GAPS and sum(map(str.isalpha, "".join(parts))) >= LETTERS:
            yield parts


def _between_gaps(values: Sequence[ast.expr]) -> list[list[ast.Constant]]:
    groups: list[list[ast.Constant]] = [[]]
    for value in values:
        if isinstance(value, ast.Constant):
            groups[-1].append(value)
        else:
            groups.append([])
    return groups
