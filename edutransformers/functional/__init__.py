"""Pure functions on arrays: `f` and, directly below it, `f_backward`, with the derivation in the docstring.

They know no parameters and no modules: arrays in, arrays out. `dy` is the gradient of the loss with respect to `y`.
"""
