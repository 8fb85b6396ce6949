"""Text of CSV tables of unknown origin, whose size in memory is that of their text.

pandas fills rows that are shorter than the header with NaN, so that two bytes become hundreds, and takes minutes for
the names of a million columns.
"""

from pipelines.io import storage


def read_csv_text(uri: str, header_lines: int, most_columns: int) -> str:
    """The text of a table, which `pandas.read_csv` may then read.

    Args:
        uri: The file, in UTF-8.
        header_lines: The number of its first lines that name columns, at most.
        most_columns: The largest number of columns.

    Raises:
        OSError: The file cannot be read.
        ValueError: The table has more columns, or rows with fewer cells than its header.
    """
    text = storage.read_bytes(uri).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    start = cells = 0
    for _ in range(header_lines):
        end = text.find("\n", start)
        cells = max(cells, text.count(",", start, end if end >= 0 else len(text)) + 1)
        if end < 0:
            break
        start = end + 1
    if cells > most_columns:
        raise ValueError(f"has {cells:,} columns, of which at most {most_columns:,} are read")
    lines = text.count("\n", start) - text.count("\n\n", start)
    # The last row of a table whose writer was stopped may be short.
    if text.count(",", start) < lines * (cells - 1) // 2:
        raise ValueError(f"has rows with fewer cells than its header, which has {cells:,}")
    return text
