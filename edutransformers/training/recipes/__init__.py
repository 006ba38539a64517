"""Recipes: everything between a file of texts and a trained model, one task a file.

To read: text_classification.py first; data.py (files, splits), models.py (an old model or a new one); command.py is
`edutransformers train`.
"""
