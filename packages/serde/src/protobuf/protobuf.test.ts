import { readFileSync } from 'node:fs';
import protobufjs from 'protobufjs';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { recordHeaders, type SerdeContext } from '../index.ts';
import { protobuf } from './index.ts';

const context: SerdeContext = { topic: 'orders', part: 'value', headers: recordHeaders() };
const proto = readFileSync(new URL('../../fixtures/shop.proto', import.meta.url), 'utf8');
const Order = protobufjs.parse(proto).root.lookupType('shop.Order');

interface OrderValue {
  readonly id: string;
  readonly customerId: string;
  readonly cents: number;
  readonly card?: string | null;
  readonly payment?: 'card' | 'iban';
}

describe('a reflected type', () => {
  const serde = protobuf<OrderValue>(Order);

  it('writes the wire format', () => {
    // field 1: "a"; field 3: 300
    expect(Buffer.from(serde.serialize({ id: 'a', customerId: '', cents: 300 }, context)).toString('hex')).toBe(
      '0a016118ac02',
    );
  });

  it('reads plain objects, with the fields that are not on the wire at their defaults', () => {
    const value = serde.deserialize(serde.serialize({ id: 'a', customerId: '', cents: 0 }, context), context);
    expect({ ...value }).toEqual({ id: 'a', customerId: '', cents: 0 });
  });

  it('tells which of a oneof is there', () => {
    const value = serde.deserialize(
      serde.serialize({ id: 'a', customerId: 'c', cents: 1, card: '4711' }, context),
      context,
    );
    expect(value).toEqual({ id: 'a', customerId: 'c', cents: 1, card: '4711', payment: 'card' });
  });

  it('gives the same bytes again for what it has read: a key stays where it was', () => {
    const bytes = serde.serialize({ id: '', customerId: 'c', cents: 0 }, context);
    expect(serde.serialize(serde.deserialize(bytes, context), context)).toEqual(bytes);
  });

  it('refuses values of other types, and bytes that are cut off', () => {
    expect(() => serde.serialize({ id: 5 } as never, context)).toThrow(
      expect.objectContaining({ code: 'UNENCODABLE' }),
    );
    expect(() => serde.deserialize(new Uint8Array([0x0a, 5, 0x61]), context)).toThrow(
      expect.objectContaining({ code: 'UNDECODABLE' }),
    );
  });

  it('gives bytes of their own: the fetch they were in may go', () => {
    const source = 'syntax = "proto3"; message Blob { bytes data = 1; repeated bytes parts = 2; }';
    const blobs = protobuf<{ data: Uint8Array; parts: Uint8Array[] }>(protobufjs.parse(source).root.lookupType('Blob'));
    const written = blobs.serialize({ data: new Uint8Array(10).fill(1), parts: [new Uint8Array(3).fill(2)] }, context);
    for (const fetched of [new Uint8Array(1_000_000), Buffer.alloc(1_000_000)]) {
      fetched.set(written, 500);
      const value = blobs.deserialize(fetched.subarray(500, 500 + written.length), context);
      fetched.fill(0);
      expect([[...value.data], value.parts.map((part) => [...part])]).toEqual([Array(10).fill(1), [[2, 2, 2]]]);
      expect(value.data.buffer.byteLength).toBeLessThanOrEqual(8192); // at most the pool of small buffers
    }
  });

  it('hands on what the schema does not know, where protobufjs keeps it', () => {
    const { Reader } = protobufjs;
    const { discardUnknown } = Reader;
    const bytes = Uint8Array.of(0x0a, 1, 0x61, 0xf8, 0x06, 5); // field 1: "a"; field 111: 5
    try {
      Reader.discardUnknown = false;
      const value = { ...serde.deserialize(bytes, context) };
      expect(new Uint8Array(serde.serialize(value, context))).toEqual(bytes);
    } finally {
      Reader.discardUnknown = discardUnknown;
    }
  });

  it('is named after the message', () => {
    expect(serde.name).toBe('protobuf(shop.Order)');
  });
});

describe('a static class', () => {
  /** As protobufjs-cli writes them: static functions over a prototype with the defaults. */
  class Receipt {
    declare orderId: string;
    declare cents: number;
    static encode(message: { orderId?: string; cents?: number }): { finish(): Uint8Array } {
      return Type.encode(message);
    }
    static decode(data: Uint8Array): Receipt {
      return Type.decode(data) as unknown as Receipt;
    }
    static toObject(message: Receipt, options: object): object {
      return Type.toObject(message as never, options);
    }
    toJSON(): object {
      return this;
    }
  }
  const Type = protobufjs.parse(proto).root.lookupType('shop.Receipt');
  const serde = protobuf(Receipt);

  it('types itself: fields, no methods', () => {
    expectTypeOf(serde.deserialize(new Uint8Array(), context)).toEqualTypeOf<{ orderId: string; cents: number }>();
  });

  it('takes and gives plain objects', () => {
    const value = { orderId: 'o', cents: 5 };
    expect(serde.deserialize(serde.serialize(value, context), context)).toEqual(value);
    expect(serde.name).toBe('protobuf(Receipt)');
  });
});
