"""One running product for all browser tests; its worker starts with the first test that needs one."""

from collections.abc import Iterator

import pytest

from tests.stack import Stack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack"), worker=False) as stack:
        yield stack


@pytest.fixture(scope="session")
def worker(stack: Stack) -> None:
    stack.start_worker()
