"""What was moved is added up, travels with counters, and is told in one sentence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mapreduce.wire.traffic import Link, Moved, add_links, moved_sentence, with_moved, without_moved

NAMES = st.text("abc.-2", min_size=1, max_size=4)
LINKS = st.dictionaries(
    st.builds(Link, NAMES, NAMES), st.builds(Moved, st.integers(0, 1 << 50), st.integers(0, 1000).map(float))
)


@given(LINKS, st.dictionaries(st.text("abc moved", min_size=1), st.integers()))
def test_links_travel_with_counters(links: dict[Link, Moved], counters: dict[str, int]) -> None:
    assert without_moved(with_moved(counters, links)) == (counters, links)


@given(LINKS, LINKS)
def test_tallies_add_up(one: dict[Link, Moved], other: dict[Link, Moved]) -> None:
    assert add_links(one, other) == add_links(other, one)
    assert sum(moved.bytes for moved in add_links(one, other).values()) == sum(
        moved.bytes for tally in (one, other) for moved in tally.values()
    )


def test_the_sentence_names_the_busiest_links() -> None:
    links = {Link(f"h{number}", "a"): Moved(number * 100_000_000, 0.25) for number in range(1, 6)}
    links[Link("a", "a")] = Moved(2_300_000_000)
    assert moved_sentence(links) == (
        "moved 1.5 GB between hosts in 1.2 s of waiting: h5 -> a 500.0 MB, h4 -> a 400.0 MB, h3 -> a 300.0 MB, "
        "2 more links; 2.3 GB read in place"
    )
    assert moved_sentence({}) == ""
    assert moved_sentence({Link("a", "a"): Moved(7)}) == "7 B read in place"
