"""The lessons' checkers: a file for each lesson, with `check_<exercise>(answer)` for each of its exercises.

    from edutransformers.teaching.checks.lesson01 import check_softmax

How they are made, and what they say: `edutransformers.teaching.checker`.
"""
