"""What the hidden checks measure with: how a student's code, module and weights are looked at.

`source_checks` reads code, `model_checks` and `layers` try modules, `accuracy` tries weights. The
`…_readings` find out which tensor plays which part without going by names, and the `…_mistakes`
and readings with knobs know how answers go wrong, so that a hint can say what happened.
"""
