"""How does a quantity read? Bytes, counts, durations and rates as a person writes them; pure."""

from __future__ import annotations


def format_bytes(amount: float) -> str:
    """'0 B', '999 B', '1.5 KB', '640 MB': decimal units, as disks and networks are sold."""
    return _scaled(amount, ("B", "KB", "MB", "GB", "TB", "PB"))


def format_rate(amount: float, seconds: float) -> str:
    """Bytes a second; '-' where no time has passed."""
    return format_bytes(amount / seconds) + "/s" if seconds > 0 else "-"


def format_count(amount: float) -> str:
    """'999', '12,345', '1.2 M': exact up to a million."""
    if abs(amount) < 1_000_000:
        return f"{amount:,.0f}"
    return _scaled(amount, ("", "K", "M", "G", "T"))


def format_seconds(seconds: float) -> str:
    """'12 ms', '3.4 s', '2 min 05 s', '1 h 02 min'."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def format_plural(count: int, noun: str) -> str:
    """'1 task', '2 tasks'."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _scaled(amount: float, units: tuple[str, ...]) -> str:
    position = 0
    # 999.5 would print as 1000 of the smaller unit
    while abs(amount) >= 999.5 and position < len(units) - 1:
        amount /= 1000
        position += 1
    digits = 0 if position == 0 or abs(amount) >= 99.95 else 1
    return f"{amount:.{digits}f} {units[position]}".rstrip()
