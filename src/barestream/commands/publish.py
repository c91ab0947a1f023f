"""The command ``barestream publish``."""

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import click

from barestream.commands.hub_options import chosen, hub_options
from barestream.commands.input_lines import lines_of, texts, updates
from barestream.commands.progress import ProgressBar
from barestream_client.sources import ThreadAhead
from barestream_client.sync_hub import SyncHub
from barestream_client.updates import MOST_OF_A_BATCH, Update


class _Published(NamedTuple):
    """What became of many updates.

    Attributes:
        published: How many were published.
        last_id: The id of the last one.
        producer: The producer's name; None where each update has an id in its place.
    """

    published: int
    last_id: str | None
    producer: str | None = None


class _Seconds(click.ParamType[Any]):
    """A number of seconds, or ``forever``."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return value if value == "forever" else float(value)
        except ValueError:
            self.fail(f"{value!r}: expected a number of seconds, or forever.", param, ctx)


@click.command()
@click.argument("topic", required=False)
@click.argument("data", required=False)
@click.option(
    "--topic", "others", multiple=True, metavar="TOPIC", help="A further topic; repeatable."
)
@click.option("--type", help="The event's type.")
@click.option("--id", "own_id", help="An id of your own.  [default: one that nobody else has]")
@click.option("--private", is_flag=True, help="Only for those whose token covers a topic of it.")
@click.option(
    "--keep",
    type=_Seconds(),
    metavar="SECONDS",
    help="Keep it as the value of the topic for so many seconds, or forever.",
)
@click.option("--end", is_flag=True, help="It is the last one of the topic.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read from this file, not from standard input.",
)
@click.option("--lines", "as_lines", is_flag=True, help="Each line is the data of an update.")
@click.option(
    "--ndjson", "as_ndjson", is_flag=True, help="Each line is an update, as an object of JSON."
)
@click.option(
    "--producer",
    metavar="NAME",
    help="Of lines for one topic: the same name goes on where an earlier call came to.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@hub_options
def publish(  # noqa: PLR0913, PLR0917 (one for each option)
    topic: str | None,
    data: str | None,
    others: tuple[str, ...],
    type: str | None,  # noqa: A002 (the option is called so)
    own_id: str | None,
    private: bool,
    keep: Any,
    end: bool,
    file: Path | None,
    as_lines: bool,
    as_ndjson: bool,
    producer: str | None,
    as_json: bool,
    **hub: Any,
) -> None:
    """Publish an update, or one for each line.

    \b
    barestream publish news Hello
    echo '{"state": "paid"}' | barestream publish /orders/1 --private
    make 2>&1 | barestream publish /builds/7 --lines --end
    barestream publish --ndjson --file updates.ndjson

    Without DATA, standard input is read. While the hub is away the same is sent again; nothing is
    published twice. Lines of one topic are sent as they come. With --ndjson and without TOPIC each
    line names its own topic.
    """
    _check(topic, data, others, own_id, keep, file, as_lines, as_ndjson, producer)
    with SyncHub(**chosen(**hub).options()) as asked:
        if not as_lines and not as_ndjson:
            text = _text(data, file)
            made = asked.publish(
                [str(topic), *others], text, type=type, id=own_id, private=private, keep=keep,
                end=end,
            )  # fmt: skip
            click.echo(json.dumps({"ids": [made]}) if as_json else made)
            return
        with file.open("rb") if file else nullcontext(sys.stdin.buffer) as source:
            lines = _shown(lines_of(source), file)
            if topic is None:
                done = _publish_all(asked, updates(lines, None))
            else:
                items = updates(lines, topic) if as_ndjson else texts(lines)
                done = _publish_stream(
                    asked, topic, items, producer, type=type, private=private, end=end
                )
    if as_json:
        click.echo(json.dumps(done._asdict()))
    else:
        click.echo(f"{done.published} published, the last as {done.last_id}")


def _check(  # noqa: PLR0913, PLR0917 (it checks how the options go together)
    topic: str | None,
    data: str | None,
    others: tuple[str, ...],
    own_id: str | None,
    keep: Any,
    file: Path | None,
    as_lines: bool,
    as_ndjson: bool,
    producer: str | None,
) -> None:
    """Refuse options that contradict each other."""
    is_many = as_lines or as_ndjson
    if as_lines and as_ndjson:
        raise click.UsageError("Give one of --lines and --ndjson.")
    if topic is None and not as_ndjson:
        raise click.UsageError("Missing argument 'TOPIC'.")
    if data is not None and (is_many or file):
        raise click.UsageError("Give one of DATA, --file, --lines and --ndjson.")
    if is_many and (others or own_id or keep is not None):
        raise click.UsageError(
            "--topic, --id and --keep are for one update; lines of --ndjson have fields for them."
        )
    if producer and not (is_many and topic):
        raise click.UsageError("--producer is for lines of one topic: give --lines and TOPIC.")
    if data is None and file is None and sys.stdin.isatty() and not is_many:
        raise click.UsageError("Missing argument 'DATA'.")


def _text(data: str | None, file: Path | None) -> str:
    """Return the data of the one update."""
    if file is not None:
        raw = file.read_bytes()
    elif data is None or data == "-":
        raw = sys.stdin.buffer.read()
    else:
        return data
    try:
        # As a shell does with the output of a command.
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise click.UsageError("The data is not in UTF-8.") from None


def _shown(lines: Iterator[bytes], file: Path | None) -> Iterator[bytes]:
    """Yield the lines, and show how far they have come: in bytes of a file, else in lines."""
    # Where somebody types the lines, they are on the terminal themselves.
    is_shown = file is not None or not sys.stdin.isatty()
    whole_bytes = file.stat().st_size if file is not None else None
    with ProgressBar("publishing", whole_bytes, is_shown=is_shown) as bar:
        for line in lines:
            yield line
            bar.add(1 if file is None else len(line) + 1)


def _publish_stream(
    hub: SyncHub, topic: str, items: Iterator[Any], producer: str | None, **options: Any
) -> _Published:
    first = 0
    if producer and (position := hub.position(topic, producer)):
        # An earlier call has published these.
        first = position.next
        for _ in islice(items, first):
            pass
    done = hub.publish_stream(topic, items, producer=producer, first=first, **options)
    return _Published(done.next - first, done.last_id, done.producer)


def _publish_all(hub: SyncHub, source: Iterator[Update]) -> _Published:
    done = _Published(0, None)
    with ThreadAhead(source, MOST_OF_A_BATCH) as ahead:
        while taken := ahead.take(MOST_OF_A_BATCH):
            batch: list[Update] = taken
            ids = hub.publish_all(batch)
            done = _Published(done.published + len(ids), ids[-1])
    return done
