/** The bank over HTTP: commands with replies, balances that reflect them. */
import type { Position } from '@millrace/client';
import { isMillraceError, type CommandBus, type Reply } from '@millrace/eventsourcing';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { account, maxCents } from './account.ts';
import type { AccountCommand, AccountEvent, Balance, Transfer } from './contracts.ts';

/** A read model, whether in this process or in Redis. */
export interface Rows<V> {
  get(id: string, options?: { readonly after?: Position | undefined }): Promise<{ readonly value: V | undefined }>;
}

export interface HttpOptions {
  readonly bus: CommandBus;
  readonly balances: Rows<Balance>;
  readonly transfers: Rows<Transfer>;
}

type Codes = 'already-open' | 'no-such-account' | 'insufficient-funds' | 'invalid-amount' | 'limit-exceeded';
type AccountReply = Reply<AccountEvent, Codes>;

const id = { type: 'string', minLength: 1, maxLength: 64, pattern: '^[a-zA-Z0-9._-]+$' } as const;
const cents = { type: 'integer', minimum: 1, maximum: maxCents } as const;
const params = { type: 'object', properties: { id } } as const;
const maxKeyLength = 255;
const moneyBody = { type: 'object', required: ['cents'], properties: { cents }, additionalProperties: false } as const;

/**
 * `Idempotency-Key` is the command's id: a request sent again, to whichever instance, gets its first reply again.
 * `?after=` takes the `position` of a reply: the answer then reflects that command.
 */
export function createServer({ bus, balances, transfers }: HttpOptions): FastifyInstance {
  const server = Fastify({ routerOptions: { maxParamLength: 4 * (maxKeyLength + 65) } });

  const send = (accountId: string, command: AccountCommand, commandId: string): Promise<AccountReply> =>
    bus.send(account, accountId, command, { commandId });

  server.post<{ Body: { id: string; owner: string } }>(
    '/accounts',
    {
      schema: {
        body: {
          type: 'object',
          required: ['id', 'owner'],
          properties: { id, owner: { type: 'string', minLength: 1, maxLength: 200 } },
          additionalProperties: false,
        },
      },
    },
    async (request, reply) => {
      const { id: accountId, owner } = request.body;
      return answer(reply, 201, await send(accountId, { type: 'open', owner }, commandIdOf(request.headers)));
    },
  );

  for (const type of ['deposit', 'withdraw'] as const) {
    server.post<{ Params: { id: string }; Body: { cents: number } }>(
      `/accounts/:id/${type}`,
      { schema: { params, body: moneyBody } },
      async (request, reply) => {
        const command = { type, cents: request.body.cents };
        return answer(reply, 200, await send(request.params.id, command, commandIdOf(request.headers)));
      },
    );
  }

  server.post<{ Body: { from: string; to: string; cents: number } }>(
    '/transfers',
    {
      schema: {
        body: {
          type: 'object',
          required: ['from', 'to', 'cents'],
          properties: { from: id, to: id, cents },
          additionalProperties: false,
        },
      },
    },
    async (request, reply) => {
      const { from, to, cents: amount } = request.body;
      const commandId = commandIdOf(request.headers);
      // A command id is one of its account's, and transfers have one process each. An account's id holds no colon.
      const transferId = `${from}:${commandId}`;
      const sent = await send(from, { type: 'sendTransfer', transferId, to, cents: amount }, commandId);
      // 202: the money is on its way; the transfer itself says how it ended.
      if (sent.status === 'accepted') void reply.header('location', `/transfers/${encodeURIComponent(transferId)}`);
      return answer(reply, 202, sent, { transferId });
    },
  );

  server.get<{ Params: { id: string }; Querystring: { after?: string } }>(
    '/accounts/:id',
    { schema: { params } },
    async (request, reply) => {
      const { value } = await balances.get(request.params.id, { after: positionOf(request.query.after) });
      return value ?? reply.code(404).send({ error: 'no-such-account' });
    },
  );

  server.get<{ Params: { id: string } }>('/transfers/:id', async (request, reply) => {
    const { value } = await transfers.get(request.params.id);
    return value ?? reply.code(404).send({ error: 'no-such-transfer' });
  });

  server.setErrorHandler((error, _request, reply) => {
    if (isMillraceError(error, 'COMMAND_TIMEOUT')) {
      return reply
        .code(504)
        .send({ error: 'unknown-outcome', message: 'Send it again with the same Idempotency-Key.' });
    }
    if (isMillraceError(error, 'COMMAND_ID_REUSED')) {
      return reply.code(422).send({ error: 'idempotency-key-reused', message: error.message });
    }
    if (isMillraceError(error) && error.retriable) {
      return reply.code(503).header('retry-after', '1').send({ error: error.code, message: error.message });
    }
    const status = (error as { statusCode?: number }).statusCode ?? 500;
    return reply
      .code(status)
      .send({ error: status < 500 ? 'bad-request' : 'internal', message: (error as Error).message });
  });
  return server;
}

class BadRequestError extends Error {
  readonly statusCode = 400;
}

function commandIdOf(headers: Readonly<Record<string, string | string[] | undefined>>): string {
  const given = headers['idempotency-key'];
  if (typeof given !== 'string' || given === '') return crypto.randomUUID();
  if (given.length > maxKeyLength)
    throw new BadRequestError(`Idempotency-Key has more than ${maxKeyLength} characters`);
  return given;
}

function answer(reply: FastifyReply, status: number, result: AccountReply, more: object = {}): FastifyReply {
  const position = textOf(result.position);
  switch (result.status) {
    case 'accepted':
      return reply.code(status).send({ ...more, version: result.version, events: result.events, position });
    case 'rejected':
      return reply
        .code(result.code === 'no-such-account' ? 404 : 409)
        .send({ error: result.code, message: result.message, position });
    case 'conflict':
      return reply.code(412).send({ error: 'conflict', version: result.version, position });
  }
}

/** `account-commands/0@12`. */
function textOf({ topic, partition, offset }: Position): string {
  return `${topic}/${partition}@${offset}`;
}

function positionOf(text: string | undefined): Position | undefined {
  if (text === undefined) return undefined;
  const match = /^([\w.-]+)\/(\d+)@(\d+)$/.exec(text);
  const position = { topic: match?.[1] ?? '', partition: Number(match?.[2]), offset: Number(match?.[3]) };
  if (position.topic !== account.commands.name || !Number.isSafeInteger(position.offset)) {
    throw new BadRequestError(`after is the position of a reply, such as account-commands/0@12, not ${text}`);
  }
  return position;
}
