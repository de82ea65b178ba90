import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bytesOf, GroupBench, protocolsNamed, textOf, type Pending } from '../testing/group-bench.ts';
import type { JoinResult, SyncResult } from './member.ts';

/** A consumer that does what it is told: it joins, syncs, beats, or not. */
interface Client {
  readonly instanceId: string | null;
  memberId: string;
  generationId: number;
  /** Members it was told of, if it leads. */
  members: readonly string[];
  join: Pending<JoinResult> | null;
  sync: Pending<SyncResult> | null;
}

type Step =
  | { readonly kind: 'join'; readonly client: number; readonly protocols: readonly string[] }
  | { readonly kind: 'sync' | 'heartbeat' | 'leave' | 'restartClient'; readonly client: number }
  | { readonly kind: 'wait'; readonly ms: number };

const clientCount = 5;
const client = fc.nat({ max: clientCount - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('join' as const),
      client,
      protocols: fc.constantFrom<readonly string[]>(['range'], ['range', 'sticky'], ['sticky', 'range']),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('sync' as const), client }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('heartbeat' as const), client }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('leave' as const, 'restartClient' as const), client }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(0, 1, 3000, 9999, 30_000) }),
  },
);

/** A group with five clients, two of them static, and what is wrong with it, whatever they do. */
class Run {
  /** Promises that were broken. */
  readonly broken: string[] = [];
  readonly #bench: GroupBench;
  readonly #clients: Client[];
  /** Every request that was ever parked, those of clients that are gone too. */
  readonly #requests: Pending<JoinResult | SyncResult>[] = [];
  /** Who led a generation when it began. */
  readonly #leaders = new Map<number, string>();
  #lastGeneration = 0;

  constructor(bench: GroupBench) {
    this.#bench = bench;
    this.#clients = Array.from({ length: clientCount }, (_, index) => freshClient(index < 2 ? `i${index}` : null));
  }

  async take(next: Step): Promise<void> {
    if (next.kind === 'wait') {
      await this.#bench.clock.advance(next.ms);
    } else {
      const actor = this.#clients[next.client]!;
      if (next.kind === 'join') this.#join(actor, next.protocols);
      else if (next.kind === 'sync') this.#sync(actor);
      else if (next.kind === 'heartbeat') this.#bench.heartbeat(actor.memberId, actor.generationId, actor.instanceId);
      else if (next.kind === 'leave') this.#leave(actor);
      else this.#clients[next.client] = freshClient(actor.instanceId);
      await this.#bench.clock.advance(0);
    }
    this.#checkMembers();
  }

  #promise(isKept: boolean, what: string): void {
    if (!isKept) this.broken.push(what);
  }

  #join(actor: Client, protocols: readonly string[]): void {
    if (actor.join !== null) return;
    const join = this.#bench.join({
      memberId: actor.memberId,
      groupInstanceId: actor.instanceId,
      protocols: protocolsNamed(...protocols),
    });
    this.#requests.push(join);
    actor.join = join;
    actor.sync = null;
    void join.done.then((result) => this.#joined(actor, join, result));
  }

  #joined(actor: Client, join: Pending<JoinResult>, result: JoinResult): void {
    if (actor.join === join) actor.join = null;
    const { error, memberId, generationId, leader } = result;
    if (error === 'MEMBER_ID_REQUIRED') actor.memberId = memberId;
    if (error !== null) {
      if (error !== 'MEMBER_ID_REQUIRED' && error !== 'REBALANCE_IN_PROGRESS') actor.memberId = '';
      return;
    }
    this.#promise(generationId >= this.#lastGeneration, `generation ${generationId} after ${this.#lastGeneration}`);
    this.#lastGeneration = generationId;
    actor.memberId = memberId;
    actor.generationId = generationId;
    actor.members = result.members.map((member) => member.memberId);
    const isTold = actor.members.includes(memberId);
    this.#promise(isTold === (leader === memberId), `${memberId} was told of ${actor.members.join()}, ${leader} leads`);
    const known = this.#leaders.get(generationId) ?? leader!;
    this.#leaders.set(generationId, known);
    // A static leader that comes back leads on under a new id.
    this.#promise(known.startsWith('i') || leader === known, `${leader} and ${known} lead generation ${generationId}`);
  }

  #sync(actor: Client): void {
    if (actor.memberId === '' || actor.sync !== null) return;
    const { memberId, generationId, instanceId } = actor;
    const assignments = new Map(actor.members.map((id) => [id, bytesOf(`${generationId} ${id}`)]));
    const sync = this.#bench.sync(memberId, generationId, { groupInstanceId: instanceId, assignments });
    this.#requests.push(sync);
    actor.sync = sync;
    void sync.done.then((result) => {
      if (actor.sync === sync) actor.sync = null;
      if (result.error !== null || instanceId !== null) return;
      // All that sync are in the generation, so its leader knew them, and gave each its own.
      const assigned = textOf(result.assignment);
      this.#promise(
        assigned === `${generationId} ${memberId}`,
        `${memberId} in ${generationId} was given '${assigned}'`,
      );
    });
  }

  #leave(actor: Client): void {
    this.#bench.coordinator.leave('g', [{ memberId: actor.memberId, groupInstanceId: actor.instanceId, reason: null }]);
    actor.memberId = '';
  }

  #checkMembers(): void {
    const { state, members } = this.#bench.coordinator.describe('g');
    const ids = members.map((member) => member.memberId);
    const instances = members.flatMap((member) => member.groupInstanceId ?? []);
    this.#promise(new Set(ids).size === ids.length, 'a member is there once');
    this.#promise(new Set(instances).size === instances.length, 'an instance is there once');
    if (state === 'Empty') this.#promise(ids.length === 0, 'an empty group has no members');
    if (state === 'Stable') this.#promise(ids.length > 0, 'a stable group has members');
  }

  /** All fall silent: nobody waits longer than the timeouts allow, the group empties, and works for those who come after. */
  async end(): Promise<void> {
    await this.#bench.clock.advance(600_000);
    const hanging = this.#requests.filter((request) => request.value === undefined).length;
    this.#promise(hanging === 0, `${hanging} requests hang`);
    this.#promise(this.#bench.state === 'Empty' || this.#bench.state === 'Dead', `the group is ${this.#bench.state}`);
    this.#clients[clientCount - 1] = freshClient(null);
    for (const kind of ['join', 'join', 'sync'] as const) {
      await this.take(
        kind === 'join' ? { kind, client: clientCount - 1, protocols: ['range'] } : { kind, client: clientCount - 1 },
      );
    }
    this.#promise(this.#bench.state === 'Stable', `with a new member the group is ${this.#bench.state}`);
  }
}

function freshClient(instanceId: string | null): Client {
  return { instanceId, memberId: '', generationId: 0, members: [], join: null, sync: null };
}

it('keeps its promises whatever members do: one leader, rising generations, own assignments, nobody hangs', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const run = new Run(await GroupBench.open({ 'offsets.retention.check.interval.ms': 3_600_000 }));
      for (const next of steps) await run.take(next);
      await run.end();
      expect(run.broken).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
