/** The Protobuf contracts as serdes. A message's `oneof kind` becomes a value with a `type`, as deciders have it. */
import { readFileSync } from 'node:fs';
import { UndecodableError, type Serde } from '@millrace/serde';
import { protobuf } from '@millrace/serde/protobuf';
import { parse } from 'protobufjs';

export type AccountCommand =
  | { readonly type: 'open'; readonly owner: string }
  | { readonly type: 'deposit'; readonly cents: number }
  | { readonly type: 'withdraw'; readonly cents: number }
  | { readonly type: 'sendTransfer'; readonly transferId: string; readonly to: string; readonly cents: number }
  | { readonly type: 'receiveTransfer'; readonly transferId: string; readonly from: string; readonly cents: number }
  | { readonly type: 'refundTransfer'; readonly transferId: string; readonly cents: number };

export type AccountEvent =
  | { readonly type: 'opened'; readonly owner: string }
  | { readonly type: 'deposited'; readonly cents: number }
  | { readonly type: 'withdrawn'; readonly cents: number }
  | {
      readonly type: 'transferSent';
      readonly transferId: string;
      readonly from: string;
      readonly to: string;
      readonly cents: number;
    }
  | { readonly type: 'transferReceived'; readonly transferId: string; readonly from: string; readonly cents: number }
  | { readonly type: 'transferRefunded'; readonly transferId: string; readonly cents: number };

export interface Account {
  readonly isOpen: boolean;
  readonly owner: string;
  readonly cents: number;
}

export interface Balance {
  readonly owner: string;
  readonly cents: number;
  readonly movements: number;
}

export interface Transfer {
  readonly from: string;
  readonly to: string;
  readonly cents: number;
  readonly status: 'pending' | 'completed' | 'refunded';
}

export interface TransferProcess {
  readonly step: 'new' | 'depositing' | 'refunding';
  readonly from: string;
  readonly cents: number;
}

const { root } = parse(readFileSync(new URL('../contracts/bank.proto', import.meta.url), 'utf8'));

/** Numbers that JavaScript holds exactly: sums of money are whole cents below 2^53. */
type Wire = Readonly<Record<string, unknown>>;

function message<T extends object>(name: string): Serde<T> {
  const serde = protobuf<Wire>(root.lookupType(`bank.${name}`));
  return {
    name: serde.name,
    serialize: (value, context) => serde.serialize(value as Wire, context),
    deserialize: (data, context) => plain(serde.deserialize(data, context)) as T,
  };
}

/** `{ kind: 'open', open: { owner } }` on the wire, `{ type: 'open', owner }` in the code. */
function union<T extends { readonly type: string }>(name: string): Serde<T> {
  const serde = protobuf<Wire>(root.lookupType(`bank.${name}`));
  return {
    name: serde.name,
    serialize({ type, ...fields }, context) {
      return serde.serialize({ [type]: fields }, context);
    },
    deserialize(data, context) {
      const decoded = serde.deserialize(data, context);
      const type = decoded['kind'];
      if (typeof type !== 'string')
        throw new UndecodableError(serde.name, 'it is of no kind that is known here', context);
      const value: { readonly type: string } = { type, ...plain(decoded[type] as Wire) };
      return value as T; // by the contract
    },
  };
}

/** 64-bit integers come from protobufjs as Long objects: the only objects in these messages, and all are whole cents. */
function plain(decoded: Wire): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(decoded).map(([name, value]) => [name, typeof value === 'object' ? Number(value) : value]),
  );
}

export const accountCommand: Serde<AccountCommand> = union('AccountCommand');
export const accountEvent: Serde<AccountEvent> = union('AccountEvent');
export const accountState: Serde<Account> = message('Account');
export const balance: Serde<Balance> = message('Balance');
export const transferRow: Serde<Transfer> = message('Transfer');
export const transferProcess: Serde<TransferProcess> = message('TransferProcess');
