"""mrjob's local runner: a mapper, a combiner and a reducer."""

import sys
from collections.abc import Iterator

from mrjob.job import MRJob
from mrjob.protocol import TextProtocol


class WordCount(MRJob):
    OUTPUT_PROTOCOL = TextProtocol

    def mapper(self, _: object, line: str) -> Iterator[tuple[str, int]]:
        for word in line.split():
            yield word, 1

    def combiner(self, word: str, counts: Iterator[int]) -> Iterator[tuple[str, int]]:
        yield word, sum(counts)

    def reducer(self, word: str, counts: Iterator[int]) -> Iterator[tuple[str, str]]:
        yield word, str(sum(counts))


if __name__ == "__main__":
    if len(sys.argv) == 3 and not sys.argv[1].startswith("-"):
        source, output = sys.argv[1:]
        sys.argv[1:] = ["-r", "local", "--num-cores", "2", "--quiet", "--output-dir", output, "--no-cat-output", source]
    WordCount.run()
