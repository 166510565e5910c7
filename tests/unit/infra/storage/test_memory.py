import pytest

from infra.storage.memory import MemoryObjectStore
from infra.storage.objects import ObjectStore
from tests.support.store_contract import ObjectStoreContract


class TestMemoryObjectStore(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return MemoryObjectStore()
