"""QUEUE_URL chooses the queue; what cannot be an address of RabbitMQ's is said before anything connects."""

import pytest
import redis
from dramatiq import Message
from dramatiq.errors import BrokerError

from payouts.errors import SettingsError
from payouts.settings import Settings, load_settings
from tests.support.servers import free_port
from workers.broker import WakingRedisBroker
from workers.messages import EVENTS_QUEUE, open_broker, open_messages
from workers.rabbit import MOST_DELAY_MS, SharedRabbitBroker

NOWHERE = redis.Redis(port=1)


def settings(queue_url: str) -> Settings:
    return load_settings(database_url="sqlite://", redis_url="redis://127.0.0.1:1/0", queue_url=queue_url)


def test_without_it_redis_is_the_queue() -> None:
    assert isinstance(open_broker(settings(""), NOWHERE, []), WakingRedisBroker)
    assert open_messages(settings(""), NOWHERE).depths() is None


@pytest.mark.parametrize("address", ["redis://127.0.0.1:6379/0", "rabbit.example.com", "amqp://host:no/"])
def test_what_is_no_address_of_rabbitmq_is_refused_in_plain_words(address: str) -> None:
    with pytest.raises(SettingsError, match="QUEUE_URL does not read as an address: it looks like amqp://"):
        open_messages(settings(address), NOWHERE)


def test_nothing_connects_before_the_first_message_and_then_it_says_what_is_away() -> None:
    messages = open_messages(settings(f"amqp://guest:guest@127.0.0.1:{free_port()}/%2F"), NOWHERE, 1)
    with pytest.raises(BrokerError, match="RabbitMQ does not answer"):
        messages.apply([1])
    with pytest.raises(BrokerError, match="RabbitMQ does not answer"):
        messages.ping()


def test_what_is_due_much_later_is_left_to_the_sweeper() -> None:
    broker = SharedRabbitBroker(f"amqp://guest:guest@127.0.0.1:{free_port()}/%2F", 1, [])
    message: Message[None] = Message(
        queue_name=EVENTS_QUEUE, actor_name="apply_events", args=([1],), kwargs={}, options={}
    )
    assert broker.enqueue(message, delay=MOST_DELAY_MS + 1) is message
    with pytest.raises(BrokerError):
        broker.enqueue(message, delay=MOST_DELAY_MS)
