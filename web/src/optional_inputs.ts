/**
 * ONNX Runtime Web cannot be given an input that has a default: it does not know its name. So such inputs, which
 * models have for sound that comes in pieces, are made ordinary ones, and their defaults are kept here.
 */

import { field, fields, readVarint } from "./protobuf.ts";

const GRAPH = 7; // of ModelProto
const INITIALIZER = 5;
const INPUT = 11;
const DIMS = 1; // of TensorProto
const DATA_TYPE = 2;
const TENSOR_NAME = 8;
const RAW_DATA = 9;
const FLOAT = 1;
const INT64 = 7;
const VALUE_NAME = 1; // of ValueInfoProto

/** An array and its shape. */
export interface Values {
  data: Float32Array | BigInt64Array;
  dims: readonly number[];
}

export interface OpenedUp {
  model: Uint8Array;
  /** What the inputs are when nothing is said. */
  defaults: Map<string, Values>;
}

/** Make every input an ordinary one. Throws a `RangeError` if the bytes are no model. */
export function openUp(model: Uint8Array): OpenedUp {
  const defaults = new Map<string, Values>();
  const parts = [...fields(model)].map(({ number, content, whole }) =>
    number === GRAPH ? field(GRAPH, openGraph(content, defaults)) : whole,
  );
  return { model: concatenateBytes(parts), defaults };
}

function openGraph(graph: Uint8Array, defaults: Map<string, Values>): Uint8Array[] {
  const all = [...fields(graph)];
  const inputs = new Set(all.filter(({ number }) => number === INPUT).map(({ content }) => nameIn(content, VALUE_NAME)));
  const kept = all.filter(({ number, content }) => {
    const name = number === INITIALIZER ? nameIn(content, TENSOR_NAME) : "";
    if (!inputs.has(name)) return true;
    defaults.set(name, readTensor(content));
    return false;
  });
  return kept.map(({ whole }) => whole);
}

function nameIn(message: Uint8Array, number: number): string {
  for (const found of fields(message)) if (found.number === number) return new TextDecoder().decode(found.content);
  return "";
}

function readTensor(tensor: Uint8Array): Values {
  const dims: number[] = [];
  let type = 0;
  let raw = new Uint8Array(0);
  for (const { number, content, value } of fields(tensor)) {
    if (number === DIMS) dims.push(...(content.length ? packed(content) : [value]));
    if (number === DATA_TYPE) type = value;
    if (number === RAW_DATA) raw = new Uint8Array(content); // a copy begins where an array of wide numbers may
  }
  if (type === FLOAT) return { data: new Float32Array(raw.buffer), dims };
  if (type === INT64) return { data: new BigInt64Array(raw.buffer), dims };
  throw new RangeError(`a default of type ${type}`);
}

function packed(numbers: Uint8Array): number[] {
  const found: number[] = [];
  for (let place = 0; place < numbers.length; ) {
    const [value, next] = readVarint(numbers, place);
    found.push(value);
    place = next;
  }
  return found;
}

function concatenateBytes(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}
