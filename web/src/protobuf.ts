/**
 * Just enough of protobuf to read an ONNX file's metadata: a message is a sequence of (tag, value) in any order
 * (protobuf.dev, "Encoding").
 */

const VARINT = 0;
const FIXED_64 = 1;
const BYTES = 2;
const FIXED_32 = 5;

export interface Field {
  /** Its number in the message's definition. */
  number: number;
  /** Its content without tag and length; empty for numbers. */
  content: Uint8Array;
  /** Its value, if it is a varint. */
  value: number;
  /** All of it, tag and length too. */
  whole: Uint8Array;
}

/** Walk through a message's fields. Throws a `RangeError` if it is none, or ends too early. */
export function* fields(message: Uint8Array): Generator<Field> {
  let place = 0;
  while (place < message.length) {
    const [tag, start] = readVarint(message, place);
    const kind = tag % 8;
    let [value, content, end] = [0, start, start];
    if (kind === VARINT) {
      [value, end] = readVarint(message, start);
      content = end;
    } else if (kind === BYTES) {
      const [size, first] = readVarint(message, start);
      [content, end] = [first, first + size];
    } else if (kind === FIXED_64 || kind === FIXED_32) {
      content = end = start + (kind === FIXED_64 ? 8 : 4);
    } else {
      throw new RangeError(`wire type ${kind}`);
    }
    if (end > message.length) throw new RangeError("ends too early");
    const whole = message.subarray(place, end);
    yield { number: Math.floor(tag / 8), content: message.subarray(content, end), value, whole };
    place = end;
  }
}

/** Write a field of bytes. */
export function field(number: number, parts: readonly Uint8Array[]): Uint8Array {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const head = [...varint(number * 8 + BYTES), ...varint(size)];
  const written = new Uint8Array(head.length + size);
  written.set(head);
  let place = head.length;
  for (const part of parts) {
    written.set(part, place);
    place += part.length;
  }
  return written;
}

/** Read a number, seven bits a byte, the lowest first; returns it and the place behind it. */
export function readVarint(message: Uint8Array, start: number): [number, number] {
  let value = 0;
  let scale = 1; // not a shift: those wrap at 32 bits
  for (let place = start; place < Math.min(message.length, start + 10); place++) {
    const byte = message[place]!;
    value += (byte & 0x7f) * scale;
    scale *= 0x80;
    if (byte < 0x80) return [value, place + 1];
  }
  throw new RangeError("a number without end");
}

function varint(value: number): number[] {
  const written: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) written.push((value % 0x80) + 0x80);
  return [...written, value];
}
