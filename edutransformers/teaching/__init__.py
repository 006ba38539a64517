"""Help for learning: pictures, and the tour."""
