#!/usr/bin/env python3
"""Writes numbered records to each partition of a topic with librdkafka's idempotent producer, at a steady pace, until its
standard input ends; then it waits until all are answered. It says what it hears, a line each:

    ack PARTITION NUMBER OFFSET     the offset is -1 where librdkafka knows only that the record is there
    failed PARTITION NUMBER WHY
    left COUNT                      at the end: how many were never answered

usage: librdkafka.py BOOTSTRAP TOPIC PARTITIONS PRODUCER PACE_MS
"""
import struct
import sys
import threading
import time
from functools import partial

from confluent_kafka import Producer

bootstrap, topic, partitions, me, pace = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]) / 1000
stopped = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
# Its timeouts are a minute by default, and what is measured is the broker: it asks again soon, and never gives a record up.
producer = Producer({
    "bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all", "linger.ms": 1, "message.timeout.ms": 0,
    "request.timeout.ms": 2000, "socket.timeout.ms": 3000, "socket.connection.setup.timeout.ms": 1000,
    "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "retry.backoff.ms": 20, "retry.backoff.max.ms": 100,
    "topic.metadata.refresh.fast.interval.ms": 50,
})


def answered(partition, number, err, msg):
    offset = -1 if err or msg.offset() is None else msg.offset()
    print(f"failed {partition} {number} {err}" if err else f"ack {partition} {number} {offset}", flush=True)


number, due = 0, time.monotonic()
while not stopped.is_set():
    for p in range(partitions):
        value = struct.pack(">IIQ", me, p, number) + bytes(100)
        producer.produce(topic, value=value, partition=p, on_delivery=partial(answered, p, number))
    number, due = number + 1, due + pace
    while (left := due - time.monotonic()) > 0:
        producer.poll(left)
    producer.poll(0)
    due = max(due, time.monotonic() - 1)  # who was held up does not catch up in one go
print("left", producer.flush(60), flush=True)
