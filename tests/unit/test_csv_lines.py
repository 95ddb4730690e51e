"""CSV files are read line by line, whatever stands in them."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts.csv_lines import MAX_LINE_BYTES, Line, Rejected, read_lines
from payouts.errors import RefusedError


def read(content: bytes | str) -> list[Line | Rejected]:
    body = content if isinstance(content, bytes) else content.encode()
    return list(read_lines(io.BytesIO(body), ("a", "b"), ("c",)))


def test_columns_are_found_by_name_in_any_order_and_lines_keep_their_numbers() -> None:
    assert read("\ufeffB, a\r\n1,2\r\n\r\n3,4\n") == [
        Line(2, {"b": "1", "a": "2"}),
        Line(4, {"b": "3", "a": "4"}),
    ]


def test_a_value_may_hold_commas_quotes_and_line_breaks() -> None:
    assert read('a,b\n"1,""x""\n2",3\n4,5\n') == [
        Line(2, {"a": '1,"x"\n2', "b": "3"}),
        Line(4, {"a": "4", "b": "5"}),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"1", "1 values for 2 columns"),
        (b"1,2,3", "3 values for 2 columns"),
        (b'"1"x,2', "does not read as CSV"),
        (b"1,\xff", "not in UTF-8"),
    ],
)
def test_a_line_that_does_not_read_is_rejected_and_the_next_one_is_not(line: bytes, said: str) -> None:
    rejected, good = read(b"a,b\n" + line + b"\n3,4\n")
    assert isinstance(rejected, Rejected)
    assert (rejected.number, said in rejected.reason) == (2, True)
    assert good == Line(3, {"a": "3", "b": "4"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("a\n1\n", "lacks 'b'"),
        ("a,b,d\n", "unknown 'd'"),
        ("a,b,b\n", "names twice 'b'"),
        ("a;b\n1;2\n", "lacks"),
        ("a,b\n" + "x" * MAX_LINE_BYTES + ",1\n", "longer than"),
    ],
)
def test_a_file_with_other_columns_or_endless_lines_is_refused(content: str, said: str) -> None:
    with pytest.raises(RefusedError, match=said) as refused:
        read(content)
    assert refused.value.code == "bad_file"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading(body: bytes) -> None:
    for line in read(b"a,b\n" + body):
        assert isinstance(line, Line | Rejected)
