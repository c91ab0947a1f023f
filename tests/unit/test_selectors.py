import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barestream.mercure.selectors import InvalidSelectorError, Selectors
from barestream.mercure.templates import Template
from barestream.mercure.time_budget import UNBOUNDED, at_once
from barestream.mercure.topics import MOST_CHARACTERS

# The examples of RFC 6570, sections 3.2.1 to 3.2.9. Their variables stand in section 3.2.
EXAMPLES = """
    {count}                 one,two,three
    {count*}                one,two,three
    {/count}                /one,two,three
    {/count*}               /one/two/three
    {;count}                ;count=one,two,three
    {;count*}               ;count=one;count=two;count=three
    {?count}                ?count=one,two,three
    {?count*}               ?count=one&count=two&count=three
    {&count*}               &count=one&count=two&count=three

    {var}                   value
    {hello}                 Hello%20World%21
    {half}                  50%25
    O{empty}X               OX
    O{undef}X               OX
    {x,y}                   1024,768
    {x,hello,y}             1024,Hello%20World%21,768
    ?{x,empty}              ?1024,
    ?{x,undef}              ?1024
    ?{undef,y}              ?768
    {var:3}                 val
    {var:30}                value
    {list}                  red,green,blue
    {list*}                 red,green,blue
    {keys}                  semi,%3B,dot,.,comma,%2C
    {keys*}                 semi=%3B,dot=.,comma=%2C

    {+var}                  value
    {+hello}                Hello%20World!
    {+half}                 50%25
    {base}index             http%3A%2F%2Fexample.com%2Fhome%2Findex
    {+base}index            http://example.com/home/index
    O{+empty}X              OX
    O{+undef}X              OX
    {+path}/here            /foo/bar/here
    here?ref={+path}        here?ref=/foo/bar
    up{+path}{var}/here     up/foo/barvalue/here
    {+x,hello,y}            1024,Hello%20World!,768
    {+path,x}/here          /foo/bar,1024/here
    {+path:6}/here          /foo/b/here
    {+list}                 red,green,blue
    {+list*}                red,green,blue
    {+keys}                 semi,;,dot,.,comma,,
    {+keys*}                semi=;,dot=.,comma=,

    {#var}                  #value
    {#hello}                #Hello%20World!
    {#half}                 #50%25
    foo{#empty}             foo#
    foo{#undef}             foo
    {#x,hello,y}            #1024,Hello%20World!,768
    {#path,x}/here          #/foo/bar,1024/here
    {#path:6}/here          #/foo/b/here
    {#list}                 #red,green,blue
    {#list*}                #red,green,blue
    {#keys}                 #semi,;,dot,.,comma,,
    {#keys*}                #semi=;,dot=.,comma=,

    {.who}                  .fred
    {.who,who}              .fred.fred
    {.half,who}             .50%25.fred
    www{.dom*}              www.example.com
    X{.var}                 X.value
    X{.empty}               X.
    X{.undef}               X
    X{.var:3}               X.val
    X{.list}                X.red,green,blue
    X{.list*}               X.red.green.blue
    X{.keys}                X.semi,%3B,dot,.,comma,%2C
    X{.keys*}               X.semi=%3B.dot=..comma=%2C
    X{.empty_keys}          X
    X{.empty_keys*}         X

    {/who}                  /fred
    {/who,who}              /fred/fred
    {/half,who}             /50%25/fred
    {/who,dub}              /fred/me%2Ftoo
    {/var}                  /value
    {/var,empty}            /value/
    {/var,undef}            /value
    {/var,x}/here           /value/1024/here
    {/var:1,var}            /v/value
    {/list}                 /red,green,blue
    {/list*}                /red/green/blue
    {/list*,path:4}         /red/green/blue/%2Ffoo
    {/keys}                 /semi,%3B,dot,.,comma,%2C
    {/keys*}                /semi=%3B/dot=./comma=%2C

    {;who}                  ;who=fred
    {;half}                 ;half=50%25
    {;empty}                ;empty
    {;v,empty,who}          ;v=6;empty;who=fred
    {;v,bar,who}            ;v=6;who=fred
    {;x,y}                  ;x=1024;y=768
    {;x,y,empty}            ;x=1024;y=768;empty
    {;x,y,undef}            ;x=1024;y=768
    {;hello:5}              ;hello=Hello
    {;list}                 ;list=red,green,blue
    {;list*}                ;list=red;list=green;list=blue
    {;keys}                 ;keys=semi,%3B,dot,.,comma,%2C
    {;keys*}                ;semi=%3B;dot=.;comma=%2C

    {?who}                  ?who=fred
    {?half}                 ?half=50%25
    {?x,y}                  ?x=1024&y=768
    {?x,y,empty}            ?x=1024&y=768&empty=
    {?x,y,undef}            ?x=1024&y=768
    {?var:3}                ?var=val
    {?list}                 ?list=red,green,blue
    {?list*}                ?list=red&list=green&list=blue
    {?keys}                 ?keys=semi,%3B,dot,.,comma,%2C
    {?keys*}                ?semi=%3B&dot=.&comma=%2C

    {&who}                  &who=fred
    {&half}                 &half=50%25
    ?fixed=yes{&x}          ?fixed=yes&x=1024
    {&x,y,empty}            &x=1024&y=768&empty=
    {&x,y,undef}            &x=1024&y=768
    {&var:3}                &var=val
    {&list}                 &list=red,green,blue
    {&list*}                &list=red&list=green&list=blue
    {&keys}                 &keys=semi,%3B,dot,.,comma,%2C
    {&keys*}                &semi=%3B&dot=.&comma=%2C
"""


@pytest.mark.parametrize("example", [line for line in EXAMPLES.splitlines() if line])
def test_an_example_of_the_rfc_is_matched_by_its_template(example: str) -> None:
    selector, expansion = example.split()
    assert Selectors([selector]).match(expansion)
    assert not Selectors([selector]).match(expansion + " ")


@pytest.mark.parametrize(
    ("selector", "topic"),
    [
        ("*", ""),
        ("*", "\ud800"),
        ("", ""),
        ("https://example.com/books/1", "https://example.com/books/1"),
        ("https://example.com/books/{id}", "https://example.com/books/1"),
        ("https://example.com/books/{id}", "https://example.com/books/"),
        ("https://example.com/books/{id}", "https://example.com/books/{id}"),
        ("https://example.com/books/{id}", "https://example.com/books/%C3%a9"),
        (
            "https://example.com/users/foo/{?topic}",
            "https://example.com/users/foo/?topic=https%3A%2F%2Fexample.com%2Fbooks%2F1",
        ),
        ("https://example.com/users/foo/{?topic}", "https://example.com/users/foo/"),
        (
            "/.well-known/mercure/subscriptions{/topic}{/subscriber}",
            "/.well-known/mercure/subscriptions/a/b",
        ),
        ("{?a,b,c}", "?c=3"),
        ("{?a,b,c}", "?a=1&c=3"),
        ("{;a,b}", ";b"),
        ("{a.b,%41,_}", "1,2,3"),
        ("{?a.b}", "?a.b=1"),
        ("{v:2}", "%C3%A9%E6%BC%A2"),
        ("{v:1}", "%F0%9F%98%80"),
        ("x{v}é", "x1é"),
        ("x{v}é", "x1%C3%A9"),
        ("é/{v}", "é/1"),
        ("é/{v}", "%C3%A9/1"),
        ("é/{v}", "é/{v}"),
        ("\U0001f600%20/{v}", "%F0%9F%98%80%20/1"),
        ("it's/{v}", "it's/1"),
        ("a.b+(c)[d]$/{v}", "a.b+(c)[d]$/1"),
    ],
)
def test_a_selector_matches_the_topic(selector: str, topic: str) -> None:
    assert Selectors([selector]).match(topic)


@pytest.mark.parametrize(
    ("selector", "topic"),
    [
        ("", "a"),
        ("**", "a"),
        ("a", "A"),
        ("https://example.com/books/1", "https://example.com/books/11"),
        ("https://example.com/books/{id}", "https://example.com/books/1/2"),
        ("https://example.com/books/{id}", "https://example.com/books/1?x"),
        ("https://example.com/books/{id}", "https://example.com/books/1#x"),
        ("https://example.com/books/{id}", "https://example.com/books/{other}"),
        ("https://example.com/books/{id}", "https://example.com/books"),
        ("https://example.com/books/{id}", " https://example.com/books/1"),
        ("https://example.com/books/{id}", "https://example.com/books/1\n"),
        ("https://example.com/books/{id}", "https://example.com/books/%C"),
        ("https://example.com/books/{id}", "https://example.com/books/é"),
        ("https://example.com/books/{id}", "https://example.com/books/\ud800"),
        ("https://example.com/books/{id}", "https://example.com/books/1\0"),
        ("https://example.com/{+path}", "https://example.com/{id}"),
        ("/users/1{/x}", "/users/1/2/3"),
        ("/users/1{;x*}", "/users/1;/users/2="),
        ("/users/1{?x}", "/users/1?y=1"),
        ("{?a,b}", "?b=1&a=1"),
        ("{?a,b}", "?a=1b=1"),
        ("{?a,b}", "?"),
        ("{?a}", "?a"),
        ("{&a}", "?a=1"),
        ("{v:3}", "abcd"),
        ("{v:3}", "a,b"),
        ("{v:1}", "%C3%A9%C3%A9"),
        ("a.b/{v}", "axb/1"),
        ("é/{v}", "%c3%a9/1"),
        ("é/{v}", "e/1"),
    ],
)
def test_a_selector_does_not_match_the_topic(selector: str, topic: str) -> None:
    assert not Selectors([selector]).match(topic)


@pytest.mark.parametrize(
    "selector",
    ["{", "}", "{}", "a{", "a}b", "{a", "a}", "{a b}", "{{a}}", "{a{b}}", "{a}}", "{+}", "{a,}",
     "{,a}", "{a,,b}", "{=a}", "{|a}", "{!a}", "{@a}", "{+#a}", "{a:0}", "{a:10000}", "{a:}",
     "{a:3*}", "{a*:3}", "{a**}", "{.}", "{a.}", "{a..b}", "{a-b}", "{é}", "{%4}", "{*}",
     "a b{c}", "{c}\n", "%4{c}", "<{c}>", "\\{c}", "^{c}", "`{c}", '"{c}"', "|{c}", "\x80{c}",
     "\ud800{c}", "\ufffe{c}", "\U000e0041{c}"],
)  # fmt: skip
def test_a_selector_that_is_no_template_matches_only_itself(selector: str) -> None:
    selectors = Selectors([selector])
    assert list(selectors.exact) == [selector]
    assert not selectors.expressions
    assert selectors.match(selector)
    assert not selectors.match(selector.replace("{c}", "1") + "1")


@pytest.mark.parametrize(
    "selector",
    ["{a}" * 500, "{a:999}", "{a:9999}", "{?a*}" * 400, "{" + ",".join(["a"] * 1000) + "}",
     "{a}" + "\u6f22" * 2000],
    ids=len,
)  # fmt: skip
def test_a_template_that_is_too_large_matches_only_itself(
    selector: str, capfd: pytest.CaptureFixture[str]
) -> None:
    selectors = Selectors([selector])
    assert not selectors.expressions
    assert selectors.match(selector)
    assert not selectors.match("")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("expression", ["{a}", "{+a}", "{?a}", "{a*}", "{+a}x", "{/a*}", "{a:5}"])
@pytest.mark.parametrize("times", [1, 10, 30, 300])
def test_no_template_takes_long_to_match(expression: str, times: int) -> None:
    selectors = Selectors([expression * times])
    for topic in ("a" * 2000 + "\n", "/a=x" * 500 + "\n", "%41" * 600 + "%"):
        assert not selectors.match(topic)


def test_usual_templates_are_well_below_the_size_limit() -> None:
    assert Template.parse("/a{/b,c,d,e,f,g}{?h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z}{#a}")
    assert Template.parse("/books/{isbn:13}/orders/{uuid:36}")
    assert Template.parse("https://example.com/" + "\u6f22" * 100 + "/{a}/" + "\u6f22" * 100)


def test_templates_that_are_too_large_together_are_refused() -> None:
    usual = [f"/{number}/{{a}}/{{b}}{{?c}}" for number in range(10)]
    assert Selectors(usual, 1000).steps < 1000
    for large in (["{a:99}"], [f"{{a}}{{b}}/{number}" * 20 for number in range(10)]):
        assert Selectors(large).steps > 1000
        with pytest.raises(InvalidSelectorError, match="too large together"):
            Selectors(large, 1000)


def test_a_selector_may_be_as_long_as_a_url_and_no_longer() -> None:
    assert Selectors(["a" * MOST_CHARACTERS]).match("a" * MOST_CHARACTERS)
    with pytest.raises(InvalidSelectorError, match="2049 characters; at most 2048"):
        Selectors(["a", "a" * (MOST_CHARACTERS + 1)])


def test_equal_selectors_count_once_and_the_order_stays() -> None:
    selectors = Selectors(["b", "{a}", "*", "b", "a", "{a}"])
    assert selectors.everything
    assert list(selectors.exact) == ["b", "a"]
    assert [template.selector for template in selectors.expressions] == ["{a}"]


def test_equal_templates_are_one_object() -> None:
    one, other = (Selectors(["https://example.com/{shared}"]).expressions[0] for _ in range(2))
    assert one is other


def test_matching_any_needs_one_matched_topic_and_matching_all_needs_every_one() -> None:
    selectors = Selectors(["a", "x/{y}"])
    assert at_once(selectors.matching_any(["b", "x/1"], UNBOUNDED))
    assert not at_once(selectors.matching_any(["b", "c"], UNBOUNDED))
    assert at_once(selectors.matching_all(["a", "x/1"], UNBOUNDED))
    assert not at_once(selectors.matching_all(["a", "b"], UNBOUNDED))


def test_topics_are_named_by_a_star_or_by_themselves() -> None:
    assert Selectors(["*"]).names_all(["a", "b"])
    assert Selectors(["a", "b", "{x}"]).names_all(["b", "a"])
    assert not Selectors(["a", "{x}"]).names_all(["a", "b"])


def test_without_selectors_or_without_topics_nothing_matches() -> None:
    assert not Selectors([]).match("")
    assert not at_once(Selectors(["*"]).matching_any([], UNBOUNDED))
    assert not at_once(Selectors(["*"]).matching_all([], UNBOUNDED))


hostile_text = st.one_of(
    st.text(st.characters(), max_size=40),
    st.text("{}*+#./;?&=,:%49ab'\n\0\u00e9\ud800\U0001f600", max_size=40),
)


@given(st.lists(hostile_text), hostile_text)
def test_any_text_is_accepted_as_a_selector_and_matches_itself(
    texts: list[str], topic: str
) -> None:
    selectors = Selectors(texts)
    assert at_once(selectors.matching_any([topic], UNBOUNDED)) == selectors.match(topic)
    assert all(map(selectors.match, texts))
    assert not texts or at_once(selectors.matching_all(texts, UNBOUNDED))


Value = str | list[str] | dict[str, str] | None

RESERVED = ":/?#[]@!$&'()*+,;="
OPERATORS = {
    "": ("", ",", False, "", ""),
    "+": ("", ",", False, "", RESERVED),
    "#": ("#", ",", False, "", RESERVED),
    ".": (".", ".", False, "", ""),
    "/": ("/", "/", False, "", ""),
    ";": (";", ";", True, "", ""),
    "?": ("?", "&", True, "=", ""),
    "&": ("&", "&", True, "=", ""),
}


def expand(operator: str, variables: list[tuple[str, str, Value]]) -> str:
    """Expand an expression as RFC 6570, appendix A, lays down."""
    first, separator, named, if_empty, reserved = OPERATORS[operator]

    def encode(text: str, length: int | None = None) -> str:
        kept = "%[0-9A-Fa-f]{2}|" if reserved else ""
        units = re.findall(f"{kept}.", text, re.DOTALL)[:length]
        return "".join(u if len(u) == 3 else quote(u, safe=reserved) for u in units)

    def name_value(name: str, value: str) -> str:
        return f"{name}={value}" if value else f"{name}{if_empty}"

    parts: list[str] = []
    for name, modifier, value in variables:
        if isinstance(value, str):
            length = int(modifier[1:]) if modifier.startswith(":") else None
            text = encode(value, length)
            parts.append(name_value(name, text) if named else text)
        elif value and modifier == "*":
            if isinstance(value, list):
                members = [(name, encode(v)) for v in value]
                parts += [name_value(*member) if named else member[1] for member in members]
            else:
                members = [(encode(key), encode(text)) for key, text in value.items()]
                parts += [name_value(*member) if named else "=".join(member) for member in members]
        elif value:
            pairs = value.items() if isinstance(value, dict) else ()
            texts = [text for pair in pairs for text in pair] or value
            joined = ",".join(map(encode, texts))
            parts.append(f"{name}={joined}" if named else joined)
    return first + separator.join(parts) if parts else ""


@st.composite
def expressions(draw: st.DrawFn) -> tuple[str, str]:
    """Return an expression and what it expands to for some values."""
    operator = draw(st.sampled_from(sorted(OPERATORS)))
    variables: list[tuple[str, str, Value]] = []
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(["a", "b_1", "c.d", "%41"]))
        modifier = draw(st.sampled_from(["", "*", ":1", ":4"]))
        text = st.text(max_size=12)
        value: st.SearchStrategy[Value] = text
        if not modifier.startswith(":"):
            value = st.one_of(text, st.lists(text, max_size=3), st.dictionaries(text, text))
        variables.append((name, modifier, draw(st.one_of(st.none(), value))))
    specifications = ",".join(name + modifier for name, modifier, _ in variables)
    return f"{{{operator}{specifications}}}", expand(operator, variables)


literals = st.text("ab/:.%é漢'()[]+*?$", min_size=1, max_size=8).map(
    lambda t: t.replace("%", "%2F")
)


@given(st.lists(expressions() | literals.map(lambda t: (t, t)), max_size=4))
def test_a_template_matches_its_own_expansion(parts: list[tuple[str, str]]) -> None:
    selector = "".join(template for template, _ in parts)
    iri = "".join(expansion for _, expansion in parts)
    assert Template.parse(selector) is not None
    assert Selectors([selector]).match(iri)


@given(expressions(), expressions())
def test_a_template_with_literals_beyond_ascii_expands_to_a_uri(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    uri = f"%E6%BC%A2{one[1]}%C3%A9/{other[1]}"
    assert Selectors([f"漢{one[0]}é/{other[0]}"]).match(uri)
