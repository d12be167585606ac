"""Writes test/runs/data/expected.tfevents with TensorBoard's own protocol buffers and record writer,
and reads it back with TensorBoard's own reader.

    python3 -m venv /tmp/tensorboard && /tmp/tensorboard/bin/pip install tensorboard
    /tmp/tensorboard/bin/python scripts/tensorboard/make.py

The events are those of test/runs/data/events.json. A test holds lib/tensorboard/ to the same bytes.
"""

import json
import pathlib

from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.record_writer import RecordWriter

DATA = pathlib.Path(__file__).resolve().parents[2] / "test" / "runs" / "data"


def value_of(given):
    value = Summary.Value(tag=given["tag"])
    if "scalar" in given:
        value.simple_value = float(given["scalar"])
        return value
    histogram = given["histogram"]
    value.histo.CopyFrom(
        HistogramProto(
            min=histogram["min"],
            max=histogram["max"],
            num=histogram["count"],
            sum=histogram["sum"],
            sum_squares=histogram["sumOfSquares"],
            bucket_limit=histogram["limits"],
            bucket=histogram["counts"],
        )
    )
    return value


def main():
    given = json.loads((DATA / "events.json").read_text())
    path = DATA / "expected.tfevents"
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        version = Event(wall_time=given["wallTime"], file_version="brain.Event:2")
        writer.write(version.SerializeToString())
        for event in given["events"]:
            summary = Summary(value=[value_of(value) for value in event["values"]])
            record = Event(wall_time=event["wallTime"], step=event["step"], summary=summary)
            writer.write(record.SerializeToString())
        writer.flush()
    read = list(LegacyEventFileLoader(str(path)).Load())
    assert len(read) == 1 + len(given["events"])
    for record, event in zip(read[1:], given["events"]):
        assert record.step == event["step"] and record.wall_time == event["wallTime"]
        assert [value.tag for value in record.summary.value] == [v["tag"] for v in event["values"]]
    print(f"{path.name}: {len(read)} records")


main()
