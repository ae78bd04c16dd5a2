// A peer that speaks Sparkplug payloads with the npm package sparkplug-payload, one line a request:
//   decode <hex>      ->  <JSON>
//   encode <JSON>     ->  <hex>
// Whatever JSON cannot carry stands as text: 64-bit integers as {"i":"…"}, bytes as {"b":"<hex>"}.
'use strict';

const readline = require('readline');
const payloads = require('sparkplug-payload').get('spBv1.0');
const Long = require('long');

function toPlain(value) {
  if (Long.isLong(value)) return { i: value.toString() };
  if (value instanceof Uint8Array) return { b: Buffer.from(value).toString('hex') };
  if (Array.isArray(value)) return value.map(toPlain);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toPlain(inner)]));
  }
  return value;
}

function fromPlain(value) {
  if (Array.isArray(value)) return value.map(fromPlain);
  if (value !== null && typeof value === 'object') {
    const keys = Object.keys(value);
    if (keys.length === 1 && keys[0] === 'i') return Long.fromString(value.i, !value.i.startsWith('-'));
    if (keys.length === 1 && keys[0] === 'b') return Buffer.from(value.b, 'hex');
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fromPlain(inner)]));
  }
  return value;
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const space = line.indexOf(' ');
  const verb = line.slice(0, space);
  const argument = line.slice(space + 1);
  try {
    if (verb === 'decode') {
      const payload = payloads.decodePayload(Buffer.from(argument, 'hex'));
      process.stdout.write(JSON.stringify(toPlain(payload)) + '\n');
    } else if (verb === 'encode') {
      const bytes = payloads.encodePayload(fromPlain(JSON.parse(argument)));
      process.stdout.write(Buffer.from(bytes).toString('hex') + '\n');
    } else {
      process.stdout.write('error unknown request\n');
    }
  } catch (error) {
    process.stdout.write('error ' + error.message.replace(/\s+/g, ' ') + '\n');
  }
});
