from pathlib import Path

import pytest

from barestream.settings.env_file import EnvFileError, names, read


def of(content: bytes, folder: Path) -> dict[str, str]:
    path = folder / ".env"
    path.write_bytes(content)
    return read(path)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"A=1", "1"),
        (b"export A=1", "1"),
        (b"  A = 1  ", "1"),
        (b"\xef\xbb\xbfA=1", "1"),
        (b"A=1\r", "1"),
        (b"A=1 # a comment", "1"),
        (b"A=1#2", "1#2"),
        (b'A="1 # 2"', "1 # 2"),
        (b"A='1 # 2' # a comment", "1 # 2"),
        (b'A="one\\ntwo"', "one\ntwo"),
        (b"A='one\\ntwo'", "one\\ntwo"),
        (b'A="one\ntwo"', "one\ntwo"),
        (b"A='one\ntwo'", "one\ntwo"),
        (b"A='$5'", "$5"),
        (b"A=", ""),
        (b"A=0\nA=1", "1"),
        (b"# A=0\n\nA=1\n", "1"),
        (b"A=#1", "#1"),
        (b"A=a# 1", "a# 1"),
        (b"A='a\\'b'", "a'b"),
        (b'A="a\\\\b\\tc"', "a\\b\tc"),
        (b"# f\xfcr uns\nA=1", "1"),
        (b"A=f\xfcr", "f\udcfcr"),
        (b"A='one\r\ntwo'\r", "one\r\ntwo"),
        (b"A='1' # from C:\\\\share", "1"),
        (b'A="1" # don\\\'t', "1"),
        (b"A=1 # see\t#42", "1"),
        (b'A="C:\\\\0dir"', "C:\\0dir"),
    ],
)
def test_a_line_is_read_as_compose_reads_it(line: bytes, value: str, tmp_path: Path) -> None:
    assert of(line + b"\n", tmp_path) == {"A": value}


def test_a_variable_without_a_value_is_ignored(tmp_path: Path) -> None:
    assert of(b"A\nB=1\n", tmp_path) == {"B": "1"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"A=1\n\nB: 2\n", ".env, line 3: expected NAME=value"),
        (b"A='1\n", ".env, line 1: expected NAME=value"),
        (
            b"A=1\nB=$A\n",
            ".env, line 2: Compose replaces $ and the name after it in the value of B",
        ),
        (
            b'# x\nB="a${A}"\n',
            ".env, line 2: Compose replaces $ and the name after it in the value of B.",
        ),
        (b"A=1\nB:2\n", ".env, line 2: expected NAME=value"),
        (b'B:"2"\n', ".env, line 1: expected NAME=value"),
        (b"B:x=2\n", ".env, line 1: expected NAME=value"),
        (b'"B"=2\n', ".env, line 1: expected NAME=value"),
        (b"'B'=2\n", ".env, line 1: expected NAME=value"),
        (b"A=1\rB=2\r", ".env, line 1: the line contains a carriage return"),
        (
            b"B= # two\n",
            ".env, line 1: Compose reads # as a part of the value here. Put the value of B",
        ),
        (b"B=1\t# one\n", ".env, line 1: Compose reads # as a part of the value here."),
        (
            b"B='a\\\\b'\n",
            r".env, line 1: Compose reads \\ differently. Put the value of B in other quotes",
        ),
        (b'B="a\\\'b"\n', r".env, line 1: Compose reads \' differently."),
        (b'B="a\\0101"\n', r".env, line 1: Compose reads \0 differently."),
        ("export\u00a0B=2\n".encode(), ".env, line 1: expected NAME=value"),
        ("B\u3000=2\n".encode(), ".env, line 1: expected NAME=value"),
        ("B=\u30002\n".encode(), ".env, line 1: the white space beside the value of B is neither"),
        (b"B=2\x1c\n", ".env, line 1: the white space beside the value of B is neither"),
        (b"export # x\n", ".env, line 1: expected NAME=value"),
        (b"B=a\0b\n", ".env: the file holds a NUL byte; save it as text in UTF-8"),
        ("A=1\n".encode("utf-16"), ".env: the file is in UTF-16; save it in UTF-8"),
    ],
)
def test_a_line_that_compose_may_read_differently_is_refused(
    content: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(EnvFileError) as caught:
        of(content, tmp_path)
    assert message in str(caught.value)


def test_the_names_are_those_that_compose_finds(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"A=1\nexport B = 2\nC:3\nD: 4\n# E=5\nF='\nG=1\n'\nH\n")
    assert [*names(path)] == ["A", "B", "C", "D", "F"]
