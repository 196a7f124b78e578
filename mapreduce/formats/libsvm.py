"""How are libsvm (svmlight, LETOR) files read? A record is a line's LabeledPoint; X is sparse.

Indices count from 1 unless told otherwise: guessing from a split would let two splits guess differently. Blank lines
and lines with nothing but a comment hold no record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import InputError, InternalError, UsageError
from mapreduce.formats.base import Extent, InputFile, Split
from mapreduce.formats.libsvm_parse import LabeledPoint, Points, greatest_index, parse_point, parse_points, point_text
from mapreduce.formats.lines import LineBlock, LineFormat, Lines, Span, line_spans, read_lines

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from scipy.sparse import csr_matrix

    from mapreduce.kernels.slices import Slices

SCAN_BYTES = 1 << 20


class LibsvmBlock(LineBlock):
    """Whole lines, at least one of them with a point. `features` is None where nobody looked for their number."""

    def __init__(self, lines: Lines, first_index: int, features: int | None) -> None:
        self.bytes = lines.bytes
        self._lines = lines
        self._first_index = first_index
        self._features = features
        self._points: Points | None = None

    def _of(self, lines: Lines) -> LibsvmBlock:
        return LibsvmBlock(lines, self._first_index, self._features)

    def _find_spans(self) -> list[Span]:
        return [span for span in line_spans(self.data) if point_text(self.data[span.start : span.end])]

    def __len__(self) -> int:
        if self._points is not None:
            return len(self._points.labels)
        return sum(1 for line in self.data.split(b"\n") if point_text(line))

    def records(self) -> Iterator[LabeledPoint]:
        return iter(self._parse_lines())

    def _parse_lines(self) -> list[LabeledPoint]:
        texts = [text for line in self.data.split(b"\n") if (text := point_text(line))]
        points = []
        for index, text in enumerate(texts):
            try:
                points.append(parse_point(text, self._first_index))
            except ValueError as error:
                raise InputError(f"{self.place(index)}: {error}") from None
        return points

    def place(self, index: int) -> str:
        return self._lines.line_place(self.spans[index].start)

    def _arrays(self) -> Points:
        if self._points is None:
            self._points = parse_points(self.data, self._first_index) or Points.of(self._parse_lines())
        return self._points

    @property
    def arrow(self) -> pa.RecordBatch:
        """Columns label, qid (null where there is none), indices and values (lists, indices as in the file)."""
        import pyarrow as pa

        points = self._arrays()
        rows = len(points.labels)
        offsets = pa.array(points.starts.astype("int32"))
        qids = pa.nulls(rows, pa.int64()) if points.qids is None else pa.array(points.qids, pa.int64())
        return pa.RecordBatch.from_arrays(
            [
                pa.array(points.labels),
                qids,
                pa.ListArray.from_arrays(offsets, pa.array(points.indices)),
                pa.ListArray.from_arrays(offsets, pa.array(points.values)),
            ],
            names=["label", "qid", "indices", "values"],
        )

    @property
    def X(self) -> csr_matrix:
        """(rows, features), its columns counting from 0."""
        import numpy as np
        from scipy.sparse import csr_matrix

        if self._features is None:
            raise InternalError(f"{self._lines.file.path} is read before its features are known; call resolve() first")
        points = self._arrays()
        columns = points.indices - self._first_index
        if len(columns) and columns.max() >= self._features:
            row = int(np.searchsorted(points.starts, np.argmax(columns >= self._features), side="right")) - 1
            index = int(points.indices[np.argmax(columns >= self._features)])
            raise InputError(f"{self.place(row)}: index {index} is beyond the {self._features} features; set features=")
        return csr_matrix((points.values, columns, points.starts), shape=(len(points.labels), self._features))

    @property
    def y(self) -> np.ndarray[Any, Any]:
        return self._arrays().labels

    @property
    def labels(self) -> np.ndarray[Any, Any]:
        """The labels, which are floats in every file of this format."""
        from mapreduce.formats.features import check_class_numbers

        check_class_numbers(self.y, "label", self.place, "the target")
        return self.y

    def exact(self, *, target: bool = True) -> Slices:
        """[X y] as the decimals in the text: each line written out as a CSV row, which the compiled loop reads."""
        import numpy as np

        X, y = self.X, self.y
        if not np.isfinite(y).all():
            row = int(np.argmin(np.isfinite(y)))
            raise InputError(f"{self.place(row)}: the target holds {y[row]}; drop or fill such rows first")
        if not np.isfinite(X.data).all():
            row = int(np.searchsorted(X.indptr, int(np.argmin(np.isfinite(X.data))), "right")) - 1
            raise InputError(f"{self.place(row)}: a feature is no finite number; drop or fill such rows first")
        from mapreduce.kernels.csv_decimals import decimals_by_library, parse_csv_decimals

        rows = [self._cells(line, X.shape[1], target) for line in self.data.split(b"\n") if point_text(line)]
        width = X.shape[1] + int(target)
        text = b"\n".join(map(b",".join, rows)) + b"\n"
        found = parse_csv_decimals(text, ord(","), width, range(width))
        if found is None:
            cells = [[cell.decode() for cell in column] for column in zip(*rows, strict=True)]
            found = decimals_by_library(cells, len(rows))
        return found

    def _cells(self, line: bytes, features: int, target: bool) -> list[bytes]:
        label, *pairs = point_text(line).split()
        cells = [b"0"] * features + ([label] if target else [])
        for pair in pairs:
            if not pair.startswith(b"qid:"):
                index, _, number = pair.partition(b":")
                cells[int(index) - self._first_index] = number
        return cells

    @property
    def qids(self) -> list[int | None]:
        """The query id of each row; None where it has none."""
        points = self._arrays()
        return [None] * len(points.labels) if points.qids is None else points.qids


@dataclass(frozen=True, slots=True)
class Libsvm(LineFormat):
    """libsvm files. `features`: columns of X; None: found by one scan of the input for the greatest index."""

    features: int | None = None
    zero_based: bool = False

    name: ClassVar[str] = "libsvm"
    suffixes: ClassVar[tuple[str, ...]] = (".libsvm", ".svm", ".svmlight")

    def __post_init__(self) -> None:
        features: object = self.features
        if features is not None and not (isinstance(features, int) and features >= 1):
            raise UsageError(f"features is {self.features!r}; for libsvm it is the number of X's columns, such as 100")

    @property
    def first_index(self) -> int:
        return 0 if self.zero_based else 1

    def resolve(self, files: Sequence[InputFile]) -> Self:
        """Reads all files for the greatest index, unless `features` is given."""
        if self.features is not None:
            return self
        greatest = -1
        for file in files:
            if file.size > 0:
                for lines in read_lines(Split(0, file, Extent(0, file.size, file.size)), SCAN_BYTES):
                    greatest = max(greatest, greatest_index(lines.data))
        return replace(self, features=max(1, greatest + 1 - self.first_index))

    def block_of(self, lines: Lines) -> LibsvmBlock | None:
        end = lines.data.find(b"\n")
        starts_with_point = bool(point_text(lines.data[:end] if end >= 0 else lines.data))
        if not starts_with_point and not any(map(point_text, lines.data.split(b"\n"))):
            return None
        return LibsvmBlock(lines, self.first_index, self.features)
