/**
 * TensorBoard's events as bytes, after TensorFlow's `event.proto` and `summary.proto`. The numbers
 * below are those of their fields.
 */
import type { Writer } from 'protobufjs/minimal';
import type { Histogram } from './histogram';
import { frameRecord } from './record';

/** Wire types of protocol buffers, by what they hold. */
const WIRE = { varint: 0, double: 1, bytes: 2, float: 5 };

function key(field: number, wire: keyof typeof WIRE): number {
  return (field << 3) | WIRE[wire];
}

/** A value of an event under its tag. */
export type SummaryValue = { tag: string; scalar: number } | { tag: string; histogram: Histogram };

/** Makes records; protobufjs is loaded with the first of them. */
export class EventEncoder {
  readonly #writer: () => Writer;

  private constructor(writer: () => Writer) {
    this.#writer = writer;
  }

  static create(): EventEncoder {
    // Not import(): that would not run in the tests, which translate modules to CommonJS.
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const protobuf = require('protobufjs/minimal') as typeof import('protobufjs/minimal');
    return new EventEncoder(() => protobuf.Writer.create());
  }

  /** The record that a file begins with. */
  fileVersion(wallTime: number): Uint8Array {
    const event = this.#event(wallTime, 0);
    event.uint32(key(3, 'bytes')).string('brain.Event:2');
    return frameRecord(event.finish());
  }

  /**
   * A record of values at a step.
   *
   * @param wallTime in seconds since 1970
   */
  summary(wallTime: number, step: number, values: readonly SummaryValue[]): Uint8Array {
    const event = this.#event(wallTime, step);
    event.uint32(key(5, 'bytes')).fork();
    for (const value of values) {
      event.uint32(key(1, 'bytes')).fork();
      event.uint32(key(1, 'bytes')).string(value.tag);
      if ('scalar' in value) event.uint32(key(2, 'float')).float(value.scalar);
      else this.#histogram(event, value.histogram);
      event.ldelim();
    }
    return frameRecord(event.ldelim().finish());
  }

  #event(wallTime: number, step: number): Writer {
    const writer = this.#writer();
    writer.uint32(key(1, 'double')).double(wallTime);
    if (step !== 0) writer.uint32(key(2, 'varint')).int64(step);
    return writer;
  }

  #histogram(writer: Writer, histogram: Histogram): void {
    const { min, max, count, sum, sumOfSquares, limits, counts } = histogram;
    writer.uint32(key(5, 'bytes')).fork();
    [min, max, count, sum, sumOfSquares].forEach((value, i) => {
      // What is zero is left out, as proto3 has it.
      if (value !== 0) writer.uint32(key(i + 1, 'double')).double(value);
    });
    [limits, counts].forEach((list, i) => {
      writer.uint32(key(i + 6, 'bytes')).fork();
      for (const value of list) writer.double(value);
      writer.ldelim();
    });
    writer.ldelim();
  }
}
