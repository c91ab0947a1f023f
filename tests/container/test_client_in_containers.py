"""The client for pages, from the app's image through nginx's container."""

import httpx

from compose import Stack
from support.servers.service import ROOT


def test_a_page_gets_every_module_of_the_client(stack: Stack) -> None:
    modules = sorted((ROOT / "client/src").glob("*.js"))
    assert modules
    with httpx.Client(base_url=stack.url) as http:
        entry = http.get("/.well-known/mercure/barestream.js")
        assert entry.status_code == 200
        # The last line is: export * from './client/VERSION/barestream.js';
        main = entry.url.join(entry.text.splitlines()[-1].split("'")[1])
        for module in modules:
            assert http.get(main.join(module.name)).content == module.read_bytes()
