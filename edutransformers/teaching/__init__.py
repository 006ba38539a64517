"""Help for learning: pictures, the tour, and reports of where training spends memory and work."""

from .flops import FlopsReport, flops_report
from .memory import MemoryReport, memory_report
from .savings import MemorySavings, memory_savings
from .tokens import TokenPicture, show_tokens

__all__ = [
    "FlopsReport",
    "MemoryReport",
    "MemorySavings",
    "TokenPicture",
    "flops_report",
    "memory_report",
    "memory_savings",
    "show_tokens",
]
